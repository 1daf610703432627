"""Rules that can each be kept, and not together: refused with the arithmetic, and with values that fit."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from twokey.core.durations import LONGEST, exact, parse, show
from twokey.core.errors import UsageError
from twokey.planning.policy import upwards, wide_enough
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
        window = upwards(2 * policy.idle)
        longer = f", or the window to at least {exact(window)}" if window <= LONGEST else ""
        raise UsageError(
            f"idle: {exact(policy.idle)} is longer than the period ({_period(policy)}): a job that uses LAST once, "
            "just after a rotation, would keep it beyond the next one.",
            remedy=f"Set idle to at most {show(policy.period)}{longer}.",
        )


def _check_grace(policy: RotationPolicy) -> None:
    longest, both = policy.period - policy.slack, policy.grace + policy.soak
    if both > longest:
        raise UsageError(
            f"grace: {exact(policy.grace)}, and then a soak of {exact(policy.soak)}, make {exact(both)}: longer than "
            f"the period less its slack ({exact(longest)}). LAST could never make room in time.",
            remedy=f"Set grace to at most {show(longest - policy.soak)}{wide_enough(both)}, or shorten the soak.",
        )


def _check_verification(policy: RotationPolicy) -> None:
    timeout = policy.verification.timeout
    if timeout > LENGTH:
        raise UsageError(
            f"verify.timeout: {exact(timeout)} is longer than a lease ({exact(LENGTH)}): another run could take this "
            "user over while a key is still being verified.",
            remedy=f"Set it to at most {exact(LENGTH)}. New keys usually work within seconds.",
        )


def _check_schedule(policy: RotationPolicy, schedule: timedelta) -> None:
    """Keys live for two rotations. A rotation comes with the first run at which it is due and LAST can be removed."""
    due = max(policy.period - policy.slack, policy.grace + policy.soak)
    between = _between(due, schedule)
    if between > policy.period:
        fits = policy.period // -(-policy.period // schedule)
        window = _window(policy, schedule, between)
        longer = f", or set a window of at least {exact(window)}" if window <= LONGEST else ""
        raise UsageError(
            f"schedule: with a run every {exact(schedule)}, a rotation that is due after {exact(due)} comes after "
            f"{exact(between)}, and a key lives for {exact(2 * between)}: longer than the window of "
            f"{exact(policy.window)}.",
            remedy=f"Run every {_shortened(fits, due, policy.period)}{longer}.",
        )


def _between(due: timedelta, schedule: timedelta) -> timedelta:
    """Return the time between two rotations: the first run at which one is due."""
    return -(-due // schedule) * schedule


def _window(policy: RotationPolicy, schedule: timedelta, between: timedelta) -> timedelta:
    """Return a window that these runs keep: a round one, unless it is so much longer that one run more would pass."""
    window = upwards(2 * between)
    due = max(window / 2 - window / 48, (policy.requested_grace or timedelta(0)) + policy.soak)
    return window if _between(due, schedule) <= window / 2 else 2 * between


def _shortened(schedule: timedelta, due: timedelta, period: timedelta) -> str:
    """Return a schedule in two units where that is close enough, otherwise exactly."""
    shorter = parse(show(schedule))
    return show(schedule) if shorter and _between(due, shorter) <= period else exact(schedule)


def _period(policy: RotationPolicy) -> str:
    return f"{exact(policy.period)}, half of the window of {exact(policy.window)}"
