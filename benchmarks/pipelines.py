"""The time for 300 pipelines against the time that GitHub's documented limits allow, and how long a pair is torn.

GitHub counts by the minute and by the hour, so the pauses are simulated: the engine, the store, the sealed boxes and
every request are real, and the fake counts its limits on the same clock, including the pauses. The allowed time is that
of a client which knows the limits in advance and sends each write at the first moment that they allow.
"""

from __future__ import annotations

import os
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.children import MeasurementFailed
from benchmarks.figures import Figure, at_most

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from twokey.emulator import Emulator
    from twokey.rotation.results import Result

PIPELINES = 300
WRITES = 2
USER = "deploy"
STORE = "secretsmanager:machine-users/deploy"
MINUTE, HOUR = (80, 60.0), (500, 3600.0)


@dataclass(frozen=True, slots=True)
class Delivered:
    """One rotation with all its deliveries: seconds with pauses, seconds of work, and how long each pair was torn."""

    seconds: float
    work: float
    torn: tuple[float, ...]


def run(runs: int) -> list[Figure]:
    """Rotate one user with all its pipelines; a pipeline that fails ends the benchmark."""
    rotations = [_rotate() for _ in range(runs)]
    middle = sorted(rotations, key=lambda one: one.seconds)[len(rotations) // 2]
    allowed = limit_time(PIPELINES * WRITES)
    torn = sorted(middle.torn)
    return [
        Figure(
            "300 GitHub pipelines",
            middle.seconds / allowed,
            f"the {allowed:.0f} s that 80 writes a minute and 500 an hour allow: {middle.seconds:.0f} s, none failed",
            at_most(1.05),
        ),
        Figure(
            "a torn pair",
            median(torn) / (middle.work / PIPELINES),
            f"the work for one pipeline ({1000 * middle.work / PIPELINES:.1f} ms): "
            f"{1000 * median(torn):.1f} ms between the two writes, {1000 * torn[-1]:.1f} ms at most",
        ),
    ]


def limit_time(writes: int, limits: Sequence[tuple[int, float]] = (MINUTE, HOUR)) -> float:
    """Return the seconds from the first to the last of these writes, each at the first moment that is allowed."""
    windows = [(requests, seconds, deque[float](maxlen=requests)) for requests, seconds in limits]
    now = 0.0
    for _ in range(writes):
        for requests, seconds, sent in windows:
            if len(sent) == requests:
                now = max(now, sent[0] + seconds)
        for *_, sent in windows:
            sent.append(now)
    return now


def _rotate() -> Delivered:
    from twokey.emulator import Emulator
    from twokey.testing.contract import Hurried
    from twokey.testing.fakes.github import GitHub

    class TimedGitHub(GitHub):
        """Records when each write took effect, on the clock that includes the pauses."""

        def _write(self, *arguments: Any) -> Any:
            reply = super()._write(*arguments)
            wrote.append(hurried.monotonic())
            return reply

    hurried = Hurried()
    wrote: list[float] = []
    with TimedGitHub(hurried.monotonic) as github, Emulator() as aws, _environment(aws, github.token):
        github.documented_limits()
        for number in range(PIPELINES):
            github.add_repository(f"acme/site-{number}")
        aws.make_user(USER, path="/ci/", keys=0)
        began = time.perf_counter()
        result = _rotated(hurried, github.url)
        work = time.perf_counter() - began
    failed = [one for one in result.destinations if one.outcome != "delivered"]
    if result.outcome != "rotated" or failed or len(wrote) != WRITES * PIPELINES:
        raise MeasurementFailed(f"{result.outcome}: {result.message} {failed[:1]}")
    pairs = zip(wrote[::2], wrote[1::2], strict=True)
    return Delivered(wrote[-1] - wrote[0], work, tuple(second - first for first, second in pairs))


def _rotated(hurried: Any, url: str) -> Result:
    from twokey.aws.clients import Clients
    from twokey.aws.clock import ServiceClock
    from twokey.aws.iam import Iam
    from twokey.aws.sts import Sts
    from twokey.destinations import registry
    from twokey.destinations.connections import Configured, Connections
    from twokey.destinations.logins.github import Settings
    from twokey.destinations.sources import Source
    from twokey.planning.policy import RotationPolicy
    from twokey.rotation.rotate import rotate
    from twokey.rotation.world import World

    clients = Clients("benchmark", clock=ServiceClock(sleep=hurried.sleep, monotonic=hurried.monotonic))
    settings = Settings(token=Source(env="BENCHMARK_TOKEN"), url=url)
    services = registry.Services(clients, Connections({"github": Configured("github", settings, "")}))
    iam = Iam(clients)
    destinations = [registry.open_destination(f"github:acme/site-{number}", services) for number in range(PIPELINES)]
    world = World(
        iam=iam,
        sts=Sts(clients),
        clock=clients.clock,
        store=registry.open_store(STORE, services),
        destinations=destinations,
    )
    return rotate(iam.user(USER), RotationPolicy(), world)


@contextmanager
def _environment(aws: Emulator, token: str) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update({**aws.environment(), "BENCHMARK_TOKEN": token})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
