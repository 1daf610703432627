"""How long keys live and what must be true before one is removed; validated where it is made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from twokey.core import durations
from twokey.core.errors import UsageError

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
MICROSECOND = timedelta(microseconds=1)
ZERO = timedelta(0)


@dataclass(frozen=True, slots=True)
class Verification:
    """How a created key is proved: ``successes`` in a row, ``interval`` apart, in each region, within ``timeout``.

    ``finishes``: a row of successes that has begun by then is finished, however long the requests take.
    """

    successes: int = 3
    interval: timedelta = timedelta(seconds=0.5)
    timeout: timedelta = timedelta(seconds=60)
    regions: tuple[str, ...] = ()
    finishes: bool = False

    def __post_init__(self) -> None:
        """Refuse settings that prove nothing, or that can never succeed."""
        if self.successes < 1:
            raise UsageError("verify.successes: at least one success is needed.")
        if self.interval < ZERO:
            raise UsageError("verify.interval: it cannot be negative.")
        if self.timeout <= self.least:
            raise UsageError(
                f"verify.timeout: {durations.exact(self.timeout)} is too short for {self.successes} successes "
                f"{durations.exact(self.interval)} apart.",
                remedy=f"Set it to more than {durations.exact(self.least)}, require fewer successes, or shorten the "
                "interval.",
            )

    @property
    def least(self) -> timedelta:
        """The shortest time in which a verification can succeed."""
        return self.interval * (self.successes - 1)

    @property
    def shortest(self) -> Verification:
        """The same proof in the shortest time: for a key that has existed long enough for every server to know it."""
        return replace(self, timeout=self.least + SECOND, finishes=True)


def wide_enough(kept: timedelta) -> str:
    """Return the end of a remedy: a window in which LAST can be kept for so long; empty if no window is allowed to."""
    window = upwards(-(-kept * 48 // 23 // MICROSECOND) * MICROSECOND)
    return f", or the window to at least {durations.exact(window)}" if window <= durations.LONGEST else ""


def upwards(duration: timedelta) -> timedelta:
    """Return a duration that is at least as long, in whole units of one kind, as the operator would write it."""
    units = (DAY, timedelta(hours=1), timedelta(minutes=1), SECOND)
    unit = next((unit for unit in units if duration >= 2 * unit), SECOND / 10)
    return -(-duration // unit) * unit


@dataclass(frozen=True, slots=True)
class RotationPolicy:
    """The rules for one machine user. Everything derived from the window is a property.

    Raises ``UsageError`` where the parts do not fit together.
    """

    window: timedelta = 30 * DAY
    requested_grace: timedelta | None = None
    requested_idle: timedelta | None = None
    soak: timedelta = ZERO
    enforce_window: bool = False
    rotate_self: bool = False
    settle: timedelta = timedelta(seconds=30)
    verification: Verification = Verification()

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        least = 2 * max(self.verification.least, SECOND)
        if self.window < least:
            raise UsageError(
                f"window: {durations.exact(self.window)} is too short.",
                remedy=f"Set it to at least {durations.left(least)}: a created key must be verified within half of it.",
            )
        longest, explicit = self.period - self.slack, self.requested_grace or ZERO
        if self.soak > longest:
            raise UsageError(
                f"soak: {durations.exact(self.soak)} is longer than the period less its slack "
                f"({durations.exact(longest)}).",
                remedy=f"Set it to at most {durations.show(max(longest - explicit, ZERO))}"
                f"{wide_enough(self.soak + explicit)}.",
            )
        if self.grace > longest:
            raise UsageError(
                f"grace: {durations.exact(self.grace)} is longer than the period less its slack "
                f"({durations.exact(longest)}): LAST could never make room in time.",
                remedy=f"Set it to at most {durations.show(max(longest - self.soak, ZERO))}"
                f"{wide_enough(self.grace + self.soak)}.",
            )

    @property
    def period(self) -> timedelta:
        """The time between two rotations: half the window."""
        return self.window / 2

    @property
    def slack(self) -> timedelta:
        """How much earlier than a whole period a rotation is due, so that a schedule never misses by minutes."""
        return self.period / 24

    @property
    def grace(self) -> timedelta:
        """How long LAST is sure to keep working after the commit.

        A soak takes its time from the default, so that the rotation after it is not late.
        """
        return self.period - self.slack - self.soak if self.requested_grace is None else self.requested_grace

    @property
    def idle(self) -> timedelta:
        """How long LAST must have gone unused before it may be removed."""
        return self.period / 15 if self.requested_idle is None else self.requested_idle
