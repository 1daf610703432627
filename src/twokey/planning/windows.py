"""Whether every key is removed before it is older than the window: what is broken, and what is going to be."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from twokey.core import durations, timestamps

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime, timedelta

    from twokey.core.model import AccessKey
    from twokey.planning.policy import RotationPolicy


def broken(keys: Sequence[AccessKey], policy: RotationPolicy, now: datetime) -> Iterator[str]:
    """Name the keys that are older than the window. An Inactive key authenticates no program."""
    for key in keys:
        if key.active and now - key.created > policy.window:
            yield (
                f"The window is broken: {key.id} is {durations.show(now - key.created)} old, and no key may be older "
                f"than {durations.exact(policy.window)}."
            )


def about_to_break(
    keys: Sequence[AccessKey],
    current: str,
    next_due: datetime | None,
    policy: RotationPolicy,
    now: datetime,
    schedule: timedelta | None = None,
) -> Iterator[str]:
    """Name the keys that reach the window before a rotation can remove them, also if every run comes in time."""
    for key, breaks, removed in breaking(keys, current, next_due, policy, now, schedule):
        yield (
            f"The window will be broken: {key.id} reaches {durations.exact(policy.window)} at "
            f"{timestamps.utc(breaks)}, and the next rotations do not remove it before {timestamps.utc(removed)}. "
            "Run rotate more often; rotate --force does not wait until a rotation is due."
        )


def breaking(
    keys: Sequence[AccessKey],
    current: str,
    next_due: datetime | None,
    policy: RotationPolicy,
    now: datetime,
    schedule: timedelta | None = None,
) -> Iterator[tuple[AccessKey, datetime, datetime]]:
    """Return the keys that reach the window before a rotation removes them, when they do, and when they are removed.

    CURRENT is removed by the rotation after the next one, every other key at the earliest by the next one.
    """
    if next_due is None:
        return
    rotation = _next_rotation(next_due, policy, now, schedule)
    for key in keys:
        breaks = key.created + policy.window
        removed = rotation + (policy.period - policy.slack) if key.id == current else rotation
        if key.active and now <= breaks < removed:
            yield key, breaks, removed


def _next_rotation(next_due: datetime, policy: RotationPolicy, now: datetime, schedule: timedelta | None) -> datetime:
    """Return when the next rotation takes place at the earliest.

    With a schedule, that is a run: one takes place whenever the schedule has passed again since the latest commit, or
    earlier by the slack, since neither is known to the minute.
    """
    if schedule is None:
        return max(next_due, now)
    committed = next_due - policy.period + policy.slack
    runs = math.ceil((max(next_due, now) - committed) / schedule)
    return max(next_due, now, committed + runs * schedule - policy.slack)
