"""The audit log as a file that is only ever appended to, by any number of threads and processes at once.

Each line is one write, made while this process holds the file's lock; whoever wrote in between is caught up with
first, so that one chain serves all runs on a host. Whatever goes wrong ends the writing for good: a run that cannot
write its log must do nothing that would belong into it.
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
"""Seconds to wait for another writer, who needs milliseconds. Less than an intent may age before a key is created."""
LONGEST = 1 << 20
"""Bytes of the longest line; that of a user with a hundred destinations has a few dozen thousand."""


class AuditLog:
    """An open audit log. Make it with ``open``; its methods may be called by any thread."""

    def __init__(self, path: Path, fd: int) -> None:
        self._path = path
        self._fd = fd
        self._threads = threading.Lock()
        self._why = ""
        self._end = 0
        self.seq = 0
        self.head = records.NO_HASH
        self.written = 0

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a log, or begin one, private to this user; raises ``UsageError`` where it cannot be written."""
        path = path.absolute()
        try:
            with Directory(path.parent) as directory:
                fd = directory.open_to_append(path.name)
        except FileNotFoundError:
            raise _unusable(path, "There is no such directory.", "Make it, or name another file.") from None
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
        """Bring all lines to the disk, and close the file; raises ``AuditLogFailed`` where that fails."""
        try:
            if self.written and not self._why:
                os.fdatasync(self._fd)
        except OSError as error:
            raise self._fail(_reason(error)) from None
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close the file as it is. What is written afterwards fails."""
        with self._threads:
            self._why = self._why or "it is closed"
            os.close(self._fd)

    def append(self, record: records.Record, *, durable: bool = False) -> int:
        """Add a line, and return its number; with ``durable`` it is on the disk when this returns.

        Raises ``AuditLogFailed`` if it cannot be written, and from then on always.
        """
        with self._threads:
            if self._why:
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
        """Go to the end of the chain, where others may have written; mend a line that was torn there."""
        state = os.fstat(self._fd)
        if state.st_nlink == 0:
            raise _Unusable("Somebody deleted the file while it was written")
        if state.st_size == self._end:
            return
        if state.st_size < self._end:
            raise _Unusable("Somebody cut lines off the file while it was written")
        last, torn = self._tail(state.st_size)
        try:
            record, self.head = records.unseal(records.split(last)[1])
        except records.Damaged as damage:
            raise _Unusable(
                f"Its last whole line cannot be trusted ({damage})",
                f"Find out why: twokey audit-log verify {self._path}. Begin another file: move this one away.",
            ) from None
        self.seq, self._end = record.seq, state.st_size
        if torn:
            self._write(
                records.Torn(at=datetime.now(UTC), bytes=len(torn), sha256=records.digest_of(torn)),
            )

    def _tail(self, size: int) -> tuple[bytes, bytes]:
        """Return the last whole line without its newline, and what stands behind it."""
        start = max(0, size - 2 * LONGEST)
        text = os.pread(self._fd, size - start, start)
        whole, newline, torn = text.rpartition(b"\n")
        if not newline:
            raise _Unusable("It is no audit log of twokey", "Name another file; nothing was written into this one.")
        return whole.rpartition(b"\n")[2], torn

    def _write(self, record: records.Record) -> int:
        line, head = records.seal(record, self.seq + 1, self.head)
        if len(line) > LONGEST:
            raise _Unusable(f"A line would have {len(line)} bytes")
        rest = memoryview(line)
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        self._end = os.fstat(self._fd).st_size
        self.seq, self.head, self.written = self.seq + 1, head, self.written + 1
        return self.seq

    def _fail(self, why: str) -> AuditLogFailed:
        self._why = self._why or why
        return self._failed()

    def _failed(self) -> AuditLogFailed:
        return AuditLogFailed(
            f"The audit log {self._path} cannot be written: {self._why}.",
            state="What was done before stands; nothing was begun after it.",
            remedy="Mend it and run again: the next run goes on from what it finds.",
        )


class _Unusable(Exception):
    """The file is not what it must be for writing on."""

    def __init__(self, why: str, remedy: str = "") -> None:
        super().__init__(why)
        self.remedy = remedy


class _Locked:
    """Holds the lock that every writer of this file takes; raises ``_Unusable`` where that takes too long."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __enter__(self) -> None:
        deadline = time.monotonic() + LOCK_PATIENCE
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise _Unusable(f"Another process has held it for over {LOCK_PATIENCE:.0f} s") from None
                time.sleep(0.002)
            else:
                return

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_UN)


def _reason(error: Exception) -> str:
    if not isinstance(error, OSError):
        return str(error)
    return "the disk is full" if error.errno == errno.ENOSPC else error.strerror or type(error).__name__


def _unusable(path: Path, why: str, remedy: str) -> UsageError:
    return UsageError(
        f"The audit log {path} cannot be written: {why.rstrip('.')}.", state="Nothing was called.", remedy=remedy
    )
