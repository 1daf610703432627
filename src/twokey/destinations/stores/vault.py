"""HashiCorp Vault and OpenBao, KV version 2: ``vault:MOUNT/PATH``.

The credential is one secret, so a reader never sees a mixed pair; the journal is the secret ``PATH.twokey-journal``.
Every write carries ``cas``, the version that was read: Vault refuses it if the secret was written since.

Options: those of the format, ``connection``. ``mount=`` names a mount whose own name contains slashes.

Sources: "KV secrets engine - version 2 (API)", "/sys/internal/ui/mounts" (what the CLI asks before it reads),
Vault's and OpenBao's documentation.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from twokey.core.decoding import decoder
from twokey.core.errors import Conflict, NotFound, ServiceError, ServiceRejected
from twokey.core.secret import Hidden
from twokey.core.waiting import pause
from twokey.destinations.formats import options as formats
from twokey.destinations.formats.journals import json_text
from twokey.destinations.kind import Kind, Permission, phrase
from twokey.destinations.logins.vault import CONNECTION, Vault
from twokey.destinations.stores.service_store import ServiceStore, Stored
from twokey.http.messages import Request

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from twokey.destinations.address import Address
    from twokey.destinations.formats.format import Format
    from twokey.destinations.kind import DestinationContext

JOURNAL = ".twokey-journal"
_JOURNAL_FIELD = "journal"
_LAG = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Seconds between reads, as long as a node shows an older version than one that was seen."""
_PATH = re.compile(r"[A-Za-z0-9_.@+=,:-]+(/[A-Za-z0-9_.@+=,:-]+)+", re.ASCII)
_on_data = partial(Permission, service="Vault", resource="data path", type="capability")
PERMISSIONS = (
    _on_data(name="create", uses=("create", "journal")),
    _on_data(name="read", uses=("read", "write", "journal")),
    _on_data(name="update", uses=("write", "journal")),
    Permission(
        service="Vault", name="patch", resource="metadata path", type="capability", uses=("write",), optional=True
    ),
)


@dataclass(frozen=True, slots=True)
class Revision:
    """The versions of both secrets; 0 for one that never existed, as in ``cas``."""

    journal: int = 0
    credential: int = 0


def check(address: Address) -> None:
    """Raise ``UsageError`` for a path that a KV mount cannot have."""
    address.allow(("connection", "mount", *formats.OPTIONS))
    if not _PATH.fullmatch(address.plain):
        raise address.error("expected MOUNT/PATH: letters, digits and characters _.@+=,:- between slashes.")
    if any(part in {".", ".."} for part in address.plain.split("/")):
        raise address.error("expected a path without the parts '.' and '..'.")
    if address.plain.endswith(JOURNAL):
        raise address.error(f"names that end with {JOURNAL} are reserved for journals.", "Name another secret.")
    _split(address)
    _format(address)


def check_store(address: Address) -> None:
    """Raise ``UsageError`` for a format that cannot be read back."""
    formats.refuse_store(address, _format(address))


def _open(address: Address, context: DestinationContext) -> VaultSecret:
    """Return the secret as a store or destination."""
    mount, path = _split(address)
    return VaultSecret(address.url, _format(address), context.connection(address, CONNECTION), mount, path)


def _read_secret(address: Address, context: DestinationContext) -> Hidden:
    """Return all fields of a secret as a JSON object, for ``from:`` with ``key:``."""
    mount, path = _split(address)
    found = _Entry(context.connection(address, CONNECTION), mount, path).read()
    if found.data is None:
        raise NotFound(f"{address.url} does not exist.", remedy="Write the secret, or correct its path.")
    return Hidden(msgspec.json.encode(found.data).decode())


def _format(address: Address) -> Format:
    return formats.format_of(address.options, default="pair", names=formats.MEMBERS)


def _split(address: Address) -> tuple[str, str]:
    mount = address.options.get("mount", "").strip("/") or address.rest.partition("/")[0]
    path = address.rest.removeprefix(f"{mount}/")
    if path == address.rest:
        raise address.error(f"expected a path that begins with the mount {mount!r}.")
    return mount, path


@dataclass(frozen=True, slots=True)
class _Version:
    """What an entry holds: ``data`` is None if it or its latest version is deleted."""

    number: int
    data: Mapping[str, msgspec.Raw] | None = field(repr=False)


class _Contents(msgspec.Struct):
    data: dict[str, msgspec.Raw]


class _ReadResponse(msgspec.Struct):
    """What Vault returns of a version. The fields stay as Vault writes them, so no number loses a digit."""

    data: _Contents


class _Entry:
    """One secret of a KV mount."""

    def __init__(self, vault: Vault, mount: str, path: str) -> None:
        self._vault = vault
        self.path = f"{mount}/{path}"
        self._data = f"/v1/{quote(mount)}/data/{quote(path)}"
        self._metadata = f"/v1/{quote(mount)}/metadata/{quote(path)}"
        self._mount = f"/v1/sys/internal/ui/mounts/{quote(mount)}"
        self._permission = phrase(PERMISSIONS, on=f"{mount}/data/{path}")

    def read(self) -> _Version:
        """Read the latest version; a standby that lags shows an older one than this run knows of for a while.

        A secret that was deleted with all its versions begins again, so an older one is believed in the end.
        """
        for wait in (*_LAG, None):
            found = self._read()
            if wait is None or found.number >= self._vault.versions.get(self._data, 0):
                break
            pause(self._vault.clock, wait)
        self._vault.versions[self._data] = found.number
        return found

    def _read(self) -> _Version:
        """Read what a node has. Vault answers 404, with the version's number, for one that is deleted."""
        request = self._request("GET", self._data, f"read {self.path}", mutates=False)
        response = self._vault.send(request)
        if response.status == 404:
            body = response.json() or {}
            if body.get("errors"):
                raise self._vault.http.verdicts.error_of(request, response)
            metadata = (body.get("data") or {}).get("metadata") or {}
            return _Version(int(metadata.get("version", 0)), None)
        if not response.good:
            raise self._vault.http.verdicts.error_of(request, response)
        found = (response.json() or {}).get("data") or {}
        if "metadata" not in found:
            raise self._other_version()
        contents = decoder(_ReadResponse).decode(memoryview(response.body.encode())).data
        return _Version(int(found["metadata"]["version"]), contents.data)

    def check_version(self) -> None:
        """Raise ``ServiceRejected`` if Vault reports that the mount is of another kind or version.

        A mount of version 1 responds like an empty one of version 2, and ignores the condition of a write. If the token
        may not read the mount's version, twokey continues: reading back the write shows the difference.
        """
        response = self._vault.send(Request("GET", self._mount, "read the version of the mount", mutates=False))
        found = (response.json() or {}).get("data") if response.good else None
        if isinstance(found, dict) and (found.get("options") or {}).get("version") != "2":
            raise self._other_version()

    def _other_version(self) -> ServiceRejected:
        return ServiceRejected(
            f"{self.path} is not in a KV version 2 mount.",
            state="Nothing was changed.",
            remedy="Name a KV version 2 mount, or upgrade this one: vault kv enable-versioning.",
        )

    def write(self, data: Mapping[str, msgspec.Raw], cas: int) -> None:
        """Write a version that follows ``cas``; raises ``Conflict`` if another version does already."""
        raw = memoryview(msgspec.json.encode({"data": dict(data), "options": {"cas": cas}}))
        request = self._request("POST", self._data, f"write {self.path}", headers={"Content-Type": "application/json"})
        response = self._vault.send(replace(request, raw=raw))
        if response.status == 400 and "check-and-set" in response.body:
            raise Conflict(
                f"Another run or program wrote to {self.path} in the meantime.",
                state="Nothing was changed by this run.",
                remedy="Run again.",
            )
        if not response.good:
            raise self._vault.http.verdicts.error_of(request, response)
        number = ((response.json() or {}).get("data") or {}).get("version")
        if isinstance(number, int):
            self._vault.versions[self._data] = max(number, self._vault.versions.get(self._data, 0))

    def describe(self, note: str) -> None:
        """Write the access key's ID into the custom metadata, for the operator. A failure is ignored.

        The credential is written already: an error would claim that it is not.
        """
        request = self._request(
            "PATCH",
            self._metadata,
            f"describe {self.path}",
            body={"custom_metadata": {"twokey": note}},
            headers={"Content-Type": "application/merge-patch+json"},
        )
        with suppress(ServiceError):
            self._vault.send(request)

    def _request(
        self, method: str, path: str, description: str, *, body: Any = None, mutates: bool = True, headers: Any = None
    ) -> Request:
        # If a write is sent twice with the same cas, Vault refuses the second one.
        return Request(
            method,
            path,
            description,
            body=body,
            mutates=mutates,
            secret=True,
            permission=self._permission,
            headers=headers or {},
        )


class VaultSecret(ServiceStore):
    """A secret of a KV version 2 mount."""

    def __init__(self, name: str, value_format: Format, vault: Vault, mount: str, path: str) -> None:
        super().__init__(name, value_format, vault.clock)
        self._vault = vault
        self._credential = _Entry(vault, mount, path)
        self._journal = _Entry(vault, mount, path + JOURNAL)
        self._version_checked = False
        self._paths = (f"{mount}/data/{path}", f"{mount}/data/{path}{JOURNAL}")

    def preflight(self) -> None:
        """Ask Vault what the token may do with both secrets; nothing is written.

        A token of a parent namespace, or without the policy ``default``, may not ask: then the write shows it.
        """
        request = Request(
            "POST",
            "/v1/sys/capabilities-self",
            "report the capabilities of the token",
            body={"paths": list(self._paths)},
            mutates=False,
        )
        response = self._vault.send(request)
        if response.status != 403:
            if not response.good:
                raise self._vault.http.verdicts.error_of(request, response)
            found = response.json() or {}
            self._check_capabilities(found.get("data") or found)
        self.check_content()
        self._vault.outlast()

    def _check_capabilities(self, able: Mapping[str, Collection[str]]) -> None:
        for path in self._paths:
            may = set(able.get(path, ()))
            lacks = sorted({"create", "read", "update"} - may) if "root" not in may else []
            if lacks:
                raise self._vault.lacking(path, lacks)

    def _read(self) -> Stored:
        credential, journal = self._credential.read(), self._journal.read()
        if not (credential.number or journal.number or self._version_checked):
            self._credential.check_version()
            self._version_checked = True
        values = None
        if credential.data is not None:
            values = {str(name): _text(value) for name, value in credential.data.items()}
        text = _text(journal.data.get(_JOURNAL_FIELD)) if journal.data is not None else None
        return Stored(values, text, Revision(journal.number, credential.number))

    def _write_credential(
        self,
        values: Mapping[str, Hidden],
        seen: object,
        note: str,
        without: Collection[str] = (),
    ) -> None:
        assert isinstance(seen, Revision)
        before = self._credential.read()
        if before.number != seen.credential or self._journal.read().number != seen.journal:
            raise self._conflict()
        # Other fields of the secret stay.
        beside = {name: value for name, value in (before.data or {}).items() if name not in without}
        ours = {name: _encoded(value) for name, value in values.items()}
        self._credential.write({**beside, **ours}, seen.credential)
        self._credential.describe(note)

    def _write_journal(self, text: str, seen: object) -> None:
        assert isinstance(seen, Revision)
        if self._credential.read().number != seen.credential:
            raise self._conflict()
        self._journal.write({_JOURNAL_FIELD: _encoded(text)}, seen.journal)

    def _credential_moved(self, before: object, now: object) -> bool:
        assert isinstance(before, Revision)
        assert isinstance(now, Revision)
        return before.credential != now.credential

    def _write_fence(self, stored: Stored) -> None:
        assert isinstance(stored.revision, Revision)
        found = self._credential.read()
        self._credential.write(found.data or {}, stored.revision.credential)

    def _own(self, revision: object) -> None:
        if not isinstance(revision, Revision):
            raise TypeError("the revision must come from this store")


def _text(value: msgspec.Raw | None) -> Hidden:
    """Return a field's text; the empty text for a field that is missing or is not a text."""
    return Hidden() if value is None else json_text({"": value}, "")


def _encoded(text: str) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(text).encode())


KIND = Kind(
    scheme="vault",
    check=check,
    open=_open,
    store=True,
    check_store=check_store,
    read_secret=_read_secret,
    connection=CONNECTION,
    non_identifying_options=("mount",),
    permissions=PERMISSIONS,
)
