"""CircleCI: ``circleci-context:CONTEXT_ID``, ``circleci-context:ORG_SLUG/NAME`` and ``circleci:PROJECT_SLUG``.

A context belongs to an organisation. A project's slug is what CircleCI shows in its settings, ``gh/acme/site`` or
``circleci/ORG_ID/PROJECT_ID``; its first two parts are the slug of the organisation.

CircleCI never shows a value again. What it shows is its last four characters; of a context's variable also when it was
written. Both writes make or replace a variable, so that they do no harm twice.

Sources: "API v2" reference (Context, Project), "API developer's guide" (tokens, slugs, rate limits, pagination), "Using
contexts" (names, sizes, numbers), "Roles and permissions overview", CircleCI Docs; CircleCI's own command line tool and
Terraform provider (shapes of the answers).
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
from twokey.destinations.ci.named_values import NamedValues, Shown
from twokey.destinations.formats import format as formats
from twokey.destinations.kind import ConnectionKind, Kind, Permission, phrase
from twokey.destinations.sources import Source
from twokey.http import paging
from twokey.http.client import Http
from twokey.http.messages import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.core.secret import Hidden
    from twokey.destinations.address import Address
    from twokey.destinations.connections import ConnectionContext
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
_ORGANISATION = rf"(?:gh|github|bb|bitbucket|circleci)/{_PART}"
_PROJECT = re.compile(rf"{_ORGANISATION}/{_PART}", re.ASCII)
_CONTEXT = re.compile(rf"{_ORGANISATION}/(?=\S)(?:[^\v\f]{{0,199}}\S)", re.ASCII)
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
"""Of each scheme."""
_FOR_CONTEXTS, _FOR_PROJECTS = phrase(PERMISSIONS[CONTEXTS]), phrase(PERMISSIONS["circleci"])


class Settings(connections.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How CircleCI is reached: circleci.com, or a server of one's own (``url: https://HOST``)."""

    token: Source


def check(address: Address) -> None:
    """Raise ``UsageError`` for what can be no context, project or variable of CircleCI's."""
    address.allow(("connection", *formats.OPTIONS))
    if address.scheme == CONTEXTS:
        if not _ID.fullmatch(address.plain) and not _CONTEXT.fullmatch(address.plain):
            raise address.error("this is neither a context's id nor ORG_SLUG/NAME, such as gh/acme/deploy.")
    elif not _PROJECT.fullmatch(address.plain):
        raise address.error("this is no project's slug, such as gh/acme/site or circleci/ORG_ID/PROJECT_ID.")
    _format(address)


def _format(address: Address) -> formats.Format:
    return formats.format_of(address.options, default="pair", names=NAMES)


def _open(address: Address, context: DestinationContext) -> NamedValues:
    """Return the variables of a context or of a project."""
    circleci = context.connection(address, CONNECTION)
    return Context(address, circleci) if address.scheme == CONTEXTS else Project(address, circleci)


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
    """One CircleCI, as one person's token sees it."""

    def __init__(self, settings: Settings, context: ConnectionContext) -> None:
        secret = context.secret(settings.token)
        self.http = Http(
            "CircleCI",
            settings.url or PUBLIC,
            context.clock,
            headers=lambda: {"Circle-Token": str(secret.value())},
            renew=secret.renew,
            ca=settings.ca or None,
            token=f"a personal API token that is valid (in {secret}); a project's token does not do",
        )
        self._contexts: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()

    def listed(self, path: str, shape: type[_Page[Item]], about: str, permission: str) -> list[Item]:
        """Return a whole list."""
        mark = "&" if "?" in path else "?"

        def page(token: str | None) -> tuple[list[Item], str | None]:
            url = path if token is None else f"{path}{mark}page-token={quote(token, safe='')}"
            found = self.http.read(Request("GET", url, about, mutates=False, permission=permission), shape)
            return found.items, found.next_page_token or None

        return list(paging.chained(page))

    def context(self, organisation: str, name: str) -> str:
        """Return the id of a context; an organisation's contexts are listed once in a run."""
        with self._lock:
            if organisation not in self._contexts:
                path = f"/api/v2/context?owner-slug={quote(organisation, safe='')}"
                about = f"list the contexts of {organisation}"
                listed = self.listed(path, _Page[_Named], about, _FOR_CONTEXTS)
                self._contexts[organisation] = {one.name: one.id for one in listed}
            found = self._contexts[organisation].get(name)
        if found is None:
            raise NotFound(
                f"CircleCI has no context {name!r} in {organisation}, or the token may not see it.",
                state="Nothing was written there.",
                remedy=f"Check the name, and that the token belongs to a member of {organisation}.",
            )
        return found


class Context(NamedValues):
    """Variables of a context."""

    confirms = "last4"

    def __init__(self, address: Address, circleci: CircleCI) -> None:
        super().__init__(address.url, _format(address))
        self._circleci = circleci
        self.pace = circleci.http.pace
        self._target = address.rest

    def preflight(self) -> None:
        """Raise where the context is missing, the token may not see it, or it has no room."""
        there = {one.variable for one in self._listed()}
        missing = [name for name in self.format.names if name not in there]
        if len(there) + len(missing) > MOST:
            raise ServiceRejected(
                f"The context {self._target} has no room for {', '.join(missing)}: CircleCI takes {MOST} variables.",
                state="Nothing was written there.",
                remedy="Delete variables that nothing uses, or use another context.",
            )

    def _look(self) -> Mapping[str, Shown]:
        return {
            one.variable: Shown(tail=one.truncated_value or "", stamp=one.updated_at or "")
            for one in self._listed()
            if one.variable in self.format.names
        }

    def _write(self, name: str, value: Hidden, note: str, before: Shown | None) -> None:  # noqa: ARG002  no place for a note
        if len(value) > LONGEST:
            raise ServiceRejected(
                f"{name} would have more than {LONGEST} characters, which no variable of a context may."
            )
        about = f"write {name} of the context {self._target}"
        path = f"{self._path()}/{name}"
        self._circleci.http.request(
            Request("PUT", path, about, body={"value": value}, secret=True, permission=_FOR_CONTEXTS)
        )

    def _listed(self) -> list[_Kept]:
        about = f"list the variables of the context {self._target}"
        return self._circleci.listed(self._path(), _Page[_Kept], about, _FOR_CONTEXTS)

    def _path(self) -> str:
        found = self._target
        if not _ID.fullmatch(found):
            service, organisation, name = found.split("/", 2)
            found = self._circleci.context(f"{service}/{organisation}", name)
        return f"/api/v2/context/{quote(found, safe='')}/environment-variable"


class Project(NamedValues):
    """Variables of a project."""

    confirms = "last4"

    def __init__(self, address: Address, circleci: CircleCI) -> None:
        super().__init__(address.url, _format(address))
        self._circleci = circleci
        self.pace = circleci.http.pace
        self._target = address.rest
        self._path = f"/api/v2/project/{quote(address.rest)}/envvar"

    def preflight(self) -> None:
        """Raise where the project is missing or the token may not see its variables."""
        self._look()

    def _look(self) -> Mapping[str, Shown]:
        about = f"list the variables of the project {self._target}"
        listed = self._circleci.listed(self._path, _Page[_Listed], about, _FOR_PROJECTS)
        return {
            one.name: Shown(tail=_tail(one.value or ""), stamp=one.created or one.created_at or "")
            for one in listed
            if one.name in self.format.names
        }

    def _stamp(self, shown: Mapping[str, Shown]) -> str:
        """Return the end of the id beside the times, and nothing for a single value.

        The time is that of creation: it may stay when a value is replaced, and alone it would tell nothing.
        """
        return super()._stamp(shown) if len(self.format.names) > 1 else ""

    def _write(self, name: str, value: Hidden, note: str, before: Shown | None) -> None:  # noqa: ARG002  no place for a note
        about = f"write {name} of the project {self._target}"
        body = {"name": name, "value": value}
        self._circleci.http.request(
            Request("POST", self._path, about, body=body, secret=True, permission=_FOR_PROJECTS)
        )


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
