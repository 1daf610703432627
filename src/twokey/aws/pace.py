"""How fast one account's IAM may be asked: learned from its answers, never guessed for longer than a moment.

AWS publishes no rates; each account has a token bucket. Until the first throttling answer nothing is held back, for
the bucket may be full. From then on requests leave one after the other at a learned rate, by this rule:

*Whenever a request is throttled, the bucket is empty. Between two such moments IAM let through exactly what flowed
into the bucket: that count, divided by the time, is the limit itself.* So a throttling answer does not halve
anything; it measures. One more than was counted is taken, because the bucket may hold a part of a token.

* The first throttling answer measures nothing, since nobody knows how full the bucket was: the rate is then what was
  let through lately, and doubles each second until the second throttling answer.
* A measurement lasts for at least a quarter of a second, and is refined by each throttling answer until it is long
  enough; then the next one begins. Where the bucket may have been full in between, because nothing was throttled for
  long, nothing is measured: the rate is lowered a little, and the next answer measures.
* Without throttling the rate grows, slowly at first and ever faster: near the limit this costs a few per cent of
  repeated requests, and a limit that was raised is found within seconds.
* A request that was throttled goes before those that wait: none of them waits for ever.
"""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twokey.core.ports import Clock

LEAST = 1.0
"""Requests per second below which the rate never falls."""
FIRST = 10.0
"""The least rate to go on with after the first throttling answer; it is measured a moment later."""
SHORTEST, LONG = 0.25, 2.0
"""Seconds that a measurement lasts: at least, and until the next may begin."""
LONGEST = 8.0
"""Seconds without throttling after which the bucket may have been full, so that nothing can be measured."""
ENOUGH = 10
"""Requests that make a measurement exact enough for the next one to begin."""
GROWTH = 0.02
"""By which part of itself the rate grows in a second, for each second since the latest throttling answer."""
BRAVEST = 10.0
"""Seconds after which the growth itself grows no more."""
CREDIT = 0.25
"""Seconds' worth of turns that may be made up for, when those whose turn it was came late."""
NAP = 1.0
"""Seconds after which one who waits looks again: the rate may have risen."""

Place = tuple[bool, int]


class Pacer:
    """Hands out the moments at which requests may leave; one for each account, shared by all threads.

    A thread calls ``wait`` before each request, and ``let_through`` or ``throttled`` after its answer.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._rate: float | None = None
        self._measured = False
        self._next = 0.0  # when the next request may leave
        self._since = clock.monotonic()  # when the measurement began
        self._passed = 0  # what it has counted
        self._throttled = 0.0  # when a throttling answer came last
        self._numbers = itertools.count()
        self._waiting: set[Place] = set()
        self._again: set[int] = set()  # threads whose latest request was throttled

    @property
    def rate(self) -> float | None:
        """Return the learned rate in requests per second, or None where nothing was throttled yet."""
        return self._rate

    def wait(self) -> None:
        """Wait for this request's turn."""
        if self._rate is None:
            return
        place = self._queue_up()
        try:
            while (pause := self._pause(place)) > 0:
                self._clock.sleep(min(pause, NAP))
        finally:
            with self._lock:
                self._waiting.discard(place)

    def let_through(self) -> None:
        """Note an answer that was not throttled."""
        with self._lock:
            self._passed += 1
            if self._rate is not None:
                quiet = min(self._clock.monotonic() - self._throttled, BRAVEST)
                # Once for each request, and there are as many in a second as the rate says.
                self._rate += GROWTH * quiet if self._measured else 1.0

    def throttled(self) -> None:
        """Note a throttling answer: the bucket is empty now."""
        with self._lock:
            now = self._clock.monotonic()
            elapsed = now - self._since
            if self._rate is None:
                self._rate = max(FIRST, self._passed / max(elapsed, 1.0))
                self._begin(now)
            elif now - self._throttled > LONGEST:
                self._rate = max(LEAST, 0.9 * self._rate)
                self._begin(now)
            elif elapsed >= SHORTEST:
                self._rate = max(LEAST, (self._passed + 1) / elapsed)
                self._measured = True
                if elapsed >= LONG and self._passed >= ENOUGH:
                    self._begin(now)
            self._throttled = now
            self._again.add(threading.get_ident())

    def _begin(self, now: float) -> None:
        self._since, self._passed = now, 0

    def _queue_up(self) -> Place:
        """Take the last place, or one before all that were not throttled yet."""
        with self._lock:
            thread = threading.get_ident()
            place = (thread not in self._again, next(self._numbers))
            self._again.discard(thread)
            self._waiting.add(place)
            return place

    def _pause(self, place: Place) -> float:
        """Say how long it is until this place's turn; where it has come, take it."""
        with self._lock:
            now, interval = self._clock.monotonic(), 1 / (self._rate or LEAST)
            ahead = sum(other < place for other in self._waiting)
            pause = self._next + ahead * interval - now
            if pause > 0:
                return pause
            self._waiting.discard(place)
            self._next = max(self._next, now - CREDIT) + interval
            return 0.0
