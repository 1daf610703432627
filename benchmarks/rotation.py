"""What one rotation costs the rotating process: CPU time, in calls of botocore alone, and requests by operation.

200 users in the usual state: two keys, a journal, LAST with its grace over. A call of botocore alone is the unit: it
stays what it is when a rotation sends fewer requests. Both times are those of whole processes, with their start.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.children import Cost, MeasurementFailed, alternate, cpus, measure, script
from benchmarks.cloud import PATH, Cloud
from benchmarks.environments import ROOT
from benchmarks.figures import Figure, at_most, per, ratio_of_medians
from benchmarks.managed import STORES, fill

if TYPE_CHECKING:
    from collections.abc import Callable

USERS = 200
CALLS = 2000
GOALS = {"Parameter Store": (22.0, 22.1), "Secrets Manager": (22.5, 20.1)}
"""Of CPU and requests: 0.7 of what a rotation costs whose 24 requests are botocore's own, and what all users share."""
DAYS = 16
"""Since the latest rotation: more than the period of the default window."""


def run(runs: int) -> list[Figure]:
    """Measure each kind of store and the bare calls alternately; count the requests of the last run."""
    requests: dict[str, Counter[str]] = {}
    programs: list[Callable[[], Cost]] = [partial(_rotate, name, requests) for name in STORES]
    bare, *ours = alternate(runs, _bare, *programs)
    unit = [per(cpu, CALLS) for cpu in cpus(bare)]
    figures = []
    for name, costs in zip(STORES, ours, strict=True):
        each = [per(cpu, USERS) for cpu in cpus(costs)]
        against = f"a call of botocore alone: {median(unit) * 1000:.2f} ms; here {median(each) * 1000:.1f} ms"
        counted, (most_cpu, most_requests) = requests[name], GOALS[name]
        figures += [
            Figure(f"CPU per rotation, {name}", ratio_of_medians(each, unit), against, at_most(most_cpu)),
            Figure(
                f"requests per rotation, {name}", per(counted.total(), USERS), _listed(counted), at_most(most_requests)
            ),
        ]
    return figures


def _bare() -> Cost:
    with Cloud() as cloud:
        return measure([sys.executable, "-m", "benchmarks.bare_calls", str(CALLS)], cloud.environment, ROOT)


def _rotate(name: str, requests: dict[str, Counter[str]]) -> Cost:
    limit = ["--max-users", str(USERS)]
    with Cloud() as cloud:
        fill(cloud, name, USERS, DAYS)
        cloud.clear_requests()
        cost = measure(
            [script("twokey"), "rotate", "--json", "--path", PATH, "--store", STORES[name][0], *limit],
            cloud.environment,
        )
        requests[name] = Counter(request.name for request in cloud.requests())
    summary = json.loads(cost.output)["summary"]
    if summary["rotated"] != USERS:
        raise MeasurementFailed(f"twokey did not rotate {USERS} users: {summary}")
    return cost


def _listed(counted: Counter[str]) -> str:
    """Return the requests of one rotation by operation, without those that all users share."""
    own = {name: round(count / USERS) for name, count in counted.items() if count >= USERS}
    return ", ".join(f"{count} {name.partition(':')[2]}" for name, count in own.items())
