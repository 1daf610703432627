"""Files with secrets: private from their creation, replaced atomically, never opened through a symbolic link.

All operations in a directory use one descriptor of it, so that no other user can replace the directory between two
steps. Writers hold a lock on that descriptor, which every writer on this host respects.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from twokey.core.errors import Ambiguous, ServiceRejected
from twokey.system.permissions import (
    refuse_other_owner,
    refuse_shared_directory,
    refuse_unsafe_ancestors,
    refuse_unsafe_directory,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

    from twokey.core.ports import Clock

PRIVATE = 0o600
PRIVATE_DIRECTORY = 0o700
LARGEST = 1 << 20
LOCK_PATIENCE = 10.0
"""Seconds to wait for another writer, which needs milliseconds."""

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_APPEND = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

_REMEDIES = {
    errno.ENOSPC: "The disk is full: free some space.",
    errno.EDQUOT: "The disk quota is used up: free some space, or raise the quota.",
    errno.EACCES: "Allow the user that runs twokey to write there.",
    errno.EPERM: "Allow the user that runs twokey to write there.",
    errno.EROFS: "The file system is read-only: name a path on another one.",
    errno.ENOTDIR: "A part of the path is not a directory: name another path.",
    errno.EISDIR: "A directory has that name: name another file.",
    errno.ELOOP: "It is a symbolic link, which twokey does not follow: name the file itself.",
    errno.ENAMETOOLONG: "Name a shorter path.",
    errno.EFBIG: "The maximum file size (ulimit -f) is too small: raise it.",
}


@dataclass(frozen=True, slots=True)
class Content:
    """A file's bytes, and whether users other than its owner may access it. The ``repr`` of a view shows no content.

    ``mode`` are its permissions; ``stamp`` changes with every write.
    """

    data: memoryview
    exposed: bool
    mode: int = PRIVATE
    stamp: str = ""


class Directory:
    """An open directory that is safe for files with secrets. Use it in a ``with`` block."""

    def __init__(self, path: Path) -> None:
        """Open the directory; raises ``FileNotFoundError`` if it is missing, ``ServiceRejected`` if it is unsafe."""
        self._path = path
        with refusing(path, missing=FileNotFoundError):
            self._fd = _open_directory(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    @contextlib.contextmanager
    def locked(self, clock: Clock) -> Iterator[None]:
        """Hold the lock of all writers in the directory; it ends with the block, or with the process."""
        deadline = clock.monotonic() + LOCK_PATIENCE
        while not self._try_lock():
            if clock.monotonic() > deadline:
                raise ServiceRejected(
                    f"Another process has locked {self._path} for over {LOCK_PATIENCE:.0f} s.",
                    state="Nothing was changed.",
                    remedy="End the twokey process that hangs on this host, and run again.",
                )
            clock.sleep(0.01)
        try:
            yield
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _try_lock(self) -> bool:
        with refusing(self._path):
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

    def read(self, name: str) -> Content | None:
        """Return a file's content, or None; raises ``ServiceRejected`` for a file that is not this user's own."""
        with refusing(self._path / name):
            try:
                fd = os.open(name, _READ, dir_fd=self._fd)
            except FileNotFoundError:
                return None
            with open(fd, "rb") as file:  # noqa: PTH123  opened by descriptor
                state = os.fstat(fd)
                self._refuse_unsuitable(name, state)
                # No larger a buffer than needed: many threads read at the same time.
                return _content(memoryview(file.read(state.st_size)), state)

    def _refuse_unsuitable(self, name: str, state: os.stat_result) -> None:
        path = self._path / name
        self._refuse_not_own(path, state)
        if state.st_size > LARGEST:
            raise ServiceRejected(
                f"{path} is larger than {LARGEST} bytes.", state="Nothing was changed.", remedy="Name another file."
            )

    def _refuse_not_own(self, path: Path, state: os.stat_result) -> None:
        if not stat.S_ISREG(state.st_mode):
            raise ServiceRejected(
                f"{path} is not a regular file.", state="Nothing was changed.", remedy="Name another file."
            )
        if state.st_uid != os.geteuid():
            raise ServiceRejected(
                f"{path} belongs to another user (ID {state.st_uid}).",
                state="Nothing was changed.",
                remedy="Run twokey as that user, or name a file that belongs to you.",
            )

    def open_to_append(self, name: str) -> int:
        """Open a file for reading and appending, created private if it is missing; return its descriptor.

        Raises ``ServiceRejected`` for a file that is not this user's own, and for one that other users may write.
        """
        path = self._path / name
        with refusing(path):
            fd = self._create_or_open(name)
        try:
            state = os.fstat(fd)
            self._refuse_not_own(path, state)
            self._refuse_shared(path, state)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _refuse_shared(self, path: Path, state: os.stat_result) -> None:
        if state.st_mode & 0o022:
            raise ServiceRejected(
                f"Other users may write {path}.",
                state="Nothing was changed.",
                remedy=f"Remove that permission: chmod go-w {path}.",
            )

    def _create_or_open(self, name: str) -> int:
        try:
            fd = os.open(name, _APPEND | os.O_CREAT | os.O_EXCL, PRIVATE, dir_fd=self._fd)
        except FileExistsError:
            return os.open(name, _APPEND, dir_fd=self._fd)
        os.fchmod(fd, PRIVATE)
        self._make_durable(name)
        return fd

    def replace(
        self, name: str, data: memoryview, *, mode: int = PRIVATE, before: Callable[[], None] = lambda: None
    ) -> None:
        """Replace a file atomically: readers see the old content or the new one. The caller holds the lock.

        ``before`` is called immediately before the replacement. An error until then, or in ``before``, leaves the old
        file unchanged, and no other file.
        """
        beside = f".{name}.twokey-new"
        with refusing(self._path / name):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(beside, dir_fd=self._fd)  # left by a run that was killed: the lock excludes other writers
            try:
                self._write_new(beside, data, mode & PRIVATE)
                before()
                os.rename(beside, name, src_dir_fd=self._fd, dst_dir_fd=self._fd)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(beside, dir_fd=self._fd)
                raise
        self._make_durable(name)

    def _write_new(self, name: str, data: memoryview, mode: int) -> None:
        fd = os.open(name, _CREATE, PRIVATE, dir_fd=self._fd)
        try:
            os.fchmod(fd, mode)  # a umask may have removed the owner's own permissions
            while data:
                data = data[os.write(fd, data) :]
            os.fsync(fd)
        finally:
            os.close(fd)

    def _make_durable(self, name: str) -> None:
        try:
            os.fsync(self._fd)
        except OSError as error:
            if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # some file systems do not support it
                raise Ambiguous(
                    f"{self._path / name} was written, but may be lost if this machine stops now: {error.strerror}."
                ) from None


@contextlib.contextmanager
def refusing(path: Path, *, missing: type[BaseException] | None = None) -> Iterator[None]:
    """Translate an operating system's error about ``path`` into ``ServiceRejected`` with a remedy."""
    try:
        yield
    except OSError as error:
        if missing is not None and isinstance(error, missing):
            raise
        raise ServiceRejected(
            f"{path}: {error.strerror or type(error).__name__}.",
            state="Its content is unchanged.",
            remedy=remedy_of(error),
        ) from None


def remedy_of(error: OSError) -> str:
    """Return what to do about an operating system's error; empty for one without a remedy of its own."""
    return _REMEDIES.get(error.errno or 0, "")


def _content(data: memoryview, state: os.stat_result) -> Content:
    mode = stat.S_IMODE(state.st_mode)
    return Content(data, exposed=bool(mode & 0o177), mode=mode, stamp=f"{state.st_ino}-{state.st_mtime_ns}")


def make_directory(path: Path) -> None:
    """Create a private directory and its missing parents, below an existing directory that is safe."""
    with refusing(path):
        if path.exists() or path.is_symlink():
            return
        existing = existing_above(path)
        with Directory(existing):
            pass
        for part in [*reversed(path.parents), path]:
            if part != existing and existing in part.parents:
                part.mkdir(PRIVATE_DIRECTORY, exist_ok=True)


def existing_above(path: Path) -> Path:
    """Return the nearest directory above ``path`` that exists."""
    with refusing(path):
        return next(parent for parent in path.parents if parent.exists() or parent.is_symlink())


def _open_directory(path: Path) -> int:
    try:
        fd = os.open(path, _DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno not in {errno.ELOOP, errno.ENOTDIR} or not path.is_symlink():
            raise
        refuse_other_owner(path, path.lstat().st_uid, "is a symbolic link that")
        fd = os.open(path, _DIRECTORY)
    try:
        state = os.fstat(fd)
        refuse_unsafe_directory(path, state)
        refuse_shared_directory(path, state)
        refuse_unsafe_ancestors(path)
    except BaseException:
        os.close(fd)
        raise
    return fd
