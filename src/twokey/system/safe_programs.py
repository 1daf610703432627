"""Programs that are given a secret: nobody but root and this user may be able to exchange them.

As sshd does for the files it trusts (sshd_config(5), StrictModes): every directory and every link on the way counts,
not only the file at its end.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from twokey.core.errors import ServiceRejected
from twokey.system.safe_files import refuse_foreign_owner, refuse_unsafe_directory, refusing

MOST_LINKS = 40
"""Links on the way to a file (Linux: path_resolution(7))."""
_SHARED = stat.S_IWGRP | stat.S_IWOTH


def refuse_unsafe_program(path: Path) -> None:
    """Raise ``ServiceRejected`` unless ``path`` is a program that this user may run and no other user may change."""
    try:
        with refusing(path, missing=FileNotFoundError):
            file, state = _followed(path)
    except FileNotFoundError:
        raise ServiceRejected(
            f"{path} is not there.", state="It was not run.", remedy="Name a program that is."
        ) from None
    if not stat.S_ISREG(state.st_mode):
        raise ServiceRejected(f"{file} is not a regular file.", state="It was not run.", remedy="Name a program.")
    refuse_foreign_owner(file, state.st_uid, "is a program that")
    if state.st_mode & _SHARED:
        raise ServiceRejected(
            f"Others may write {file}, and it would be given a secret.",
            state="It was not run.",
            remedy=f"Take that right away: chmod go-w {file}.",
        )
    if not os.access(file, os.X_OK):
        raise ServiceRejected(f"{file} cannot be run.", state="It was not run.", remedy=f"Allow it: chmod u+x {file}.")


def _followed(path: Path) -> tuple[Path, os.stat_result]:
    """Follow the path as the kernel does, refusing every step that others could change; return its end."""
    here, left, links = Path("/"), list(path.parts[1:]), 0
    refuse_unsafe_directory(here, here.stat())
    while left:
        step = here / left.pop(0)
        state = step.lstat()
        if stat.S_ISLNK(state.st_mode):
            refuse_foreign_owner(step, state.st_uid, "is a symbolic link that")
            links += 1
            if links > MOST_LINKS:
                raise ServiceRejected(f"{path} leads through too many links.", state="It was not run.")
            target = step.readlink()
            here = Path("/") if target.is_absolute() else here
            left = [part for part in target.parts if part != "/"] + left
        elif step.name == ".." or stat.S_ISDIR(state.st_mode):
            here = here.parent if step.name == ".." else step
            refuse_unsafe_directory(here, here.stat())
        elif left:
            raise ServiceRejected(f"{step} is no directory.", state="It was not run.", remedy="Name another program.")
        else:
            return step, state
    return here, here.stat()
