"""Who besides this user may read, change or replace a file: what OpenSSH checks of its keys and configuration, too."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from typing import TYPE_CHECKING

from twokey.core.errors import ServiceRejected

if TYPE_CHECKING:
    from pathlib import Path


def is_shared(group: int) -> bool:
    """Return whether a group may have other members than this user.

    Many systems give each user a group of its own, and let it write by default: that group is not shared.
    """
    if group != os.getegid():
        return True
    try:
        members, own = set(grp.getgrgid(group).gr_mem), pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return False
    return not members <= {own}


def others_may(state: os.stat_result, others: int, group: int) -> bool:
    """Return whether other users have one of these permissions, such as ``stat.S_IWOTH`` and ``stat.S_IWGRP``."""
    return bool(state.st_mode & others) or bool(state.st_mode & group and is_shared(state.st_gid))


def warning_about(path: Path, *, secret: bool) -> str:
    """Return a warning where other users may change a file that twokey reads, or read the secret in it; or nothing.

    A secret that another user provides, such as root by a mounted volume, may be readable: this user cannot change
    that. A file that cannot be read is reported by its reader.
    """
    try:
        state = path.stat()
    except OSError:
        return ""
    if not stat.S_ISREG(state.st_mode):
        return ""
    if others_may(state, stat.S_IWOTH, stat.S_IWGRP):
        return f"Other users of this machine may change {path}. Remove that permission: chmod go-w {path}"
    if secret and state.st_uid == os.geteuid() and others_may(state, stat.S_IROTH, stat.S_IRGRP):
        return f"Other users of this machine may read the secret in {path}. Remove that permission: chmod go= {path}"
    return ""


def refuse_unsafe_directory(path: Path, state: os.stat_result) -> None:
    """Raise ``ServiceRejected`` for a directory in which another user could replace files."""
    refuse_other_owner(path, state.st_uid, "is a directory that")
    if state.st_mode & stat.S_IWOTH and not state.st_mode & stat.S_ISVTX:
        raise ServiceRejected(
            f"Every user may replace the files in {path}.",
            state="Nothing was changed.",
            remedy=f"Remove that permission (chmod o-w {path}), or name another directory.",
        )


def refuse_shared_directory(path: Path, state: os.stat_result) -> None:
    """Raise ``ServiceRejected`` for a directory in which the members of a shared group could replace files."""
    if state.st_mode & stat.S_IWGRP and not state.st_mode & stat.S_ISVTX and is_shared(state.st_gid):
        raise ServiceRejected(
            f"The members of the group {state.st_gid} may replace the files in {path}.",
            state="Nothing was changed.",
            remedy=f"Remove that permission (chmod g-w {path}), or name another directory.",
        )


def refuse_unsafe_ancestors(path: Path) -> None:
    """Raise ``ServiceRejected`` for a directory that every user may put another one in place of.

    Groups are left out: those of directories such as /usr/local are the administrators'.
    """
    for ancestor in path.resolve().parents:
        mode = ancestor.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise ServiceRejected(
                f"Every user may replace {path}, because every user may write {ancestor}.",
                state="Nothing was changed.",
                remedy=f"Remove that permission (chmod o-w {ancestor}), or name another directory.",
            )


def refuse_other_owner(path: Path, owner: int, kind: str) -> None:
    """Raise ``ServiceRejected`` unless root or this user owns it. ``kind`` is text such as ``is a directory that``."""
    if owner not in {0, os.geteuid()}:
        raise ServiceRejected(
            f"{path} {kind} belongs to another user (ID {owner}), who could replace the files in it.",
            state="Nothing was changed.",
            remedy="Run twokey as that user, or name a directory that belongs to you.",
        )
