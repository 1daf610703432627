"""The commands that messages name, as the operator types them."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def command(name: str, user: str, options: str = "") -> str:
    """Return ``twokey NAME USER OPTIONS``; a user whose name begins with a hyphen comes last, after ``--``."""
    words = (options, "--", user) if user.startswith("-") else (user, options)
    return " ".join(word for word in (f"twokey {name}", *words) if word)


def rotate_command(user: str, options: str = "") -> str:
    """Return the command that rotates a user."""
    return command("rotate", user, options)


def ignoring_last_use(user: str, *, force: bool, retire: Iterable[str]) -> str:
    """Return the command that rotates a user although jobs may still use LAST, with the same options otherwise."""
    options = (*(("--force",) if force else ()), "--ignore-last-use", *(f"--retire {one}" for one in sorted(retire)))
    return rotate_command(user, " ".join(options))


def plan_command(options: str) -> str:
    """Return the command that shows what a rotation would do."""
    return f"twokey plan {options}"


def revoke_command(key_id: str, options: str = "") -> str:
    """Return the command that revokes a key, or goes on with that."""
    return command("revoke", key_id, options)


def lift_command(account: str) -> str:
    """Return the command that takes back the denials of an account's revocations."""
    return f"twokey revoke --lift --account {account}"


def forget_command(user: str, name: str) -> str:
    """Return the command that forgets a destination."""
    return command("forget", user, f"--destination {shlex.quote(name)}")


def move_command(user: str, source: str, target: str) -> str:
    """Return the command that moves a user from one store to another."""
    return command("move-store", user, f"--from {shlex.quote(source)} --to {shlex.quote(target)}")


def trace_command(key_id: str) -> str:
    """Return the command that shows who uses a key."""
    return f"twokey trace {key_id}"
