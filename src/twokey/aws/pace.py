"""How fast one account's IAM may be asked: learned from its answers, never guessed.

AWS publishes no rates; each account has a token bucket. Until the first throttling answer nothing is held back.
From then on requests leave at a learned rate: a throttling answer lowers it to what has lately been let through,
every success raises it a little. While the rate is a little too low the bucket fills, and what it saves is spent
when the rate is a little too high, so the account's limit is used up without one request failing for good.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twokey.ports import Clock

WINDOW = 1.0
"""Seconds over which successes are counted."""
LEAST = 1.0
"""Requests per second below which the rate never falls."""
REST = 0.2
"""Seconds between two reductions: answers to requests already sent say nothing about the new rate."""
CAUTION = 0.9
GAIN = 0.04
"""By which part of itself the rate grows in a second without throttling."""


class Pacer:
    """Hands out the moments at which requests may leave; one for each account, shared by all threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._rate: float | None = None
        self._next = 0.0
        self._reduced = -REST
        self._let_through: deque[float] = deque()

    @property
    def rate(self) -> float | None:
        """Return the learned rate in requests per second, or None where nothing was throttled yet."""
        return self._rate

    def wait(self) -> None:
        """Wait for this request's turn."""
        with self._lock:
            if self._rate is None:
                return
            now = self._clock.monotonic()
            turn = max(self._next, now)
            self._next = turn + 1 / self._rate
        self._clock.sleep(turn - now)

    def let_through(self) -> None:
        """Note an answer that was not throttled."""
        with self._lock:
            now = self._clock.monotonic()
            self._let_through.append(now)
            self._forget(now)
            if self._rate is not None:
                self._rate += GAIN * self._rate / max(self._rate, 1.0)

    def throttled(self) -> None:
        """Note a throttling answer."""
        with self._lock:
            now = self._clock.monotonic()
            if now - self._reduced < REST:
                return
            self._forget(now)
            lately = max(LEAST, len(self._let_through) / WINDOW)
            self._rate = max(LEAST, lately if self._rate is None else min(self._rate * CAUTION, lately))
            self._reduced = now
            self._next = max(self._next, now + 1 / self._rate)

    def _forget(self, now: float) -> None:
        while self._let_through and now - self._let_through[0] > WINDOW:
            self._let_through.popleft()
