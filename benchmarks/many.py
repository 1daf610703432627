"""200 users: `twokey rotate` and our drop-in against the tool of origin, on the same emulated AWS.

The tool of origin deletes, creates and prints, one user after the other: three requests each. twokey looks when the
key that goes was last used, looks again under a lease, proves the new key and writes it to a store, many users at a
time. It therefore takes less time and more CPU, and the figures show both, with and without a network's latency.
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
"""Seconds for each answer: a European office and an API in us-east-1 are further apart than that."""
LIMIT = ["--max-users", str(USERS)]
ORIGIN = "origin"


def run(runs: int) -> list[Figure]:
    """Measure all four with and without latency."""
    try:
        theirs = origin.command()
    except MeasurementFailed as error:
        return [Figure(f"{USERS} users", None, f"origin, which could not be installed: {error}", at_most(1))]
    figures = []
    for latency in (LATENCY, 0.0):
        contenders: dict[str, Callable[[], Cost]] = {
            ORIGIN: partial(_by_path, theirs, latency),
            "drop-in": partial(_by_path, [script("iam-credential-rotation"), *LIMIT], latency),
            "file:": partial(_rotate, latency, secrets=False),
            "secretsmanager:": partial(_rotate, latency, secrets=True),
        }
        # Without latency what is left of twokey's time is the pause between two proofs of a key, which no network has.
        goal = at_most(1) if latency else None
        figures += _compare(contenders, runs, f"{latency * 1000:.0f} ms", goal)
    return figures


def _compare(contenders: dict[str, Callable[[], Cost]], runs: int, weather: str, goal: Goal | None) -> list[Figure]:
    costs = dict(zip(contenders, alternate(runs, *contenders.values()), strict=True))
    base = costs.pop(ORIGIN)
    return [figure for name, mine in costs.items() for figure in _figures(f"{name}, {weather}", mine, base, goal)]


def _figures(name: str, mine: Sequence[Cost], base: Sequence[Cost], goal: Goal | None) -> list[Figure]:
    against = f"origin ({medians(base)}): {medians(mine)}"
    requests = f"origin ({base[0].requests} requests): {mine[0].requests} requests"
    each, theirs = ([cost.cpu / cost.requests for cost in costs] for costs in (mine, base))
    return [
        Figure(f"{name}, wall", ratio_of_medians(walls(mine), walls(base)), against, goal),
        Figure(f"{name}, CPU", ratio_of_medians(cpus(mine), cpus(base)), against),
        Figure(f"{name}, CPU per request", ratio_of_medians(each, theirs), requests, at_most(1.5) if goal else None),
    ]


def _by_path(command: Sequence[str], latency: float) -> Cost:
    """Rotate as the tool of origin does; check that it printed every user's new pair."""
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
    cloud.forget_requests()
    cost = measure(command, cloud.environment)
    return replace(cost, requests=len(cloud.requests()))


@contextmanager
def _prepared() -> Iterator[tuple[Cloud, Path, dict[str, dict[str, str]]]]:
    """A fresh AWS with the users in it, what their store holds, and a folder that goes afterwards."""
    with tempfile.TemporaryDirectory() as folder, Cloud() as cloud:
        yield cloud, Path(folder), cloud.make_users(names(USERS))
