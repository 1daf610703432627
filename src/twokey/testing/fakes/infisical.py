"""Infisical's API for the secrets of a folder, and its Universal Auth.

Values are shown to an identity that may read them. A batch is written as a whole; ``mode: upsert`` creates what is
missing. Where a policy protects the secrets, a write makes a request for approval and changes nothing.
"""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route

if TYPE_CHECKING:
    from collections.abc import Callable

PROJECT = str(uuid.UUID(int=0x1F))
_NAME = re.compile(r"[^\s:/]+")
Folder = tuple[str, str, str]


class Infisical(FakeService):
    """Infisical with the folders ``/`` and ``/ci`` of an environment, an identity, and one token of it."""

    not_found = {"statusCode": 404, "error": "NotFound", "message": "Folder not found", "reqId": "req-1"}  # noqa: RUF012

    def __init__(self, monotonic: Callable[[], float] | None = None, token: str = "eyJ" + "t" * 40) -> None:
        super().__init__(**({"monotonic": monotonic} if monotonic else {}))
        self.token = token
        self.client = ("client-1", "s" * 64)
        self.may_write = True
        self.may_read_values = True
        self.protected = False
        self.logins = 0
        self.folders: dict[Folder, dict[str, dict[str, Any]]] = {
            (PROJECT, "prod", "/"): {},
            (PROJECT, "prod", "/ci"): {},
        }

    def delete(self, path: str) -> None:
        """Delete a folder."""
        self.folders.pop((PROJECT, "prod", path), None)

    def value(self, path: str, name: str) -> str | None:
        """Return what a reader of a folder sees."""
        found = self.folders.get((PROJECT, "prod", path), {}).get(name)
        return found["secretValue"] if found else None

    def authorize(self, request: ReceivedRequest) -> None:
        """Check the token, and whether it may write."""
        if request.path.startswith("/api/v1/auth/"):
            return
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            raise _error(401, "TokenError", "Your token is invalid")
        if request.method != "GET" and not self.may_write:
            raise _error(403, "PermissionDenied", "You are not allowed to edit on secrets")

    @route("POST", r"/api/v1/auth/universal-auth/login")
    def log_in(self, request: ReceivedRequest) -> Reply:
        """Answer "Universal Auth, Login"."""
        body = request.json() or {}
        if (body.get("clientId"), body.get("clientSecret")) != self.client:
            raise _error(401, "Unauthorized", "Invalid credentials")
        self.logins += 1
        granted = {"accessToken": self.token, "expiresIn": 7200, "accessTokenMaxTTL": 7200, "tokenType": "Bearer"}
        return Reply(200, granted)

    @route("GET", r"/api/v4/secrets")
    def list_secrets(self, request: ReceivedRequest) -> Reply:
        """Answer ``listSecretsV4``."""
        there = self._folder(request.query)
        return Reply(200, {"secrets": [self._shown(one) for one in there.values()], "imports": []})

    @route("PATCH", r"/api/v4/secrets/batch")
    def update_many(self, request: ReceivedRequest) -> Reply:
        """Answer ``updateManySecretsV4``."""
        body = request.json() or {}
        there = self._folder(body)
        wanted = body.get("secrets") or []
        if not wanted or not all(_NAME.fullmatch(one.get("secretKey", "")) for one in wanted):
            raise _error(422, "ValidationFailure", "secrets: invalid")
        if body.get("mode") != "upsert" and any(one["secretKey"] not in there for one in wanted):
            raise _error(404, "NotFound", "Secret not found")
        if self.protected:
            return _approval()
        for one in wanted:
            self.write(there, one["secretKey"], one.get("secretValue"), one.get("secretComment"))
        return Reply(200, {"secrets": [self._shown(there[one["secretKey"]]) for one in wanted]})

    @route("DELETE", r"/api/v4/secrets/([^/]+)")
    def delete_secret(self, request: ReceivedRequest, name: str) -> Reply:
        """Answer ``deleteSecretV4``."""
        there = self._folder(request.json() or {})
        if name not in there:
            raise _error(404, "NotFound", f"Secret with name {name} not found")
        if self.protected:
            return _approval()
        return Reply(200, {"secret": self._shown(there.pop(name))})

    def write(
        self, folder: dict[str, dict[str, Any]], name: str, value: str | None, comment: str | None = None
    ) -> None:
        """Write a secret of a folder; None leaves the value or the comment as it is."""
        before = folder.get(name, {"version": 0, "secretValue": "", "secretComment": ""})
        folder[name] = {
            "id": str(uuid.UUID(int=self.tick())),
            "workspace": PROJECT,
            "environment": "prod",
            "type": "shared",
            "secretKey": name,
            "version": before["version"] + 1,
            "secretValue": before["secretValue"] if value is None else _trimmed(value),
            "secretComment": before["secretComment"] if comment is None else comment,
            "updatedAt": self.stamp(),
        }

    def _shown(self, one: dict[str, Any]) -> dict[str, Any]:
        hidden = {} if self.may_read_values else {"secretValue": "<hidden-by-infisical>"}
        return {**one, **hidden, "secretValueHidden": not self.may_read_values}

    def _folder(self, named: Any) -> dict[str, dict[str, Any]]:
        key = (str(named.get("projectId")), str(named.get("environment")), str(named.get("secretPath", "/")))
        if key not in self.folders:
            raise Refusal(404, self.not_found)
        return self.folders[key]


def _trimmed(value: str) -> str:
    """Return a value as it is stored: without white space at its ends, except a line break at the last one."""
    return f"{value.strip()}\n" if value.endswith("\n") else value.strip()


def _approval() -> Reply:
    return Reply(200, {"approval": {"id": str(uuid.UUID(int=1)), "slug": "abc", "status": "open", "hasMerged": False}})


def _error(status: int, name: str, message: str) -> Refusal:
    return Refusal(status, {"statusCode": status, "error": name, "message": message, "reqId": "req-1"})
