"""Woodpecker CI secrets: ``woodpecker:OWNER/REPOSITORY`` and ``woodpecker-org:ORGANIZATION``.

Option: ``events=A,B``, the events whose pipelines may use a secret. It applies only when a secret is created: an
existing one keeps its events and images.

Woodpecker never shows a secret again, and shows no time of a write. A note beside it names the access key unless the
operator wrote another text. The API tells names apart by case, and pipelines do not: a secret whose name differs only
in case is the one that is written.

Sources: Woodpecker's own API description and sources (woodpecker-ci/woodpecker: ``server/api/repo_secret.go``,
``server/api/org_secret.go``, ``server/model/secret.go``, ``server/router/api.go``, ``session/pagination.go``,
``pipeline/frontend/yaml/compiler/option.go``: requests, responses, roles, events, names); "Secrets", Woodpecker CI
documentation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from twokey.core.errors import Ambiguous, ServiceRejected
from twokey.destinations.ci.named_values import NamedValues, Shown
from twokey.destinations.ci.token_connection import ServerSettings, connector
from twokey.destinations.formats import options as formats
from twokey.destinations.formats.notes import is_note
from twokey.destinations.kind import ConnectionKind, Kind, Permission, phrase
from twokey.http import paging
from twokey.http.messages import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.core.secret import Hidden
    from twokey.destinations.address import Address
    from twokey.destinations.claims import Claims
    from twokey.destinations.formats.format import Format
    from twokey.destinations.kind import DestinationContext
    from twokey.http.client import Http

REPOSITORY, ORGANIZATION = "woodpecker", "woodpecker-org"
EVENTS = ("push", "tag", "release", "deployment", "cron", "manual")
"""The events that may use a new secret: all but those of pull requests, which may come from any account."""
_PULL_REQUESTS = ("pull_request", "pull_request_closed", "pull_request_metadata")
NAMES = replace(formats.ENVIRONMENT, case_insensitive=True)
PERMISSIONS = {
    REPOSITORY: (Permission(service="Woodpecker", name="push", resource="repository"),),
    ORGANIZATION: (Permission(service="Woodpecker", name="admin", resource="organization", type="role"),),
}
"""By scheme."""
_PART = r"(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._-]+"
_TARGETS = {
    REPOSITORY: re.compile(rf"{_PART}(/{_PART})+", re.ASCII),
    ORGANIZATION: re.compile(rf"{_PART}(/{_PART})*", re.ASCII),
}
_PAGE = 50


def check(address: Address) -> None:
    """Raise ``UsageError`` for a name that Woodpecker allows no repository, organization, event or secret."""
    if not _TARGETS[address.scheme].fullmatch(address.plain):
        raise address.error(f"expected {'OWNER/REPOSITORY' if address.scheme == REPOSITORY else 'ORGANIZATION'}.")
    address.allow(("connection", "events", *formats.OPTIONS))
    unknown = {*_events(address)} - {*EVENTS, *_PULL_REQUESTS}
    if unknown:
        raise address.error(
            f"events={address.options['events']}: expected some of {', '.join((*EVENTS, *_PULL_REQUESTS))}, with "
            "commas between them."
        )
    _format(address)


def _events(address: Address) -> list[str]:
    return address.options.get("events", ",".join(EVENTS)).split(",")


def _format(address: Address) -> Format:
    return formats.format_of(address.options, default="pair", names=NAMES)


def _open(address: Address, context: DestinationContext) -> Secrets:
    """Return the secrets of a repository or an organization."""
    return Secrets(address, context.connection(address, CONNECTION), context.claims)


class _Owner(msgspec.Struct):
    """A repository or an organization."""

    id: int


class _Secret(msgspec.Struct):
    name: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Found(Shown):
    """An existing secret; ``name`` is its name as it is spelled there."""

    name: str = ""


class Secrets(NamedValues):
    """Secrets of one repository or organization."""

    def __init__(self, address: Address, http: Http, claims: Claims) -> None:
        super().__init__(address.url, _format(address))
        self.value_names = tuple(name.upper() for name in self.value_names)
        self._http = http
        self._claims = claims
        self.pace = http.pace
        self._target = address.rest
        self._events = _events(address)
        self._kind = "repos" if address.scheme == REPOSITORY else "orgs"
        self._permission = phrase(PERMISSIONS[address.scheme])
        self._base = ""

    def preflight(self) -> None:
        """Raise if the repository or organization is missing, or the token may not see its secrets."""
        self._look()

    def _look(self) -> Mapping[str, Shown]:
        ours = {name.upper(): name for name in self.looked_for}
        found: dict[str, Shown] = {}
        for one in self._listed():
            name = ours.get(one.name.upper())
            if name is None:
                continue
            if name in found:
                raise ServiceRejected(
                    f"{self._target} has two secrets {one.name} whose names differ in case only: pipelines use one of "
                    "them.",
                    state="Nothing was written there.",
                    remedy="Delete one of them in Woodpecker, then run again.",
                )
            found[name] = Found(note=one.note, name=one.name)
        return found

    def _listed(self) -> list[_Secret]:
        def page(number: int) -> list[_Secret]:
            path = f"{self._secrets()}?page={number}&perPage={_PAGE}"
            return self._http.read(self._request("GET", path, f"list the secrets of {self._target}"), list[_Secret])

        return list(paging.numbered(page, _PAGE))

    def _secrets(self) -> str:
        """Return the path of the secrets, by the ID of the repository or organization; looked up once."""
        if not self._base:
            path = f"/api/{self._kind}/lookup/{quote(self._target)}"
            owner = self._http.read(self._request("GET", path, f"find {self._target}"), _Owner)
            # A repository may still be found by a former name.
            self._claims.claim(self.name, self._http.url, f"{self._kind}/{owner.id}", self.value_names)
            self._base = f"/api/{self._kind}/{owner.id}/secrets"
        return self._base

    def _prepare(self, values: Mapping[str, Hidden], note: str, before: Mapping[str, Shown]) -> None:  # noqa: ARG002  the note is sent with its value
        self._secrets()

    def _write(self, name: str, value: Hidden, note: str, before: Shown | None) -> None:
        if before is None:
            before = self._create(name, value, note)
        if before is not None:
            # What a change leaves out stays, the events and images among it.
            body = {"value": value, **({"note": note} if is_note(before.note) else {})}
            path = self._path(name, before)
            self._http.request(self._request("PATCH", path, f"write the secret {name} of {self._target}", body))

    def _create(self, name: str, value: Hidden, note: str) -> Shown | None:
        """Create a secret once. If the response was lost and the secret exists, return it: it is written again."""
        body = {"name": name, "value": value, "note": note, "events": self._events, "images": []}
        description = f"create the secret {name} of {self._target}"
        try:
            self._http.request(self._request("POST", self._secrets(), description, body, idempotent=False))
        except Ambiguous:
            made = self._look().get(name)
            if made is None:
                raise
            return made
        return None

    def _remove(self, name: str, shown: Shown) -> None:
        path = self._path(name, shown)
        self._http.find(self._request("DELETE", path, f"remove the secret {name} of {self._target}"))

    def _path(self, name: str, shown: Shown) -> str:
        return f"{self._secrets()}/{quote(shown.name if isinstance(shown, Found) else name, safe='')}"

    def _request(
        self, method: str, path: str, description: str, body: Any = None, *, idempotent: bool = True
    ) -> Request:
        return Request(
            method,
            path,
            description,
            body=body,
            mutates=method != "GET",
            idempotent=idempotent,
            secret=body is not None,
            permission=self._permission,
        )


CONNECTION = ConnectionKind(
    name="woodpecker",
    settings=ServerSettings,
    connect=connector("Woodpecker", expected="a valid personal access token"),
    environment={"token": ("WOODPECKER_TOKEN",), "url": ("WOODPECKER_SERVER",)},
)
KINDS = tuple(
    Kind(
        scheme=scheme,
        check=check,
        open=_open,
        connection=CONNECTION,
        case_insensitive=True,
        non_identifying_options=("events",),
        permissions=permissions,
    )
    for scheme, permissions in PERMISSIONS.items()
)
