"""``summarise``: one result document for the whole execution, and one alert.

The document is put together from what each chunk has kept. A user about whom no function has reported is named, too:
its function was killed each time, or Step Functions stopped before its turn because too many accounts had failed.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import msgspec

from twokey.core.reasons import Reason
from twokey.fleet.alerting import Alerting
from twokey.fleet.runtime import Runtime
from twokey.reports.documents import summary
from twokey.serverless import entries, events, map_runs
from twokey.serverless.events import Item, Summarised
from twokey.serverless.members import read_members
from twokey.serverless.objects import Bucket, Keys

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twokey.config.settings import Settings
    from twokey.fleet.first import First
    from twokey.rotation.results import Result
    from twokey.serverless.entries import Results
    from twokey.serverless.events import Chunk

AT_A_TIME = 16
"""Objects that are read at a time."""
WARNINGS = 5
"""Warnings of the listing that the message has."""


def summarise(event: events.Summarise, settings: Settings, first: First) -> Summarised:
    """Write the result document, tell the receivers of alerts, and return what became of the users."""
    bucket, keys = Bucket(first.clients, event.bucket), Keys(event.execution)
    warnings: list[str] = []
    runtime = Runtime(settings, first)
    alerting = Alerting(settings, "rotate", warnings.append, whole=event.whole, runtime=runtime)
    listing = entries.read(bucket.read(keys.listing), keys.listing)
    warnings += listing.warnings
    parts = [listing]
    missing: list[Result] = []
    for results, without in _chunks(bucket, keys):
        parts.append(results)
        missing += without
    parts.append(entries.collected(missing, alerting.found(missing)))
    found = [entry for part in parts for entry in part.results]
    counts = summary(entry.outcome for entry in found)
    document = {"results": found, "summary": counts}
    bucket.write(keys.result, msgspec.json.format(events.encode(document)))
    problems = sum(map(entries.is_problem, found))
    alerts = [alert for part in parts for alert in entries.alerts_of(part)]
    alerting.summarise(sorted(alerts, key=lambda alert: not alert.problem), good=not problems)
    url = f"s3://{event.bucket}/{keys.result}"
    return Summarised(url, counts, not problems, _message(len(found), problems, url, listing.warnings), warnings)


def _chunks(bucket: Bucket, keys: Keys) -> Sequence[tuple[Results, list[Result]]]:
    """Return what each chunk has kept, and a result for each of its users without one."""
    items: list[Item] = events.parse(bucket.read(keys.items), keys.items, list[Item])
    ends = map_runs.ends(bucket, keys.map_runs)

    def read(item: Item) -> list[tuple[Results, list[Result]]]:
        names = read_members(bucket, keys, item.account).users
        return [_chunk(bucket, keys, item.account, chunk, names, ends) for chunk in item.chunks]

    with ThreadPoolExecutor(max_workers=AT_A_TIME, thread_name_prefix="account") as pool:
        return [one for part in pool.map(read, items) for one in part]


def _chunk(
    bucket: Bucket, keys: Keys, account: str, chunk: Chunk, names: Sequence[str], ends: Mapping[str, str]
) -> tuple[Results, list[Result]]:
    key = keys.chunk(account, chunk.first)
    body = bucket.find(key)
    ended = entries.Results([]) if body is None else entries.read(body, key)
    known = {entry.user for entry in ended.results}
    message = (
        f"No function has reported about this user. {ends.get(account, map_runs.NOT_BEGUN)} Completed changes remain. "
        "The next execution continues from there."
    )
    return ended, [
        entries.without_result(account, name, message, Reason.STOPPED)
        for name in names[chunk.first : chunk.first + chunk.count]
        if name not in known
    ]


def _message(users: int, problems: int, url: str, warnings: Sequence[str]) -> str:
    """Return what became of the users. An execution that fails shows this text and nothing else."""
    lines = [f" Warning: {one}" for one in warnings[:WARNINGS]]
    if len(warnings) > WARNINGS:
        lines.append(f" And {len(warnings) - WARNINGS} warnings more: see listing.json beside it.")
    return _ended(users, problems, url) + "".join(lines)


def _ended(users: int, problems: int, url: str) -> str:
    if not problems:
        return f"All {users} users ended well: {url}."
    return (
        f"{problems} of {users} users failed or were refused. {url} names each of them, with its message. To run only "
        f'these again, start an execution with the input {{"resume": "{url}"}}.'
    )
