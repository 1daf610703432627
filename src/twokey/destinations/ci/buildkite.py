"""Buildkite secrets: ``buildkite:ORGANIZATION/CLUSTER_ID``.

Buildkite never shows a secret again. What it shows is when each was last changed, which is the stamp of a delivery, and
a description, which names the access key unless the operator wrote another text. A value and a description are changed
by two calls: descriptions first, so that the two values are written back to back, and a refused description means that
no value was written.

Sources: "Secrets" (REST API, clusters: names, sizes, calls, scopes), "REST API overview" (pagination), "REST API rate
limits", "Access token API", "Buildkite secrets" (who may change them), Buildkite Documentation; buildkite/cli
(``cmd/secret/update.go`` changes a description without its policy).
"""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from twokey.core.errors import AccessDenied, Ambiguous, ServiceRejected
from twokey.destinations import connections
from twokey.destinations.ci.named_values import SHORTER, NamedValues, Shown
from twokey.destinations.formats import options as formats
from twokey.destinations.kind import ConnectionKind, Kind, Permission, phrase
from twokey.destinations.sources import Source
from twokey.http import paging
from twokey.http.client import Http
from twokey.http.messages import Request
from twokey.http.rate_limits import Limit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.core.secret import Hidden
    from twokey.destinations.address import Address
    from twokey.destinations.connections import ConnectionContext
    from twokey.destinations.formats.format import Format
    from twokey.destinations.kind import DestinationContext

PUBLIC = "https://api.buildkite.com"
LIMITS = (Limit(50, 60, writes_only=False),)
"""Requests of one user ("REST API rate limits"); an organization has 200 in the same time."""
LONGEST = 8 * 1024
"""A value has fewer bytes than this ("Secrets")."""
NAMES = replace(
    formats.ENVIRONMENT,
    pattern=r"[A-Za-z][A-Za-z0-9_]*",
    allowed="letters, digits and underscores, beginning with a letter",
    forbidden=("buildkite", "bk"),
    case_insensitive=True,
)
WRITE = "write_secrets"
_TARGET = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_PAGE = 100
_NOTE = re.compile(r"Access key \w+, rotated by twokey")
PERMISSIONS = (
    Permission(service="Buildkite", name="read_secret_details", resource="organization", type="scope", uses=("read",)),
    Permission(service="Buildkite", name=WRITE, resource="organization", type="scope", uses=("write", "create")),
    Permission(service="Buildkite", name="maintainer", resource="cluster", type="role"),
)
_NEEDED = phrase(PERMISSIONS)


class Settings(connections.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How Buildkite is reached."""

    token: Source


def check(address: Address) -> None:
    """Raise ``UsageError`` for a name that Buildkite allows no cluster or secret."""
    if not _TARGET.fullmatch(address.plain):
        raise address.error("expected ORGANIZATION/CLUSTER_ID, where the cluster's ID is a UUID.")
    address.allow(("connection", *formats.OPTIONS))
    _format(address)


def _format(address: Address) -> Format:
    return formats.format_of(address.options, default="pair", names=NAMES)


def _open(address: Address, context: DestinationContext) -> Secrets:
    """Return the secrets of a cluster."""
    return Secrets(address, context.connection(address, CONNECTION))


class _Secret(msgspec.Struct):
    id: str
    key: str
    description: str | None = None
    updated_at: str | None = None


class _Token(msgspec.Struct):
    scopes: list[str] | None = None


class Buildkite:
    """Buildkite, as one user's token sees it."""

    def __init__(self, settings: Settings, context: ConnectionContext) -> None:
        secret = context.secret(settings.token)
        self.http = Http(
            "Buildkite",
            settings.url or PUBLIC,
            context.clock,
            headers=lambda: {"Authorization": f"Bearer {secret.value()}"},
            renew=secret.renew,
            limits=LIMITS,
            ca=settings.ca or None,
            insecure_http=settings.insecure_http,
            token=f"a valid API access token (in {secret})",
        )
        self._scopes: list[str] | None = None
        self._lock = threading.Lock()

    def may_write(self) -> bool:
        """Return whether the token has the scope to write secrets; requested once in a run."""
        with self._lock:
            if self._scopes is None:
                request = Request("GET", "/v2/access-token", "see the scopes of the token", mutates=False)
                found = self.http.read(request, _Token).scopes
                self._scopes = [WRITE] if found is None else found
            return WRITE in self._scopes


class Secrets(NamedValues):
    """Secrets of one cluster."""

    confirms = "timestamp"

    def __init__(self, address: Address, buildkite: Buildkite) -> None:
        super().__init__(address.url, _format(address))
        self.value_names = tuple(name.upper() for name in self.value_names)
        self._buildkite = buildkite
        self._http = buildkite.http
        self.pace = self._http.pace
        self._target = address.rest
        organization, _, cluster = address.rest.partition("/")
        self._base = f"/v2/organizations/{organization}/clusters/{cluster}/secrets"

    def preflight(self) -> None:
        """Raise if the cluster is missing, or the token may not see or write its secrets."""
        if not self._buildkite.may_write():
            raise AccessDenied(
                f"write the secrets of {self._target}", "Buildkite", remedy=f"The token needs {_NEEDED}."
            )
        self._look()

    def _look(self) -> Mapping[str, Shown]:
        # Keys are case-insensitive: Buildkite takes no second one that differs in case only.
        ours = {name.upper(): name for name in self.looked_for}
        return {
            ours[one.key.upper()]: Shown(stamp=one.updated_at or "", note=one.description or "", id=one.id)
            for one in self._listed()
            if one.key.upper() in ours
        }

    def _listed(self) -> list[_Secret]:
        def page(number: int) -> list[_Secret]:
            path = f"{self._base}?per_page={_PAGE}&page={number}"
            request = Request("GET", path, f"list the secrets of {self._target}", mutates=False, permission=_NEEDED)
            return self._http.read(request, list[_Secret])

        return list(paging.numbered(page, _PAGE))

    def _prepare(self, values: Mapping[str, Hidden], note: str, before: Mapping[str, Shown]) -> None:
        for name, value in values.items():
            if len(value.encode()) >= LONGEST:
                raise ServiceRejected(
                    f"{name} would have {len(value.encode())} bytes; a Buildkite secret has fewer than {LONGEST}.",
                    state="Nothing was written there.",
                    remedy=SHORTER,
                )
        for name in values:
            if name in before:
                self._describe(name, before[name], note)

    def _describe(self, name: str, before: Shown, note: str) -> None:
        """Let the description name the access key, unless the operator wrote another text. Its policy stays."""
        text = _NOTE.sub(note, before.note) if before.note else note
        if text != before.note:
            description = f"describe the secret {name} of {self._target}"
            self._http.request(self._asking("PUT", f"/{quote(before.id, safe='')}", description, {"description": text}))

    def _write(self, name: str, value: Hidden, note: str, before: Shown | None) -> None:
        if before is not None:
            self._replace(name, before.id, value)
            return
        description = f"create the secret {name} of {self._target}"
        body = {"key": name, "value": value, "description": note}
        try:
            self._http.request(self._asking("POST", "", description, body, idempotent=False, secret=True))
        except Ambiguous:
            made = self._look().get(name)
            if made is None:
                raise
            self._replace(name, made.id, value)

    def _remove(self, name: str, shown: Shown) -> None:
        path = f"{self._base}/{quote(shown.id, safe='')}"
        description = f"remove the secret {name} of {self._target}"
        self._http.find(Request("DELETE", path, description, permission=_NEEDED))

    def _replace(self, name: str, identity: str, value: Hidden) -> None:
        description = f"write the secret {name} of {self._target}"
        path = f"/{quote(identity, safe='')}/value"
        self._http.request(self._asking("PUT", path, description, {"value": value}, secret=True))

    def _asking(
        self,
        method: str,
        path: str,
        description: str,
        body: dict[str, Any],
        *,
        idempotent: bool = True,
        secret: bool = False,
    ) -> Request:
        return Request(
            method,
            f"{self._base}{path}",
            description,
            body=body,
            idempotent=idempotent,
            secret=secret,
            permission=_NEEDED,
        )


CONNECTION = ConnectionKind(
    name="buildkite",
    settings=Settings,
    connect=Buildkite,
    environment={"token": ("BUILDKITE_API_TOKEN",), "url": ("BUILDKITE_REST_API_ENDPOINT",)},
)
KIND = Kind(
    scheme="buildkite",
    check=check,
    open=_open,
    connection=CONNECTION,
    case_insensitive=True,
    permissions=PERMISSIONS,
)
