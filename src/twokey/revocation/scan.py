"""Ids of access keys in files, directories and Git repositories with their histories; reads, and changes nothing.

Symbolic links inside a directory are not followed: a target in the tree is read where it is, and a loop cannot happen.
Compressed archives are not opened. What could not be read is in the result: an unread file is not a clean one.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from twokey.core.errors import Failed, UsageError
from twokey.reports.watch import Location
from twokey.revocation import git_history, key_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from io import BufferedReader

    from twokey.revocation.key_text import Found

SHORT = 12
"""Characters of a commit's name that are shown."""
_ARCHIVES = (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf", b"Rar!")
"""How compressed files begin: ZIP, gzip, bzip2, xz, Zstandard, 7z, RAR."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """An id at a location, in the first commit that has it if one is known; ``secret`` and ``own`` as of ``Found``."""

    key_id: str
    location: Location
    secret: bool
    own: bool


@dataclass(slots=True)
class Scan:
    """What was found, how much was read, and what was not."""

    sightings: list[Sighting] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    archives: list[str] = field(default_factory=list)
    files: int = 0
    objects: int = 0


def refuse_missing(paths: Sequence[str]) -> None:
    """Raise ``UsageError`` for a path that does not exist."""
    for path in paths:
        if not Path(path).exists():
            raise UsageError(
                f"--scan: there is no file or directory {path}.",
                state="Nothing was called.",
                remedy="Name a file, a directory or a clone of a repository.",
            )


def scan(paths: Sequence[str]) -> Scan:
    """Search files and directories, each with the history of every repository in it."""
    result = Scan()
    for path in paths:
        _search_path(Path(path), result)
    return result


def _search_path(path: Path, result: Scan) -> None:
    if not path.is_dir():
        _search_file(str(path), result)
        return
    clones: list[Path] = []
    bare: list[Path] = []
    for file in _walk(str(path), clones, bare, result):
        _search_file(file, result)
    searched = set()
    # A submodule's objects are in a repository inside its parent's: they are shown with the paths of its work tree.
    for repository in (*clones, *bare):
        try:
            objects = git_history.common_directory(repository)
            if objects not in searched:
                searched.add(objects)
                _search_history(repository, result)
        except Failed as error:
            result.unread.append(str(error))


def _walk(top: str, clones: list[Path], bare: list[Path], result: Scan) -> Iterator[str]:
    """Yield the files below a directory, and collect the repositories with and without a work tree."""
    waiting = deque([top])
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                found = list(entries)
        except OSError as error:
            result.unread.append(f"{folder} cannot be read: {error.strerror}.")
            continue
        is_git = {entry.name for entry in found} >= {"HEAD", "objects", "refs"}
        if is_git and Path(folder).name != ".git":
            bare.append(Path(folder))
        for entry in found:
            if entry.name == ".git":
                clones.append(Path(folder))
            if entry.is_dir(follow_symlinks=False):
                # Git's own files are read, apart from its objects: they are compressed, and the history has them.
                if not (is_git and entry.name == "objects"):
                    waiting.append(entry.path)
            elif entry.is_file(follow_symlinks=False):
                yield entry.path


def _search_file(path: str, result: Scan) -> None:
    try:
        # Without O_NONBLOCK, a named pipe would be waited for.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                return
            result.files += 1
            if _is_archive(stream):
                result.archives.append(path)
                return
            for found in key_text.search(stream):
                result.sightings.append(
                    Sighting(found.key_id, Location(path, found.line, None), found.secret, found.own)
                )
    except OSError as error:
        result.unread.append(f"{path} cannot be read: {error.strerror}.")


def _is_archive(stream: BufferedReader) -> bool:
    return stream.peek(8).startswith(_ARCHIVES)


def _search_history(repository: Path, result: Scan) -> None:
    found: dict[str, list[Found]] = {}
    kinds: dict[str, str] = {}
    archives = 0
    for one in git_history.objects(repository):
        result.objects += 1
        archives += one.kind == "blob" and _is_archive(one.content)
        sightings = list(key_text.search(one.content, one.size))
        if sightings:
            found[one.name], kinds[one.name] = sightings, one.kind
    if archives:
        result.archives.append(f"{archives} in the history of {repository}")
    if git_history.is_shallow(repository):
        result.unread.append(
            f"{repository} is a shallow clone: the earlier history is not there, and was not searched. "
            "Get it with: git fetch --unshallow."
        )
    blobs = {name for name, kind in kinds.items() if kind == "blob"}
    origins = git_history.introduced(repository, blobs) if blobs else {}
    for name, sightings in found.items():
        result.sightings += _located(repository, name, kinds[name], sightings, origins.get(name))


def _located(
    repository: Path, name: str, kind: str, sightings: Iterable[Found], origin: git_history.Introduced | None
) -> Iterator[Sighting]:
    for one in sightings:
        if kind != "blob":
            location = Location(f"{repository} (the message of the {kind})", one.line, name)
        elif origin:
            location = Location(str(repository / origin.path), one.line, origin.commit)
        else:
            location = Location(f"{repository} (blob {name[:SHORT]}, in no commit that a branch has)", one.line, None)
        yield Sighting(one.key_id, location, one.secret, one.own)
