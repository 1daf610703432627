"""``rotate``: one chunk of an account's users, by the code that runs them everywhere else.

A chunk whose time runs out is called again, and so is one whose function was killed. The results that are kept say
which of its users have ended; all others are run. To run a user twice is safe: what was done is not due, and what was
interrupted is finished.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from twokey.core.errors import Stopped, TwokeyError
from twokey.core.reasons import Outcome, Reason
from twokey.fleet import commands
from twokey.fleet.alerting import Alerting
from twokey.fleet.auditing import Auditing
from twokey.fleet.run import Run, unobserved
from twokey.fleet.runtime import Runtime
from twokey.planning.plan import Overrides
from twokey.rotation.results import Result
from twokey.serverless import entries, events
from twokey.serverless.entries import Results
from twokey.serverless.events import Rotated
from twokey.serverless.members import only, read_members
from twokey.serverless.objects import Bucket, Keys
from twokey.serverless.runs import roster_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twokey.config.settings import Settings
    from twokey.core.events import Listener
    from twokey.fleet.first import First
    from twokey.fleet.roster import Job
    from twokey.serverless.deadline import Deadline


def rotate(event: events.Rotate, settings: Settings, first: First, stop: Deadline) -> Rotated:
    """Rotate what is due of the chunk's users that have not ended; keep the results, and return how many ended."""
    stop.check()
    bucket, keys = Bucket(first.clients, event.bucket), Keys(event.execution)
    members = read_members(bucket, keys, event.account)
    names = members.users[event.first : event.first + event.count]
    so_far = _collected(event, bucket, keys)
    open_names = [name for name in names if name not in {entry.user for entry in so_far.results}]
    if open_names:
        found = _run(event, only(settings, members), tuple(open_names), first, stop)
        so_far = entries.joined(so_far, found)
        bucket.write(keys.chunk(event.account, event.first), events.encode(so_far))
    left = len(names) - len(so_far.results)
    begun = len(open_names) - left
    return Rotated(
        ended=len(so_far.results),
        problems=sum(map(entries.is_problem, so_far.results)),
        left=left,
        progress="done" if not left else "more" if begun else "none",
    )


def _collected(event: events.Rotate, bucket: Bucket, keys: Keys) -> Results:
    key = keys.chunk(event.account, event.first)
    body = bucket.find(key)
    return Results([]) if body is None else entries.read(body, key)


def _run(event: events.Rotate, settings: Settings, names: tuple[str, ...], first: First, stop: Deadline) -> Results:
    """Run these users, and return the results of those that ended."""
    runtime = Runtime(settings, first)
    runtime.stop, runtime.out_of_time = stop, stop.is_set
    alerting = Alerting(settings, "rotate", lambda _: None, runtime=runtime)
    try:
        run = Run.over(runtime, settings, lambda runtime: roster_of(runtime, settings, names))
        found = run.each(_in_time(run, alerting, stop, force=event.force), unobserved).results
        results = _named(found, names, event.account)
    except TwokeyError as error:
        # It keeps twokey from all of them, and would do so again: a retry is pointless, and each of them is named.
        results = [entries.without_result(event.account, name, str(error), Reason.ERROR) for name in names]
    ended = [one for one in results if one.reason is not Reason.STOPPED]
    return entries.collected(ended, alerting.found(ended))


def _in_time(run: Run, alerting: Alerting, stop: Deadline, *, force: bool) -> Callable[[Job, Listener], Result]:
    """Return what rotates one user, unless the time does not suffice for it."""
    rotating = commands.rotating(run, Auditing(None), alerting, Overrides(force=force))

    def one(job: Job, listener: Listener) -> Result:
        if stop.may_begin:
            return rotating(job, listener)
        return Result(job.user, Outcome.FAILED, Reason.STOPPED, str(Stopped()))

    return one


def _named(results: Sequence[Result], names: Sequence[str], account: str) -> list[Result]:
    """Return one result for each name.

    One without a name is about the whole account, and one that has a path for a name about the users below it: so each
    may be about a user without a result.
    """
    by_name = {one.user.name: one for one in results}
    others = next((one for one in results if one.user.name not in names and one.user.name.startswith("/")), None)
    found = {name: by_name.get(name) or by_name.get("") or others for name in names}
    unknown = "twokey did not find this user again. Nothing was changed."
    return [
        replace(one, user=replace(one.user, name=name, account=account))
        if one
        else entries.without_result(account, name, unknown, Reason.ERROR)
        for name, one in found.items()
    ]
