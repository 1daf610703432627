"""The objects of a Git repository: of every branch, of no branch any more, of its stashes and reflogs.

Each object is read once, from one process, however many commits have it. No hook, filter or text converter of the
repository runs, and nothing is fetched.

Sources: git-cat-file(1), git-log(1), git(1), Git documentation.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from typing import TYPE_CHECKING

from twokey.core.errors import Failed
from twokey.system import environment

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

_PASSED = ("PATH", "HOME", "USERPROFILE", "SYSTEMROOT", "XDG_CONFIG_HOME", "TMPDIR")
"""Variables that Git gets: no credential of this process, and none that points Git at another repository."""
_SETTINGS = {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
_BUFFER = 1 << 20


@dataclass(frozen=True, slots=True)
class Introduced:
    """The first commit of a history that has a blob, and the blob's path in it."""

    commit: str
    path: str


@dataclass(frozen=True, slots=True)
class GitObject:
    """A blob, a commit or a tag. ``size`` bytes of ``content`` are it: read all of them, and no more."""

    name: str
    kind: str
    size: int
    content: BufferedReader


def common_directory(repository: Path) -> Path:
    """Return the directory that has the objects: work trees of one repository share it. Raises ``Failed``."""
    with _running(repository, ("rev-parse", "--git-common-dir")) as out:
        return (repository / out.read().decode("utf-8", "surrogateescape").rstrip("\n")).resolve()


def is_shallow(repository: Path) -> bool:
    """Return whether a part of the history is missing here. Raises ``Failed``."""
    with _running(repository, ("rev-parse", "--is-shallow-repository")) as out:
        return out.read().strip() == b"true"


def objects(repository: Path) -> Iterator[GitObject]:
    """Yield every object that has text, each to be read before the next. Raises ``Failed``."""
    with _running(repository, ("cat-file", "--batch-all-objects", "--batch", "--buffer", "--unordered")) as out:
        while header := out.readline():
            words = header.decode("ascii", "replace").split()
            if len(words) != 3:
                raise Failed(f"{repository}: Git cannot read the object {words[0]}.", remedy="Check it with: git fsck.")
            name, kind, size = words[0], words[1], int(words[2])
            if kind == "tree":
                _skip(out, size)
            else:
                yield GitObject(name, kind, size, out)
            out.read(1)


def introduced(repository: Path, names: Collection[str]) -> dict[str, Introduced]:
    """Return where the blobs with these names came from, as far as a commit that is still named has them."""
    found: dict[str, Introduced] = {}
    commit = ""
    arguments = (
        "log",
        "--all",
        "--reflog",
        "--topo-order",
        "--raw",
        "-m",
        "--root",
        "--no-abbrev",
        "--no-renames",
        "--format=%H",
    )
    with _running(repository, arguments) as out:
        for line in out:
            if not line.startswith(b":"):
                commit = line.decode("ascii", "replace").strip() or commit
                continue
            fields, _, path = line.rstrip(b"\n").partition(b"\t")
            name = fields.split()[3].decode("ascii", "replace")
            # Git prints a commit before those that it follows.
            if name in names:
                found[name] = Introduced(commit, path.decode("utf-8", "replace"))
    return found


def _skip(out: BufferedReader, size: int) -> None:
    while size > 0 and (chunk := out.read(min(size, _BUFFER))):
        size -= len(chunk)


@contextmanager
def _running(repository: Path, arguments: Sequence[str]) -> Iterator[BufferedReader]:
    """Run Git and yield what it prints; raises ``Failed`` if it ends with an error."""
    program = shutil.which("git")
    if program is None:
        raise Failed(
            f"{repository} is a Git repository, and the program git is not on the PATH.",
            state="Its history was not searched.",
            remedy="Install Git, and run again.",
        )
    settings = ("-c", "core.fsmonitor=false", "-c", "core.quotePath=false")
    command = [program, "-C", str(repository), *settings, "--no-pager", "--no-replace-objects", *arguments]
    passed = environment.chosen(_PASSED, _SETTINGS)
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(  # noqa: S603  the operator's own Git
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=passed, bufsize=_BUFFER
        ) as process,
    ):
        assert isinstance(process.stdout, BufferedReader)
        try:
            yield process.stdout
        except BaseException:
            process.kill()
            raise
        if process.wait() != 0:
            errors.seek(0)
            lines = errors.read(4096).decode("utf-8", "replace").strip().splitlines()
            why = lines[0] if lines else f"exit status {process.returncode}"
            raise Failed(
                f"{repository}: git {arguments[0]} failed: {why}",
                state="Its history was not searched to the end.",
                remedy="Make git log work there for this user, and run again.",
            )
