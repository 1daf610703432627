"""Variables of an Azure DevOps variable group: ``azure-devops:ORGANIZATION/PROJECT/GROUP``, the group by name or by id.

A group is read and written as a whole. A secret variable comes back without its value, and one that is sent without a
value keeps the one it has: so all other variables, the descriptions and the projects that share the group are sent back
as they came, and id and secret change in the same moment. There is no conditional write: the group is read again
immediately before it is written, deliveries of this run into one group wait for each other, and a write by another
client that follows immediately is noticed. The stamp of a delivery is the time at which the group was last modified.

Sources: "Variablegroups - Get", "… - Get Variable Groups", "… - Update" (Azure DevOps Services REST API 7.1);
"Define variables", "Manage variable groups", "Library of assets" (Azure Pipelines: names, secrets, roles); "Naming
restrictions and conventions" (Azure DevOps). Microsoft's own clients write as this does: the
azure-devops extension of the Azure CLI, and the Terraform provider (``azuredevops_variable_group_variable``).
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from twokey.core.errors import Ambiguous, Failed, NotFound, ServiceRejected
from twokey.core.secret import Hidden
from twokey.destinations.ci.named_values import NamedValues, Shown
from twokey.destinations.formats import options as formats
from twokey.destinations.kind import Kind
from twokey.destinations.logins.azure_devops import CONNECTION, NEEDED, PERMISSIONS
from twokey.http.messages import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.core.destination import Receipt
    from twokey.core.secret import Credential
    from twokey.destinations.address import Address
    from twokey.destinations.claims import Claims
    from twokey.destinations.formats.format import Format
    from twokey.destinations.kind import DestinationContext
    from twokey.destinations.logins.azure_devops import AzureDevOps

NAMES = replace(
    formats.ENVIRONMENT,
    pattern=r"[A-Za-z0-9_.]+",
    allowed="letters, digits, dots and underscores",
    forbidden=("endpoint", "input", "secret", "path", "securefile"),
    case_insensitive=True,
)
_ORGANIZATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}", re.ASCII)
_PROJECT = re.compile(r"""(?![._])[^\\/:*?"'<>;#$&{},+=\[\]|@~]{1,64}""")
_GROUP = re.compile(r"[^*?]{1,256}")
_SENT_BACK = ("name", "description", "type", "providerData", "variableGroupProjectReferences")
"""The fields that an update sends back besides the variables; a field that it leaves out is lost."""
_FROM_KEY_VAULT = "AzureKeyVault"


def check(address: Address) -> None:
    """Raise ``UsageError`` for a name that Azure DevOps allows no organization, project, group or variable."""
    organization, project, group = _parts(address.plain)
    if not (_ORGANIZATION.fullmatch(organization) and _PROJECT.fullmatch(project) and _GROUP.fullmatch(group)):
        raise address.error("expected ORGANIZATION/PROJECT/GROUP.", "GROUP is the variable group's name or its ID.")
    address.allow(("connection", *formats.OPTIONS))
    _format(address)


def _parts(name: str) -> tuple[str, str, str]:
    parts = [*name.split("/", 2), "", ""]
    return parts[0], parts[1], parts[2]


def _format(address: Address) -> Format:
    return formats.format_of(address.options, default="pair", names=NAMES)


def _open(address: Address, context: DestinationContext) -> Group:
    """Return the variables of a group."""
    return Group(address, context.connection(address, CONNECTION), context.claims)


class Group(NamedValues):
    """Variables of one group."""

    atomic_write = True
    confirms = "timestamp"

    def __init__(self, address: Address, azure: AzureDevOps, claims: Claims) -> None:
        super().__init__(address.url, _format(address))
        self.value_names = tuple(name.upper() for name in self.value_names)
        self._azure = azure
        self._claims = claims
        self._organization, self._project, self._group = _parts(address.rest)
        self._id = self._group if self._group.isdecimal() else ""
        self._written = ""

    def preflight(self) -> None:
        """Raise if the group is missing, may not be seen, or takes its values from a key vault."""
        self.check_content(self._look())

    def deliver(self, credential: Credential) -> Receipt:
        """Deliver as every destination of named values does, but one after the other into the same group."""
        with self._azure.alone(self._organization, self._found_id()):
            return super().deliver(credential)

    def _look(self) -> Mapping[str, Shown]:
        group = self._read()
        stamp = str(group.get("modifiedOn", ""))
        shown = {}
        for name in self.looked_for:
            one = group["variables"].get(_as_there(name, group["variables"]))
            if one is not None:
                value = None if one.get("isSecret") else Hidden(one.get("value") or "")
                shown[name] = Shown(value=value, stamp=stamp)
        return shown

    def _write(self, name: str, value: Hidden, note: str, before: Shown | None) -> None:
        self._write_all({name: value}, note, {} if before is None else {name: before})

    def _write_all(self, values: Mapping[str, Hidden], note: str, before: Mapping[str, Shown]) -> None:  # noqa: ARG002  a variable has no description, and the group's is its owner's
        """Write the whole group, twice at most. The second attempt reads it again first, too."""
        try:
            self._replace(values)
        except Ambiguous as unclear:
            with suppress(Failed):
                self._replace(values)
                return
            raise unclear from None

    def _remove(self, name: str, shown: Shown) -> None:  # noqa: ARG002  the name says enough
        self._replace({}, without=name)

    def _confirm(self, wanted: Mapping[str, Hidden]) -> str:
        """Check that the values arrived, and that the latest write of the group is this one."""
        stamp = super()._confirm(wanted)
        if self._written and set(stamp.split("/")) != {self._written}:
            raise Ambiguous(
                f"{self.name} was written, and another client wrote the group immediately afterwards.",
                state="The other write may have replaced the delivered values.",
                remedy="Run again: it is delivered again.",
            )
        return stamp

    def _replace(self, values: Mapping[str, Hidden], without: str = "") -> None:
        """Read the group, write it back with these values, and without one. Another stays secret, or open, as it is."""
        group = self._read()
        variables = dict(group["variables"])
        for name, value in values.items():
            there = _as_there(name, variables)
            variables[there] = {**variables.get(there, {"isSecret": True}), "value": value}
        variables.pop(_as_there(without, variables), None)
        body = {name: group[name] for name in _SENT_BACK if group.get(name) is not None}
        path = f"/{_quoted(self._organization)}/_apis/distributedtask/variablegroups/{self._found_id()}"
        # Not idempotent: the same request sent again would undo what another client wrote in between.
        request = self._request("PUT", path, f"write {self._label}", {**body, "variables": variables})
        self._written = str((self._azure.request(request).json() or {}).get("modifiedOn", ""))

    def _read(self) -> dict[str, Any]:
        """Read the group by its id: only that response names the projects that share it."""
        path = f"{self._base}/{self._found_id()}"
        group = self._azure.request(self._request("GET", path, f"read {self._label}")).json()
        if not isinstance(group, dict) or "id" not in group:
            raise self._missing()
        if group.get("type") == _FROM_KEY_VAULT:
            raise ServiceRejected(
                f"{self._label} takes its values from an Azure key vault: they cannot be written in the group.",
                state="Nothing was written there.",
                remedy="Deliver to another variable group, or to the vault itself (azure-keyvault:).",
            )
        # A group has a name and an id, a project too; projects may share it.
        thing = f"the variable group {group['id']} of {self._organization.lower()}"
        self._claims.claim(self.name, self._azure.http.url, thing, self.value_names)
        return {**group, "variables": group.get("variables") or {}}

    def _found_id(self) -> str:
        """Return the group's id; looked up once."""
        if not self._id:
            path = f"{self._base}?groupName={_quoted(self._group)}"
            listed = (self._azure.request(self._request("GET", path, f"find {self._label}")).json() or {}).get("value")
            ids = {str(one["name"]): str(one["id"]) for one in listed or []}
            found = ids.get(_as_there(self._group, ids))
            if found is None:
                raise self._missing()
            self._id = found
        return self._id

    @property
    def _base(self) -> str:
        return f"/{_quoted(self._organization)}/{_quoted(self._project)}/_apis/distributedtask/variablegroups"

    @property
    def _label(self) -> str:
        return f"the variable group {self._group} of {self._organization}/{self._project}"

    def _missing(self) -> NotFound:
        return NotFound(
            f"Azure DevOps does not show {self._label}: it does not exist, or the token has no access to it.",
            state="Nothing was written there.",
            remedy=f"Create the group (twokey does not create groups), or give the token {NEEDED}.",
        )

    def _request(self, method: str, path: str, description: str, body: Any = None) -> Request:
        """Return a request. It is secret: the open variables in the group may hold secrets of other owners."""
        mutates = body is not None
        return Request(
            method,
            path,
            description,
            body=body,
            mutates=mutates,
            idempotent=not mutates,
            secret=True,
            permission=NEEDED,
        )


def _as_there(name: str, named: Mapping[str, Any]) -> str:
    """Return a name as Azure DevOps spells it: names are case-insensitive."""
    return name if name in named else next((there for there in named if there.lower() == name.lower()), name)


def _quoted(part: str) -> str:
    return quote(part, safe="")


KIND = Kind(
    scheme="azure-devops",
    check=check,
    open=_open,
    connection=CONNECTION,
    case_insensitive=True,
    permissions=PERMISSIONS,
)
