"""The cost of an additional account: 1,000 accounts observed through one set of clients, or one account 1,000 times.

Each measurement is a process of its own (``observing.py``), so that it starts with fresh memory. The naive way,
separate clients for each account, is measured for 20 accounts.
"""

from __future__ import annotations

import json
import subprocess
import sys
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.children import MeasurementFailed
from benchmarks.cloud import Cloud
from benchmarks.environments import ROOT
from benchmarks.figures import Figure, at_least, at_most, per, ratio_of_medians

if TYPE_CHECKING:
    from collections.abc import Sequence

ACCOUNTS = 1000
NAIVE = 20
USER = "administrator"
"""The user that the emulator creates in each account; observing it reads its keys and its (empty) store."""


def run(runs: int) -> list[Figure]:
    """Measure one account, many, and the naive way, alternately; then what Python itself allocates for each account."""
    with Cloud() as cloud:
        keys = [{"account": account, **cloud.credentials(account)} for account in _accounts(ACCOUNTS)]
        one, many, naive = [], [], []
        for _ in range(runs):
            one.append(_observe(cloud, "shared", keys[:1] * ACCOUNTS))
            many.append(_observe(cloud, "shared", keys))
            naive.append(_observe(cloud, "naive", keys[:NAIVE]))
        traced = _observe(cloud, "traced", keys)
    return _figures(one, many, naive, traced)


def _figures(
    one: Sequence[dict[str, float]],
    many: Sequence[dict[str, float]],
    naive: Sequence[dict[str, float]],
    traced: dict[str, float],
) -> list[Figure]:
    ours, alone = [_cpu(run) for run in many], [_cpu(run) for run in one]
    theirs = [_cpu(run) for run in naive]
    own_clients = median(per(_grown(run), int(run["count"])) for run in naive)
    with_one, with_all = [run["rss_first"] for run in many], [run["rss_last"] for run in many]
    return [
        Figure(
            f"CPU per account, {ACCOUNTS:,} accounts",
            ratio_of_medians(ours, alone),
            f"one account {ACCOUNTS:,} times: {median(alone) * 1000:.2f} ms each; here {median(ours) * 1000:.2f} ms",
            at_most(1.2),
        ),
        Figure(
            f"memory (RSS) with {ACCOUNTS:,} accounts",
            ratio_of_medians(with_all, with_one),
            f"with one account: {median(with_one) / 1e6:.1f} MB; here {median(with_all) / 1e6:.1f} MB",
            at_most(1.1),
        ),
        _memory_figure("RSS", median(_grown(run) for run in many), own_clients),
        _memory_figure("as Python counts it", traced["traced"], own_clients),
        Figure(
            "CPU per account, if each had its own clients",
            ratio_of_medians(theirs, ours),
            f"shared clients; {NAIVE} accounts take {median(theirs) * 1000:.0f} ms each, "
            f"{ACCOUNTS:,} would take {median(theirs) * ACCOUNTS:.0f} s and {own_clients * ACCOUNTS / 1e9:.1f} GB",
            at_least(10),
        ),
    ]


def _memory_figure(measure: str, grown: float, own_clients: float) -> Figure:
    return Figure(
        f"memory of {ACCOUNTS:,} more accounts, {measure}",
        grown / own_clients,
        f"one account with its own clients: {own_clients / 1e6:.1f} MB; here {grown / 1e6:.2f} MB",
        at_most(0.5),
    )


def _cpu(run: dict[str, float]) -> float:
    return per(run["cpu"], int(run["count"]))


def _grown(run: dict[str, float]) -> float:
    return run["rss_last"] - run["rss_first"]


def _observe(cloud: Cloud, mode: str, keys: Sequence[dict[str, str]]) -> dict[str, float]:
    """Run the observer on these accounts; it reads the keys from stdin."""
    order = json.dumps({"mode": mode, "user": USER, "accounts": keys})
    command = [sys.executable, "-m", "benchmarks.observing"]
    child = subprocess.run(
        command, input=order, capture_output=True, text=True, env=cloud.environment, cwd=ROOT, check=False
    )
    if child.returncode != 0:
        raise MeasurementFailed(f"benchmarks.observing ended with {child.returncode}: {child.stderr.strip()[-600:]}")
    measured: Any = json.loads(child.stdout)
    return dict(measured)


def _accounts(count: int) -> list[str]:
    return [f"{200_000_000_000 + number}" for number in range(count)]
