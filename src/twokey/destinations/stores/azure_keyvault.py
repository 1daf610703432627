"""Azure Key Vault: ``azure-keyvault:VAULT_NAME/SECRET_NAME``.

The credential is one secret, so a reader never sees a mixed pair; the journal is the secret
``SECRET_NAME-twokey-journal``. Each write makes a version.

Key Vault has no conditional write. So each write looks first, is sent once only, and is read back; between the look
and the write another run's could be lost, and a write without an answer could take place late. The lease in the
journal is what keeps two runs apart here.

Sources: "Set Secret", "Get Secret", "Get Deleted Secret" (Key Vault REST API, 7.4), "About Azure Key Vault secrets",
"Azure Key Vault keys, secrets, and certificates overview" (names), Microsoft Learn.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from twokey.core.model import CannotTell
from twokey.core.secret import Hidden
from twokey.destinations.formats import forms
from twokey.destinations.logins.azure import ENVIRONMENT, KIND, Azure, Settings, codes_of, connect, refusal
from twokey.destinations.stores.service_store import Kept, ServiceStore
from twokey.http.messages import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.core.model import Holding
    from twokey.destinations.address import Address
    from twokey.destinations.registry import Services
    from twokey.http.client import Http

JOURNAL = "-twokey-journal"
TAG = "twokey"
VERSION = "api-version=7.4"
LONGEST_NAME = 127
LONGEST_JOURNAL = 24 << 10
"""Bytes; a value has at most 25 KB."""
MOST_TAGS = 15
_PLACE = re.compile(r"[A-Za-z](?:[A-Za-z0-9-]{0,22}[A-Za-z0-9])?/[A-Za-z0-9-]{1,127}", re.ASCII)
_ONE_OBJECT = {"json", "pair", "ses-smtp"}
_DISABLED = "SecretDisabled"


@dataclass(frozen=True, slots=True)
class Revision:
    """The versions of both secrets; empty for one that is not there, a code for one that cannot be read."""

    journal: str = ""
    credential: str = ""


@dataclass(frozen=True, slots=True)
class _Version:
    """The current version of a secret."""

    id: str = ""
    value: Hidden | None = None
    content: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


def check(address: Address) -> None:
    """Raise ``UsageError`` for what can be no secret of a vault."""
    _form(address)
    if not _PLACE.fullmatch(address.plain):
        raise address.wrong("this is not VAULT_NAME/SECRET_NAME: letters, digits and dashes; the vault's at most 24.")
    if address.plain.lower().endswith(JOURNAL):
        raise address.wrong("this would be the journal of another secret.")


def check_store(address: Address) -> None:
    """Raise ``UsageError`` where the journal's name would be too long."""
    if len(address.plain.rpartition("/")[2]) > LONGEST_NAME - len(JOURNAL):
        raise address.wrong(
            f"a store's name may have {LONGEST_NAME - len(JOURNAL)} characters: the journal's is longer."
        )


def open_place(address: Address, services: Services) -> KeyVaultSecret:
    """Return the secret as a store or destination."""
    return KeyVaultSecret(address, services.connection(address))


def _form(address: Address) -> forms.Form:
    return forms.form_at(address, default="json", names=forms.MEMBERS, own=("connection",), only=forms.ONE_TEXT)


class _Entry:
    """One secret of a vault."""

    def __init__(self, http: Http, name: str) -> None:
        self._http = http
        self._name = name
        self._called = f"the secret {name}"
        self._right = f"the permissions get and set on secrets (Key Vault Secrets Officer) of {http.called}"

    def read(self) -> _Version:
        """Read the current version. Only Key Vault's own word that there is none counts."""
        request = self._ask("GET", f"/secrets/{self._name}?{VERSION}", f"read {self._called}", effect=False)
        response = self._http.send(request)
        codes = codes_of(response)
        if response.status == 404 and "SecretNotFound" in codes:
            return _Version()
        if response.status == 403 and _DISABLED in codes:
            return _Version(_DISABLED)
        found = response.json()
        if not response.good or not isinstance(found, dict) or "id" not in found:
            raise self._http.verdicts.told(request, response)
        version = str(found["id"]).rpartition("/")[2]
        return _Version(version, Hidden(found.get("value", "")), found.get("contentType", ""), found.get("tags") or {})

    def write(self, value: str, before: _Version, content: str, note: str) -> None:
        """Make a version. What people wrote beside the former one stays."""
        about = f"write {self._called}"
        if before.id == _DISABLED:
            raise refusal(about, _DISABLED, "Nothing was written there.")
        tags = dict(before.tags)
        if TAG in tags or len(tags) < MOST_TAGS:
            tags[TAG] = note
        body = {"value": Hidden(value), "contentType": before.content or content, "tags": tags}
        # Sent twice, the first one could still take place after whatever follows the second.
        self._http.request(
            replace(self._ask("PUT", f"/secrets/{self._name}?{VERSION}", about), body=body, idempotent=False)
        )

    def refuse_unwritable(self, found: _Version) -> None:
        """Raise ``ServiceRejected`` for a secret that is disabled, or deleted with its name kept."""
        if found.id == _DISABLED:
            raise refusal(f"write {self._called}", _DISABLED, "")
        if not found.id:
            request = self._ask(
                "GET", f"/deletedsecrets/{self._name}?{VERSION}", f"look for {self._called}", effect=False
            )
            if self._http.send(request).good:
                raise refusal(f"write {self._called}", "ObjectIsDeletedButRecoverable", "")

    def _ask(self, method: str, path: str, about: str, *, effect: bool = True) -> Request:
        return Request(method, path, about, mutates=effect, secret=True, permission=self._right)


class KeyVaultSecret(ServiceStore):
    """A secret of a vault."""

    conditional = False
    longest_journal = LONGEST_JOURNAL

    def __init__(self, address: Address, azure: Azure) -> None:
        # The secret is one text, whatever the format.
        super().__init__(address.url, replace(_form(address), names=("access key",)), azure.clock)
        vault, _, name = address.rest.partition("/")
        http = azure.vault(vault)
        self._credential = _Entry(http, name)
        self._journal = _Entry(http, name + JOURNAL)

    def preflight(self) -> None:
        """Read both secrets, and look whether the name is kept for one that was deleted."""
        self._journal.read()
        self._credential.refuse_unwritable(self._credential.read())

    def _read(self) -> Kept:
        credential, journal = self._credential.read(), self._journal.read()
        values = {self.form.names[0]: credential.value or Hidden()} if credential.id else None
        text = str(journal.value or "") if journal.id else None
        return Kept(values, text, Revision(journal.id, credential.id))

    def _holding(self, kept: Kept) -> Holding:
        if isinstance(kept.revision, Revision) and kept.revision.credential == _DISABLED:
            return CannotTell("its current version is disabled")
        return super()._holding(kept)

    def _write_credential(self, values: Mapping[str, Hidden], seen: object, note: str) -> None:
        before, _ = self._now(seen)
        content = "application/json" if self.form.name in _ONE_OBJECT else "text/plain"
        self._credential.write(next(iter(values.values())), before, content, note)

    def _write_journal(self, text: str, seen: object) -> None:
        _, before = self._now(seen)
        self._journal.write(text, before, "application/json", "journal")

    def _write_fence(self, kept: Kept) -> None:
        """Do nothing: there is no conditional write here that could be made to fail."""

    def _now(self, seen: object) -> tuple[_Version, _Version]:
        """Return both secrets if they are as they were seen; otherwise raise ``Conflict``."""
        credential, journal = self._credential.read(), self._journal.read()
        if Revision(journal.id, credential.id) != seen:
            raise self._conflict()
        return credential, journal

    def _own(self, revision: object) -> None:
        if not isinstance(revision, Revision):
            raise TypeError("the revision must come from this store")


__all__ = ["ENVIRONMENT", "KIND", "Settings", "check", "check_store", "connect", "open_place"]
