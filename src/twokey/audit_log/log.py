"""The audit log as a file to which any number of threads and processes append at the same time.

Each line is one write under the file's lock. Before it, the writer reads the lines that other processes appended, so
that all runs on a host share one chain. After an error, nothing more is written: a run that cannot write its log must
begin no further effect.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from twokey import __version__
from twokey.audit_log import records
from twokey.core.errors import AuditLogFailed, TwokeyError, UsageError
from twokey.system.safe_files import Directory

if TYPE_CHECKING:
    from pathlib import Path

LOCK_PATIENCE = 5.0
"""Seconds to wait for another writer, which needs milliseconds; shorter than the allowed age of an intent."""
LONGEST = 1 << 20
"""Bytes of the longest line. With a hundred destinations, a line has some tens of thousands."""


class AuditLog:
    """An open audit log. Create it with ``open``; any thread may call its methods."""

    def __init__(self, path: Path, fd: int) -> None:
        self._path = path
        self._fd = fd
        self._threads = threading.Lock()
        self._failure = ""
        self._end = 0
        self.seq = 0
        self.head = records.NO_HASH
        self.written = 0

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a log, or create one that is private to this user; raises ``UsageError`` if it cannot be written."""
        path = path.absolute()
        try:
            with Directory(path.parent) as directory:
                fd = directory.open_to_append(path.name)
        except FileNotFoundError:
            raise _unusable(
                path, "Its directory does not exist.", "Create the directory, or name another file."
            ) from None
        except TwokeyError as error:
            raise _unusable(path, error.message, error.remedy) from None
        log = cls(path, fd)
        try:
            log._join()
        except BaseException:
            os.close(fd)
            raise
        return log

    def close(self) -> None:
        """Flush all lines to disk, and close the file; raises ``AuditLogFailed`` if that fails."""
        try:
            if self.written and not self._failure:
                os.fdatasync(self._fd)
        except OSError as error:
            raise self._fail(_reason(error)) from None
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close the file without flushing it. Later writes fail."""
        with self._threads:
            self._failure = self._failure or "it is closed"
            os.close(self._fd)

    def append(self, record: records.Record, *, durable: bool = False) -> int:
        """Add a line, and return its number; with ``durable`` it is on the disk when this returns.

        Raises ``AuditLogFailed`` if it cannot be written, and from then on always.
        """
        with self._threads:
            if self._failure:
                raise self._failed()
            try:
                with _Locked(self._fd):
                    self._catch_up()
                    seq = self._write(record)
            except (OSError, _Unusable) as error:
                raise self._fail(_reason(error)) from None
        if durable:
            # Outside of the locks: writers that wait for the disk at the same time share one wait.
            try:
                os.fdatasync(self._fd)
            except OSError as error:
                raise self._fail(_reason(error)) from None
        return seq

    def _join(self) -> None:
        try:
            with _Locked(self._fd):
                if os.fstat(self._fd).st_size == 0:
                    opened = records.Opened(
                        at=datetime.now(UTC), format=records.FORMAT, file=uuid.uuid4().hex, version=__version__
                    )
                    self._write(opened)
                    self.written = 0
                else:
                    self._catch_up()
        except (OSError, _Unusable) as error:
            raise _unusable(self._path, _reason(error), getattr(error, "remedy", "")) from None

    def _catch_up(self) -> None:
        """Read what other processes appended; after an incomplete line, write the record of it."""
        state = os.fstat(self._fd)
        if state.st_nlink == 0:
            raise _Unusable("Another program deleted the file while it was open")
        if state.st_size == self._end:
            return
        if state.st_size < self._end:
            raise _Unusable("Another program truncated the file while it was open")
        last, torn = self._tail(state.st_size)
        try:
            record, self.head = records.unseal(records.split(last)[1])
        except records.Damaged as damage:
            raise _Unusable(
                f"Its last complete line is damaged ({damage})",
                f"To see the damage, run: twokey audit-log verify {self._path}. "
                "To start another file, move this one away.",
            ) from None
        self.seq, self._end = record.seq, state.st_size
        if torn:
            self._write(
                records.Torn(at=datetime.now(UTC), bytes=len(torn), sha256=records.digest_of(torn)),
            )

    def _tail(self, size: int) -> tuple[bytes, bytes]:
        """Return the last complete line without its newline, and the incomplete one after it."""
        start = max(0, size - 2 * LONGEST)
        text = os.pread(self._fd, size - start, start)
        whole, newline, torn = text.rpartition(b"\n")
        if not newline:
            raise _Unusable("It is not an audit log of twokey", "Name another file; nothing was written into this one.")
        return whole.rpartition(b"\n")[2], torn

    def _write(self, record: records.Record) -> int:
        line, head = records.seal(record, self.seq + 1, self.head)
        if len(line) > LONGEST:
            raise _Unusable(f"A line would have {len(line)} bytes; the limit is {LONGEST}")
        data = memoryview(line)
        while data:
            data = data[os.write(self._fd, data) :]
        self._end = os.fstat(self._fd).st_size
        self.seq, self.head, self.written = self.seq + 1, head, self.written + 1
        return self.seq

    def _fail(self, failure: str) -> AuditLogFailed:
        self._failure = self._failure or failure
        return self._failed()

    def _failed(self) -> AuditLogFailed:
        return AuditLogFailed(
            f"The audit log {self._path} cannot be written: {self._failure}.",
            state="Earlier changes remain; no further change was begun.",
            remedy="Make the file writable, or name another file, then run again: the next run continues from what it "
            "finds.",
        )


class _Unusable(Exception):
    """Lines cannot be appended to the file."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.remedy = remedy


class _Locked:
    """Holds the lock that every writer of this file takes; raises ``_Unusable`` if that takes too long."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __enter__(self) -> None:
        deadline = time.monotonic() + LOCK_PATIENCE
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise _Unusable(f"Another process has locked it for over {LOCK_PATIENCE:.0f} s") from None
                time.sleep(0.002)
            else:
                return

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_UN)


def _reason(error: Exception) -> str:
    if not isinstance(error, OSError):
        return str(error)
    return "the disk is full" if error.errno == errno.ENOSPC else error.strerror or type(error).__name__


def _unusable(path: Path, reason: str, remedy: str) -> UsageError:
    return UsageError(
        f"The audit log {path} cannot be written: {reason.rstrip('.')}.", state="Nothing was called.", remedy=remedy
    )
