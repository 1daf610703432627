"""200 users: `twokey rotate` and the drop-in against the original tool, on the same emulated AWS.

The original tool deletes, creates and prints, one user after the other: three requests for each. twokey checks the last
use of the key that it removes, observes again under a lease, proves the new key and writes it to a store, for many
users at a time. It therefore takes less time and more CPU; the figures show both, with and without network latency.
"""

from __future__ import annotations

import json
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import origin
from benchmarks.children import Cost, MeasurementFailed, alternate, cpus, measure, medians, script, walls
from benchmarks.cloud import PATH, Cloud, fill_files, fill_secrets, names
from benchmarks.figures import Figure, at_most, ratio_of_medians

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.figures import Goal

USERS = 200
LATENCY = 0.04
"""Seconds for each response. The latency between Europe and an API in us-east-1 is greater."""
LIMIT = ["--max-users", str(USERS)]
ORIGIN = "origin"


def run(runs: int) -> list[Figure]:
    """Measure all four with and without latency."""
    try:
        theirs = origin.command()
    except MeasurementFailed as error:
        return [Figure(f"{USERS} users", None, f"the original tool, which could not be installed: {error}", at_most(1))]
    figures = []
    for latency in (LATENCY, 0.0):
        programs: dict[str, Callable[[], Cost]] = {
            ORIGIN: partial(_by_path, theirs, latency),
            "drop-in": partial(_by_path, [script("iam-credential-rotation"), *LIMIT], latency),
            "file:": partial(_rotate, latency, secrets=False),
            "secretsmanager:": partial(_rotate, latency, secrets=True),
        }
        # Without latency, which no network has, most of twokey's time is the pause between two proofs of a key.
        goal = at_most(1) if latency else None
        figures += _compare(programs, runs, f"{latency * 1000:.0f} ms", goal)
    return figures


def _compare(programs: dict[str, Callable[[], Cost]], runs: int, weather: str, goal: Goal | None) -> list[Figure]:
    costs = dict(zip(programs, alternate(runs, *programs.values()), strict=True))
    base = costs.pop(ORIGIN)
    return [figure for name, ours in costs.items() for figure in _figures(f"{name}, {weather}", ours, base, goal)]


def _figures(name: str, ours: Sequence[Cost], base: Sequence[Cost], goal: Goal | None) -> list[Figure]:
    against = f"origin ({medians(base)}): {medians(ours)}"
    requests = f"origin ({base[0].requests} requests): {ours[0].requests} requests"
    each, theirs = ([cost.cpu / cost.requests for cost in costs] for costs in (ours, base))
    return [
        Figure(f"{name}, wall", ratio_of_medians(walls(ours), walls(base)), against, goal),
        Figure(f"{name}, CPU", ratio_of_medians(cpus(ours), cpus(base)), against),
        Figure(f"{name}, CPU per request", ratio_of_medians(each, theirs), requests, at_most(1.5) if goal else None),
    ]


def _by_path(command: Sequence[str], latency: float) -> Cost:
    """Rotate as the original tool does; check that it printed the new pair of every user."""
    with _prepared() as (cloud, _, _held):
        cloud.weather(latency=latency)
        cost = _counted(cloud, [*command, PATH.strip("/")])
    if len(json.loads(cost.output)) != USERS:
        raise MeasurementFailed(f"{Path(command[0]).name} did not rotate {USERS} users.")
    return cost


def _rotate(latency: float, *, secrets: bool) -> Cost:
    with _prepared() as (cloud, folder, held):
        store = fill_secrets(cloud, held) if secrets else fill_files(folder / "store", held)
        cloud.weather(latency=latency)
        cost = _counted(cloud, [script("twokey"), "rotate", "--json", "--path", PATH, "--store", store, *LIMIT])
    if json.loads(cost.output)["summary"]["rotated"] != USERS:
        raise MeasurementFailed(f"twokey did not rotate {USERS} users: {json.loads(cost.output)['summary']}")
    return cost


def _counted(cloud: Cloud, command: Sequence[str]) -> Cost:
    cloud.clear_requests()
    cost = measure(command, cloud.environment)
    return replace(cost, requests=len(cloud.requests()))


@contextmanager
def _prepared() -> Iterator[tuple[Cloud, Path, dict[str, dict[str, str]]]]:
    """A fresh AWS with the users, what their store holds, and a temporary folder."""
    with tempfile.TemporaryDirectory() as folder, Cloud() as cloud:
        yield cloud, Path(folder), cloud.make_users(names(USERS))
