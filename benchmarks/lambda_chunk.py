"""What a chunk of users costs the function of AWS Lambda: CPU time, and the services that it calls, in their order.

The handler runs in a process of its own, the emulator in another; users are in their usual state. The times of two
sizes tell what each user costs from what each invocation does. ``scripts/at_scale.py`` computes and simulates with
these figures.
"""

from __future__ import annotations

import json
import sys
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.children import MeasurementFailed, measure
from benchmarks.cloud import PATH, Cloud
from benchmarks.environments import ROOT
from benchmarks.figures import Figure
from benchmarks.managed import STORES, fill

if TYPE_CHECKING:
    from benchmarks.cloud import RecordedRequest

SMALL, LARGE = 20, 220
DAYS = 16
STORE = "Secrets Manager"
LISTED = "from benchmarks.lambda_chunk import call; call('list', input={})"
ROTATED = (
    "from benchmarks.lambda_chunk import call; call('rotate', account='123456789012', first=0, count=5000, force=False)"
)


def call(do: str, **fields: object) -> None:
    """Call the handler, in the process that is measured, and print its result."""
    from types import SimpleNamespace

    from twokey.serverless.handler import handle

    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 900_000)
    sys.stdout.write(json.dumps(handle({"do": do, "bucket": "results", "execution": "chunk", **fields}, context)))


def run(runs: int) -> list[Figure]:
    """Measure two sizes of a chunk; take the order of requests from one user at a time."""
    measured = [(_rotate(SMALL), _rotate(LARGE)) for _ in range(runs)]
    each = median((large[0] - small[0]) / (LARGE - SMALL) for small, large in measured)
    start = median(small[0] - SMALL * each for small, _ in measured)
    order = services(_rotate(2, concurrency=1)[1])
    return [
        Figure("CPU of the handler per user of a chunk, ms", 1000 * each, f"{SMALL} and {LARGE} users, {STORE}"),
        Figure("CPU of the handler per invocation, ms", 1000 * start, "the same: start, configuration, listing"),
        Figure("requests per user of a chunk", len(order), " ".join(order)),
    ]


def services(requests: list[str]) -> list[str]:
    """Return the services that the last user's rotation calls, in their order: from its first look at its keys on."""
    looks = [at for at, name in enumerate(requests) if name == "iam:ListAccessKeys"]
    return [name.partition(":")[0] for name in requests[looks[-2] :] if not name.startswith("s3:")]


def _rotate(users: int, concurrency: int = 64) -> tuple[float, list[str]]:
    with Cloud() as cloud:
        fill(cloud, STORE, users, DAYS)
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket="results", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        url = STORES[STORE][0]
        configuration = f'version: 1\nconcurrency: {concurrency}\nmachine_users: [{{path: {PATH}, store: "{url}"}}]\n'
        environment = {**cloud.environment, "TWOKEY_CONFIG": f"{configuration}max_users: {users}\n"}
        measure([sys.executable, "-c", LISTED], environment, ROOT)
        cloud.clear_requests()
        cost = measure([sys.executable, "-c", ROTATED], environment, ROOT)
        requests: list[RecordedRequest] = cloud.requests()
    ended = json.loads(cost.output)
    if (ended["ended"], ended["problems"]) != (users, 0):
        raise MeasurementFailed(f"The function did not rotate {users} users: {ended}.")
    return cost.cpu, [one.name for one in requests]
