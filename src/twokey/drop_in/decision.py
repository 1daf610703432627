"""Which key of a user is removed before a new one is created, and what to warn of. No I/O, no clock.

The drop-in has no store to compare with, so age decides here, as in the original tool: the older of two keys is
removed. ``twokey rotate`` decides by evidence instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from twokey.core import durations

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from twokey.core.model import AccessKey, LastUse

RECENTLY = timedelta(days=1)
"""1/15 of 15 days: how long LAST must be unused for ``twokey rotate`` when keys live for 30 days."""
MOST_KEYS = 2


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do for one user: remove ``remove`` (if any) and create a key, or, with a ``refusal``, nothing."""

    remove: AccessKey | None = None
    refusal: str = ""
    warnings: tuple[str, ...] = ()


def to_remove(keys: Sequence[AccessKey]) -> AccessKey | None:
    """Return the key that makes room for a new one, or None where there is room.

    That is the older of two, unless exactly one is Inactive: no job can be using that one, so it is removed whatever
    its age. The original tool deletes the older one even when it is the only one that works.
    """
    if len(keys) < MOST_KEYS:
        return None
    inactive = [key for key in keys if not key.active]
    return inactive[0] if len(inactive) == 1 else _by_age(keys)[0]


def decide(
    user: str, keys: Sequence[AccessKey], *, last_use: LastUse | None = None, own_key: str, now: datetime
) -> Decision:
    """Decide for one user. ``last_use`` is that of the key to remove; None where it is not known."""
    if any(key.id == own_key for key in keys):
        return Decision(
            refusal=f"{user}: this run itself authenticates with its key {own_key}. "
            "Nothing was changed for it. Rotate it with another principal's credentials."
        )
    if len(keys) > MOST_KEYS:
        return Decision(
            refusal=f"{user}: expected at most two keys, found {len(keys)} ({_ids(keys)}). Nothing was changed for "
            "it. Delete all but the one in use and the one before it, then run again."
        )
    remove = to_remove(keys)
    return Decision(remove=remove, warnings=tuple(_warnings(user, _by_age(keys), remove, last_use, now)))


def _warnings(
    user: str, by_age: list[AccessKey], remove: AccessKey | None, last_use: LastUse | None, now: datetime
) -> list[str]:
    found = []
    if by_age and now - by_age[-1].created < RECENTLY:
        which = "newer" if remove else "only"
        age = durations.show(max(now - by_age[-1].created, timedelta(0)))
        found.append(f"the {which} key of {user} ({by_age[-1].id}) is {age} old: was the last run's output lost?")
    if remove is None:
        return found
    if by_age[0].created == by_age[-1].created:
        found.append(f"both keys of {user} were created in the same second; {remove.id} is taken for the older one.")
    elif remove is by_age[-1]:
        found.append(
            f"{remove.id} of {user} is removed although it is the newer key: it is Inactive, and the older one works."
        )
    if last_use and last_use.at and now - last_use.at < RECENTLY:
        found.append(
            f"{remove.id} of {user}, which is removed, was used {durations.show(max(now - last_use.at, timedelta(0)))} "
            f"ago ({last_use.service or 'service unknown'}): a job may still depend on it."
        )
    return found


def _by_age(keys: Sequence[AccessKey]) -> list[AccessKey]:
    # Stable: among keys of the same second the order in which IAM lists them stays, as in the original tool.
    return sorted(keys, key=lambda key: key.created)


def _ids(keys: Sequence[AccessKey]) -> str:
    return ", ".join(key.id for key in keys)
