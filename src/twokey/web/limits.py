"""How fast a service may be asked: by its documented limits, and by what its answers say."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twokey.waiting import pause

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twokey.ports import Clock

NEXT_TO_NOTHING = 1e-6


@dataclass(frozen=True, slots=True)
class Limit:
    """No more than ``requests`` within any ``seconds``. ``writes_only``: reads do not count."""

    requests: int
    seconds: float
    writes_only: bool = True


class Pace:
    """Hands out the moments at which requests may leave, in the order in which they were asked for; thread-safe.

    While the service wants quiet, time stands still for all turns: those that were handed out before keep their
    distances, and do not all leave at once when it is over.
    """

    def __init__(self, clock: Clock, limits: Iterable[Limit] = ()) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._windows = [(limit, deque[float](maxlen=limit.requests)) for limit in limits]
        self._quiet_until = clock.monotonic()
        self._stood_still = 0.0

    def wait(self, *, write: bool) -> None:
        """Wait for this request's turn. Raises what ends the waiting (see ``twokey.waiting``)."""
        turn = self._reserve(write=write)
        while (left := self._left(turn)) > NEXT_TO_NOTHING:
            pause(self._clock, left)

    def hold(self, seconds: float) -> None:
        """Let nothing leave for so long: the service asked for it."""
        with self._lock:
            now = self._clock.monotonic()
            until = max(self._quiet_until, now + seconds)
            self._stood_still += until - max(self._quiet_until, now)
            self._quiet_until = until

    def _time(self) -> float:
        """Return the time that stands still while it is quiet."""
        return max(self._clock.monotonic(), self._quiet_until) - self._stood_still

    def _left(self, turn: float) -> float:
        with self._lock:
            quiet = self._quiet_until - self._clock.monotonic()
            return max(quiet, 0.0) + max(turn - self._time(), 0.0)

    def _reserve(self, *, write: bool) -> float:
        with self._lock:
            turn = self._time()
            counting = [(limit, sent) for limit, sent in self._windows if write or not limit.writes_only]
            for limit, sent in counting:
                if len(sent) == limit.requests:
                    turn = max(turn, sent[0] + limit.seconds)
            for _, sent in counting:
                sent.append(turn)
            return turn
