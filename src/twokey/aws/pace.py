"""The rate of requests to IAM for one account, learned from its responses.

AWS publishes no rates; each account has a token bucket. Until the first throttling response, requests are not delayed,
because the bucket may be full. From then on, requests are sent one after the other at a learned rate, by this rule:

*Whenever a request is throttled, the bucket is empty. Between two such moments, IAM let through exactly what flowed
into the bucket: that count, divided by the time, is the limit itself.* So a throttling response is not a reason to
halve the rate; it is a measurement. The count is increased by one, because the bucket may contain a part of a token.

* The first throttling response measures nothing, because the level of the bucket before it is not known: the rate is
  then the recent rate of requests that were let through, and doubles each second until the second throttling response.
* A measurement lasts at least a quarter of a second, and each throttling response refines it until it is long enough;
  then the next one begins. If nothing was throttled for long, the bucket may have been full meanwhile, and nothing is
  measured: the rate is lowered a little, and the next throttling response measures.
* Without throttling the rate grows, slowly at first and then faster. Near the limit, a few percent of the requests are
  sent again; a limit that was raised is found within seconds.
* A request that was throttled is sent before those that wait for the first time, so none waits forever.
"""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twokey.core.ports import Clock

MIN_RATE = 1.0
"""The minimum rate, in requests per second."""
FIRST_RATE = 10.0
"""The minimum rate after the first throttling response; the actual rate is measured soon after."""
MIN_MEASUREMENT, LONG_MEASUREMENT = 0.25, 2.0
"""Seconds that a measurement lasts: the minimum, and the time until the next may begin."""
MAX_MEASUREMENT = 8.0
"""Seconds without throttling after which the bucket may have been full, so that a measurement is not possible."""
ENOUGH = 10
"""The number of requests after which a measurement is exact enough for the next one to begin."""
GROWTH = 0.02
"""The share by which the rate grows each second, for each second since the latest throttling response."""
FASTEST_GROWTH_AFTER = 10.0
"""Seconds without throttling after which the growth is constant."""
CATCH_UP = 0.25
"""Seconds of unused turns that later requests may catch up on."""
LONGEST_SLEEP = 1.0
"""Seconds after which a waiting request checks again whether the rate has risen."""

Position = tuple[bool, int]
_NO_POSITION: frozenset[Position] = frozenset()
_NO_THREAD: frozenset[int] = frozenset()
"""Of a thousand accounts, most are never throttled: they share these."""


class Pacer:
    """Delays requests to the learned rate; one for each account, shared by all threads.

    A thread calls ``wait`` before each request, and ``let_through`` or ``throttled`` after its response.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._rate: float | None = None
        self._measured = False
        self._next = 0.0  # when the next request may be sent
        self._since = clock.monotonic()  # when the measurement began
        self._passed = 0  # the requests that it has counted
        self._throttled = 0.0  # when the latest throttling response arrived
        self._numbers = itertools.count()
        self._waiting: frozenset[Position] = _NO_POSITION
        self._retrying: frozenset[int] = _NO_THREAD  # those whose latest request was throttled

    @property
    def rate(self) -> float | None:
        """Return the learned rate in requests per second, or None if nothing was throttled yet."""
        return self._rate

    def wait(self) -> None:
        """Wait for this request's turn."""
        if self._rate is None:
            return
        position = self._queue_up()
        try:
            while (pause := self._pause(position)) > 0:
                self._clock.sleep(min(pause, LONGEST_SLEEP))
        finally:
            with self._lock:
                self._waiting -= {position}

    def let_through(self) -> None:
        """Record a response to a request that was not throttled."""
        with self._lock:
            self._passed += 1
            if self._rate is not None:
                quiet = min(self._clock.monotonic() - self._throttled, FASTEST_GROWTH_AFTER)
                # Once for each request, and the rate is the number of requests in a second.
                self._rate += GROWTH * quiet if self._measured else 1.0

    def throttled(self) -> None:
        """Record a throttling response: the bucket is empty now."""
        with self._lock:
            now = self._clock.monotonic()
            elapsed = now - self._since
            if self._rate is None:
                self._rate = max(FIRST_RATE, self._passed / max(elapsed, 1.0))
                self._begin(now)
            elif now - self._throttled > MAX_MEASUREMENT:
                self._rate = max(MIN_RATE, 0.9 * self._rate)
                self._begin(now)
            elif elapsed >= MIN_MEASUREMENT:
                self._rate = max(MIN_RATE, (self._passed + 1) / elapsed)
                self._measured = True
                if elapsed >= LONG_MEASUREMENT and self._passed >= ENOUGH:
                    self._begin(now)
            self._throttled = now
            self._retrying |= {threading.get_ident()}

    def _begin(self, now: float) -> None:
        self._since, self._passed = now, 0

    def _queue_up(self) -> Position:
        """Take the last position; after a throttled request, the last before all others."""
        with self._lock:
            thread = threading.get_ident()
            position = (thread not in self._retrying, next(self._numbers))
            self._retrying -= {thread}
            self._waiting |= {position}
            return position

    def _pause(self, position: Position) -> float:
        """Return the seconds until the turn of this position; at zero, the turn is taken."""
        with self._lock:
            now, interval = self._clock.monotonic(), 1 / (self._rate or MIN_RATE)
            ahead = sum(other < position for other in self._waiting)
            pause = self._next + ahead * interval - now
            if pause > 0:
                return pause
            self._waiting -= {position}
            self._next = max(self._next, now - CATCH_UP) + interval
            return 0.0
