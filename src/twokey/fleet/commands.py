"""What ``rotate``, ``plan`` and ``status`` do for each user of a run, whichever entry point they are called by."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.core.events import Listener
    from twokey.fleet.alerting import Alerting
    from twokey.fleet.auditing import Auditing
    from twokey.fleet.roster import Job
    from twokey.fleet.run import Run
    from twokey.planning.plan import Overrides
    from twokey.reports.documents import StatusEntry
    from twokey.rotation.look import Decide
    from twokey.rotation.preview import Preview
    from twokey.rotation.results import Result


def rotating(
    run: Run,
    audit: Auditing,
    alerting: Alerting,
    requested: Overrides,
    *,
    wait: bool = True,
    decide: Callable[[Job], Decide] | None = None,
) -> Callable[[Job, Listener], Result]:
    """Return what rotates one user. ``decide`` returns how each user's plan is made; without it, as ``rotate`` does."""
    from twokey.planning import decision
    from twokey.rotation import rotate

    overrides = run.overrides(requested)

    def one(job: Job, listener: Listener) -> Result:
        world = alerting.watch(run, job, audit.watch(job, overrides, run.world(job, listener, wait=wait)))
        how = decide(job) if decide else decision.plan
        return audit.ended(rotate.rotate(job.user, job.policy, world, overrides, how))

    return one


def previewing(
    run: Run, requested: Overrides, decide: Callable[[Job], Decide] | None = None
) -> Callable[[Job, Listener], Preview]:
    """Return what says what ``rotate`` would do for one user, with warnings about windows. ``decide``: see above."""
    from twokey.fleet import pool
    from twokey.fleet.listed_keys import ListsKeys
    from twokey.planning import decision, windows
    from twokey.rotation.preview import preview

    overrides = run.overrides(requested)

    def one(job: Job, _listener: Listener) -> Preview:
        world = run.world(job)
        iam = ListsKeys(world.iam)
        how = decide(job) if decide else decision.plan
        found = preview(job.user, job.policy, replace(world, iam=iam), overrides, how)
        due, now = found.result.next_due, world.clock.now()
        problems = (
            *windows.broken(iam.listed, job.policy, now),
            *windows.about_to_break(iam.listed, found.result.current, due, job.policy, now, run.settings.schedule),
        )
        return replace(found, result=replace(found.result, warnings=(*found.result.warnings, *problems)))

    return pool.reading(one)


def showing(run: Run) -> Callable[[Job, Listener], StatusEntry]:
    """Return what reads the state of one user."""
    from twokey.fleet import pool
    from twokey.reports.status import status

    def one(job: Job, _listener: Listener) -> StatusEntry:
        return status(job.user, job.policy, run.world(job), run.settings.schedule)

    return pool.reading(one)
