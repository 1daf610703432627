"""Environment variables of a Vercel project: ``vercel:TEAM/PROJECT``, or ``vercel:PROJECT`` of a personal account.

Option: ``target=production|preview|development``, several with commas, by default ``production``. A variable belongs to
a set of environments. The one whose set is exactly this is written; one that shares only a part of the set is refused,
since a write would change the others too. Variables of a branch are left alone.

Vercel shows when each variable was last updated, which is the stamp of a delivery. Values are not read: those that are
not secret come back encrypted. A request creates or updates several variables, and reports for each whether that
failed, so one request carries both values. Deployments keep the values that they were made with.

Sources: Vercel's own TypeScript SDK, generated from its API description (``filterProjectEnvs``, ``createProjectEnv``,
``removeProjectEnv``: requests, responses); "Environment variables", "Sensitive environment variables", "Reserved
environment variables", "Access Roles", "Rate limits", Vercel Docs (names, sizes, roles, when a change takes effect).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import msgspec

from twokey.core.errors import Ambiguous, ServiceRejected
from twokey.destinations.ci.named_values import SHORTER, NamedValues, Shown
from twokey.destinations.ci.token_connection import TokenSettings, connector
from twokey.destinations.formats import options as formats
from twokey.destinations.formats.notes import beside
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
    from twokey.http.messages import Response

PUBLIC = "https://api.vercel.com"
TARGETS = ("production", "preview", "development")
LONGEST = 64 * 1024
"""Bytes of all variables of a deployment ("Environment variables")."""
NAMES = replace(
    formats.ENVIRONMENT,
    pattern=r"[A-Za-z][A-Za-z0-9_]*",
    allowed="letters, digits and underscores, beginning with a letter",
    forbidden=(
        "AWS_SECRET_KEY",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
        "NOW_REGION",
    ),
)
PERMISSIONS = (
    Permission(
        service="Vercel",
        name="Project Administrator",
        resource="project",
        type="role",
        grant="access token of a user or a team",
    ),
)
_NEEDED = phrase(PERMISSIONS)
_PART = r"(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._-]{1,100}"
_TARGET = re.compile(rf"({_PART}/)?{_PART}", re.ASCII)


def check(address: Address) -> None:
    """Raise ``UsageError`` for a name that Vercel allows no team, project, environment or variable."""
    if not _TARGET.fullmatch(address.plain):
        raise address.error("expected TEAM/PROJECT, or PROJECT of a personal account.")
    address.allow(("connection", "target", *formats.OPTIONS))
    chosen = _targets(address)
    # One order only: two URLs that name the same environments are then the same destination.
    if chosen != [one for one in TARGETS if one in chosen]:
        raise address.error(
            f"target={address.options['target']}: expected some of {', '.join(TARGETS)}, in this order, with commas "
            "between them."
        )
    _format(address)


def _targets(address: Address) -> list[str]:
    return address.options.get("target", TARGETS[0]).split(",")


def _format(address: Address) -> Format:
    return formats.format_of(address.options, default="pair", names=NAMES)


def _open(address: Address, context: DestinationContext) -> Variables:
    """Return the variables of a project."""
    return Variables(address, context.connection(address, CONNECTION), context.claims)


class _Variable(msgspec.Struct):
    """A variable. Its value is not read."""

    key: str
    type: str
    id: str = ""
    target: list[str] | str = msgspec.field(default_factory=list)
    updated: int | None = msgspec.field(name="updatedAt", default=None)
    branch: str | None = msgspec.field(name="gitBranch", default=None)
    custom: list[str] | None = msgspec.field(name="customEnvironmentIds", default=None)
    comment: str | None = None

    @property
    def environments(self) -> frozenset[str]:
        """All environments that it belongs to."""
        return frozenset([self.target] if isinstance(self.target, str) else self.target) | frozenset(self.custom or ())


@dataclass(frozen=True, slots=True)
class Found(Shown):
    """An existing variable."""

    type: str = ""


class _Pages(msgspec.Struct):
    next: int | None = None


class _Listed(msgspec.Struct):
    envs: list[_Variable]
    pagination: _Pages = msgspec.field(default_factory=_Pages)


class _Error(msgspec.Struct):
    code: str = "unknown"


class _Failed(msgspec.Struct):
    error: _Error


class _Written(msgspec.Struct):
    """What came of each variable; ``created`` is one variable or a list."""

    created: Any = None
    failed: list[_Failed] = msgspec.field(default_factory=list)


class Variables(NamedValues):
    """Variables of one project, in one set of environments."""

    confirms = "timestamp"

    def __init__(self, address: Address, http: Http, claims: Claims) -> None:
        super().__init__(address.url, _format(address))
        self._http = http
        self._claims = claims
        self.pace = http.pace
        self._target = address.rest
        self._environments = frozenset(_targets(address))
        team, _, project = address.rest.rpartition("/")
        self._project = quote(project, safe="")
        self._team = {"teamId" if team.startswith("team_") else "slug": team} if team else {}

    def preflight(self) -> None:
        """Raise if the project is missing, or a variable belongs to other environments too."""
        self._look()

    def _look(self) -> Mapping[str, Shown]:
        """Return the variables that belong to exactly these environments; raises for one that shares some of them."""
        found = {}
        for one in self._listed():
            if one.key not in self.looked_for or one.branch or not one.environments & self._environments:
                continue
            if one.environments != self._environments:
                raise ServiceRejected(
                    f"{one.key} of {self._target} belongs to {', '.join(sorted(one.environments))} together, and the "
                    f"destination writes {', '.join(sorted(self._environments))}.",
                    state="Nothing was written there.",
                    remedy="Make it a variable of its own for each of them in Vercel, or set target= to all of them.",
                )
            if one.id:  # team and project have a name and an ID each; a variable has its ID alone
                self._claims.claim(self.name, self._http.url, f"the variable {one.id}", (one.key,))
            found[one.key] = Found(stamp=str(one.updated or ""), note=one.comment or "", id=one.id, type=one.type)
        return found

    def _listed(self) -> list[_Variable]:
        def page(until: int | None) -> tuple[list[_Variable], int | None]:
            path = self._path("v10", **({"until": str(until)} if until else {}))
            # The response holds the values of variables that are not secret.
            request = Request(
                "GET",
                path,
                f"list the variables of {self._target}",
                mutates=False,
                secret=True,
                permission=_NEEDED,
            )
            found = self._http.read(request, _Listed)
            return found.envs, found.pagination.next

        return list(paging.chained(page))

    def _prepare(self, values: Mapping[str, Hidden], note: str, before: Mapping[str, Shown]) -> None:  # noqa: ARG002  the comment is sent with its value
        size = sum(len(name) + len(value.encode()) for name, value in values.items())
        if size > LONGEST:
            raise ServiceRejected(
                f"{', '.join(values)} would have {size} bytes; all variables of a deployment together have at most "
                f"{LONGEST}.",
                state="Nothing was written there.",
                remedy=SHORTER,
            )

    def _write(self, name: str, value: Hidden, note: str, before: Shown | None) -> None:
        self._write_all({name: value}, note, {} if before is None else {name: before})

    def _write_all(self, values: Mapping[str, Hidden], note: str, before: Mapping[str, Shown]) -> None:
        """Create or update all of them by one request. Type and comment of an existing one stay."""
        body = [self._variable(name, value, note, before.get(name)) for name, value in values.items()]
        request = Request(
            "POST",
            self._path("v10", upsert="true"),
            f"write {' and '.join(values)} of {self._target}",
            body=body,
            secret=True,
            permission=_NEEDED,
        )
        written = self._http.read(request, _Written)
        if not written.failed:
            return
        codes = ", ".join(sorted({one.error.code for one in written.failed}))
        message = f"Vercel refused to write {' and '.join(values)} of {self._target} ({codes})."
        if written.created:
            raise Ambiguous(
                message,
                state="Only a part of them was written: they may not belong together now.",
                remedy="Run again: both are delivered again.",
            )
        raise ServiceRejected(message, state="Nothing was written there.")

    def _variable(self, name: str, value: Hidden, note: str, before: Shown | None) -> dict[str, Any]:
        # Development variables cannot be sensitive ("Sensitive environment variables").
        new = "encrypted" if "development" in self._environments else "sensitive"
        return {
            "key": name,
            "value": value,
            "type": before.type if isinstance(before, Found) else new,
            "target": sorted(self._environments),
            "comment": beside(note, before.note) if before else note,
        }

    def _remove(self, name: str, shown: Shown) -> None:
        path = self._path("v9", f"/{quote(shown.id, safe='')}")
        self._http.find(Request("DELETE", path, f"remove {name} of {self._target}", permission=_NEEDED))

    def _path(self, version: str, end: str = "", **query: str) -> str:
        options = urlencode({**self._team, **query})
        return f"/{version}/projects/{self._project}/env{end}{'?' if options else ''}{options}"


def _refuses_token(response: Response) -> bool:
    """Return whether a token was refused: 403, which says so in its body."""
    found = response.json()
    error = found.get("error", found) if isinstance(found, dict) else None
    return response.status == 403 and isinstance(error, dict) and bool(error.get("invalidToken"))


CONNECTION = ConnectionKind(
    name="vercel",
    settings=TokenSettings,
    connect=connector("Vercel", PUBLIC, expected="a valid access token", refuses_token=_refuses_token),
    environment={"token": ("VERCEL_TOKEN", "VERCEL_API_TOKEN")},
)
KIND = Kind(
    scheme="vercel",
    check=check,
    open=_open,
    connection=CONNECTION,
    default_options={"target": TARGETS[0]},
    permissions=PERMISSIONS,
)
