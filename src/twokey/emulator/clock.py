"""The emulator's time: it can be moved forward, and it can disagree with the runner's clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import format_datetime


class Clock:
    """Real time plus what was advanced plus a skew, all in seconds."""

    def __init__(self) -> None:
        """Start at the real time."""
        self.advanced = 0.0
        self.skew = 0.0

    def seconds(self) -> float:
        """Seconds since 1970 as the emulated AWS sees them."""
        return time.time() + self.advanced + self.skew

    def now(self) -> datetime:
        """The emulator's time, aware, in UTC."""
        return datetime.fromtimestamp(self.seconds(), UTC)

    def signing_time(self) -> datetime:
        """The time that signatures are compared with: clients sign with the real clock, so only skew counts."""
        return datetime.fromtimestamp(time.time() + self.skew, UTC)

    def advance(self, seconds: float) -> None:
        """Move the emulator's time; negative seconds are refused, because AWS's time never goes back."""
        if seconds < 0:
            raise ValueError("time only moves forward: give a number of seconds that is not negative")
        self.advanced += seconds

    def http_date(self) -> str:
        """The `Date` header, in the form that RFC 9110 section 5.6.7 prefers."""
        return format_datetime(self.now().replace(microsecond=0), usegmt=True)
