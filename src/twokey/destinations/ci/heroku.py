"""Config vars of a Heroku app: ``heroku:APP``.

Heroku shows all values. One request changes any number of them and leaves the others as they are; it makes one release,
with which Heroku restarts the app's dynos. So id and secret change together, and nothing is written where both are
right already: a needless release would restart the app.

Sources: Heroku's own API description, the JSON schema in heroku/platform-api (``config-var``: requests, responses,
names); "Platform API Reference" (errors, rate limits), "Configuration and Config Vars" (sizes, names, restarts),
"OAuth" (scopes), Heroku Dev Center.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from twokey.core.errors import ServiceRejected
from twokey.core.secret import Hidden
from twokey.destinations.ci.merged_values import MergedValues
from twokey.destinations.ci.named_values import SHORTER, Shown
from twokey.destinations.ci.token_connection import TokenSettings, connector
from twokey.destinations.formats import options as formats
from twokey.destinations.kind import ConnectionKind, Kind, Permission, phrase
from twokey.http.messages import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.destinations.address import Address
    from twokey.destinations.formats.format import Format
    from twokey.destinations.kind import DestinationContext
    from twokey.http.client import Http

PUBLIC = "https://api.heroku.com"
LONGEST = 64 * 1024
"""Bytes of all config vars of an app, names and values ("Configuration and Config Vars")."""
NAMES = replace(formats.ENVIRONMENT, forbidden=("HEROKU_", "__"))
PERMISSIONS = (
    Permission(service="Heroku", name="write-protected", resource="account", type="scope"),
    Permission(service="Heroku", name="deploy", resource="app"),
)
_NEEDED = phrase(PERMISSIONS)
_APP = re.compile(r"[a-z][a-z0-9-]{1,28}[a-z0-9]", re.ASCII)
"""The name of an app. Its ID would be a second name of the same thing."""


def check(address: Address) -> None:
    """Raise ``UsageError`` for a name that Heroku allows no app or config var."""
    if not _APP.fullmatch(address.plain):
        raise address.error("expected the name of an app: lowercase letters, digits and dashes.")
    address.allow(("connection", *formats.OPTIONS))
    _format(address)


def _format(address: Address) -> Format:
    return formats.format_of(address.options, default="pair", names=NAMES)


def _open(address: Address, context: DestinationContext) -> ConfigVars:
    """Return the config vars of an app."""
    return ConfigVars(address, context.connection(address, CONNECTION))


class ConfigVars(MergedValues):
    """Config vars of one app."""

    confirms = "value"

    def __init__(self, address: Address, http: Http) -> None:
        super().__init__(address.url, _format(address))
        self._http = http
        self.pace = http.pace
        self._app = address.rest
        self._path = f"/apps/{address.rest}/config-vars"

    def preflight(self) -> None:
        """Raise if the app is missing, or the token may not see its config vars."""
        self.check_content(self._look())

    def _look(self) -> Mapping[str, Shown]:
        description = f"read the config vars of {self._app}"
        request = Request("GET", self._path, description, mutates=False, secret=True, permission=_NEEDED)
        found = self._http.read(request, dict[str, str | None])
        return {name: Shown(value=Hidden(value)) for name in self.looked_for if (value := found.get(name)) is not None}

    def _prepare(self, values: Mapping[str, Hidden], note: str, before: Mapping[str, Shown]) -> None:  # noqa: ARG002  no field for a note
        size = sum(len(name) + len(value.encode()) for name, value in values.items())
        if size > LONGEST:
            raise ServiceRejected(
                f"{', '.join(values)} would have {size} bytes; all config vars of an app together have at most "
                f"{LONGEST}.",
                state="Nothing was written there.",
                remedy=SHORTER,
            )

    def _merge(self, values: Mapping[str, Hidden | None], note: str, before: Mapping[str, Shown]) -> None:  # noqa: ARG002  no field for a note
        description = f"write {' and '.join(values)} of {self._app}"
        self._http.request(
            Request("PATCH", self._path, description, body=dict(values), secret=True, permission=_NEEDED)
        )


CONNECTION = ConnectionKind(
    name="heroku",
    settings=TokenSettings,
    connect=connector(
        "Heroku",
        PUBLIC,
        sends=lambda token: {
            "Authorization": f"Bearer {token}",
            "Accept": "application/vnd.heroku+json; version=3",
        },
        expected="a valid API token",
    ),
    environment={"token": ("HEROKU_API_KEY",)},
)
KIND = Kind(
    scheme="heroku",
    check=check,
    open=_open,
    connection=CONNECTION,
    permissions=PERMISSIONS,
)
