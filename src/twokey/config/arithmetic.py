"""Rules that can each be kept, and not together: refused with the arithmetic, and with values that fit."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING

from twokey.core.durations import show
from twokey.core.errors import UsageError
from twokey.rotation.lease import LENGTH

if TYPE_CHECKING:
    from twokey.planning.policy import RotationPolicy


def check(policy: RotationPolicy, schedule: timedelta | None = None) -> None:
    """Raise ``UsageError`` where one rule keeps another from being kept.

    ``schedule`` is the time between two runs, if it is known.
    """
    _check_idle(policy)
    _check_grace(policy)
    _check_verification(policy)
    if schedule is not None:
        _check_schedule(policy, schedule)


def _check_idle(policy: RotationPolicy) -> None:
    if policy.idle > policy.period:
        raise UsageError(
            f"idle: {show(policy.idle)} is longer than the period ({_period(policy)}): a job that uses LAST once, just "
            "after a rotation, would keep it beyond the next one.",
            remedy=f"Set idle to at most {show(policy.period)}, or the window to at least {show(2 * policy.idle)}.",
        )


def _check_grace(policy: RotationPolicy) -> None:
    longest, both = policy.period - policy.slack, policy.grace + policy.soak
    if both > longest:
        raise UsageError(
            f"grace: {show(policy.grace)}, and then a soak of {show(policy.soak)}, make {show(both)}: longer than "
            f"the period less its slack ({show(longest)}). LAST could never make room in time.",
            remedy=f"Set grace to at most {show(longest - policy.soak)}, shorten the soak, or set a window of at least "
            f"{show(_upwards(both * 48 / 23))}.",
        )


def _check_verification(policy: RotationPolicy) -> None:
    timeout = policy.verification.timeout
    if timeout > LENGTH:
        raise UsageError(
            f"verify.timeout: {show(timeout)} is longer than a lease ({show(LENGTH)}): another run could take this "
            "user over while a key is still being verified.",
            remedy=f"Set it to at most {show(LENGTH)}. New keys usually work within seconds.",
        )


def _check_schedule(policy: RotationPolicy, schedule: timedelta) -> None:
    """Keys live for two rotations. A rotation comes with the first run at which it is due and LAST can be removed."""
    due = max(policy.period - policy.slack, policy.grace + policy.soak)
    runs = math.ceil(due / schedule)
    between = runs * schedule
    if between > policy.period:
        fits = policy.period / math.ceil(policy.period / schedule)
        raise UsageError(
            f"schedule: with a run every {show(schedule)}, a rotation that is due after {show(due)} comes after "
            f"{show(between)}, and a key lives for {show(2 * between)}: longer than the window of "
            f"{show(policy.window)}.",
            remedy=f"Run every {show(fits)}, or set a window of at least {show(2 * between)}.",
        )


def _period(policy: RotationPolicy) -> str:
    return f"{show(policy.period)}, half of the window of {show(policy.window)}"


def _upwards(duration: timedelta) -> timedelta:
    """Return at least the duration, in a unit that a message shows whole."""
    units = (timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1))
    unit = next((unit for unit in units if duration >= 2 * unit), timedelta(seconds=0.1))
    return math.ceil(duration / unit) * unit
