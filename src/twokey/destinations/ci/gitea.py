"""Secrets of Gitea Actions and Forgejo Actions: ``gitea:OWNER/REPOSITORY`` and ``gitea:ORGANIZATION``.

Neither service shows a secret again, and the time that both show is that of its creation, which stays when the value is
replaced. So nothing confirms a delivery. Gitea has a description beside a secret, which names the access key unless the
operator wrote another text; a write that leaves it out would clear it. Forgejo has none, and ignores it.

A page of a list may be shorter than requested, because the server has a limit of its own. The whole number of secrets,
in ``X-Total-Count``, says whether more follow.

Sources: Gitea's and Forgejo's own API descriptions (operations ``repoListActionsSecrets``, ``updateRepoSecret``,
``deleteRepoSecret`` and those of organizations) and sources (``services/secrets``, ``models/secret``: names, sizes,
what a write changes; ``routers/api/v1/api.go``: scopes and roles); "API Usage", Gitea documentation (tokens, paging).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from twokey.core.errors import ServiceRejected
from twokey.destinations.ci.named_values import SHORTER, NamedValues, Shown
from twokey.destinations.ci.token_connection import ServerSettings, connector
from twokey.destinations.formats import options as formats
from twokey.destinations.formats.notes import beside
from twokey.destinations.kind import ConnectionKind, Kind, Permission, phrase
from twokey.http import paging
from twokey.http.messages import Request

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from twokey.core.secret import Hidden
    from twokey.destinations.address import Address
    from twokey.destinations.formats.format import Format
    from twokey.destinations.kind import DestinationContext
    from twokey.http.client import Http

NAMES = replace(formats.ENVIRONMENT, forbidden=("GITEA_", "GITHUB_", "FORGEJO_"), case_insensitive=True)
LONGEST = 64 * 1024
"""Bytes of a secret (``models/secret``)."""
PERMISSIONS = tuple(
    Permission(service="Gitea", name=name, resource=resource, type=kind)
    for resource in ("repository", "organization")
    for name, kind in ((f"write:{resource}", "scope"), ("owner", "role"))
)
_PART = r"(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._-]+"
_TARGET = re.compile(rf"{_PART}(/{_PART})?", re.ASCII)
_PAGE = 50


def check(address: Address) -> None:
    """Raise ``UsageError`` for a name that Gitea allows no repository, organization or secret."""
    if not _TARGET.fullmatch(address.plain):
        raise address.error("expected OWNER/REPOSITORY or ORGANIZATION.")
    address.allow(("connection", *formats.OPTIONS))
    _format(address)


def _format(address: Address) -> Format:
    return formats.format_of(address.options, default="pair", names=NAMES)


def _open(address: Address, context: DestinationContext) -> Secrets:
    """Return the secrets of a repository or an organization."""
    return Secrets(address, context.connection(address, CONNECTION))


class _Secret(msgspec.Struct):
    name: str
    description: str = ""


class Secrets(NamedValues):
    """Secrets of one repository or organization."""

    def __init__(self, address: Address, http: Http) -> None:
        super().__init__(address.url, _format(address))
        self.value_names = tuple(name.upper() for name in self.value_names)
        self._http = http
        self.pace = http.pace
        self._target = address.rest
        resource = "repository" if "/" in address.rest else "organization"
        self._permission = phrase(tuple(one for one in PERMISSIONS if one.resource == resource))
        self._base = f"/api/v1/{'repos' if resource == 'repository' else 'orgs'}/{address.rest}/actions/secrets"

    def preflight(self) -> None:
        """Raise if the repository is missing or renamed, or the token's user is not its owner."""
        self._look()

    def _look(self) -> Mapping[str, Shown]:
        # Names are stored in uppercase.
        ours = {name.upper(): name for name in self.looked_for}
        return {
            ours[one.name.upper()]: Shown(note=one.description) for one in self._listed() if one.name.upper() in ours
        }

    def _listed(self) -> list[_Secret]:
        seen = 0

        def page(number: int | None) -> tuple[list[_Secret], int | None]:
            nonlocal seen
            this = number or 1
            request = self._request("GET", f"?page={this}&limit={_PAGE}", f"list the secrets of {self._target}")
            response = self._http.request(request)
            items = self._http.decoded(request, response, list[_Secret])
            seen += len(items)
            total = response.headers.get("X-Total-Count", "")
            ends = seen >= int(total) if total.isdecimal() else len(items) < _PAGE
            return items, None if ends or not items else this + 1

        return list(paging.chained(page))

    def _prepare(self, values: Mapping[str, Hidden], note: str, before: Mapping[str, Shown]) -> None:  # noqa: ARG002  the description is sent with its value
        for name, value in values.items():
            if len(value.encode()) > LONGEST:
                raise ServiceRejected(
                    f"{name} would have {len(value.encode())} bytes; a secret of Gitea has at most {LONGEST}.",
                    state="Nothing was written there.",
                    remedy=SHORTER,
                )

    def _write(self, name: str, value: Hidden, note: str, before: Shown | None) -> None:
        body = {"data": value, "description": beside(note, before.note) if before else note}
        self._http.request(self._request("PUT", f"/{name}", f"write the secret {name} of {self._target}", body))

    def _remove(self, name: str, shown: Shown) -> None:  # noqa: ARG002  the name says enough
        self._http.find(self._request("DELETE", f"/{name}", f"remove the secret {name} of {self._target}"))

    def _request(self, method: str, path: str, description: str, body: dict[str, Any] | None = None) -> Request:
        """Return a request. No redirect is followed: a renamed repository would be read by its old name only."""
        return Request(
            method,
            f"{self._base}{path}",
            description,
            body=body,
            mutates=method != "GET",
            secret=body is not None,
            permission=self._permission,
            follow=False,
        )


CONNECTION = ConnectionKind(
    name="gitea",
    settings=ServerSettings,
    connect=connector(
        "Gitea", sends=lambda token: {"Authorization": f"token {token}"}, expected="a valid access token"
    ),
    environment={
        "token": ("GITEA_TOKEN", "GITEA_SERVER_TOKEN", "FORGEJO_TOKEN"),
        "url": ("GITEA_SERVER_URL", "FORGEJO_URL"),
    },
)
KIND = Kind(
    scheme="gitea",
    check=check,
    open=_open,
    connection=CONNECTION,
    case_insensitive=True,
    permissions=PERMISSIONS,
)
