"""Paths of local files: which are allowed, and whether they can be written."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from twokey.core.errors import ServiceRejected, UsageError
from twokey.destinations.kind import Resolved
from twokey.system.safe_files import Directory, existing_above, refusing

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.destinations.address import Address
    from twokey.destinations.kind import DestinationContext

    Resolve = Callable[[Address, DestinationContext, str], Resolved]

JOURNAL = ".twokey-journal"
NO_DIRECTORY = "Create it. If a symbolic link has its name, correct the link."
_LONGEST_NAME = 255 - len(JOURNAL) - len("..twokey-new")


def check_path(address: Address) -> None:
    """Raise ``UsageError`` for a path that may point at another directory than it shows, or that cannot be a file's."""
    rest, plain = address.rest, address.plain
    name = plain.rpartition("/")[2]
    if ".." in plain.split("/"):
        raise UsageError(f"{rest!r}: expected a path without '..'.")
    if plain.startswith("~"):
        raise UsageError(f"{rest!r}: '~' is not expanded here: write the home directory out.")
    if name in {"", "."}:
        raise UsageError(f"{rest!r}: expected a file, not a directory: name a file in it, such as {{user}}.json.")
    if name.endswith(JOURNAL):
        raise UsageError(f"{rest!r}: names that end with {JOURNAL} are reserved for journals: name another file.")
    if len(os.fsencode(name)) > _LONGEST_NAME:
        raise UsageError(f"{rest!r}: expected a file name of at most {_LONGEST_NAME} bytes.")


def path_of(address: Address) -> Path:
    """Return the absolute path that a URL means, relative to the directory that twokey was started in."""
    return Path(os.path.abspath(address.rest))  # noqa: PTH100  follows no link


def resolving(parts: Callable[[Address], tuple[str, ...]]) -> Resolve:
    """Return what resolves the URLs of a kind of file; ``parts`` are the names of what it writes in one."""

    def resolve(address: Address, _context: DestinationContext, _account: str) -> Resolved:
        """Return which file this is, whatever links its directory is reached by."""
        path = path_of(address)
        directory = os.path.realpath(path.parent)
        name = str(Path(directory, path.name))
        return Resolved(name, directory, frozenset(f"{name} {part}" for part in parts(address)))

    return resolve


def check_writable(path: Path, *names: str) -> None:
    """Raise what prevents writing files beside ``path``: permissions, owners, a full or read-only disk."""
    parent = path.parent
    try:
        with Directory(parent) as directory:
            for name in names:
                directory.read(name)
    except FileNotFoundError:
        parent = existing_above(path)
        with Directory(parent):
            pass
    with refusing(parent):
        if not os.access(parent, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
            raise PermissionError(errno.EACCES, "no permission to write there")
        space = os.statvfs(parent)
    if not space.f_bavail or (space.f_files and not space.f_favail):
        free = "inodes" if space.f_bavail else "bytes"
        raise ServiceRejected(
            f"{parent}: no file can be written there: its file system has 0 {free} free.",
            state="Nothing was changed.",
            remedy="Free some, or use a file in another directory, and run again.",
        )
