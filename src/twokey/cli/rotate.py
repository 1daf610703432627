"""``twokey rotate``: rotate what is due."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from twokey.cli.session import ASKED, SELECTION, Flags, asked, of_one_user, options, settings, terminable

if TYPE_CHECKING:
    from twokey.fleet import Job
    from twokey.results import Result


@click.command("rotate")
@options(SELECTION, ASKED)
@click.option("--verbose", "-v", is_flag=True, help="Tell each step on stderr.")
@click.option("--audit-log", metavar="FILE", help="Write each change, before and after, into this file.")
@click.option("--no-wait", is_flag=True, help="Refuse, instead of waiting, where another run is rotating the user.")
def command(
    *, force: bool, ignore_last_use: bool, retire: tuple[str, ...], no_wait: bool, verbose: bool, **given: Any
) -> int:
    """Rotate what is due; safe to run as often as you like.

    A rotation removes LAST, creates a key, proves that it works, writes it to the store and delivers it everywhere.
    Without --store, twokey.yaml says which users there are and where their keys are kept.
    """
    flags = Flags(**given)
    wishes = asked(force=force, ignore_last_use=ignore_last_use, retire=retire)
    wanted = settings(flags)

    from twokey import documents, fleet, rotate
    from twokey.cli import progress, render
    from twokey.cli.auditing import auditing
    from twokey.cli.session import Session

    session = Session(wanted)
    listener = progress.Steps(verbose=verbose, quiet=flags.quiet)
    with auditing(wanted.audit_log, session, quiet=flags.quiet) as audit:
        own_key = session.clients.own_key()
        roster = session.roster(wanted, flags.users)
        wishes = of_one_user(wishes, roster)

        def work(job: Job) -> Result:
            world = session.world(job, own_key, listener, wait=not no_wait)
            return audit.ended(rotate.rotate(job.user, job.policy, audit.watch(job, wishes, world), wishes))

        interrupted: KeyboardInterrupt | None = None
        if len(roster.jobs) > wanted.max_users:
            results = fleet.too_many(roster.jobs, wanted.max_users)
        else:
            with progress.Progress(len(roster.jobs), quiet=flags.quiet) as bar, terminable():
                try:
                    results = fleet.run(roster.jobs, work, wanted.concurrency, bar.step, session.stop)
                except fleet.Interrupted as error:
                    results, interrupted = error.results, error
        results = [*results, *roster.failed]
        document = documents.results_document(results)
        code = render.report(results, document, document.summary, as_json=flags.as_json, quiet=flags.quiet)
        if interrupted:
            raise interrupted
        return code
