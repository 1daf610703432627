"""A report that is written to a file: refused before any work where that cannot be done, and then whole or not at all.

A report holds no secret. It is created private to this user all the same: it names users, and keys that are too old. An
existing file keeps its permissions, for a program of another user that reads it.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from typing import TYPE_CHECKING, Self

from twokey.core.errors import Failed, UsageError
from twokey.system.safe_files import PRIVATE, remedy_of

if TYPE_CHECKING:
    from pathlib import Path


_STDOUT = "; without --output, the report goes to stdout"


class ReportFile:
    """A file that appears whole when ``write`` is called; until then, what was there stays. Use it as a context."""

    def __init__(self, path: Path, option: str = "--output", *, private: bool = False) -> None:
        """Create a hidden file beside it; raises ``UsageError`` where the report cannot be written.

        ``option`` is the one that names it, for messages. ``private``: only its owner may read it, as a new file.
        """
        self._path = path
        found = _mode(path, option)
        self._mode = PRIVATE if private else found
        try:
            self._fd, self._beside = tempfile.mkstemp(prefix=f".{path.name[:200]}.", dir=path.parent)
        except OSError as error:
            raise _unusable(path, error.strerror or type(error).__name__, remedy_of(error), option) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
        with contextlib.suppress(OSError):
            os.unlink(self._beside)  # noqa: PTH108  after a report was written, it is gone

    def write(self, text: str) -> None:
        """Put the report in place; raises ``Failed`` where that does not work any more."""
        try:
            data = memoryview(text.encode("utf-8", "backslashreplace"))
            while data:
                data = data[os.write(self._fd, data) :]
            os.fchmod(self._fd, self._mode)
            os.fsync(self._fd)
            os.replace(self._beside, self._path)  # noqa: PTH105
        except OSError as error:
            raise Failed(
                f"{self._path} cannot be written: {error.strerror}.",
                state="Its content is unchanged.",
                remedy=remedy_of(error),
            ) from None


def _mode(path: Path, option: str) -> int:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return PRIVATE
    except OSError as error:
        raise _unusable(path, error.strerror or type(error).__name__, remedy_of(error), option) from None
    if not stat.S_ISREG(found.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "a directory"
        kind = kind if stat.S_ISDIR(found.st_mode) or stat.S_ISLNK(found.st_mode) else "no regular file"
        raise _unusable(path, f"it is {kind}", f"Name another file{_STDOUT if option == '--output' else ''}.", option)
    if not os.access(path, os.W_OK):
        raise _unusable(path, "it is read-only", "Name another file, or make it writable.", option)
    return stat.S_IMODE(found.st_mode)


def _unusable(path: Path, why: str, remedy: str, option: str) -> UsageError:
    return UsageError(
        f"{option}: {path} cannot be written: {why}.",
        state="Nothing was read or changed.",
        remedy=remedy or "Name another file.",
    )
