"""Azure Key Vault: ``azure-keyvault:VAULT_NAME/SECRET_NAME``.

The credential is one secret, so a reader never sees a mixed pair; the journal is the secret
``SECRET_NAME-twokey-journal``. Each write creates a version.

Key Vault has no conditional write. So twokey reads before each write, sends it only once, and reads it back. Between
the read and the write another run's write could be overwritten, and a write without a response could take effect
later. Only the lease in the journal keeps two runs apart here.

Sources: "Set Secret", "Get Secret", "Get Deleted Secret" (Key Vault REST API, 7.4), "About Azure Key Vault secrets",
"Azure Key Vault keys, secrets, and certificates overview" (names), Microsoft Learn.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from twokey.core.errors import ServiceRejected
from twokey.core.model import CannotTell
from twokey.core.secret import Hidden
from twokey.destinations import creation_options
from twokey.destinations.formats import options as formats
from twokey.destinations.formats.format import SAMPLE, Format
from twokey.destinations.kind import Kind, Permission, phrase
from twokey.destinations.logins.azure import CONNECTION, Azure, codes_of, refusal
from twokey.destinations.stores.service_store import ServiceStore, Stored
from twokey.http.messages import Request

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from twokey.core.model import Holding
    from twokey.destinations.address import Address
    from twokey.destinations.creation_options import CreationOptions
    from twokey.destinations.kind import DestinationContext
    from twokey.http.client import Http

JOURNAL = "-twokey-journal"
TAG = "twokey"
VERSION = "api-version=7.4"
LONGEST_NAME = 127
LONGEST = 25 << 10
"""Bytes of a value ("About Azure Key Vault secrets")."""
LONGEST_JOURNAL = 24 << 10
"""Bytes; a value has at most 25 KB."""
MOST_TAGS = 15
_TARGET = re.compile(r"[A-Za-z](?:[A-Za-z0-9-]{0,22}[A-Za-z0-9])?/[A-Za-z0-9-]{1,127}", re.ASCII)
_ONE_OBJECT = {"json", "pair", "ses-smtp"}
_DISABLED = "SecretDisabled"
_TIMES = ("exp", "nbf")
_on_secret = partial(Permission, service="Azure Key Vault", resource="secret")
PERMISSIONS = (
    _on_secret(
        name="Key Vault Secrets Officer",
        type="role",
        uses=("read", "write", "create", "journal"),
        grant="Azure RBAC",
    ),
    _on_secret(
        name="Microsoft.KeyVault/vaults/secrets/getSecret/action",
        type="action",
        uses=("read", "write", "journal"),
        grant="custom role",
    ),
    _on_secret(
        name="Microsoft.KeyVault/vaults/secrets/setSecret/action",
        type="action",
        uses=("write", "create", "journal"),
        grant="custom role",
    ),
    _on_secret(name="get", uses=("read", "write", "journal"), grant="access policy"),
    _on_secret(name="set", uses=("write", "create", "journal"), grant="access policy"),
)


@dataclass(frozen=True, slots=True)
class Revision:
    """The versions of both secrets; empty for a missing one, a code for one that cannot be read."""

    journal: str = ""
    credential: str = ""


@dataclass(frozen=True, slots=True)
class _Version:
    """The current version of a secret."""

    id: str = ""
    value: Hidden | None = None
    content: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    times: Mapping[str, int] = field(default_factory=dict)
    """When it expires, and from when on it is valid, if that is set."""


def check(address: Address) -> None:
    """Raise ``UsageError`` for a name that a vault's secret cannot have."""
    _format(address)
    creation_options.of_azure(address)
    if not _TARGET.fullmatch(address.plain):
        raise address.error(
            "expected VAULT_NAME/SECRET_NAME: letters, digits and dashes; a vault's name begins with a letter and "
            "has at "
            "most 24 characters, a secret's at most 127."
        )
    if address.plain.lower().endswith(JOURNAL):
        raise address.error(f"names that end with {JOURNAL} are reserved for journals.", "Name another secret.")


def check_store(address: Address) -> None:
    """Raise ``UsageError`` for a format that cannot be read back, and a name that is too long for the journal."""
    formats.refuse_store(address, _format(address))
    if len(address.plain.rpartition("/")[2]) > LONGEST_NAME - len(JOURNAL):
        raise address.error(
            f"expected a name of at most {LONGEST_NAME - len(JOURNAL)} characters: its journal has a longer one.",
            "Name another secret.",
        )


def _open(address: Address, context: DestinationContext) -> KeyVaultSecret:
    """Return the secret as a store or destination."""
    return KeyVaultSecret(address, context.connection(address, CONNECTION))


def _format(address: Address) -> Format:
    own = ("connection", *creation_options.OF_AZURE)
    return formats.format_at(address, default="json", names=formats.MEMBERS, own=own, only=formats.ONE_TEXT)


class _Entry:
    """One secret of a vault."""

    def __init__(self, http: Http, name: str, new: CreationOptions) -> None:
        self._http = http
        self._new = new
        self._name = name
        self._label = f"the secret {name}"
        self._permission = phrase(PERMISSIONS, on=f"secrets of {http.service}")

    def read(self) -> _Version:
        """Read the current version. Only Key Vault's own SecretNotFound means that there is none."""
        request = self._request("GET", f"/secrets/{self._name}?{VERSION}", f"read {self._label}", mutates=False)
        response = self._http.send(request)
        codes = codes_of(response)
        if response.status == 404 and "SecretNotFound" in codes:
            return _Version()
        if response.status == 403 and _DISABLED in codes:
            return _Version(_DISABLED)
        found = response.json()
        if not response.good or not isinstance(found, dict) or "id" not in found:
            raise self._http.verdicts.error_of(request, response)
        version = str(found["id"]).rpartition("/")[2]
        times = {name: value for name, value in (found.get("attributes") or {}).items() if name in _TIMES}
        value, content = Hidden(found.get("value", "")), found.get("contentType", "")
        return _Version(version, value, content, found.get("tags") or {}, times)

    def write(self, value: str, before: _Version, content: str, note: str) -> None:
        """Create a version. Tags, the content type and the times of the former one stay."""
        description = f"write {self._label}"
        if before.id == _DISABLED:
            raise refusal(description, _DISABLED, "Nothing was written there.")
        tags = dict(before.tags if before.id else self._new.tags)
        if TAG in tags or len(tags) < MOST_TAGS:
            tags[TAG] = note
        body: dict[str, Any] = {"value": Hidden(value), "contentType": before.content or content, "tags": tags}
        if before.times:
            body["attributes"] = dict(before.times)
        # If it were sent twice, the first could still take effect after a write that follows the second.
        self._http.request(
            replace(self._request("PUT", f"/secrets/{self._name}?{VERSION}", description), body=body, idempotent=False)
        )

    def refuse_unwritable(self, found: _Version) -> None:
        """Raise ``ServiceRejected`` for a secret that is disabled, or deleted while its name is reserved."""
        if found.id == _DISABLED:
            raise refusal(f"write {self._label}", _DISABLED, "")
        if not found.id:
            request = self._request(
                "GET", f"/deletedsecrets/{self._name}?{VERSION}", f"look for {self._label}", mutates=False
            )
            if self._http.send(request).good:
                raise refusal(f"write {self._label}", "ObjectIsDeletedButRecoverable", "")

    def _request(self, method: str, path: str, description: str, *, mutates: bool = True) -> Request:
        return Request(method, path, description, mutates=mutates, secret=True, permission=self._permission)


class KeyVaultSecret(ServiceStore):
    """A secret of a vault."""

    conditional = False
    longest_journal = LONGEST_JOURNAL

    def __init__(self, address: Address, azure: Azure) -> None:
        # The secret is one text, whatever the format.
        name = address.without(creation_options.OF_AZURE)
        super().__init__(name, replace(_format(address), names=("access key",)), azure.clock)
        vault, _, secret = address.rest.partition("/")
        http = azure.vault(vault)
        new = creation_options.of_azure(address)
        self._credential = _Entry(http, secret, new)
        self._journal = _Entry(http, secret + JOURNAL, new)

    def preflight(self) -> None:
        """Read both secrets, and check whether the name is reserved for a deleted one."""
        stored = self._read()
        self._credential.refuse_unwritable(self._credential.read())
        self.check_content(stored)

    def _read(self) -> Stored:
        credential, journal = self._credential.read(), self._journal.read()
        values = {self.format.names[0]: credential.value or Hidden()} if credential.id else None
        text = str(journal.value or "") if journal.id else None
        return Stored(values, text, Revision(journal.id, credential.id))

    def _holding(self, stored: Stored) -> Holding:
        if isinstance(stored.revision, Revision) and stored.revision.credential == _DISABLED:
            return CannotTell("its current version is disabled")
        return super()._holding(stored)

    def _write_credential(
        self,
        values: Mapping[str, Hidden],
        seen: object,
        note: str,
        without: Collection[str] = (),  # noqa: ARG002  nothing lies beside one text: its own merge removes it
    ) -> None:
        before, _ = self._now(seen)
        content = "application/json" if self.format.name in _ONE_OBJECT else "text/plain"
        text = next(iter(values.values()))
        self._refuse_long(text)
        self._credential.write(text, before, content, note)

    def check_content(self, stored: Stored | None = None) -> None:
        """Raise what writing beside the present value would raise, also because of its length."""
        self._refuse_long(next(iter(self._wanted(stored or self._read(), SAMPLE).values())))

    def _refuse_long(self, text: Hidden) -> None:
        if len(text.encode()) > LONGEST:
            raise ServiceRejected(
                f"The value of {self.name} would have {len(text.encode())} bytes with the access key; Key Vault takes "
                f"{LONGEST}.",
                state="Nothing was written there.",
                remedy="Remove what no job needs from the value, or name another secret.",
            )

    def _write_journal(self, text: str, seen: object) -> None:
        _, before = self._now(seen)
        self._journal.write(text, before, "application/json", "journal")

    def _write_fence(self, stored: Stored) -> None:
        """Do nothing: there is no conditional write here that could be made to fail."""

    def _now(self, seen: object) -> tuple[_Version, _Version]:
        """Return both secrets if they are unchanged since ``seen``; otherwise raise ``Conflict``."""
        credential, journal = self._credential.read(), self._journal.read()
        if Revision(journal.id, credential.id) != seen:
            raise self._conflict()
        return credential, journal

    def _own(self, revision: object) -> None:
        if not isinstance(revision, Revision):
            raise TypeError("the revision must come from this store")


KIND = Kind(
    scheme="azure-keyvault",
    check=check,
    open=_open,
    store=True,
    check_store=check_store,
    connection=CONNECTION,
    non_identifying_options=creation_options.OF_AZURE,
    permissions=PERMISSIONS,
)
