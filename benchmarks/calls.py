"""The number of requests to IAM in a run: for each user that is due, for each that is not, and once for all users.

IAM's request rate for each account is the physical limit of every rotation, so these counts are its cost. The users are
in the usual state: two keys, a store in Secrets Manager, a journal, and LAST with its grace over.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.children import MeasurementFailed, measure, script
from benchmarks.cloud import PATH, Cloud, fill_secrets, names
from benchmarks.figures import Figure, at_most, per

if TYPE_CHECKING:
    from collections.abc import Sequence

USERS = 10
WINDOW = "12s"
"""So short that a user with a journal is due again after six seconds, without moving the emulator's clock."""
UNTIL_DUE = 8.0
"""Its period, and two seconds because twokey's clock is never ahead of the services'."""
SHARED = ("iam:ListUsers", "iam:GetUser", "iam:SimulatePrincipalPolicy")
"""Finding the users, and checking that a key may be created: once for a path, or for a named user."""


def run(_runs: int) -> list[Figure]:
    """Count by path and by name. Nothing is timed, so one run is sufficient."""
    by_path = ["--path", PATH]
    by_name = names(1)
    return [*_count(f"by path, {USERS} users", by_path, USERS), *_count("one user by name", by_name, 1)]


def _count(selection: str, chosen: Sequence[str], users: int) -> list[Figure]:
    with Cloud() as cloud:
        store = fill_secrets(cloud, cloud.make_users(names(users)))
        rotate = partial(_rotate, cloud, [*chosen, "--store", store])
        rotate("--window", WINDOW, rotated=users)  # writes the journals
        time.sleep(UNTIL_DUE)
        due = rotate("--window", WINDOW, rotated=users)
        not_due = rotate(rotated=0)
    return _figures(selection, users, due, not_due)


def _figures(selection: str, users: int, due: Counter[str], not_due: Counter[str]) -> list[Figure]:
    return [
        Figure(
            f"IAM requests per due user, {selection}", per(_own(due), users), _listed(due, shared=False), at_most(5)
        ),
        Figure(
            f"IAM requests per user not due, {selection}",
            per(_own(not_due), users),
            _listed(not_due, shared=False),
            at_most(1),
        ),
        Figure(
            f"other IAM requests of a run, {selection}", due.total() - _own(due), _listed(due, shared=True), at_most(2)
        ),
    ]


def _own(counted: Counter[str]) -> int:
    return sum(count for name, count in counted.items() if name not in SHARED)


def _listed(counted: Counter[str], *, shared: bool) -> str:
    chosen = [(name, count) for name, count in counted.items() if (name in SHARED) == shared]
    return ", ".join(f"{count} {name.removeprefix('iam:')}" for name, count in chosen)


def _rotate(cloud: Cloud, fixed: Sequence[str], *more: str, rotated: int) -> Counter[str]:
    """Run `twokey rotate` and return its requests to IAM by name."""
    cloud.clear_requests()
    output = measure([script("twokey"), "rotate", "--json", *fixed, *more], cloud.environment).output
    if json.loads(output)["summary"]["rotated"] != rotated:
        raise MeasurementFailed(f"Expected {rotated} rotated users: {json.loads(output)['summary']}")
    return Counter(request.name for request in cloud.requests("iam"))
