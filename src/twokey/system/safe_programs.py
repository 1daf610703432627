"""Checks programs that get a secret: only root and this user may be able to replace them.

As for the files that sshd trusts (sshd_config(5), StrictModes), every directory and every link on the path is checked,
not only the file itself.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from twokey.core.errors import ServiceRejected
from twokey.system.permissions import refuse_other_owner, refuse_unsafe_directory
from twokey.system.safe_files import refusing

MOST_LINKS = 40
"""The maximum number of links on a path, as on Linux (path_resolution(7))."""
_SHARED = stat.S_IWGRP | stat.S_IWOTH


def refuse_unsafe_program(path: Path) -> None:
    """Raise ``ServiceRejected`` unless ``path`` is a program that this user may run and no other user may change."""
    try:
        with refusing(path, missing=FileNotFoundError):
            file, state = _resolved(path)
    except FileNotFoundError:
        raise ServiceRejected(
            f"{path} does not exist.", state="It was not run.", remedy="Name a program that exists."
        ) from None
    if not stat.S_ISREG(state.st_mode):
        raise ServiceRejected(f"{file} is not a regular file.", state="It was not run.", remedy="Name a program.")
    refuse_other_owner(file, state.st_uid, "is a program that")
    if state.st_mode & _SHARED:
        raise ServiceRejected(
            f"Other users may write {file}, which would get a secret.",
            state="It was not run.",
            remedy=f"Remove that permission: chmod go-w {file}.",
        )
    if not os.access(file, os.X_OK):
        raise ServiceRejected(f"{file} is not executable.", state="It was not run.", remedy=f"Run: chmod u+x {file}.")


def _resolved(path: Path) -> tuple[Path, os.stat_result]:
    """Resolve the path as the kernel does, and refuse every step that other users could change; return the file."""
    here, remaining, links = Path("/"), list(path.parts[1:]), 0
    refuse_unsafe_directory(here, here.stat())
    while remaining:
        step = here / remaining.pop(0)
        state = step.lstat()
        if stat.S_ISLNK(state.st_mode):
            refuse_other_owner(step, state.st_uid, "is a symbolic link that")
            links += 1
            if links > MOST_LINKS:
                raise ServiceRejected(
                    f"{path} has too many links (more than {MOST_LINKS}).",
                    state="It was not run.",
                    remedy="Name the program itself.",
                )
            target = step.readlink()
            here = Path("/") if target.is_absolute() else here
            remaining = [part for part in target.parts if part != "/"] + remaining
        elif step.name == ".." or stat.S_ISDIR(state.st_mode):
            here = here.parent if step.name == ".." else step
            refuse_unsafe_directory(here, here.stat())
        elif remaining:
            raise ServiceRejected(
                f"{step} is not a directory.", state="It was not run.", remedy="Name another program."
            )
        else:
            return step, state
    return here, here.stat()
