"""Environment variables of HCP Terraform and Terraform Enterprise.

``hcp-terraform:ORGANIZATION/WORKSPACE`` are those of a workspace, ``hcp-terraform-varset:ORGANIZATION/NAME`` those of a
variable set, by its name or its id (``varset-…``).

A variable that twokey creates is sensitive: its value is never shown again. What is shown is its ``version-id``, which
changes with every write and is the stamp of a delivery. Each variable is written by a request of its own. Environment
variables are distinguished from Terraform's own: there may be one of each with the same name.

Sources: "Workspace variables API reference", "Variable sets API reference", "Workspaces API reference" (permissions),
"API documentation overview" (JSON:API, paging, 401 and 404, rate limits), "Manage variables" (sizes), HashiCorp
Developer; HashiCorp's go-tfe, whose tests hold that a ``version-id`` changes with an update.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

from twokey.core.errors import AccessDenied, Ambiguous, Failed, NotFound, ServiceRejected
from twokey.core.secret import Hidden
from twokey.destinations import connections
from twokey.destinations.ci.named_values import SHORTER, NamedValues, Shown
from twokey.destinations.formats import options as formats
from twokey.destinations.formats.notes import beside
from twokey.destinations.kind import ConnectionKind, Kind, Permission, phrase
from twokey.destinations.sources import Source
from twokey.http import paging
from twokey.http.client import Http
from twokey.http.messages import Request
from twokey.http.rate_limits import Limit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from twokey.destinations.address import Address
    from twokey.destinations.claims import Claims
    from twokey.destinations.connections import ConnectionContext
    from twokey.destinations.formats.format import Format
    from twokey.destinations.kind import DestinationContext

PUBLIC = "https://app.terraform.io"
LIMITS = (Limit(25, 1.0, writes_only=False),)
"""A user has 30 requests a second ("API documentation overview", rate limits), counted when they arrive."""
LONGEST = 256 * 1024
"""Bytes of a value ("Manage variables")."""
NAMES = replace(formats.ENVIRONMENT, longest=128)
MEDIA = "application/vnd.api+json"
_SETS = "hcp-terraform-varset"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,90}", re.ASCII)
_SET_NAME = re.compile(r"[^/?]{1,90}")
_SET_ID = re.compile(r"varset-[A-Za-z0-9]{16}", re.ASCII)
_PAGE = 100
PERMISSIONS = {
    "hcp-terraform": (Permission(service="HCP Terraform", name="Variables: read and write", resource="workspace"),),
    _SETS: (
        Permission(
            service="HCP Terraform", name="manage variable sets", resource="project", grant="for a set of a project"
        ),
        Permission(
            service="HCP Terraform",
            name="Manage all workspaces",
            resource="organization",
            grant="for a set of the organization",
        ),
    ),
}
"""By scheme."""


class Settings(connections.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How HCP Terraform is reached, or your own Terraform Enterprise (``url: https://HOST``)."""

    token: Source


def check(address: Address) -> None:
    """Raise ``UsageError`` for a name that cannot be an organization, workspace, variable set or variable."""
    organization, _, name = address.plain.partition("/")
    sets = address.scheme == _SETS
    if not (_NAME.fullmatch(organization) and (_SET_NAME if sets else _NAME).fullmatch(name)):
        raise address.error(f"expected ORGANIZATION/{'NAME-OR-ID' if sets else 'WORKSPACE'}.")
    address.allow(("connection", *formats.OPTIONS))
    _format(address)


def _format(address: Address) -> Format:
    return formats.format_of(address.options, default="pair", names=NAMES)


def connect(settings: Settings, context: ConnectionContext) -> Http:
    """Return the connection that all destinations of one HCP Terraform share."""
    secret = context.secret(settings.token)
    return Http(
        "HCP Terraform",
        settings.url or PUBLIC,
        context.clock,
        headers=lambda: {"Authorization": f"Bearer {secret.value()}", "Accept": MEDIA},
        renew=secret.renew,
        limits=LIMITS,
        ca=settings.ca or None,
        insecure_http=settings.insecure_http,
        token=f"a valid token of a team or a user (in {secret})",
    )


def _open(address: Address, context: DestinationContext) -> Vars:
    """Return the variables of a workspace or of a variable set."""
    kind = SetVars if address.scheme == _SETS else WorkspaceVars
    return kind(address, context.connection(address, CONNECTION), context.claims)


class Vars(NamedValues):
    """Environment variables that have one owner."""

    confirms = "timestamp"
    permission = ""

    def __init__(self, address: Address, http: Http, claims: Claims) -> None:
        super().__init__(address.url, _format(address))
        self._http = http
        self._claims = claims
        self.pace = self._http.pace
        self._organization, _, self._owner = address.rest.partition("/")
        self._path = ""

    def preflight(self) -> None:
        """Raise if the owner is missing, or the token may not read its variables."""
        self._path = self._found()
        self.check_content(self._look())

    @abstractmethod
    def _found(self) -> str:
        """Look up the owner; return the path of its variables."""

    @property
    @abstractmethod
    def _label(self) -> str:
        """How messages name the owner."""

    def _look(self) -> Mapping[str, Shown]:
        shown = {}
        for one in self._listed(self._vars(), f"list the variables of {self._label}"):
            found = one["attributes"]
            if found.get("category") == "env" and found.get("key") in self.looked_for:
                shown[str(found["key"])] = _shown(one)
        return shown

    def _write(self, name: str, value: Hidden, note: str, before: Shown | None) -> None:
        if len(value.encode()) > LONGEST:
            raise ServiceRejected(
                f"{name} would have {len(value.encode())} bytes; a variable has at most {LONGEST}.",
                state="Nothing was written there.",
                remedy=SHORTER,
            )
        if before is not None:
            self._update(name, value, note, before)
            return
        try:
            self._create(name, value, note)
        except Ambiguous as unclear:
            self._settle(unclear, name, value, note)

    def _create(self, name: str, value: Hidden, note: str) -> None:
        attributes = {"key": name, "value": value, "description": note, "category": "env", "sensitive": True}
        # Not idempotent: a second request fails, whether or not the first was this run's.
        self._http.request(
            self._writing("POST", self._vars(), name, {"type": "vars", "attributes": attributes}, idempotent=False)
        )

    def _update(self, name: str, value: Hidden, note: str, there: Shown) -> None:
        """Write the value. What is left out stays: whether it is sensitive, and the operator's description."""
        attributes = {"value": value, "description": beside(note, there.note)}
        data = {"type": "vars", "id": there.id, "attributes": attributes}
        self._http.request(self._writing("PATCH", f"{self._vars()}/{quote(there.id, safe='')}", name, data))

    def _remove(self, name: str, shown: Shown) -> None:
        description = f"remove the variable {name} of {self._label}"
        path = f"{self._vars()}/{quote(shown.id, safe='')}"
        self._http.find(Request("DELETE", path, description, permission=self.permission))

    def _settle(self, unclear: Ambiguous, name: str, value: Hidden, note: str) -> None:
        """Check whether the variable was created, and write it once more if so: that may be done twice."""
        try:
            there = self._look().get(name)
            if there is not None:
                self._update(name, value, note, there)
                return
        except Failed:
            pass
        raise unclear

    def _vars(self) -> str:
        if not self._path:
            self._path = self._found()
        return self._path

    def _listed(self, path: str, description: str) -> Iterator[dict[str, Any]]:
        """Return a whole list."""
        mark = "&" if "?" in path else "?"

        def page(number: int | None) -> tuple[list[dict[str, Any]], int | None]:
            found = self._document(f"{path}{mark}page%5Bsize%5D={_PAGE}&page%5Bnumber%5D={number or 1}", description)
            return found.get("data") or [], _following(found, number or 1)

        return paging.chained(page)

    def _document(self, path: str, description: str) -> dict[str, Any]:
        """Return a JSON document. Variables that are not sensitive show their values, which may be secrets."""
        found = self._http.request(
            Request("GET", path, description, mutates=False, secret=True, permission=self.permission)
        ).json()
        if not isinstance(found, dict):
            raise ServiceRejected(
                f"HCP Terraform was asked to {description}: its response is not a JSON document.",
                remedy="Check the connection's url.",
            )
        return found

    def _writing(self, method: str, path: str, name: str, data: Any, *, idempotent: bool = True) -> Request:
        description = f"write the variable {name} of {self._label}"
        headers = {"Content-Type": MEDIA}
        return Request(
            method,
            path,
            description,
            body={"data": data},
            headers=headers,
            idempotent=idempotent,
            secret=True,
            permission=self.permission,
        )


class WorkspaceVars(Vars):
    """Environment variables of one workspace."""

    permission = phrase(PERMISSIONS["hcp-terraform"])
    _may_write = True

    def preflight(self) -> None:
        """Raise as for all owners, and if the workspace reports that the token may not write its variables."""
        super().preflight()
        if not self._may_write:
            raise AccessDenied(
                f"write variables of {self._label}", "HCP Terraform", remedy=f"Give the token {self.permission}."
            )

    @property
    def _label(self) -> str:
        return f"the workspace {self._organization}/{self._owner}"

    def _found(self) -> str:
        path = f"/api/v2/organizations/{self._organization}/workspaces/{self._owner}"
        found = self._document(path, f"see {self._label}")["data"]
        self._may_write = (found["attributes"].get("permissions") or {}).get("can-update-variable") is not False
        return f"/api/v2/workspaces/{quote(found['id'], safe='')}/vars"


class SetVars(Vars):
    """Environment variables of one variable set."""

    permission = phrase(PERMISSIONS[_SETS])

    @property
    def _label(self) -> str:
        return f"the variable set {self._owner} of {self._organization}"

    def _found(self) -> str:
        number = self._id()
        # A set has a name and an id; both may be in use.
        self._claims.claim(self.name, self._http.url, f"the variable set {number}", self.value_names)
        return f"/api/v2/varsets/{number}/relationships/vars"

    def _id(self) -> str:
        """Return the set's id. An id in the destination has to be of a set of this organization."""
        if _SET_ID.fullmatch(self._owner):
            found = self._document(f"/api/v2/varsets/{self._owner}", f"see {self._label}")["data"]
            of = ((found.get("relationships") or {}).get("organization") or {}).get("data") or {}
            if str(of.get("id", "")).lower() != self._organization.lower():
                raise self._missing()
            return self._owner
        path = f"/api/v2/organizations/{self._organization}/varsets?q={quote(self._owner, safe='')}"
        all_found = self._listed(path, f"find {self._label}")
        ids = [str(one["id"]) for one in all_found if one["attributes"].get("name") == self._owner]
        if not ids:
            raise self._missing()
        if len(ids) > 1:
            raise ServiceRejected(
                f"{self._organization} has {len(ids)} variable sets with the name {self._owner}.",
                state="Nothing was written there.",
                remedy=f"Write the set's ID in the destination: {' or '.join(ids)}.",
            )
        return quote(ids[0], safe="")

    def _missing(self) -> NotFound:
        return NotFound(
            f"HCP Terraform does not show {self._label}: it does not exist, or the token has no access to it.",
            state="Nothing was written there.",
            remedy=f"Create the set (twokey does not create sets), or give the token {self.permission}.",
        )


def _following(document: Mapping[str, Any], number: int) -> int | None:
    """Return the number of the page that follows one; None for the last. Only some lists have ``meta`` (JSON:API).

    The link's host is of no interest: a token is sent to the configured one only.
    """
    pagination = (document.get("meta") or {}).get("pagination")
    if pagination is not None:
        following: int | None = pagination.get("next-page")
        return following
    link = (document.get("links") or {}).get("next")
    if not link:
        return None
    found = parse_qs(urlsplit(str(link)).query).get("page[number]", [""])[0]
    return int(found) if found.isdecimal() else number + 1


def _shown(variable: Mapping[str, Any]) -> Shown:
    found = variable["attributes"]
    return Shown(
        value=None if found.get("sensitive") else Hidden(found.get("value") or ""),
        stamp=str(found.get("version-id") or ""),
        note=str(found.get("description") or ""),
        id=str(variable["id"]),
    )


CONNECTION = ConnectionKind(
    name="hcp-terraform",
    settings=Settings,
    connect=connect,
    environment={"token": ("TFE_TOKEN",), "url": ("TFE_ADDRESS",)},
)
KINDS = tuple(
    Kind(scheme=scheme, check=check, open=_open, connection=CONNECTION, permissions=permissions)
    for scheme, permissions in PERMISSIONS.items()
)
