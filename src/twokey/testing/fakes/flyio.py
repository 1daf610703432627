"""Fly.io's API for the secrets of apps: names, digests and times; a change sets and removes several at once."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route

if TYPE_CHECKING:
    from collections.abc import Callable

_SECRETS = r"/v1/apps/([^/]+)/secrets"


class FlyIo(FakeService):
    """Fly.io with the app ``site``, and one deploy token."""

    not_found = {"error": "app not found"}  # noqa: RUF012

    def __init__(self, monotonic: Callable[[], float] | None = None, token: str = "fm2_" + "t" * 40) -> None:
        super().__init__(**({"monotonic": monotonic} if monotonic else {}))
        self.token = token
        self.may_write = True
        self.apps: dict[str, dict[str, dict[str, Any]]] = {"site": {"OTHER": self._secret("OTHER", "x")}}
        self.version = 1

    def authorize(self, request: ReceivedRequest) -> None:
        """Check the token and its scheme, and whether it may write."""
        scheme = "FlyV1" if self.token.startswith("fm2_") else "Bearer"
        if request.headers.get("Authorization") != f"{scheme} {self.token}":
            raise Refusal(401, {"error": "unauthorized"})
        if request.method != "GET" and not self.may_write:
            raise Refusal(403, {"error": "forbidden"})

    @route("GET", _SECRETS)
    def list_secrets(self, _request: ReceivedRequest, app: str) -> Reply:
        """Answer ``ListAppSecrets``."""
        return Reply(200, {"secrets": [_shown(one) for one in self._app(app).values()]})

    @route("POST", _SECRETS)
    def update(self, request: ReceivedRequest, app: str) -> Reply:
        """Answer ``UpdateAppSecrets``."""
        there = self._app(app)
        values = (request.json() or {}).get("values")
        if not isinstance(values, dict) or not all(
            value is None or isinstance(value, str) for value in values.values()
        ):
            raise Refusal(400, {"error": "invalid values"})
        for name, value in values.items():
            if value is None:
                there.pop(name, None)
            else:
                there[name] = self._secret(name, value)
        self.version += 1
        return Reply(200, {"secrets": [_shown(one) for one in there.values()], "version": self.version})

    def _secret(self, name: str, value: str) -> dict[str, Any]:
        now = self.stamp()
        digest = hashlib.sha256(value.encode()).hexdigest()[:16]
        return {"name": name, "value": value, "digest": digest, "created_at": now, "updated_at": now}

    def _app(self, app: str) -> dict[str, dict[str, Any]]:
        if app not in self.apps:
            raise Refusal(404, self.not_found)
        return self.apps[app]


def _shown(secret: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in secret.items() if name != "value"}
