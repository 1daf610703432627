"""AWS accounts of Octopus Deploy: ``octopus:SPACE_ID/NAME``.

An AWS account has the access key and its secret in one document, so both change together. Octopus shows the id of the
access key and never the secret: the id says which key is held. The rest of the document is sent back as it came. A
missing account is created.

Sources: OctopusDeploy/go-octopusdeploy, Octopus' own client (``pkg/accounts``, ``pkg/core/sensitive_value.go``,
``pkg/constants``: requests, documents, headers); "Accounts", "Create an AWS account" (REST API examples), "System and
space permissions", Octopus Docs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import msgspec

from twokey.core.destination import Receipt, Traits
from twokey.core.errors import Ambiguous, Failed, ServiceError, ServiceRejected
from twokey.core.model import CannotTell, Held, Holding, NotHeld
from twokey.destinations.ci.named_values import unconfirmed
from twokey.destinations.ci.token_connection import ServerSettings, connector
from twokey.destinations.formats.notes import beside, note_of
from twokey.destinations.kind import ConnectionKind, Kind, Permission, phrase
from twokey.http import paging
from twokey.http.messages import Request

if TYPE_CHECKING:
    from twokey.core.secret import Credential
    from twokey.destinations.address import Address
    from twokey.destinations.kind import DestinationContext
    from twokey.http.client import Http

TYPE = "AmazonWebServicesAccount"
PERMISSIONS = (
    Permission(service="Octopus", name="AccountView", resource="space", uses=("read",)),
    Permission(service="Octopus", name="AccountEdit", resource="space", uses=("write",)),
    Permission(service="Octopus", name="AccountCreate", resource="space", uses=("create",)),
)
_NEEDED = phrase(PERMISSIONS)
_TARGET = re.compile(r"Spaces-\d{1,9}/(?=\S)[^/]{0,199}\S", re.ASCII)
_PAGE = 100


def check(address: Address) -> None:
    """Raise ``UsageError`` for a name that Octopus allows no space or account."""
    if not _TARGET.fullmatch(address.plain):
        raise address.error("expected SPACE_ID/NAME, such as Spaces-1/aws-deploy.")
    address.allow(("connection",))


def _open(address: Address, context: DestinationContext) -> AwsAccount:
    """Return the account."""
    return AwsAccount(address, context.connection(address, CONNECTION))


class _Page(msgspec.Struct, rename="pascal"):
    """A part of a list; ``total_results`` counts the whole."""

    items: list[dict[str, Any]]
    total_results: int = 0


class AwsAccount:
    """One AWS account of a space."""

    traits = Traits(atomic=True, conditional=False, confirms="value")

    def __init__(self, address: Address, http: Http) -> None:
        self.name = address.url
        self._http = http
        space, _, self._account = address.rest.partition("/")
        self._base = f"/api/{space}/accounts"
        self._label = f"the account {self._account} of {space}"

    def held(self) -> Holding:
        """Return which key is here: Octopus shows its id."""
        there = self._read()
        if there is None:
            return NotHeld()
        key_id = there.get("AccessKey")
        return Held(str(key_id)) if key_id else CannotTell(f"{self._label} has no AccessKey.")

    def preflight(self) -> None:
        """Raise if the space is missing or may not be seen, or the account is of another type."""
        self._read()

    def deliver(self, credential: Credential) -> Receipt:
        """Create the account, or change it if it holds another key; then check that it holds this one."""
        there = self._read()
        if there is not None and there.get("AccessKey") == credential.access_key_id:
            return Receipt(credential.access_key_id, written=False)
        if there is None:
            self._create(credential)
        else:
            self._update(there, credential)
        try:
            arrived = self._is(credential)
        except ServiceError as error:
            raise unconfirmed(self.name, error) from None
        if not arrived:
            raise Ambiguous(
                f"{self.name} was written, and then it held another key.",
                state="Another client may have written at the same time.",
                remedy="Run again: it is delivered again.",
            )
        return Receipt(credential.access_key_id, written=True)

    def _create(self, credential: Credential) -> None:
        """Create the account once. If the response proves nothing, the account does: it is written as a whole."""
        new = {"AccountType": TYPE, "Name": self._account, "TenantedDeploymentParticipation": "Untenanted"}
        request = self._request("POST", "", f"create {self._label}", _filled(new, credential), idempotent=False)
        try:
            self._http.request(request)
        except Ambiguous as unclear:
            try:
                arrived = self._is(credential)
            except Failed:
                arrived = False
            if not arrived:
                raise unclear from None

    def _update(self, there: dict[str, Any], credential: Credential) -> None:
        path = f"/{quote(str(there['Id']), safe='')}"
        self._http.request(self._request("PUT", path, f"write {self._label}", _filled(there, credential)))

    def _is(self, credential: Credential) -> bool:
        there = self._read()
        return there is not None and there.get("AccessKey") == credential.access_key_id

    def _read(self) -> dict[str, Any] | None:
        """Return the account without its secret; None if the space has none of this name, in any case."""
        found = [one for one in self._listed() if str(one.get("Name", "")).lower() == self._account.lower()]
        if not found:
            return None
        if found[0].get("AccountType") != TYPE:
            raise ServiceRejected(
                f"{self._label} is of the type {found[0].get('AccountType')}; expected {TYPE}.",
                state="Nothing was written there.",
                remedy="Deliver to another account, or rename this one.",
            )
        return found[0]

    def _listed(self) -> list[dict[str, Any]]:
        def page(skip: int | None) -> tuple[list[dict[str, Any]], int | None]:
            query = urlencode({"partialName": self._account, "skip": skip or 0, "take": _PAGE})
            found = self._http.read(self._request("GET", f"?{query}", f"find {self._label}"), _Page)
            seen = (skip or 0) + len(found.items)
            return found.items, seen if found.items and seen < found.total_results else None

        return list(paging.chained(page))

    def _request(
        self, method: str, path: str, description: str, body: Any = None, *, idempotent: bool = True
    ) -> Request:
        return Request(
            method,
            f"{self._base}{path}",
            description,
            body=body,
            mutates=method != "GET",
            idempotent=idempotent,
            secret=body is not None,
            permission=_NEEDED,
        )


def _filled(document: dict[str, Any], credential: Credential) -> dict[str, Any]:
    """Return an account with this pair; its description names the key, unless the operator wrote another text."""
    return {
        **document,
        "AccessKey": credential.access_key_id,
        "SecretKey": {"HasValue": True, "NewValue": credential.reveal()},
        "Description": beside(note_of(credential), str(document.get("Description") or "")),
    }


CONNECTION = ConnectionKind(
    name="octopus",
    settings=ServerSettings,
    connect=connector("Octopus", sends=lambda token: {"X-Octopus-ApiKey": token}, expected="a valid API key"),
    environment={"token": ("OCTOPUS_API_KEY",), "url": ("OCTOPUS_URL",)},
)
KIND = Kind(
    scheme="octopus",
    check=check,
    open=_open,
    connection=CONNECTION,
    case_insensitive=True,
    permissions=PERMISSIONS,
)
