"""Fly.io secrets: ``flyio:APP``.

Fly.io shows when each secret was last updated, which is the stamp of a delivery. One request sets any number of secrets
and leaves the others as they are, so id and secret change together. Machines keep the secrets that they were started
with, until they are deployed again.

Sources: superfly/fly-go, the client that Fly.io's command-line tool uses (``flaps_secrets.go``, ``secrets_types.go``:
requests, responses; ``tokens``: kinds of tokens); "Secrets and Fly Apps", "Machines API", "Access tokens", Fly Docs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from twokey.destinations.ci.merged_values import MergedValues
from twokey.destinations.ci.named_values import Shown
from twokey.destinations.ci.token_connection import TokenSettings, connector
from twokey.destinations.formats import options as formats
from twokey.destinations.kind import ConnectionKind, Kind, Permission, phrase
from twokey.http.messages import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.core.secret import Hidden
    from twokey.destinations.address import Address
    from twokey.destinations.formats.format import Format
    from twokey.destinations.kind import DestinationContext
    from twokey.http.client import Http

PUBLIC = "https://api.machines.dev"
PERMISSIONS = (Permission(service="Fly.io", name="deploy", resource="app", type="token"),)
_NEEDED = phrase(PERMISSIONS)
_APP = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)


def check(address: Address) -> None:
    """Raise ``UsageError`` for a name that Fly.io allows no app or secret."""
    if not _APP.fullmatch(address.plain):
        raise address.error("expected the name of an app.")
    address.allow(("connection", *formats.OPTIONS))
    _format(address)


def _format(address: Address) -> Format:
    return formats.format_of(address.options, default="pair", names=formats.ENVIRONMENT)


def _open(address: Address, context: DestinationContext) -> Secrets:
    """Return the secrets of an app."""
    return Secrets(address, context.connection(address, CONNECTION))


def _authorization(token: str) -> str:
    """Return the header for a token: macaroons, which begin so, have a scheme of their own (fly-go, ``tokens``)."""
    if token.startswith("FlyV1 "):
        return token
    return f"{'FlyV1' if token.startswith(('fm1r_', 'fm1a_', 'fm2_')) else 'Bearer'} {token}"


class _Secret(msgspec.Struct):
    name: str
    digest: str = ""
    updated_at: str | None = None


class _Listed(msgspec.Struct):
    secrets: list[_Secret] | None = None


class Secrets(MergedValues):
    """Secrets of one app."""

    confirms = "timestamp"

    def __init__(self, address: Address, http: Http) -> None:
        super().__init__(address.url, _format(address))
        self._http = http
        self.pace = http.pace
        self._app = address.rest
        self._path = f"/v1/apps/{address.rest}/secrets"

    def preflight(self) -> None:
        """Raise if the app is missing, or the token may not see its secrets."""
        self._look()

    def _look(self) -> Mapping[str, Shown]:
        description = f"list the secrets of {self._app}"
        request = Request("GET", self._path, description, mutates=False, permission=_NEEDED)
        return {
            one.name: Shown(stamp=one.updated_at or one.digest)
            for one in self._http.read(request, _Listed).secrets or ()
            if one.name in self.looked_for
        }

    def _merge(self, values: Mapping[str, Hidden | None], note: str, before: Mapping[str, Shown]) -> None:  # noqa: ARG002  no field for a note
        description = f"write {' and '.join(values)} of {self._app}"
        body = {"values": dict(values)}
        self._http.request(Request("POST", self._path, description, body=body, secret=True, permission=_NEEDED))


CONNECTION = ConnectionKind(
    name="flyio",
    settings=TokenSettings,
    connect=connector(
        "Fly.io",
        PUBLIC,
        sends=lambda token: {"Authorization": _authorization(token)},
        expected="a valid deploy token of the app",
    ),
    environment={"token": ("FLY_API_TOKEN", "FLY_ACCESS_TOKEN"), "url": ("FLY_FLAPS_BASE_URL",)},
)
KIND = Kind(
    scheme="flyio",
    check=check,
    open=_open,
    connection=CONNECTION,
    permissions=PERMISSIONS,
)
