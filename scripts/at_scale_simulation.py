"""Simulates the chunks of an account, request by request, with the assumptions of ``at_scale.py``.

A chunk's users run as ``twokey.fleet.pool`` runs them: some at a time, each from one request to the next. IAM lets
requests through at its rate, in their order; the function has one processor, or a part of it. Requests take different
times, and some fail and are sent again. A created key works after some seconds, and is asked about until it does.
Chunks do not depend on each other, so an account is a sum of chunks, and the accounts are drawn from them.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from scripts.at_scale import Assumptions

SERVICES = (
    *("iam", "secretsmanager", "secretsmanager", "iam", "secretsmanager", "secretsmanager"),
    *("iam", "secretsmanager", "iam", "secretsmanager", "secretsmanager", "iam", "sts", "sts", "sts"),
    *("secretsmanager", "secretsmanager", "secretsmanager", "secretsmanager", "secretsmanager"),
)
"""What a rotation calls, in this order, as the benchmark ``lambda-chunk`` counts it; a test compares."""
STEPS = [(service, len(list(run))) for service, run in groupby(SERVICES)]
CREATION = max(at for at, (service, _) in enumerate(STEPS) if service == "iam")
USERS = 4000
"""Users that are simulated, at least."""
SEED = 1


class Progress(NamedTuple):
    """How far a user is: its next step, and in the proof when its key works, and how often it has in a row."""

    step: int = 0
    works: float = 0.0
    in_a_row: int = 0


@dataclass(frozen=True)
class Chunk:
    """What became of a chunk: its seconds, those of its functions among them, and the users that failed.

    No response told whether their key was created, so the next execution finishes their rotation.
    """

    seconds: float
    billed: float
    invocations: int
    failed: int
    iam_requests: int


@dataclass(frozen=True)
class Simulated:
    """All accounts, drawn from the chunks that were simulated."""

    account_p50: float
    account_p99: float
    everything: float
    invocations: int
    billed: float
    failed: int
    iam_requests: float


@cache
def simulate(given: Assumptions) -> Simulated:
    """Simulate chunks, and draw the accounts from them: each runs its chunks one after the other."""
    chance = random.Random(SEED)
    size = min(given.users_per_chunk, given.users)
    full, rest = divmod(given.users, size)
    chunks = [_Chunk(given, chance).run(size) for _ in range(-(-USERS // size))]
    lasts = [_Chunk(given, chance).run(rest) for _ in range(-(-USERS // size))] if rest else []
    accounts = [
        [*chance.choices(chunks, k=full), *(chance.choices(lasts, k=1) if rest else ())] for _ in range(given.accounts)
    ]
    first = given.start_seconds - given.warm_seconds  # only an account's first invocation begins in a new environment
    times = sorted(first + sum(chunk.seconds for chunk in account) for account in accounts)
    idle_from = [0.0] * min(given.accounts_at_a_time, given.accounts)
    for seconds in chance.sample(times, len(times)):
        heapq.heapreplace(idle_from, idle_from[0] + seconds)
    whole = [chunk for account in accounts for chunk in account]
    return Simulated(
        times[len(times) // 2],
        times[99 * len(times) // 100],
        max(idle_from),
        sum(chunk.invocations for chunk in whole),
        sum(chunk.billed for chunk in whole) + first * given.accounts,
        sum(chunk.failed for chunk in whole),
        sum(chunk.iam_requests for chunk in whole) / given.accounts / given.users,
    )


class _Chunk:
    """The functions of one chunk, in the seconds since the first was called."""

    def __init__(self, given: Assumptions, chance: random.Random) -> None:
        self._given, self._chance = given, chance
        self._each = given.cpu_seconds / len(SERVICES) / min(1.0, given.memory_gb / 1.769)
        self._now = self._iam_free = self._processor_free = 0.0
        self._failed = self._iam_requests = 0

    def run(self, size: int) -> Chunk:
        """Run the functions until no user is left."""
        left, billed, invocations = size, 0.0, 0
        while left:
            began = self._now
            self._now += self._given.warm_seconds
            self._iam_requests += -(-self._given.users // self._given.users_per_page)
            left -= self._invocation(left, began + self._given.deadline - self._given.last_begin)
            billed += self._now - began
            self._now += self._given.between_seconds
            invocations += 1
        return Chunk(self._now, billed, invocations, self._failed, self._iam_requests)

    def _invocation(self, waiting: int, last_begin: float) -> int:
        """Rotate users until none is left, or none may begin any more; return how many ended."""
        ended, begun = 0, min(self._given.concurrency, waiting)
        events = [(self._now, user, Progress()) for user in range(begun)]
        while events:
            now, user, progress = heapq.heappop(events)
            then, progress = self._after(now, progress)
            if progress.step < len(STEPS):
                heapq.heappush(events, (then, user, progress))
                continue
            ended += 1
            self._now = max(self._now, then)
            if begun < waiting and then < last_begin:
                heapq.heappush(events, (then, begun, Progress()))
                begun += 1
        return ended

    def _after(self, now: float, progress: Progress) -> tuple[float, Progress]:
        """Send the next requests of a user; return when they end, and how far the user is then."""
        service, requests = STEPS[progress.step]
        if service == "sts":
            return self._asked(now, progress, requests)
        now = self._processed(now, requests)
        following = Progress(progress.step + 1)
        if service != "iam":
            for _ in range(requests):
                now += self._latency(self._given.store_latency)
                while self._fails():
                    now += self._pause() + self._latency(self._given.store_latency)
            return now, following
        self._iam_free = max(self._iam_free, now) + 1 / self._given.iam_rate
        self._iam_requests += 1
        then = self._iam_free + self._latency(self._given.iam_latency)
        if not self._fails():
            return then, following
        if progress.step == CREATION:
            self._failed += 1
            return then, Progress(len(STEPS))
        return then + self._pause(), progress

    def _asked(self, now: float, progress: Progress, successes: int) -> tuple[float, Progress]:
        """Ask once whether the created key works."""
        works = progress.works or now + self._chance.uniform(self._given.works_from, self._given.works_to)
        then = self._processed(now, 1) + self._latency(self._given.store_latency)
        in_a_row = progress.in_a_row + 1 if then >= works and not self._fails() else 0
        if in_a_row == successes:
            return then, Progress(progress.step + 1)
        return then + self._given.verify_interval, Progress(progress.step, works, in_a_row)

    def _processed(self, now: float, requests: int) -> float:
        """Return when the processor has done what these requests take of it."""
        self._processor_free = max(self._processor_free, now) + requests * self._each
        return self._processor_free

    def _latency(self, median: float) -> float:
        return median * self._chance.lognormvariate(0, 0.5)

    def _fails(self) -> bool:
        return self._chance.random() < self._given.faults

    def _pause(self) -> float:
        return self._chance.uniform(0.05, 0.1)
