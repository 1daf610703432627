"""Vercel's API for the environment variables of projects.

Values that are not secret are shown encrypted, secret ones not at all. A write by ``upsert`` updates the variable of
that name and those environments, and creates it otherwise; it reports for each variable whether it failed. A token that
is not valid is refused with 403. Lists come in pages of ``page_size``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route

if TYPE_CHECKING:
    from collections.abc import Callable

_ENV = r"/v10/projects/([^/]+)/env"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
TARGETS = {"production", "preview", "development"}
TYPES = {"system", "encrypted", "plain", "sensitive"}


class Vercel(FakeService):
    """Vercel with the project ``site`` of the team ``acme``, and one token."""

    not_found = {"error": {"code": "not_found", "message": "The requested resource was not found."}}  # noqa: RUF012

    def __init__(self, monotonic: Callable[[], float] | None = None, token: str = "v" * 24) -> None:
        super().__init__(**({"monotonic": monotonic} if monotonic else {}))
        self.token = token
        self.may_write = True
        self.page_size = 100
        self.refused: set[str] = set()
        self.projects: dict[tuple[str, str], list[dict[str, Any]]] = {("acme", "site"): [], ("", "hobby"): []}

    def delete(self, team: str, project: str) -> None:
        """Delete a project."""
        self.projects.pop((team, project), None)

    def value(self, team: str, project: str, key: str, target: str) -> str | None:
        """Return what a new deployment in an environment reads."""
        found = self.projects.get((team, project), [])
        return next((one["value"] for one in found if one["key"] == key and target in one["target"]), None)

    def add_variable(self, key: str, target: list[str], **fields: Any) -> None:
        """Create a variable of the project ``site`` as the operator does."""
        now = self._now()
        made = {"id": f"env{self.tick()}", "type": "encrypted", "value": "x", "createdAt": now, "updatedAt": now}
        self.projects["acme", "site"].append({**made, "key": key, "target": target, **fields})

    def authorize(self, request: ReceivedRequest) -> None:
        """Check the token, and whether it may write."""
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            raise Refusal(403, {"error": {"code": "forbidden", "message": "Not authorized", "invalidToken": True}})
        if request.method != "GET" and not self.may_write:
            raise _error(403, "forbidden", "You don't have permission to create the Environment Variable.")

    @route("GET", _ENV)
    def list_variables(self, request: ReceivedRequest, project: str) -> Reply:
        """Answer ``filterProjectEnvs``."""
        there = self._project(request, project)
        start = int(request.query.get("until", 0))
        end = start + self.page_size
        page = [_shown(one) for one in there[start:end]]
        pages = {"count": len(page), "next": end if end < len(there) else None, "prev": None}
        return Reply(200, {"envs": page, "pagination": pages})

    @route("POST", _ENV)
    def write(self, request: ReceivedRequest, project: str) -> Reply:
        """Answer ``createProjectEnv``."""
        there = self._project(request, project)
        body = request.json()
        wanted = body if isinstance(body, list) else [body]
        for one in wanted:
            _check(one)
        created: list[dict[str, Any]] = []
        failed: list[dict[str, Any]] = []
        for one in wanted:
            code = self._write(there, one, upsert=request.query.get("upsert") == "true")
            if code:
                failed.append({"error": {"code": code, "message": "refused", "key": one["key"]}})
            else:
                created.append(_shown(next(made for made in there if made["key"] == one["key"])))
        return Reply(201, {"created": created, "failed": failed})

    @route("DELETE", r"/v9/projects/([^/]+)/env/([^/]+)")
    def remove(self, request: ReceivedRequest, project: str, identity: str) -> Reply:
        """Answer ``removeProjectEnv``."""
        there = self._project(request, project)
        found = next((one for one in there if one["id"] == identity), None)
        if found is None:
            raise _error(404, "ENV_NOT_FOUND", "Environment Variable not found")
        there.remove(found)
        return Reply(200, _shown(found))

    def _write(self, there: list[dict[str, Any]], wanted: dict[str, Any], *, upsert: bool) -> str:
        """Write one variable; return the code of the error, if any."""
        if wanted["key"] in self.refused:
            return "ENV_CONFLICT"
        same = [
            one
            for one in there
            if one["key"] == wanted["key"]
            and one.get("gitBranch") == wanted.get("gitBranch")
            and {*one["target"]} & {*wanted["target"]}
        ]
        if same and not (upsert and {*same[0]["target"]} == {*wanted["target"]}):
            return "ENV_ALREADY_EXISTS"
        if same:
            same[0].update(wanted, updatedAt=self._now())
        else:
            now = self._now()
            there.append({"id": f"env{self.tick()}", "createdAt": now, "updatedAt": now, **wanted})
        return ""

    def _now(self) -> int:
        return 1_796_000_000_000 + self.tick()

    def _project(self, request: ReceivedRequest, project: str) -> list[dict[str, Any]]:
        found = self.projects.get((request.query.get("slug", request.query.get("teamId", "")), project))
        if found is None:
            raise _error(404, "not_found", "Project not found")
        return found


def _check(wanted: Any) -> None:
    if not isinstance(wanted, dict) or not {"key", "value", "type", "target"} <= {*wanted}:
        raise _error(400, "bad_request", "Invalid request: missing required property.")
    unknown = {*wanted} - {"key", "value", "type", "target", "comment", "gitBranch", "customEnvironmentIds"}
    if unknown or not {*wanted["target"]} <= TARGETS or wanted["type"] not in TYPES:
        raise _error(400, "bad_request", "Invalid request: should NOT have additional property or value.")
    if wanted["type"] == "sensitive" and "development" in wanted["target"]:
        raise _error(400, "BAD_REQUEST", "You cannot set a Sensitive Environment Variable's target to development.")
    if not _NAME.fullmatch(wanted["key"]):
        raise _error(400, "INVALID_ENV_KEY", "The name contains invalid characters.")


def _shown(one: dict[str, Any]) -> dict[str, Any]:
    return {**one, "value": "" if one["type"] == "sensitive" else "eyJ2IjoidjIifQ=="}


def _error(status: int, code: str, message: str) -> Refusal:
    return Refusal(status, {"error": {"code": code, "message": message}})
