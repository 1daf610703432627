"""Many accounts in one run of `twokey rotate`: memory, and the share of the request rates of all accounts together.

For memory, nothing is due, so each user costs one request and the emulator is no limit; what a run keeps of a user is
the same. For the rates, each account's IAM throttles by a token bucket of its own, and all users are rotated: a run
that worked on one account after the other could use one bucket at a time. One process uses one core: how many requests
its CPU time allows is measured without a limit.
"""

from __future__ import annotations

import json
import tempfile
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.children import Cost, MeasurementFailed, measure, script
from benchmarks.cloud import PATH, Cloud, fill_files, names
from benchmarks.figures import Figure, at_least, at_most, share_of_rate
from benchmarks.limit import RATE as ONE_ACCOUNT
from benchmarks.limit import outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNTS, USERS = 1000, 20
SPREAD = 50
DAY = 86_400.0
LIMITED, LIMITED_USERS = 8, 6
RATE, BURST = 3, 6
"""Of each account: all of them together allow as many requests a second as this machine can send easily."""
ROLE = "TwokeyMember"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
}
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def run(runs: int) -> list[Figure]:
    """Measure memory once, as it hardly varies, and the rates ``runs`` times."""
    return [_memory(), _spread(), _share(runs), _cpu()]


def _memory() -> Figure:
    with _fleet(ACCOUNTS, USERS, due=False) as (cloud, folder):
        _configure(folder, 1)
        one = _rotate(cloud, folder, "not_due", USERS)
        _configure(folder, ACCOUNTS)
        all_of_them = _rotate(cloud, folder, "not_due", ACCOUNTS * USERS)
    each = (all_of_them.memory - one.memory) / (ACCOUNTS * USERS)
    about = f"one account with {USERS} users: {one.memory / 1e6:.0f} MB; here {all_of_them.memory / 1e6:.0f} MB"
    return Figure(
        f"memory (RSS), {ACCOUNTS:,} accounts with {USERS} users each",
        all_of_them.memory / one.memory,
        f"{about}, {each:.0f} bytes a user, {all_of_them.wall:.0f} s",
        at_most(1.2),
    )


def _spread() -> Figure:
    """Compare users of many accounts with as many users of one account: what the accounts themselves cost."""
    users = SPREAD * USERS
    with _fleet(SPREAD, USERS, due=False) as (cloud, folder):
        _configure(folder, SPREAD)
        spread = _rotate(cloud, folder, "not_due", users)
    with _fleet(1, users, due=False) as (cloud, folder):
        _configure(folder, 1)
        together = _rotate(cloud, folder, "not_due", users)
    return Figure(
        f"memory (RSS), {users:,} users of {SPREAD} accounts",
        spread.memory / together.memory,
        f"as many users of one account: {together.memory / 1e6:.0f} MB; here {spread.memory / 1e6:.0f} MB",
        at_most(1.2),
    )


def _share(runs: int) -> Figure:
    shares, told = [], ""
    for _ in range(runs):
        with _fleet(LIMITED, LIMITED_USERS, due=True) as (cloud, folder):
            _configure(folder, LIMITED)
            cloud.clear_requests()
            cloud.weather(latency=0.04, throttle={"iam": {"rate": RATE, "burst": BURST}})
            cost = _rotate(cloud, folder, "rotated", LIMITED * LIMITED_USERS)
            found = outcome(cloud.requests("iam"), cost.wall)
        shares.append(share_of_rate(found.let_through, LIMITED * BURST, found.seconds, LIMITED * RATE))
        told = f"{found.let_through} requests in {found.seconds:.1f} s, {LIMITED * BURST} of them the bursts"
    return Figure(
        f"share of the IAM rates of {LIMITED} accounts together",
        median(shares),
        f"{RATE} requests a second in each: {told}",
        at_least(0.9),
    )


def _cpu() -> Figure:
    """Count the requests to IAM of a rotation of all users, for each second of CPU time, the start included."""
    with _fleet(LIMITED, USERS, due=True) as (cloud, folder):
        _configure(folder, LIMITED)
        cloud.clear_requests()
        cost = _rotate(cloud, folder, "rotated", LIMITED * USERS)
        requests = len(cloud.requests("iam"))
    each = cost.cpu / (LIMITED * USERS)
    return Figure(
        "requests to IAM that one core allows a second",
        requests / cost.cpu,
        f"{ONE_ACCOUNT} requests a second in each account: {requests / cost.cpu / ONE_ACCOUNT:.0f} accounts; "
        f"{each * 1000:.0f} ms of CPU for a rotation, store in a file",
    )


def _rotate(cloud: Cloud, folder: Path, expected: str, users: int) -> Cost:
    command = [script("twokey"), "rotate", "--json", "--max-users", str(users)]
    cost = measure(command, cloud.environment, cwd=folder)
    summary = json.loads(cost.output)["summary"]
    if summary[expected] != users:
        raise MeasurementFailed(f"Expected {users} users that are {expected}: {summary}")
    return cost


@contextmanager
def _fleet(accounts: int, users: int, *, due: bool) -> Iterator[tuple[Cloud, Path]]:
    """Many accounts with users whose keys files hold, and the role in each."""
    with tempfile.TemporaryDirectory() as name, Cloud() as cloud:
        folder = Path(name)
        (folder / "store").mkdir(mode=0o700)
        for account in _ids(accounts):
            _role(cloud, account)
            held = cloud.make_users_in(account, names(users), (30 * DAY, 20 * DAY) if due else (DAY,))
            fill_files(folder / "store" / account, held)
        yield cloud, folder


def _role(cloud: Cloud, account: str) -> None:
    iam: Any = cloud.client("iam", cloud.credentials(account))
    iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.put_role_policy(RoleName=ROLE, PolicyName="all", PolicyDocument=json.dumps(EVERYTHING))


def _configure(folder: Path, accounts: int) -> None:
    listed = [{"id": account, "role": ROLE} for account in _ids(accounts)]
    entry = {"path": PATH, "store": f"file:{folder}/store/{{account}}/{{user}}.json"}
    configuration = {
        "version": 1,
        "verify": {"successes": 1, "interval": "0s"},
        "accounts": {"list": listed},
        "machine_users": [entry],
    }
    (folder / "twokey.yaml").write_text(json.dumps(configuration))


def _ids(count: int) -> list[str]:
    return [f"{200_000_000_000 + number}" for number in range(count)]
