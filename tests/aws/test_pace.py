"""The pace of requests to IAM, against a simulated token bucket, in virtual time."""

from __future__ import annotations

import heapq
import itertools
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from twokey.aws.pace import Pacer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class VirtualTime:
    """Time that moves only while every thread sleeps; one thread runs at a time, so each run is the same."""

    def __init__(self) -> None:
        self._now = 0.0
        self._sleepers: list[tuple[float, int, threading.Event]] = []
        self._order = itertools.count()
        self._lock = threading.Lock()
        self._awake = 0

    def now(self) -> datetime:
        return datetime(2026, 11, 20, tzinfo=UTC) + timedelta(seconds=self._now)

    def skew(self) -> timedelta:
        return timedelta(0)

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        woken = threading.Event()
        with self._lock:
            heapq.heappush(self._sleepers, (self._now + max(0.0, seconds), next(self._order), woken))
            self._rest()
        assert woken.wait(60), "this thread is never woken: a deadlock"

    def run(self, work: Callable[[], None], workers: int) -> None:
        """Run ``work`` in so many threads to its end."""
        self._awake = workers
        threads = [threading.Thread(target=self._one, args=(work,), daemon=True) for _ in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()

    def _one(self, work: Callable[[], None]) -> None:
        self.sleep(0)
        try:
            work()
        finally:
            with self._lock:
                self._rest()

    def _rest(self) -> None:
        self._awake -= 1
        if self._awake == 0 and self._sleepers:
            self._now, _, woken = heapq.heappop(self._sleepers)
            self._awake = 1
            woken.set()


@dataclass
class Bucket:
    """AWS's side: a token bucket whose rate changes at given times."""

    time: VirtualTime
    rate: float
    burst: float
    changes: list[tuple[float, float]] = field(default_factory=list)
    tokens: float = 0.0
    filled: float = 0.0

    def __post_init__(self) -> None:
        self.tokens = self.burst

    def take(self) -> bool:
        now = self.time.monotonic()
        while self.changes and now >= self.changes[0][0]:
            at, rate = self.changes.pop(0)
            self._fill(at)
            self.rate = rate
        self._fill(now)
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    def _fill(self, now: float) -> None:
        self.tokens = min(self.burst, self.tokens + max(0.0, now - self.filled) * self.rate)
        self.filled = max(now, self.filled)


@dataclass
class Run:
    """What happened: the moments at which requests were let through and refused, and how long each one took."""

    passed: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    took: list[float] = field(default_factory=list)

    def rate(self, begin: float, end: float) -> float:
        return sum(begin <= at < end for at in self.passed) / (end - begin)


def simulate(
    *,
    rate: float,
    burst: float,
    workers: int,
    requests: int,
    latency: float = 0.04,
    changes: Sequence[tuple[float, float]] = (),
) -> Run:
    time = VirtualTime()
    bucket, pacer, run = Bucket(time, rate, burst, list(changes)), Pacer(time), Run()
    left = iter(range(requests))

    def work() -> None:
        while next(left, None) is not None:
            start = time.monotonic()
            while not attempt():
                pass
            run.took.append(time.monotonic() - start)

    def attempt() -> bool:
        pacer.wait()
        admitted, at = bucket.take(), time.monotonic()
        (run.passed if admitted else run.refused).append(at)
        # AWS throttles faster than it serves.
        time.sleep(latency if admitted else latency / 4)
        (pacer.let_through if admitted else pacer.throttled)()
        return admitted

    time.run(work, workers)
    return run


@pytest.mark.parametrize("rate", [5, 20, 100])
@pytest.mark.parametrize("workers", [1, 4, 16, 64])
@pytest.mark.parametrize("burst", [1, 2, 10])
def test_uses_at_least_nine_tenths_of_a_limit_that_it_does_not_know(rate: int, workers: int, burst: int) -> None:
    latency = min(0.04, 0.5 * workers / rate)
    requests = rate * burst + 12 * rate

    run = simulate(rate=rate, burst=rate * burst, workers=workers, requests=requests, latency=latency)

    assert len(run.passed) == requests
    assert (requests - rate * burst) / max(run.passed) >= 0.9 * rate


@pytest.mark.parametrize("rate", [5, 20, 100])
def test_learns_with_few_refused_requests(rate: int) -> None:
    run = simulate(rate=rate, burst=2 * rate, workers=16, requests=42 * rate)

    after_learning = [at for at in run.refused if at > 5]
    assert len(after_learning) <= 0.12 * len(run.passed)
    assert len(run.refused) <= 0.3 * len(run.passed)


@pytest.mark.parametrize(("before", "after"), [(20, 60), (5, 50), (20, 200)])
def test_finds_a_limit_that_was_raised(before: int, after: int) -> None:
    run = simulate(
        rate=before, burst=before, workers=64, requests=21 * before + 20 * after, changes=[(20.0, float(after))]
    )

    assert run.rate(34, 40) >= 0.9 * after


@pytest.mark.parametrize(("before", "after"), [(60, 20), (50, 5)])
def test_obeys_a_limit_that_was_lowered(before: int, after: int) -> None:
    run = simulate(
        rate=before, burst=before, workers=16, requests=21 * before + 20 * after, changes=[(20.0, float(after))]
    )

    assert run.rate(25, 35) >= 0.9 * after
    assert len([at for at in run.refused if at >= 25]) <= 0.3 * 15 * after


@pytest.mark.parametrize(("rate", "workers"), [(5, 16), (20, 64), (5, 64), (1, 16)])
def test_lets_no_request_wait_forever(rate: int, workers: int) -> None:
    """Requests are sent in turn: the wait is limited by the queue, and the queue by the number of workers."""
    run = simulate(rate=rate, burst=2 * rate, workers=workers, requests=2 * rate + 40 * rate)

    assert max(run.took) <= 1.2 * workers / rate + 2


def test_holds_nothing_back_before_the_first_throttling() -> None:
    run = simulate(rate=1, burst=1000, workers=16, requests=500)

    assert max(run.passed) < 500 * 0.04 / 16 + 0.1
    assert not run.refused


def test_continues_at_the_minimum_rate_where_nothing_passes_for_a_while() -> None:
    run = simulate(rate=0, burst=5, workers=4, requests=20, changes=[(60.0, 20.0)])

    assert len(run.passed) == 20
    assert len(run.refused) <= 90, "about one request a second while nothing passes"
    assert max(run.passed) < 75


def test_returns_the_rate_that_it_has_learned() -> None:
    time = VirtualTime()
    pacer = Pacer(time)
    assert pacer.rate is None

    pacer.throttled()

    assert pacer.rate == 10.0
