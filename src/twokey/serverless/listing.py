"""``list``: find the users of all accounts, check them together, and write them as the items of the Distributed Map.

One function finds all users because some rules are about all of them: no two may write to the same destination,
and there may be no more of them than ``max_users``.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from twokey.alerts.decision import PROBLEMS
from twokey.core.errors import UsageError
from twokey.fleet.alerting import Alerting
from twokey.fleet.lookup import not_covered
from twokey.fleet.run import Run, unobserved
from twokey.fleet.runtime import Runtime
from twokey.rotation.results import Result
from twokey.serverless import entries, events
from twokey.serverless.events import Chunk, Input, Item, Listed
from twokey.serverless.members import Members, record
from twokey.serverless.objects import Bucket, Keys, read_url
from twokey.serverless.runs import chosen, roster_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twokey.config.settings import Settings
    from twokey.fleet.first import First
    from twokey.fleet.roster import Job, Roster
    from twokey.serverless.deadline import Deadline
    from twokey.serverless.members import AccountRecord

LARGEST_DOCUMENT = 256 << 20
"""Bytes of a result document that an execution resumes from: it has to fit into the function's memory."""


def find_users(event: events.List, settings: Settings, first: First, stop: Deadline) -> Listed:
    """Write the items, and the results of what was not found; return where they are.

    Raises ``UsageError`` where the input or the configuration is wrong, and ``Failed`` where no user is found at all.
    """
    wanted = _input(event, first)
    again = _resumed(wanted.resume, first) if wanted.resume else None
    accounts = wanted.accounts
    if again and settings.accounts and not accounts and again.accounts_known:
        accounts = sorted(again.by_account)
    nothing = again is not None and not again.by_account
    runtime = Runtime(chosen(settings, accounts), first)
    runtime.stop = stop
    found, warnings = ((), ()) if nothing else _select(runtime, chosen(settings, accounts), tuple(wanted.users))
    jobs = [one for one in found if not isinstance(one, Result) and (again is None or again.means(one))]
    failed = [one for one in found if isinstance(one, Result)]
    alerting = Alerting(settings, "rotate", lambda _: None, runtime=runtime)
    bucket, keys = Bucket(first.clients, event.bucket), Keys(event.execution)
    known = runtime.accounts.selected if jobs and runtime.accounts else ()
    items = _write_users(bucket, keys, jobs, wanted, {one.id: record(one) for one in known})
    kept = entries.collected(failed, alerting.found(failed))
    bucket.write(keys.listing, events.encode(msgspec.structs.replace(kept, warnings=list(warnings))))
    bucket.write(keys.items, events.encode(items))
    whole = not (wanted.accounts or wanted.users or again)
    return Listed(keys.items, len(items), len(jobs), whole)


def _input(event: events.List, first: First) -> Input:
    found = events.input_of(event.input)
    if not found.input:
        return found
    if found != Input(input=found.input):
        raise UsageError(
            "The input of the execution: `input` stands alone; the other fields belong in the object that it names.",
            state=events.NOTHING,
        )
    whole: Input = events.parse(read_url(found.input, "input", first.clients), found.input, Input)
    if whole.input:
        raise UsageError(f"{found.input}: `input` may not name a further object.", state=events.NOTHING)
    return whole


def _select(
    runtime: Runtime, settings: Settings, names: tuple[str, ...]
) -> tuple[Sequence[Job | Result], Sequence[str]]:
    """Return the users as a run of ``rotate`` over all of them would begin them, what it would refuse, its warnings."""
    run = Run.over(runtime, settings, lambda runtime: _roster(runtime, settings, names))
    return run.each(lambda job, _listener: job, unobserved).results, run.roster.warnings


def _roster(runtime: Runtime, settings: Settings, names: Sequence[str]) -> Roster:
    """Find the users, and report each name that no entry covers; in an account that was not reached, it may be one."""
    found = roster_of(runtime, settings, names)
    if not all(one.user.name for one in found.failed):
        return found
    known = [*(job.user.name for job in found.jobs), *(one.user.name for one in found.failed)]
    return replace(found, failed=(*found.failed, *not_covered(names, known)))


def _write_users(
    bucket: Bucket, keys: Keys, jobs: Sequence[Job], wanted: Input, accounts: Mapping[str, AccountRecord]
) -> list[Item]:
    by_account: dict[str, list[str]] = defaultdict(list)
    for job in jobs:
        by_account[job.user.account].append(job.user.name)
    for account, names in by_account.items():
        bucket.write(keys.users(account), events.encode(Members(accounts.get(account), names)))
    size = wanted.users_per_chunk
    return [
        Item(
            keys.execution,
            account,
            [Chunk(first, min(size, len(names) - first)) for first in range(0, len(names), size)],
            wanted.force,
        )
        for account, names in by_account.items()
    ]


class _Ended(msgspec.Struct):
    """What a resume needs of an entry of a result document."""

    account: str
    user: str
    outcome: str


class _Document(msgspec.Struct):
    results: list[_Ended]


@dataclass(frozen=True, slots=True)
class _Resumed:
    """The users that did not end well, by account. An empty name means all: of an account, or in any account."""

    by_account: dict[str, set[str]]

    @property
    def accounts_known(self) -> bool:
        return "" not in self.by_account

    def means(self, job: Job) -> bool:
        name = job.user.name
        return any(
            name in names or "" in names
            for names in (self.by_account.get(job.user.account, ()), self.by_account.get("", ()))
        )


def _resumed(url: str, first: First) -> _Resumed:
    body = read_url(url, "resume", first.clients)
    if len(body) > LARGEST_DOCUMENT:
        raise UsageError(
            f"resume: {url} has {len(body)} bytes; at most {LARGEST_DOCUMENT} are read.",
            state=events.NOTHING,
            remedy="Start an execution without `resume`: what ended well is not due, and costs little.",
        )
    found: _Document = events.parse(body, url, _Document)
    by_account: dict[str, set[str]] = defaultdict(set)
    for entry in found.results:
        if entry.outcome in PROBLEMS:
            by_account[entry.account].add(entry.user)
    return _Resumed(dict(by_account))
