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
    """Hands out the moments at which requests may leave, in the order in which they were asked for; thread-safe."""

    def __init__(self, clock: Clock, limits: Iterable[Limit] = ()) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._windows = [(limit, deque[float](maxlen=limit.requests)) for limit in limits]
        self._not_before = 0.0

    def wait(self, *, write: bool) -> None:
        """Wait for this request's turn. Raises what ends the waiting (see ``twokey.waiting``)."""
        turn = self._reserve(write=write)
        while (left := max(turn, self._not_before) - self._clock.monotonic()) > NEXT_TO_NOTHING:
            pause(self._clock, left)

    def hold(self, seconds: float) -> None:
        """Let nothing leave for so long: the service asked for it."""
        with self._lock:
            self._not_before = max(self._not_before, self._clock.monotonic() + seconds)

    def _reserve(self, *, write: bool) -> float:
        with self._lock:
            turn = self._clock.monotonic()
            counting = [(limit, sent) for limit, sent in self._windows if write or not limit.writes_only]
            for limit, sent in counting:
                if len(sent) == limit.requests:
                    turn = max(turn, sent[0] + limit.seconds)
            for _, sent in counting:
                sent.append(turn)
            return turn
