"""Files that hold more than one credential: one part is changed, and all else stays unchanged.

A file is read, changed and replaced under the lock on its directory, which every twokey on this host takes: any number
of users may be delivered to one file at the same time. Another tool does not take the lock. So immediately before the
file is replaced, it is compared with what was read. If it has changed, twokey starts again from the present content.
"""

from __future__ import annotations

import codecs
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING

from twokey.core.destination import Receipt, Traits
from twokey.core.errors import Ambiguous, ServiceRejected
from twokey.core.model import CannotTell, Held, Holding, NotHeld
from twokey.core.secret import Credential, Hidden
from twokey.destinations.formats.found import plain_text
from twokey.destinations.local.local_paths import NO_DIRECTORY, check_writable
from twokey.system.safe_files import PRIVATE, Content, Directory, make_directory

if TYPE_CHECKING:
    from pathlib import Path

    from twokey.core.ports import Clock

ATTEMPTS = 5
"""How often a write is tried while another program keeps changing the file."""
_SAMPLE = Credential("AKIAIOSFODNN7EXAMPLE", "an-example-secret")


class _Changed(Exception):
    """Another tool wrote the file after it was read."""


class EditedFile(ABC):
    """A part of a file, as a destination. The subclass knows the kind of file.

    ``parts`` are the names of what it writes: two users may share a file, but no name in it.
    """

    traits = Traits(atomic=True, conditional=False, confirms="value")

    def __init__(self, name: str, path: Path, parts: tuple[str, ...], clock: Clock) -> None:
        self.name = name
        self.value_names = parts
        self._path = path
        self._clock = clock

    @abstractmethod
    def _holding(self, text: Hidden) -> Holding:
        """Return which key our part of a file's text holds; raises ``ServiceRejected`` if that is unclear."""

    @abstractmethod
    def _edited(self, text: Hidden, credential: Credential) -> Hidden:
        """Return the text with this credential in our part of it; raises ``ServiceRejected`` if it cannot be written.

        A text that holds the credential already is returned unchanged. The text of a missing file is empty.
        """

    def held(self) -> Holding:
        """Return which key our part of the file holds."""
        content = self._read()
        if content is None:
            return NotHeld()
        try:
            holding = self._holding(self._text(content))
        except ServiceRejected as error:
            holding = CannotTell(error.message)
        return replace(holding, stamp=content.stamp) if isinstance(holding, CannotTell) else holding

    def deliver(self, credential: Credential) -> Receipt:
        """Write the pair into the file unless it is there and private already; a missing file is created."""
        make_directory(self._path.parent)
        try:
            directory = Directory(self._path.parent)
        except FileNotFoundError:
            raise ServiceRejected(
                f"There is no directory {self._path.parent}.", state="Nothing was changed.", remedy=NO_DIRECTORY
            ) from None
        with directory, directory.locked(self._clock):
            for _ in range(ATTEMPTS):
                try:
                    return self._deliver(directory, credential)
                except _Changed:
                    continue
        raise ServiceRejected(
            f"Another program changed {self._path} each time that twokey was about to write it.",
            state="This run wrote nothing to it.",
            remedy="Stop or pause the program that writes it so often, and run again.",
        )

    def preflight(self) -> None:
        """Raise what prevents a write, in the directory or in the content of the file. Changes nothing."""
        check_writable(self._path)
        content = self._read()
        self._check_edited(self._edited(self._text(content), _SAMPLE), _SAMPLE)

    def _deliver(self, directory: Directory, credential: Credential) -> Receipt:
        before = directory.read(self._path.name)
        text = self._text(before)
        wanted = self._edited(text, credential)
        if before is not None and wanted == text and not before.exposed:
            return Receipt(credential.access_key_id, written=False, stamp=before.stamp)
        self._check_edited(wanted, credential)

        def compare() -> None:
            now = directory.read(self._path.name)
            if (now and now.data) != (before and before.data):
                raise _Changed

        mode = before.mode if before is not None else PRIVATE
        directory.replace(self._path.name, memoryview(wanted.encode()), mode=mode, before=compare)
        return Receipt(credential.access_key_id, written=True, stamp=self._confirm(directory, credential))

    def _check_edited(self, text: Hidden, credential: Credential) -> None:
        """Raise ``ServiceRejected`` if readers would not find the key in the new text."""
        if not self._holds(text, credential):
            raise ServiceRejected(
                f"{self._path} cannot be changed so that all its readers would find the key: they read the present "
                "lines "
                "of this user differently.",
                state="Nothing was written.",
                remedy="Remove the lines of this user from the file, and run again: twokey writes them.",
            )

    def _confirm(self, directory: Directory, credential: Credential) -> str:
        after = directory.read(self._path.name)
        if after is None or not self._holds(self._text(after), credential):
            raise Ambiguous(
                f"{self._path} was written, but now has another content.",
                state="Another program may have written it after this run.",
                remedy="Run again: twokey delivers the credential again.",
            )
        return after.stamp

    def _holds(self, text: Hidden, credential: Credential) -> bool:
        return self._holding(text) == Held(credential.access_key_id) and self._edited(text, credential) == text

    def _read(self) -> Content | None:
        try:
            with Directory(self._path.parent) as directory:
                return directory.read(self._path.name)
        except FileNotFoundError:
            return None

    def _text(self, content: Content | None) -> Hidden:
        if content is None:
            return Hidden()
        if bytes(content.data[: len(codecs.BOM_UTF8)]) == codecs.BOM_UTF8:
            raise ServiceRejected(
                f"{self._path} begins with a byte order mark, which most readers treat as a part of the text.",
                state="Nothing was changed.",
                remedy="Save the file as UTF-8 without a byte order mark.",
            )
        text = plain_text(content.data)
        if text is None:
            raise ServiceRejected(
                f"{self._path} is not text in UTF-8.", state="Nothing was changed.", remedy="Save the file as UTF-8."
            )
        return text
