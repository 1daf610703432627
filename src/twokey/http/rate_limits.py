"""How fast requests may be sent to a service: by its documented limits, and by its responses."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twokey.core.waiting import pause

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from twokey.core.ports import Clock

NEXT_TO_NOTHING = 1e-6


@dataclass(frozen=True, slots=True)
class Limit:
    """No more than ``requests`` within any ``seconds``. ``writes_only``: reads do not count."""

    requests: int
    seconds: float
    writes_only: bool = True


class Pace:
    """Assigns the times at which requests may be sent, in the order in which they were requested; thread-safe.

    While the service asks to wait, the clock of all assigned times stops: they keep their distances, and the requests
    are not all sent at once afterwards.
    """

    def __init__(self, clock: Clock, limits: Iterable[Limit] = ()) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._windows = [(limit, deque[float](maxlen=limit.requests)) for limit in limits]
        self._quiet_until = clock.monotonic()
        self._stood_still = 0.0
        self._granted = threading.local()

    def wait(self, *, write: bool) -> None:
        """Wait for this request's turn. Raises what ends the waiting (see ``twokey.core.waiting``)."""
        left = getattr(self._granted, "writes", 0)
        if write and left > 0:
            self._granted.writes = left - 1
            self._wait_until(0.0)
        else:
            self._wait_until(self._reserve(write=write))

    @contextmanager
    def together(self, writes: int) -> Iterator[None]:
        """Wait until this many writes may be sent back to back; inside, this thread's writes wait for no limit."""
        self._wait_until(self._reserve(write=True, requests=writes))
        self._granted.writes = writes
        try:
            yield
        finally:
            self._granted.writes = 0

    def _wait_until(self, turn: float) -> None:
        while (left := self._left(turn)) > NEXT_TO_NOTHING:
            pause(self._clock, left)

    def hold(self, seconds: float) -> None:
        """Send nothing for this long, because the service asks for it."""
        with self._lock:
            now = self._clock.monotonic()
            until = max(self._quiet_until, now + seconds)
            self._stood_still += until - max(self._quiet_until, now)
            self._quiet_until = until

    def _time(self) -> float:
        """Return the time on the clock that stops while the service asks to wait."""
        return max(self._clock.monotonic(), self._quiet_until) - self._stood_still

    def _left(self, turn: float) -> float:
        with self._lock:
            quiet = self._quiet_until - self._clock.monotonic()
            return max(quiet, 0.0) + max(turn - self._time(), 0.0)

    def _reserve(self, *, write: bool, requests: int = 1) -> float:
        with self._lock:
            turn = self._time()
            counting = [(limit, sent) for limit, sent in self._windows if write or not limit.writes_only]
            for limit, sent in counting:
                over = len(sent) + min(requests, limit.requests) - limit.requests
                if over > 0:
                    turn = max(turn, sent[over - 1] + limit.seconds)
            for _, sent in counting:
                sent.extend([turn] * requests)
            return turn
