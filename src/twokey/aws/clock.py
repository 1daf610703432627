"""The time of AWS, from the ``Date`` header of every response.

A header has a resolution of one second and takes a moment to arrive, so it is a lower bound. The latest lower bound of
several responses is the best one. ``now()`` is therefore never ahead of AWS, which is the safe side for every check of
whether something is old enough.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def since_boot() -> float:
    """Return seconds on a clock that never jumps and that continues while the machine sleeps.

    A lease also expires during a suspension. On Linux, ``time.monotonic`` stops then (clock_gettime(2)).
    """
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boottime is None else time.clock_gettime(boottime)


class ServiceClock:
    """The services' clock, advanced between responses by a clock that never jumps."""

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = since_boot,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._sleep = sleep
        self._offset: float | None = None
        self._lock = threading.Lock()

    def record_date(self, date: str | None) -> None:
        """Record the ``Date`` header of a response; an invalid one is ignored."""
        if not date:
            return
        from email.utils import parsedate_to_datetime

        try:
            seconds = parsedate_to_datetime(date).timestamp()
        except ValueError:
            return
        offset = seconds - self._monotonic()
        with self._lock:
            # A response more than a minute earlier means that the services' time itself was moved: use it.
            if self._offset is None or offset > self._offset or self._offset - offset > 60:
                self._offset = offset

    def now(self) -> datetime:
        """Return the services' time; before the first response, this machine's."""
        with self._lock:
            offset = self._offset
        return datetime.fromtimestamp(self._wall() if offset is None else self._monotonic() + offset, UTC)

    def skew(self) -> timedelta:
        """Return how far this machine's clock is ahead of the services' (negative: behind)."""
        return datetime.fromtimestamp(self._wall(), UTC) - self.now()

    def monotonic(self) -> float:
        """Return seconds on a clock that never jumps."""
        return self._monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait that many seconds."""
        if seconds > 0:
            self._sleep(seconds)
