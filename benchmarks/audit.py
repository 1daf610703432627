"""`twokey audit` against a call per user, Cloud Custodian and Prowler, at 40 ms latency and 20 requests per second.

The cost of the others grows with each user, so they run on 250 users, once; twokey runs on the same account, and on one
of 5,000. The requests and the wall time of a call per user are proportional to the number of users: for the comparison
with twokey on 5,000 users, they are multiplied by 20. Nothing else is scaled. Custodian also runs on 5,000 users,
without latency, for its CPU time and memory.

Custodian runs ``POLICIES``, from the credential report, which costs it the least; Prowler its checks of the same
(``CHECKS``). All must find the same users, or nothing is measured. Users that twokey rotates are measured apart
(``managed``): their stores are read.
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks import managed
from benchmarks.children import Cost, MeasurementFailed, cpus, measure, medians, memories, script, walls
from benchmarks.cloud import Cloud
from benchmarks.environments import Environment
from benchmarks.figures import Figure, at_most, ratio_of_medians
from benchmarks.lint import CUSTODIAN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

USERS = 5000
FEW = 250
EACH = 10
"""How many users have each fault."""
LATENCY = 0.04
RATE = 20
BURST = 40
WEATHER: dict[str, object] = {"latency": LATENCY, "throttle": {"iam": {"rate": RATE, "burst": BURST}}}
DAY = 86400.0
PROWLER = Environment("prowler")
POLICIES: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "old": ("TK701", [{"key": "access_keys.last_rotated", "value": 90, "value_type": "age", "op": "greater-than"}]),
    "unused": (
        "TK703",
        [{"key": "access_keys.last_used_date", "value": 45, "value_type": "age", "op": "greater-than"}],
    ),
    "console": ("TK722", [{"key": "password_enabled", "value": True}, {"key": "mfa_active", "value": False}]),
}
"""Custodian's policies: the finding of twokey that says the same, and filters that read the credential report."""
CHECKS = {
    "iam_rotate_access_key_90_days": "TK701",
    "iam_user_accesskey_unused": "TK703",
    "iam_user_mfa_enabled_console_access": "TK722",
}
"""Prowler's checks, and the finding of twokey that says the same."""


def run(runs: int) -> list[Figure]:
    """Measure all. A tool that cannot be installed or run becomes a line of the table."""
    figures = []
    with Cloud() as cloud, tempfile.TemporaryDirectory() as folder:
        _fill(cloud, FEW)
        few = [_twokey(cloud, Path(folder)) for _ in range(runs)]
        calls = _calls_per_user(cloud, Path(folder))
        for name, program in (("Cloud Custodian", _custodian), ("Prowler", _prowler)):
            try:
                cost = program(cloud, Path(folder))
                _same(name, _found(few[0]), json.loads(cost.output))
                figures += _against_tool(name, few, cost)
            except MeasurementFailed as error:
                figures.append(Figure(f"audit of {FEW} users, wall", None, f"{name}: {error}", at_most(1)))
    with Cloud() as cloud, tempfile.TemporaryDirectory() as folder:
        _fill(cloud, USERS)
        many = [_twokey(cloud, Path(folder)) for _ in range(runs)]
        large = _of_many(cloud, Path(folder), many)
    return [*_against_calls(many, calls), *large, *figures, *managed.run(USERS, scaled(calls), WEATHER)]


def scaled(cost: Cost) -> Cost:
    """Return the cost of a call per user for ``USERS``, of which each costs the same requests and the same time."""
    times = USERS // FEW
    return replace(cost, wall=cost.wall * times, requests=cost.requests * times)


def _against_calls(many: Sequence[Cost], calls: Cost) -> list[Figure]:
    theirs = scaled(calls)
    name = f"audit of {USERS:,} users"
    requests = f"a call per user: {theirs.requests:,} requests, of which 1 % is the goal"
    wall = f"a call per user ({theirs.wall:.0f} s, measured on {FEW} users): {medians(many)}"
    return [
        Figure(f"{name}, requests", many[0].requests, requests, at_most(theirs.requests / 100)),
        Figure("the same, wall", ratio_of_medians(walls(many), [theirs.wall]), wall, at_most(0.1)),
    ]


def _of_many(cloud: Cloud, folder: Path, ours: Sequence[Cost]) -> list[Figure]:
    """CPU and memory with ``USERS``, of which Custodian asks about each without latency: neither depends on it."""
    try:
        theirs = [_custodian(cloud, folder, {})]
        _same("Cloud Custodian", _found(ours[0]), json.loads(theirs[0].output))
    except MeasurementFailed as error:
        return [Figure("the same, CPU", None, f"Cloud Custodian: {error}", at_most(1))]
    cpu = f"Cloud Custodian ({median(cpus(theirs)):.1f} s): {median(cpus(ours)):.1f} s"
    return [
        Figure("the same, CPU", ratio_of_medians(cpus(ours), cpus(theirs)), cpu, at_most(1)),
        _memory("Cloud Custodian", ours, theirs),
    ]


def _memory(name: str, ours: Sequence[Cost], theirs: Sequence[Cost]) -> Figure:
    against = f"{name} ({max(memories(theirs)) / 1e6:.0f} MB): {max(memories(ours)) / 1e6:.0f} MB"
    return Figure("the same, memory", ratio_of_medians(memories(ours), memories(theirs)), against, at_most(1))


def _against_tool(name: str, ours: Sequence[Cost], cost: Cost) -> list[Figure]:
    theirs, goal = [cost], at_most(1)
    against = f"{name} ({medians(theirs)}): {medians(ours)}"
    requests = f"{name}: {cost.requests:,} requests"
    return [
        Figure(f"audit of {FEW} users, wall", ratio_of_medians(walls(ours), walls(theirs)), against, goal),
        Figure("the same, CPU", ratio_of_medians(cpus(ours), cpus(theirs)), against, goal),
        _memory(name, ours, theirs),
        Figure("the same, requests", ours[0].requests, requests, at_most(cost.requests)),
    ]


def _twokey(cloud: Cloud, folder: Path) -> Cost:
    return _counted(cloud, [script("twokey"), "audit", "--json"], folder)


def _calls_per_user(cloud: Cloud, folder: Path) -> Cost:
    program = Path(__file__).with_name("calls_per_user.py")
    cost = _counted(cloud, [sys.executable, str(program)], folder)
    if len(json.loads(cost.output)) != 2 * FEW + 1:
        raise MeasurementFailed(f"A call per user found {len(json.loads(cost.output))} keys of {FEW} users.")
    return cost


def _custodian(cloud: Cloud, folder: Path, weather: Mapping[str, object] = WEATHER) -> Cost:
    program = CUSTODIAN.script("custodian")
    policies = [
        {"name": name, "resource": "aws.iam-user", "filters": [{"type": "credential", **one} for one in filters]}
        for name, (_, filters) in POLICIES.items()
    ]
    Path(folder, "policies.json").write_text(json.dumps({"policies": policies}))
    words = ["--cache", f"{folder}/cache", "--output-dir", str(folder), "--region", cloud.aws_variables["AWS_REGION"]]
    cost = _counted(cloud, [program, "run", *words, "policies.json"], folder, weather)
    found = {
        rule: [one["UserName"] for one in json.loads(Path(folder, name, "resources.json").read_text())]
        for name, (rule, _) in POLICIES.items()
    }
    return replace(cost, output=json.dumps(found))


def _prowler(cloud: Cloud, folder: Path) -> Cost:
    program = PROWLER.script("prowler")
    words = ["--no-banner", "--ignore-exit-code-3", "-M", "csv", "-F", "found", "-o", str(folder)]
    # Its default is 3. Many of its requests are throttled, and what it cannot read is missing from its findings.
    words += ["--aws-retries-max-attempts", "10"]
    region = cloud.aws_variables["AWS_REGION"]
    cost = _counted(cloud, [program, "aws", "--checks", *CHECKS, "--region", region, *words], folder)
    found: dict[str, list[str]] = {rule: [] for rule in CHECKS.values()}
    with Path(folder, "found.csv").open(newline="") as file:
        for row in csv.DictReader(file, delimiter=";"):
            if row["STATUS"] == "FAIL":
                found[CHECKS[row["CHECK_ID"]]].append(row["RESOURCE_UID"].rpartition("/")[2])
    return replace(cost, output=json.dumps(found))


def _counted(cloud: Cloud, command: Sequence[str], folder: Path, weather: Mapping[str, object] = WEATHER) -> Cost:
    # Anew for each program, so that it finds the token bucket full.
    cloud.weather(**weather)
    cloud.clear_requests()
    # Custodian and Prowler write into their home.
    cost = measure(command, {**cloud.environment, "HOME": str(folder)}, cwd=folder)
    return replace(cost, requests=len(cloud.requests()))


def _found(ours: Cost) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for one in json.loads(ours.output)["findings"]:
        found.setdefault(one["id"], set()).add(one["user"])
    return found


def _same(name: str, ours: Mapping[str, set[str]], theirs: Mapping[str, Sequence[str]]) -> None:
    """Check that a tool found the users that twokey found; raises ``MeasurementFailed``."""
    for rule, users in theirs.items():
        mine, own = (_made(one) for one in (ours.get(rule, ()), users))
        if mine != own or len(mine) != EACH:
            raise MeasurementFailed(f"{rule}: twokey found {len(mine)} users, {name} {len(own)}; {EACH} are there.")


def _made(users: Iterable[str]) -> set[str]:
    """Return the users that ``_fill`` made; the emulator's administrator is one more."""
    return {user for user in users if user.startswith("machine-")}


def _name(number: int) -> str:
    return f"machine-{number:04d}"


def _fill(cloud: Cloud, count: int) -> None:
    """Make users with two Active keys, of which the first have a fault, and the account's credential report."""
    iam = cloud.client("iam")

    def make(number: int) -> None:
        age, use = {0: (100, 2), 1: (60, 50)}.get(number // EACH, (40, 2))
        old, recent = cloud.make_user(_name(number), [age * DAY, 16 * DAY])
        cloud.set_last_use(old, use * DAY)
        cloud.set_last_use(recent, DAY)
        if number // EACH == 2:
            iam.create_login_profile(UserName=_name(number), Password="A-password-of-a-human-1")

    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(make, range(count)))
    # Made before, so that no program waits for it.
    iam.generate_credential_report()
