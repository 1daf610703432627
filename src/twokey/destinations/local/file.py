"""A local file: ``file:PATH``, and with ``?format=`` and its options in another format than a JSON object.

The file holds the credential, and what else it contains stays. The journal is ``PATH.twokey-journal``. Only their
owner can read both. A revision is
a fingerprint of both, compared under a lock on the directory: on one host, and on a file system that supports
``flock``, writes are conditional. Two hosts that share a file system without it are kept apart only by a lock
elsewhere (``destinations.locks``).
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from twokey.core.destination import Receipt, Traits
from twokey.core.errors import Ambiguous, Conflict, ServiceRejected
from twokey.core.journal import Journal
from twokey.core.model import CannotTell, Holding, Record
from twokey.core.waiting import before_effect
from twokey.destinations.formats.format import SAMPLE
from twokey.destinations.formats.journals import decode_journal, encode_journal
from twokey.destinations.formats.options import refuse_store, text_format
from twokey.destinations.kind import Kind
from twokey.destinations.local.local_paths import (
    JOURNAL,
    NO_DIRECTORY,
    check_path,
    check_writable,
    path_of,
    resolving,
)
from twokey.system.safe_files import Content, Directory, make_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from twokey.core.ports import Clock
    from twokey.core.secret import Credential
    from twokey.destinations.address import Address
    from twokey.destinations.formats.format import Format
    from twokey.destinations.kind import DestinationContext


@dataclass(frozen=True, slots=True)
class Revision:
    """Fingerprints of both files' contents; the empty string for a missing file."""

    journal: str = ""
    credential: str = ""


def check(address: Address) -> None:
    """Raise ``UsageError`` for a path that may point at another directory than it shows, or for an invalid format."""
    check_path(address)
    text_format(address)


def check_store(address: Address) -> None:
    """Raise ``UsageError`` for a format that cannot be read back."""
    refuse_store(address, text_format(address))


def _open(address: Address, context: DestinationContext) -> File:
    """Return the file as a store or destination."""
    return File(address.url, path_of(address), text_format(address), context.clients.clock)


class File:
    """A file with one credential, as store and as destination."""

    traits = Traits(atomic=True, conditional=True, confirms="value")

    def __init__(self, name: str, path: Path, value_format: Format, clock: Clock) -> None:
        self.name = name
        self._format = value_format
        self.other_members = value_format.other_members
        self._path = path
        self._file = path.name
        self._journal = path.name + JOURNAL
        self._clock = clock

    def held(self) -> Holding:
        """Return which key the file holds."""
        return self._holding(self._read(self._file))

    def credential(self) -> Credential | None:
        """Read the credential."""
        found = self._read(self._file)
        return self._format.credential_of_text(found.data if found else None, self.name)

    def load(self) -> Record:
        """Read both files, under the lock, so that they belong together."""
        try:
            with Directory(self._path.parent) as directory, directory.locked(self._clock):
                credential, stored = directory.read(self._file), directory.read(self._journal)
        except FileNotFoundError:
            credential = stored = None
        journal = decode_journal(stored.data, self.name) if stored else Journal()
        return Record(self._holding(credential), journal, Revision(_fingerprint(stored), _fingerprint(credential)))

    def room_for(self, _journal: Journal) -> None:
        """Do nothing: a file has no such limit, and the preflight detects a full disk."""

    def save_journal(self, journal: Journal, revision: object) -> object:
        """Replace the journal if both files are still at ``revision``."""
        # The mark makes the fingerprint of each journal unique.
        return self._replace(self._journal, _bytes(encode_journal(journal, marked=True)), revision)

    def put(self, credential: Credential, revision: object) -> object:
        """Replace the file if both files are still at ``revision``, and read it back."""
        with self._writing() as directory:
            self._compare(directory, revision)
            self._write(directory, self._file, self._text(directory.read(self._file), credential))
            return self._revision(directory)

    def fence(self, revision: object) -> object:
        """Write the journal again with another mark, so that a write prepared at an older revision fails."""
        with self._writing() as directory:
            self._compare(directory, revision)
            stored = directory.read(self._journal)
            journal = decode_journal(stored.data, self.name) if stored else Journal()
            self._write(directory, self._journal, _bytes(encode_journal(journal, marked=True)))
            return self._revision(directory)

    def deliver(self, credential: Credential) -> Receipt:
        """Replace the file unless it holds this pair and is private already."""
        with self._writing() as directory:
            found = directory.read(self._file)
            text = self._text(found, credential)
            if found and found.data == text and not found.exposed:
                return Receipt(credential.access_key_id, written=False, stamp=found.stamp)
            stamp = self._write(directory, self._file, text).stamp
        return Receipt(credential.access_key_id, written=True, stamp=stamp)

    def preflight(self) -> None:
        """Raise what prevents a write: permissions, owners, a full disk, a content of others. Changes nothing."""
        check_writable(self._path, self._file, self._journal)
        self._text(self._read(self._file), SAMPLE)

    def _text(self, present: Content | None, credential: Credential) -> memoryview:
        """Return the file's content with the pair; what it contains besides stays."""
        text = self._format.text_beside(present.data if present else None, credential, self.name)
        return memoryview(text.encode() + (b"" if text.endswith("\n") else b"\n"))

    def _holding(self, found: Content | None) -> Holding:
        holding = self._format.holding_text(found.data if found else None)
        return replace(holding, stamp=found.stamp) if found and isinstance(holding, CannotTell) else holding

    def _replace(self, name: str, data: memoryview, revision: object) -> Revision:
        with self._writing() as directory:
            self._compare(directory, revision)
            self._write(directory, name, data)
            return self._revision(directory)

    @contextmanager
    def _writing(self) -> Iterator[Directory]:
        make_directory(self._path.parent)
        try:
            directory = Directory(self._path.parent)
        except FileNotFoundError:
            raise ServiceRejected(
                f"There is no directory {self._path.parent}.", state="Nothing was changed.", remedy=NO_DIRECTORY
            ) from None
        with directory, directory.locked(self._clock):
            yield directory

    def _compare(self, directory: Directory, revision: object) -> None:
        if not isinstance(revision, Revision):
            raise TypeError("the revision must come from this store")
        if self._revision(directory) != revision:
            raise Conflict(
                f"Another run or program wrote to {self.name} in the meantime.",
                state="Nothing was changed by this run.",
                remedy="Run again.",
            )

    def _write(self, directory: Directory, name: str, data: memoryview) -> Content:
        before_effect()
        directory.replace(name, data)
        found = directory.read(name)
        if found is None or found.data != data:
            raise Ambiguous(
                f"{self._path.parent / name} was written, but reads back with another content.",
                state="Another program may have written it after this run.",
                remedy="Run again.",
            )
        return found

    def _revision(self, directory: Directory) -> Revision:
        return Revision(_fingerprint(directory.read(self._journal)), _fingerprint(directory.read(self._file)))

    def _read(self, name: str) -> Content | None:
        try:
            with Directory(self._path.parent) as directory:
                return directory.read(name)
        except FileNotFoundError:
            return None


def _bytes(text: str) -> memoryview:
    return memoryview(text.encode())


def _fingerprint(found: Content | None) -> str:
    return hashlib.sha256(found.data).hexdigest() if found else ""


KIND = Kind(
    scheme="file",
    check=check,
    open=_open,
    store=True,
    check_store=check_store,
    resolve=resolving(lambda address: text_format(address).members),
)
