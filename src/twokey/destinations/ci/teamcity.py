"""Parameters of a TeamCity project: ``teamcity:PROJECT_ID``.

Values are environment variables of the builds, so a name ``X`` is the parameter ``env.X``. New parameters are of the
type password; an existing one keeps its type, which is sent back with each value, since a write without it would make
the value visible. TeamCity shows neither the value of a password nor when it was written, so nothing confirms a
delivery. What a project inherits from those above it is not its own, and is left alone.

Sources: "Manage Typed Parameters", "Edit Project Settings", "REST API Authentication", TeamCity REST API reference;
JetBrains/teamcity-rest, the published sources of that API (``ParametersSubResource.java``, ``Property.java``: requests,
responses, what a write replaces); "Configuring Build Parameters" (names), TeamCity documentation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from twokey.core.secret import Hidden
from twokey.destinations.ci.named_values import NamedValues, Shown
from twokey.destinations.ci.token_connection import ServerSettings, connector
from twokey.destinations.formats import options as formats
from twokey.destinations.kind import ConnectionKind, Kind, Permission, phrase
from twokey.http.messages import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.destinations.address import Address
    from twokey.destinations.formats.format import Format
    from twokey.destinations.kind import DestinationContext
    from twokey.http.client import Http

PREFIX = "env."
PASSWORD = "password display='hidden'"  # noqa: S105  a type
PERMISSIONS = (Permission(service="TeamCity", name="Edit project", resource="project"),)
_NEEDED = phrase(PERMISSIONS)
_PROJECT = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,224}", re.ASCII)
_FIELDS = "property(name,inherited,type(rawValue))"
"""What is read of a parameter: not its value, which a parameter of another type would show."""


def check(address: Address) -> None:
    """Raise ``UsageError`` for a name that TeamCity allows no project or parameter."""
    if not _PROJECT.fullmatch(address.plain):
        raise address.error("expected the ID of a project: letters, digits and underscores, beginning with a letter.")
    address.allow(("connection", *formats.OPTIONS))
    _format(address)


def _format(address: Address) -> Format:
    return formats.format_of(address.options, default="pair", names=formats.ENVIRONMENT)


def _open(address: Address, context: DestinationContext) -> Parameters:
    """Return the parameters of a project."""
    return Parameters(address, context.connection(address, CONNECTION))


class _Type(msgspec.Struct, rename="camel"):
    raw_value: str = ""


class _Property(msgspec.Struct):
    name: str
    inherited: bool = False
    type: _Type | None = None


class _Listed(msgspec.Struct):
    property: list[_Property] = msgspec.field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Found(Shown):
    """An existing parameter; ``type`` is empty for one without a type."""

    type: str = ""


class Parameters(NamedValues):
    """Parameters of one project."""

    def __init__(self, address: Address, http: Http) -> None:
        super().__init__(address.url, _format(address))
        self._http = http
        self.pace = http.pace
        self._project = address.rest
        self._base = f"/app/rest/projects/id:{address.rest}/parameters"

    def preflight(self) -> None:
        """Raise if the project is missing, or the token may not see its parameters."""
        self._look()

    def _look(self) -> Mapping[str, Shown]:
        request = self._request(
            "GET", f"?fields={quote(_FIELDS)}", f"list the parameters of the project {self._project}"
        )
        return {
            name: Found(type=one.type.raw_value if one.type else "")
            for one in self._http.read(request, _Listed).property
            if not one.inherited
            and one.name.startswith(PREFIX)
            and (name := one.name.removeprefix(PREFIX)) in self.looked_for
        }

    def _write(self, name: str, value: Hidden, note: str, before: Shown | None) -> None:  # noqa: ARG002  no field for a note
        kept = before.type if isinstance(before, Found) else PASSWORD
        # A percent sign begins a reference to another parameter ("Configuring Build Parameters").
        body: dict[str, Any] = {"name": f"{PREFIX}{name}", "value": Hidden(value.replace("%", "%%"))}
        if kept:
            body["type"] = {"rawValue": kept}
        self._http.request(self._request("PUT", f"/{PREFIX}{name}", f"write {PREFIX}{name} of {self._project}", body))

    def _remove(self, name: str, shown: Shown) -> None:  # noqa: ARG002  the name says enough
        self._http.find(self._request("DELETE", f"/{PREFIX}{name}", f"remove {PREFIX}{name} of {self._project}"))

    def _request(self, method: str, path: str, description: str, body: Any = None) -> Request:
        return Request(
            method,
            f"{self._base}{path}",
            description,
            body=body,
            mutates=method != "GET",
            secret=body is not None,
            permission=_NEEDED,
        )


CONNECTION = ConnectionKind(
    name="teamcity",
    settings=ServerSettings,
    connect=connector("TeamCity", expected="a valid access token"),
    environment={"token": ("TEAMCITY_TOKEN",), "url": ("TEAMCITY_URL",)},
)
KIND = Kind(
    scheme="teamcity",
    check=check,
    open=_open,
    connection=CONNECTION,
    permissions=PERMISSIONS,
)
