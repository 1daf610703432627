"""The time until leaked keys are Inactive: of one user, and of 200 at IAM's limit.

One user: against a program that does nothing but the two calls for that. It finds the key's user (GetAccessKeyLastUsed)
and makes the key Inactive (UpdateAccessKey) with botocore, in a fresh interpreter. Each time is measured from Enter
until the request to make the key Inactive arrives at the emulator.

200 users: against the time that a token bucket needs for one request for each key, after its burst. It is measured
from the first request to IAM until the last of these arrives.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.children import Cost, MeasurementFailed, measure, script
from benchmarks.cloud import PATH, Cloud, fill_files, names
from benchmarks.figures import Figure, at_most, ratio_of_medians

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.cloud import RecordedRequest

BARE = """\
import sys
import botocore.session

client = botocore.session.Session().create_client("iam")
user = client.get_access_key_last_used(AccessKeyId=sys.argv[1])["UserName"]
client.update_access_key(UserName=user, AccessKeyId=sys.argv[1], Status="Inactive")
"""
USERS = 200
RATE = 20
BURST = 40
LATENCY = 0.04
TIMES = 5
"""A start takes a second, so one figure needs several."""
CONTAINMENT = "iam:UpdateAccessKey"
DAY = 86_400.0


def run(runs: int) -> list[Figure]:
    """Measure both alternately: a key that is named by its id, of a user whose credential a file holds."""
    with tempfile.TemporaryDirectory() as folder, Cloud() as cloud:
        bare = Path(folder) / "bare.py"
        bare.write_text(BARE)
        store = fill_files(Path(folder) / "keys", {})
        ours: list[float] = []
        theirs: list[float] = []
        for number in range(runs * TIMES + 1):
            for name, times, command in (
                (f"bare-{number}", theirs, (sys.executable, str(bare))),
                (f"ours-{number}", ours, (script("twokey"), "revoke", "--yes", "--quiet", "--store", store)),
            ):
                taken = _until_inactive(cloud, name, command)
                if number:  # the first starts read the files from disk
                    times.append(taken)
    return [_one_user(ours, theirs), _all_users()]


def _one_user(ours: Sequence[float], theirs: Sequence[float]) -> Figure:
    milliseconds = sorted(theirs)[len(theirs) // 2] * 1000
    return Figure(
        "from Enter until the key is Inactive, wall",
        ratio_of_medians(ours, theirs),
        f"two bare calls in a fresh interpreter: {milliseconds:.0f} ms",
        at_most(1.3),
    )


def _all_users() -> Figure:
    with tempfile.TemporaryDirectory() as folder, Cloud() as cloud:
        leaked = {name: cloud.make_user(name, [DAY]) for name in names(USERS)}
        held = {name: {"AccessKeyId": key_ids[0], "SecretAccessKey": "unused"} for name, key_ids in leaked.items()}
        store = fill_files(Path(folder) / "keys", held)
        cloud.clear_requests()
        cloud.weather(latency=LATENCY, throttle={"iam": {"rate": RATE, "burst": BURST}})
        command = (script("twokey"), "revoke", "--all", "--yes", "--quiet", "--path", PATH, "--store", store)
        measure([*command, "--max-users", str(USERS)], cloud.environment)
        requests = cloud.requests("iam")
    taken, allowed = until_all_inactive(requests), (USERS - BURST) / RATE
    return Figure(
        f"until all keys of {USERS} users are Inactive",
        taken / allowed,
        f"{RATE} requests a second, one for each key, after a burst of {BURST}: {allowed:.1f} s",
        at_most(1.1),
    )


def until_all_inactive(requests: Sequence[RecordedRequest]) -> float:
    """Return the seconds from the first request to the last that made a leaked key Inactive."""
    contained = [one.time for one in requests if one.name == CONTAINMENT and not one.throttled]
    if len(contained) < USERS:
        raise MeasurementFailed(f"Expected {USERS} keys to be made Inactive, and {len(contained)} were.")
    return (contained[USERS - 1] - min(one.time for one in requests)).total_seconds()


def _until_inactive(cloud: Cloud, user: str, command: Sequence[str]) -> float:
    key_id = cloud.make_user(user, [DAY])[0]
    cloud.clear_requests()
    start = time.time()
    _finish([*command, key_id], cloud)
    at = [request.time for request in cloud.requests("iam") if request.name == CONTAINMENT]
    if not at:
        raise MeasurementFailed(f"{Path(command[0]).name} made no key Inactive.")
    return at[0].timestamp() - start


def _finish(command: Sequence[str], cloud: Cloud) -> Cost:
    return measure(command, cloud.environment)
