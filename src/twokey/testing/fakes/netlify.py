"""Netlify's API for the environment variables of teams and sites.

Values of a secret variable are masked, except that of the context ``dev``. A variable has one value for all contexts or
one for each; a secret one has none for all of them. Every change of a variable changes ``updated_at``.
"""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route

if TYPE_CHECKING:
    from collections.abc import Callable

_ENV = r"/api/v1/accounts/([^/]+)/env"
_NAME = re.compile(r"(?!AWS_|LAMBDA_)[A-Za-z][A-Za-z0-9_]*", re.ASCII)
CONTEXTS = {"all", "dev", "dev-server", "branch-deploy", "deploy-preview", "production", "branch"}


class Netlify(FakeService):
    """Netlify with a site of the team ``acme``, and one token."""

    not_found = {"code": 404, "message": "Not Found"}  # noqa: RUF012

    def __init__(self, monotonic: Callable[[], float] | None = None, token: str = "nfp_" + "t" * 36) -> None:
        super().__init__(**({"monotonic": monotonic} if monotonic else {}))
        self.token = token
        self.may_write = True
        self.site = str(uuid.UUID(int=0x517E))
        self.targets: dict[str, list[dict[str, Any]]] = {"acme": [], f"acme/{self.site}": []}

    def delete(self, target: str) -> None:
        """Delete a team or a site."""
        self.targets.pop(target, None)

    def value(self, target: str, key: str, context: str) -> str | None:
        """Return what a new deployment in a context reads."""
        found: dict[str, Any] = next((one for one in self.targets.get(target, []) if one["key"] == key), {"values": []})
        values = {one["context"]: one["value"] for one in found["values"]}
        return values.get(context, values.get("all"))

    def add_variable(self, target: str, key: str, values: dict[str, str], *, secret: bool = False) -> None:
        """Create a variable as the operator does; ``values`` by context."""
        listed = [self._new_value(context, value) for context, value in values.items()]
        made = {"key": key, "scopes": ["builds"], "values": listed, "is_secret": secret, "updated_at": self.stamp()}
        self.targets[target].append(made)

    def authorize(self, request: ReceivedRequest) -> None:
        """Check the token, and whether it may write."""
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            raise _error(401, "Access Denied")
        if request.method != "GET" and not self.may_write:
            raise _error(403, "Forbidden")

    @route("GET", _ENV)
    def list_variables(self, request: ReceivedRequest, account: str) -> Reply:
        """Answer ``getEnvVars``."""
        return Reply(200, [_shown(one) for one in self._target(request, account)])

    @route("POST", _ENV)
    def create(self, request: ReceivedRequest, account: str) -> Reply:
        """Answer ``createEnvVars``."""
        there = self._target(request, account)
        body = request.json()
        if not isinstance(body, list):
            raise _error(422, "expected an array")
        for one in body:
            self._check(one, there)
        made = [
            {
                "key": one["key"],
                "scopes": one.get("scopes", ["builds", "functions", "runtime", "post-processing"]),
                "values": [self._new_value(value["context"], value["value"]) for value in one["values"]],
                "is_secret": bool(one.get("is_secret")),
                "updated_at": self.stamp(),
            }
            for one in body
        ]
        there.extend(made)
        return Reply(201, [_shown(one) for one in made])

    @route("PATCH", _ENV + "/([^/]+)")
    def set_value(self, request: ReceivedRequest, account: str, key: str) -> Reply:
        """Answer ``setEnvVarValue``."""
        found = self._variable(request, account, key)
        body = request.json() or {}
        context, value = body.get("context"), body.get("value")
        if context not in CONTEXTS or not isinstance(value, str) or (found["is_secret"] and context == "all"):
            raise _error(422, "invalid context or value")
        present = next((one for one in found["values"] if one["context"] == context), None)
        if present is None:
            found["values"].append(self._new_value(context, value))
        else:
            present["value"] = value
        found["updated_at"] = self.stamp()
        return Reply(201, _shown(found))

    @route("DELETE", _ENV + "/([^/]+)")
    def delete_variable(self, request: ReceivedRequest, account: str, key: str) -> Reply:
        """Answer ``deleteEnvVar``."""
        self._target(request, account).remove(self._variable(request, account, key))
        return Reply(204)

    @route("DELETE", _ENV + "/([^/]+)/value/([^/]+)")
    def delete_value(self, request: ReceivedRequest, account: str, key: str, identity: str) -> Reply:
        """Answer ``deleteEnvVarValue``."""
        found = self._variable(request, account, key)
        left = [one for one in found["values"] if one["id"] != identity]
        if len(left) == len(found["values"]):
            raise Refusal(404, self.not_found)
        found.update(values=left, updated_at=self.stamp())
        return Reply(204)

    def _new_value(self, context: str, value: str) -> dict[str, str]:
        return {"id": str(uuid.UUID(int=self.tick())), "context": context, "value": value}

    def _check(self, wanted: dict[str, Any], there: list[dict[str, Any]]) -> None:
        contexts = {value.get("context") for value in wanted.get("values") or []}
        if not _NAME.fullmatch(wanted.get("key", "")):
            raise _error(422, "key is invalid or reserved")
        if any(one["key"] == wanted["key"] for one in there):
            raise _error(409, "key already exists")
        if not contexts or not contexts <= CONTEXTS or ("all" in contexts and len(contexts) > 1):
            raise _error(422, "invalid contexts")
        if wanted.get("is_secret") and ("all" in contexts or "post-processing" in wanted.get("scopes", ("",))):
            raise _error(422, "a secret needs explicit contexts, and no post-processing scope")

    def _target(self, request: ReceivedRequest, account: str) -> list[dict[str, Any]]:
        site = request.query.get("site_id")
        found = self.targets.get(f"{account}/{site}" if site else account)
        if found is None:
            raise Refusal(404, self.not_found)
        return found

    def _variable(self, request: ReceivedRequest, account: str, key: str) -> dict[str, Any]:
        found = next((one for one in self._target(request, account) if one["key"] == key), None)
        if found is None:
            raise Refusal(404, self.not_found)
        return found


def _shown(one: dict[str, Any]) -> dict[str, Any]:
    masked = [
        {**value, "value": "*" * 16} if one["is_secret"] and value["context"] != "dev" else value
        for value in one["values"]
    ]
    return {**one, "values": masked}


def _error(status: int, message: str) -> Refusal:
    return Refusal(status, {"code": status, "message": message})
