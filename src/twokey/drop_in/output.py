"""Where the new credentials go: standard output, or a file that is checked before anything changes.

A secret exists exactly once. With a file, each secret is therefore written as soon as it is known, and when the
requested output fails in the end, the secrets go to another one, which the error names.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from twokey.core.errors import Failed, UsageError
from twokey.core.secret import Hidden

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TextIO

    from twokey.core.secret import Credential

    Results = Mapping[str, Credential]

_PREFIX = ".iam-credential-rotation-"


def as_json(results: Results) -> Hidden:
    """Return the credentials in the original tool's format: an object by user name, indent 2, no final newline."""
    pairs = {
        user: {"AccessKeyId": credential.access_key_id, "SecretAccessKey": credential.reveal()}
        for user, credential in results.items()
    }
    return Hidden(json.dumps(pairs, indent=2))


class Output(Protocol):
    """An output for the credentials of one run."""

    def keep(self, results: Results) -> None:
        """Save the credentials so far. Raises ``Failed`` where that is no longer possible."""
        ...

    def finish(self, results: Results) -> None:
        """Make the results visible; raises ``Failed`` where they went to another output than the requested one."""
        ...

    def discard(self) -> None:
        """Leave nothing behind but what ``finish`` made visible."""
        ...


class StandardOutput:
    """Prints once, at the end. Where that fails, writes a file that only its owner can read."""

    def __init__(self, stream: TextIO | None) -> None:
        """Take the stream; raises ``UsageError`` where it is closed."""
        if stream is None or stream.closed:
            raise UsageError("Standard output is closed, so the credentials would be lost.", state="Nothing changed.")
        self._stream = stream

    def keep(self, results: Results) -> None:
        """Nothing can be taken back from standard output, so nothing is printed before the end."""

    def finish(self, results: Results) -> None:
        """Print the credentials; raises ``Failed`` that names the file that they were written to instead."""
        try:
            self._stream.write(as_json(results) + "\n")
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._silence()
            reason = error.strerror if isinstance(error, OSError) else None
            raise _rescued(results, reason or "it is closed") from None

    def discard(self) -> None:
        """Nothing is left behind."""

    def _silence(self) -> None:
        """Keep the interpreter from failing once more when it flushes what could not be written."""
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)


def _rescued(results: Results, reason: str) -> Failed:
    """Write the credentials to a temporary file (0600) and return the error that names it."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=_PREFIX[1:], suffix=".json")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(as_json(results))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        keys = ", ".join(f"{user}: {credential.access_key_id}" for user, credential in results.items())
        return Failed(
            f"Neither standard output nor a temporary file could be written: {reason}; {error.strerror}.",
            state=f"The secrets of these new keys are lost: {keys}.",
            remedy="Delete these keys before you run again: the next run would assume that they are in use.",
        )
    return Failed(
        f"Standard output could not be written: {reason}.",
        state=f"The new credentials are in {name}, which only you can read.",
        remedy="Store them, then delete that file.",
    )


class OutFile:
    """A file, 0600, that appears whole at the end. Until then its former content stays.

    The credentials are written to a hidden file beside it, which exists before anything changes: a directory that
    cannot be written is detected in time, and a run that is killed leaves its secrets there.
    """

    def __init__(self, path: Path, last_resort: Output, say: Callable[[str], None]) -> None:
        """Create the hidden file; raises ``UsageError``, with nothing changed, where it cannot be written."""
        self._path = path
        self._last_resort = last_resort
        _check(path)
        _check_parent(path.parent, say)
        try:
            self._descriptor, name = tempfile.mkstemp(prefix=_PREFIX, dir=path.parent)
            os.fchmod(
                self._descriptor, stat.S_IRUSR | stat.S_IWUSR
            )  # a umask may have removed the owner's own permissions
        except OSError as error:
            raise _unusable(path.parent, f"no file can be created in it: {error.strerror}") from None
        self._temporary: Path | None = Path(name)

    def keep(self, results: Results) -> None:
        """Write the credentials so far to the hidden file, and on to the disk."""
        try:
            self._write(results)
        except OSError as error:
            raise Failed(f"{self._temporary}: {error.strerror}.", remedy="Free space on that disk.") from None

    def finish(self, results: Results) -> None:
        """Put the file in place; print the credentials where that fails, and raise ``Failed`` that says so."""
        try:
            self._write(results)
            assert self._temporary is not None
            self._temporary.replace(self._path)
            self._temporary = None
            self._check_ours()
            self._settle()
        except OSError as error:
            self._last_resort.finish(results)
            raise Failed(
                f"{self._path} could not be written: {error.strerror}.",
                state="The new credentials were printed on standard output instead, so that none is lost.",
            ) from None

    def discard(self) -> None:
        """Remove the file beside it, if it is still there."""
        with contextlib.suppress(OSError):
            os.close(self._descriptor)
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)
            self._temporary = None

    def _write(self, results: Results) -> None:
        data = memoryview(as_json(results).encode())
        # The new text is longer than what it replaces, so what is there stays readable until it is replaced.
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        while data:
            data = data[os.write(self._descriptor, data) :]
        os.ftruncate(self._descriptor, os.lseek(self._descriptor, 0, os.SEEK_CUR))
        os.fsync(self._descriptor)

    def _check_ours(self) -> None:
        """Raise ``OSError`` where another user of the directory replaced the file before it was renamed."""
        if not os.path.samestat(self._path.lstat(), os.fstat(self._descriptor)):
            raise OSError(errno.ESTALE, "another program replaced it")

    def _settle(self) -> None:
        """Write the rename to the disk; some file systems cannot, and the content is safe already."""
        with contextlib.suppress(OSError):
            directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)


def _check(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unusable(path, f"it cannot be examined: {error.strerror}") from None
    if stat.S_ISLNK(found.st_mode):
        raise _unusable(path, "it is a symbolic link, and its owner would decide where the secrets go")
    if not stat.S_ISREG(found.st_mode):
        raise _unusable(path, "expected a regular file")
    if found.st_uid != os.geteuid():
        raise _unusable(path, f"it belongs to another user (uid {found.st_uid})")
    if not os.access(path, os.W_OK):
        raise _unusable(path, "it is read-only")


def _check_parent(parent: Path, say: Callable[[str], None]) -> None:
    if not parent.is_dir():
        raise _unusable(parent, "the directory does not exist")
    ours = {0, os.geteuid()}
    if parent.is_symlink() and parent.lstat().st_uid not in ours:
        raise _unusable(parent, "it is a symbolic link that belongs to another user, who decides what it points at")
    found = parent.stat()
    if found.st_uid not in ours:
        say(f"{parent} belongs to another user (uid {found.st_uid}), who may replace the file with the credentials.")
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        say(f"every user of this machine may write to {parent}, and so replace the file with the credentials.")


def _unusable(path: Path, why: str) -> UsageError:
    return UsageError(f"-o: {path} cannot be used: {why}.", state="Nothing changed.", remedy="Name another file.")
