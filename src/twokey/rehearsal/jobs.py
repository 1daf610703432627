"""The jobs of a rehearsal, worked out from which destination held which key when. Pure; times are seconds.

A job reads its key once, when it starts, and uses it when it starts and when it ends. So a job fails if its key stops
working after it started and before it ends, or does not work when it starts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from twokey.rehearsal.options import JobKind

ALWAYS = math.inf


@dataclass(frozen=True, slots=True)
class Holding:
    """A destination held a key for a time."""

    key: str
    since: float
    until: float = ALWAYS


@dataclass(frozen=True, slots=True)
class Failed:
    """Jobs that had read one key: how many failed, when the first of them started, and when the key ended."""

    key: str
    count: int
    started: float
    ended: float


class Jobs:
    """The jobs of one kind. The first starts after half of their interval, so that none starts at a run's minute."""

    def __init__(self, kind: JobKind) -> None:
        self.kind = kind
        self.length = kind.length.total_seconds()
        self._every = kind.every.total_seconds()
        self._first = self._every / 2

    def started(self, held: Sequence[Holding], end: float) -> int:
        """Return how many started before the end: all that found a key."""
        return sum(self._count(one.since, min(one.until, end)) for one in held)

    def last_use(self, key: str, held: Sequence[Holding], now: float) -> float | None:
        """Return when a job last used a key, by now; None if none did."""
        uses = [use for one in held if one.key == key for use in self._uses(one, now)]
        return max(uses, default=None)

    def failed(self, held: Sequence[Holding], ends: Mapping[str, float], end: float) -> Iterator[Failed]:
        """Yield the jobs that failed before the end, for each key that ended."""
        for one in held:
            ended = ends.get(one.key, ALWAYS)
            if ended > end:
                continue
            # A job that ends at the very second needs the key for that second, too.
            since, until = max(one.since, ended - self.length), min(one.until, end)
            count = self._count(since, until)
            if count:
                yield Failed(one.key, count, self._start(self._index(since)), ended)

    def _uses(self, held: Holding, now: float) -> Iterator[float]:
        until = math.nextafter(now, ALWAYS)
        for latest, later in ((min(held.until, until), 0.0), (min(held.until, until - self.length), self.length)):
            if self._count(held.since, latest):
                yield self._start(self._index(latest) - 1) + later

    def _count(self, since: float, until: float) -> int:
        return max(0, self._index(until) - self._index(since))

    def _index(self, moment: float) -> int:
        """Return which job is the first that does not start before a moment."""
        return max(0, math.ceil((moment - self._first) / self._every))

    def _start(self, index: int) -> float:
        return self._first + index * self._every
