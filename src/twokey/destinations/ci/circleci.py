"""CircleCI: ``circleci-context:CONTEXT_ID``, ``circleci-context:ORG_SLUG/NAME`` and ``circleci:PROJECT_SLUG``.

A context belongs to an organization. A project's slug is what CircleCI shows in its settings, ``gh/acme/site`` or
``circleci/ORG_ID/PROJECT_ID``; its first two parts are the slug of the organization.

CircleCI never shows a value again. What it shows is its last four characters; of a context's variable also when it was
written. Both writes create or replace a variable, so sending them twice does no harm.

Sources: "API v2" reference (Context, Project), "API developer's guide" (tokens, slugs, rate limits, pagination), "Using
contexts" (names, sizes, numbers), "Roles and permissions overview", CircleCI Docs; CircleCI's own command line tool and
Terraform provider (shapes of the responses).
"""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Generic, TypeVar
from urllib.parse import quote

import msgspec

from twokey.core.errors import NotFound, ServiceRejected
from twokey.destinations import connections
from twokey.destinations.ci.named_values import SHORTER, NamedValues, Shown
from twokey.destinations.formats import options as formats
from twokey.destinations.kind import ConnectionKind, Kind, Permission, phrase
from twokey.destinations.sources import Source
from twokey.http import paging
from twokey.http.client import Http
from twokey.http.messages import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.core.secret import Hidden
    from twokey.destinations.address import Address
    from twokey.destinations.claims import Claims
    from twokey.destinations.connections import ConnectionContext
    from twokey.destinations.formats.format import Format
    from twokey.destinations.kind import DestinationContext

PUBLIC = "https://circleci.com"
NAMES = replace(formats.ENVIRONMENT, longest=300)
LONGEST = 32 * 1024
"""Characters of a value in a context ("Using contexts", constraints)."""
MOST = 100
"""Variables of a context ("Using contexts", constraints)."""
CONTEXTS = "circleci-context"
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_PART = r"(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._-]+"
_SERVICES = {"gh": "github", "bb": "bitbucket"}
"""The short names that services have in a slug."""
_ORGANIZATION = rf"(?:gh|github|bb|bitbucket|circleci)/{_PART}"
_PROJECT = re.compile(rf"{_ORGANIZATION}/{_PART}", re.ASCII)
_CONTEXT = re.compile(rf"{_ORGANIZATION}/(?=\S)(?:[^\v\f]{{0,199}}\S)", re.ASCII)
_GRANT = "personal API token of a user with the {role}"
PERMISSIONS = {
    CONTEXTS: (
        Permission(
            service="CircleCI",
            name="Edit context variables",
            resource="context",
            grant=_GRANT.format(role="organization role Contributor or Admin"),
        ),
    ),
    "circleci": (
        Permission(
            service="CircleCI",
            name="Manage project",
            resource="project",
            grant=_GRANT.format(role="project role Admin"),
        ),
    ),
}
"""By scheme."""
_FOR_CONTEXTS, _FOR_PROJECTS = phrase(PERMISSIONS[CONTEXTS]), phrase(PERMISSIONS["circleci"])


class Settings(connections.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How CircleCI is reached: circleci.com, or your own server (``url: https://HOST``)."""

    token: Source


def check(address: Address) -> None:
    """Raise ``UsageError`` for a name that CircleCI allows no context, project or variable."""
    address.allow(("connection", *formats.OPTIONS))
    if address.scheme == CONTEXTS:
        if not _ID.fullmatch(address.plain) and not _CONTEXT.fullmatch(address.plain):
            raise address.error("expected a context's ID, or ORG_SLUG/NAME, such as gh/acme/deploy.")
    elif not _PROJECT.fullmatch(address.plain):
        raise address.error("expected a project's slug, such as gh/acme/site or circleci/ORG_ID/PROJECT_ID.")
    _format(address)


def _format(address: Address) -> Format:
    return formats.format_of(address.options, default="pair", names=NAMES)


def _open(address: Address, context: DestinationContext) -> NamedValues:
    """Return the variables of a context or of a project."""
    circleci = context.connection(address, CONNECTION)
    return (Context if address.scheme == CONTEXTS else Project)(address, circleci, context.claims)


class _Kept(msgspec.Struct):
    """A context's variable."""

    variable: str
    truncated_value: str | None = None
    updated_at: str | None = None


class _Listed(msgspec.Struct):
    """A project's variable. The reference and the command line tool spell the time's name differently."""

    name: str
    value: str | None = None
    created: str | None = msgspec.field(name="created-at", default=None)
    created_at: str | None = None


class _Named(msgspec.Struct):
    """A context."""

    id: str
    name: str


Item = TypeVar("Item")


class _Page(msgspec.Struct, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    next_page_token: str | None = None


class CircleCI:
    """One CircleCI, as one user's token sees it."""

    def __init__(self, settings: Settings, context: ConnectionContext) -> None:
        secret = context.secret(settings.token)
        self.http = Http(
            "CircleCI",
            settings.url or PUBLIC,
            context.clock,
            headers=lambda: {"Circle-Token": str(secret.value())},
            renew=secret.renew,
            ca=settings.ca or None,
            insecure_http=settings.insecure_http,
            token=f"a valid personal API token (in {secret}); a project's token is not enough",
        )
        self._contexts: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()

    def listed(self, path: str, shape: type[_Page[Item]], description: str, permission: str) -> list[Item]:
        """Return a whole list."""
        mark = "&" if "?" in path else "?"

        def page(token: str | None) -> tuple[list[Item], str | None]:
            url = path if token is None else f"{path}{mark}page-token={quote(token, safe='')}"
            found = self.http.read(Request("GET", url, description, mutates=False, permission=permission), shape)
            return found.items, found.next_page_token or None

        return list(paging.chained(page))

    def context(self, organization: str, name: str) -> str:
        """Return the id of a context; an organization's contexts are listed once in a run."""
        with self._lock:
            if organization not in self._contexts:
                path = f"/api/v2/context?owner-slug={quote(organization, safe='')}"
                description = f"list the contexts of {organization}"
                listed = self.listed(path, _Page[_Named], description, _FOR_CONTEXTS)
                self._contexts[organization] = {one.name: one.id for one in listed}
            found = self._contexts[organization].get(name)
        if found is None:
            raise NotFound(
                f"CircleCI does not show a context {name!r} in {organization}: it does not exist, or the token has no "
                "access to it.",
                state="Nothing was written there.",
                remedy=f"Check the name, and that the token belongs to a member of {organization}.",
            )
        return found


class Context(NamedValues):
    """Variables of a context."""

    confirms = "last4"

    def __init__(self, address: Address, circleci: CircleCI, claims: Claims) -> None:
        super().__init__(address.url, _format(address))
        self._circleci = circleci
        self._claims = claims
        self.pace = circleci.http.pace
        self._target = address.rest

    def preflight(self) -> None:
        """Raise if the context is missing, the token may not see it, or it is full."""
        there = {one.variable for one in self._listed()}
        missing = [name for name in self.format.names if name not in there]
        if len(there) + len(missing) > MOST:
            raise ServiceRejected(
                f"The context {self._target} is full: {', '.join(missing)} would exceed the limit of {MOST} variables.",
                state="Nothing was written there.",
                remedy="Delete variables that no job uses, or deliver to another context.",
            )

    def _look(self) -> Mapping[str, Shown]:
        return {
            one.variable: Shown(tail=one.truncated_value or "", stamp=one.updated_at or "")
            for one in self._listed()
            if one.variable in self.looked_for
        }

    def _write(self, name: str, value: Hidden, note: str, before: Shown | None) -> None:  # noqa: ARG002  no field for a note
        if len(value) > LONGEST:
            raise ServiceRejected(
                f"{name} would have {len(value)} characters; a variable of a context has at most {LONGEST}.",
                state="Nothing was written there.",
                remedy=SHORTER,
            )
        description = f"write {name} of the context {self._target}"
        path = f"{self._path()}/{name}"
        self._circleci.http.request(
            Request("PUT", path, description, body={"value": value}, secret=True, permission=_FOR_CONTEXTS)
        )

    def _remove(self, name: str, shown: Shown) -> None:  # noqa: ARG002  the name says enough
        description = f"remove {name} of the context {self._target}"
        self._circleci.http.find(Request("DELETE", f"{self._path()}/{name}", description, permission=_FOR_CONTEXTS))

    def _listed(self) -> list[_Kept]:
        description = f"list the variables of the context {self._target}"
        return self._circleci.listed(self._path(), _Page[_Kept], description, _FOR_CONTEXTS)

    def _path(self) -> str:
        found = self._target
        if not _ID.fullmatch(found):
            service, organization, name = found.split("/", 2)
            found = self._circleci.context(f"{service}/{organization}", name)
        # A context has a name and an id; both may be in use.
        self._claims.claim(self.name, self._circleci.http.url, f"the context {found.lower()}", self.value_names)
        return f"/api/v2/context/{quote(found, safe='')}/environment-variable"


class Project(NamedValues):
    """Variables of a project."""

    confirms = "last4"

    def __init__(self, address: Address, circleci: CircleCI, claims: Claims) -> None:
        super().__init__(address.url, _format(address))
        self._circleci = circleci
        self._claims = claims
        self.pace = circleci.http.pace
        self._target = address.rest
        self._path = f"/api/v2/project/{quote(address.rest)}/envvar"

    def preflight(self) -> None:
        """Raise if the project is missing or the token may not see its variables."""
        self._look()

    def _look(self) -> Mapping[str, Shown]:
        service, _, rest = self._target.partition("/")
        thing = f"the project {_SERVICES.get(service, service)}/{rest}"
        self._claims.claim(self.name, self._circleci.http.url, thing, self.value_names)
        description = f"list the variables of the project {self._target}"
        listed = self._circleci.listed(self._path, _Page[_Listed], description, _FOR_PROJECTS)
        return {
            one.name: Shown(tail=_tail(one.value or ""), stamp=one.created or one.created_at or "")
            for one in listed
            if one.name in self.looked_for
        }

    def _stamp(self, shown: Mapping[str, Shown]) -> str:
        """Return the end of the id beside the times, and nothing for a single value.

        The time is that of creation: it may stay when a value is replaced, so it proves nothing on its own.
        """
        return super()._stamp(shown) if len(self.format.names) > 1 else ""

    def _write(self, name: str, value: Hidden, note: str, before: Shown | None) -> None:  # noqa: ARG002  no field for a note
        description = f"write {name} of the project {self._target}"
        body = {"name": name, "value": value}
        self._circleci.http.request(
            Request("POST", self._path, description, body=body, secret=True, permission=_FOR_PROJECTS)
        )

    def _remove(self, name: str, shown: Shown) -> None:  # noqa: ARG002  the name says enough
        description = f"remove {name} of the project {self._target}"
        self._circleci.http.find(Request("DELETE", f"{self._path}/{name}", description, permission=_FOR_PROJECTS))


def _tail(masked: str) -> str:
    """Return what follows the four letters x that stand for the rest: "four 'x' plus the last four characters"."""
    return masked.removeprefix("xxxx") if masked.startswith("xxxx") else ""


CONNECTION = ConnectionKind(
    name="circleci",
    settings=Settings,
    connect=CircleCI,
    environment={"token": ("CIRCLE_TOKEN", "CIRCLECI_CLI_TOKEN"), "url": ("CIRCLE_HOST", "CIRCLECI_CLI_HOST")},
)
KINDS = tuple(
    Kind(scheme=scheme, check=check, open=_open, connection=CONNECTION, permissions=permissions)
    for scheme, permissions in PERMISSIONS.items()
)
