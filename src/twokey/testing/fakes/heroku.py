"""Heroku's API for the config vars of apps: one object of names and values, changed by merging, None removing a value.

Each change makes a release. A request must name version 3 of the API.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route

if TYPE_CHECKING:
    from collections.abc import Callable

_VARS = r"/apps/([^/]+)/config-vars"
_NAME = re.compile(r"\w+", re.ASCII)
LONGEST = 64 * 1024


class Heroku(FakeService):
    """Heroku with the app ``site``, and one token."""

    not_found = {"id": "not_found", "message": "Couldn't find that app."}  # noqa: RUF012

    def __init__(self, monotonic: Callable[[], float] | None = None, token: str = "HRKU-" + "t" * 36) -> None:
        super().__init__(**({"monotonic": monotonic} if monotonic else {}))
        self.token = token
        self.may_write = True
        self.apps: dict[str, dict[str, str]] = {"site": {"DATABASE_URL": "postgres://site"}}
        self.releases = 0

    def authorize(self, request: ReceivedRequest) -> None:
        """Check the version, the token, and whether it may write."""
        if "version=3" not in request.headers.get("Accept", ""):
            raise Refusal(404, {"id": "not_found", "message": "The requested API endpoint was not found."})
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            raise Refusal(401, {"id": "unauthorized", "message": "Invalid credentials provided."})
        if request.method != "GET" and not self.may_write:
            raise Refusal(403, {"id": "forbidden", "message": "You do not have access to the app site."})

    @route("GET", _VARS)
    def show(self, _request: ReceivedRequest, app: str) -> Reply:
        """Answer "Config Vars Info for App"."""
        return Reply(200, self._app(app))

    @route("PATCH", _VARS)
    def update(self, request: ReceivedRequest, app: str) -> Reply:
        """Answer "Config Vars Update"."""
        there = self._app(app)
        wanted = request.json()
        if not isinstance(wanted, dict) or not all(_NAME.fullmatch(name) for name in wanted):
            raise Refusal(422, {"id": "invalid_params", "message": "Config vars must match \\w+."})
        if not all(value is None or isinstance(value, str) for value in wanted.values()):
            raise Refusal(422, {"id": "invalid_params", "message": "Config vars must be strings or null."})
        after = {name: value for name, value in {**there, **wanted}.items() if value is not None}
        if sum(len(name) + len(value.encode()) for name, value in after.items()) > LONGEST:
            raise Refusal(422, {"id": "invalid_params", "message": "Config vars exceed 64 KB."})
        self.apps[app] = after
        self.releases += 1
        return Reply(200, after)

    def _app(self, app: str) -> dict[str, str]:
        if app not in self.apps:
            raise Refusal(404, self.not_found)
        return self.apps[app]
