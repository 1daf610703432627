"""The emulator's time, which can be moved forward and can differ from the machine's clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import format_datetime


class Clock:
    """Real time, plus the seconds by which it was advanced, plus a skew in seconds."""

    def __init__(self) -> None:
        """Start at real time."""
        self.advanced = 0.0
        self.skew = 0.0

    def seconds(self) -> float:
        """Seconds since 1970, by the emulator's time."""
        return time.time() + self.advanced + self.skew

    def now(self) -> datetime:
        """The emulator's time, aware, in UTC."""
        return datetime.fromtimestamp(self.seconds(), UTC)

    def signing_time(self) -> datetime:
        """The time that signatures are checked against: clients sign with the real clock, so only the skew is added."""
        return datetime.fromtimestamp(time.time() + self.skew, UTC)

    def advance(self, seconds: float) -> None:
        """Move the emulator's time forward. Negative seconds raise ValueError, because AWS's time never goes back."""
        if seconds < 0:
            raise ValueError("time only moves forward: expected a number of seconds that is not negative")
        self.advanced += seconds

    def http_date(self) -> str:
        """The `Date` header, in the preferred format of RFC 9110, section 5.6.7."""
        return format_datetime(self.now().replace(microsecond=0), usegmt=True)


class StillClock(Clock):
    """A time that begins at a moment of one's own and passes only when it is advanced: a run is repeatable with it."""

    def __init__(self, start: datetime) -> None:
        """Start at that moment."""
        super().__init__()
        self._start = start.timestamp()

    def seconds(self) -> float:
        """Seconds since 1970, by the emulator's time."""
        return self._start + self.advanced + self.skew
