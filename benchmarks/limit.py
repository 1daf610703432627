"""The share of IAM's request rate that `twokey rotate` uses while AWS throttles; no user may fail because of it.

A token bucket provides its burst, and then ``rate`` requests per second. The figure is the share that twokey used: 1
would be a client that knows the rate in advance and leaves no token unused.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.children import MeasurementFailed, measure, script
from benchmarks.cloud import PATH, Cloud, fill_secrets, names
from benchmarks.figures import Figure, at_least, at_most, share_of_rate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.cloud import RecordedRequest
    from benchmarks.figures import Goal

USERS = 60
RATE = 20
BURST = 40
MANY = 64
LATENCY = 0.04
PROPAGATION = 5.0
"""Seconds until a new key works; 3 to 15 are reported for AWS. Meanwhile, other users are rotated."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run under throttling, from its first request to IAM to its last."""

    let_through: int
    throttled: int
    seconds: float
    wall: float

    @property
    def share(self) -> float:
        """Return the share of the rate that was used after the burst."""
        return share_of_rate(self.let_through, BURST, self.seconds, RATE)


def run(runs: int) -> list[Figure]:
    """Rotate all users, with the default options first; a user that fails ends the benchmark."""
    at_once = [_rotate(0.0) for _ in range(runs)]
    # While keys propagate, IAM is idle unless enough users are in progress. The pace has no influence, so no goal.
    slow, slow_and_many = [_rotate(PROPAGATION)], [_rotate(PROPAGATION, "--concurrency", str(MANY))]
    weather = f"keys work after {PROPAGATION:g} s"
    return [
        _share("share of IAM's rate", at_once, at_least(0.9)),
        _repeated("throttled requests", at_once),
        _share(f"share of IAM's rate, {weather}", slow),
        _share(f"the same with --concurrency {MANY}", slow_and_many),
    ]


def outcome(requests: Sequence[RecordedRequest], wall: float) -> Outcome:
    """Count a run's requests to IAM."""
    if len(requests) < 2:
        raise MeasurementFailed("Expected requests to IAM, and there were none.")
    times = [request.time for request in requests]
    throttled = sum(request.throttled for request in requests)
    return Outcome(len(requests) - throttled, throttled, (max(times) - min(times)).total_seconds(), wall)


def _share(name: str, outcomes: Sequence[Outcome], goal: Goal | None = None) -> Figure:
    middle = sorted(outcomes, key=lambda one: one.share)[len(outcomes) // 2]
    let_through = f"{middle.let_through} requests in {middle.seconds:.1f} s, {BURST} of them the burst"
    return Figure(name, middle.share, f"{RATE} requests a second: {let_through}; {middle.wall:.1f} s wall", goal)


def _repeated(name: str, outcomes: Sequence[Outcome]) -> Figure:
    """The figure for throttled requests, which are sent again later and cost one request each."""
    share = median(one.throttled / one.let_through for one in outcomes)
    return Figure(
        name, share, f"those let through: {outcomes[0].throttled} and {outcomes[0].let_through}", at_most(0.5)
    )


def _rotate(propagation: float, *options: str) -> Outcome:
    with Cloud() as cloud:
        store = fill_secrets(cloud, cloud.make_users(names(USERS)))
        cloud.clear_requests()
        cloud.weather(latency=LATENCY, propagation=propagation, throttle={"iam": {"rate": RATE, "burst": BURST}})
        command = [script("twokey"), "rotate", "--json", "--path", PATH, "--store", store, *options]
        cost = measure(command, cloud.environment)
        requests = cloud.requests("iam")
    if json.loads(cost.output)["summary"]["rotated"] != USERS:
        raise MeasurementFailed(f"Expected {USERS} rotated users: {json.loads(cost.output)['summary']}")
    return outcome(requests, cost.wall)
