"""``twokey plan``: the same decisions as ``rotate``, nothing changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from twokey.cli.options import ASKED, SELECTION, Flags, asked, of_one_user, options, settings
from twokey.cli.signals import terminable

if TYPE_CHECKING:
    from twokey.fleet.roster import Job
    from twokey.rotation.preview import Preview
    from twokey.rotation.results import Result


@click.command("plan")
@options(SELECTION, ASKED)
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 4 where changes are planned.")
def command(
    *, force: bool, ignore_last_use: bool, retire: tuple[str, ...], detailed_exitcode: bool, **given: Any
) -> int:
    """Say what rotate would do, and why; change nothing."""
    flags = Flags(**given)
    wishes = asked(force=force, ignore_last_use=ignore_last_use, retire=retire)
    wanted = settings(flags)

    from twokey.cli import progress, results_view
    from twokey.core.errors import ExitCode
    from twokey.core.events import ignore
    from twokey.fleet import pool
    from twokey.fleet.roster import too_many
    from twokey.fleet.runtime import Session
    from twokey.reports import documents
    from twokey.rotation import preview

    session = Session(wanted)
    own_key = session.clients.own_key()
    roster = session.check(session.roster(wanted, flags.users))
    wishes = of_one_user(wishes, roster)
    found: dict[str, Preview] = {}

    def work(job: Job) -> Result:
        foreseen = preview.preview(job.user, job.policy, session.world(job, own_key, ignore), wishes)
        found[job.user.name] = foreseen
        return foreseen.result

    interrupted: KeyboardInterrupt | None = None
    if len(roster.jobs) > wanted.max_users:
        results = too_many(roster.jobs, wanted.max_users)
    else:
        with progress.Progress(len(roster.jobs), quiet=flags.quiet) as bar, terminable():
            try:
                results = pool.run(roster.jobs, work, wanted.concurrency, bar.step, session.stop)
            except pool.Interrupted as error:
                results, interrupted = error.results, error
    results = [*results, *roster.failed]
    plans = [found.get(result.user.name, preview.Preview(result)) for result in results]
    steps = [[str(action) for action in one.plan.actions] if one.plan else [] for one in plans]
    document = documents.plan_document(zip(results, steps, (one.destinations for one in plans), strict=True))
    # Of the store, which comes first, the message speaks.
    places = [[place for place in entry.destinations[1:] if place.outcome != "held"] for entry in document.results]
    code = results_view.report(
        results, document, document.summary, as_json=flags.as_json, quiet=flags.quiet, actions=steps, places=places
    )
    if interrupted:
        raise interrupted
    return ExitCode.PLANNED if detailed_exitcode and code == ExitCode.DONE and any(steps) else code
