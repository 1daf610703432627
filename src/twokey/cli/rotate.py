"""``twokey rotate``: rotate what is due."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from twokey.cli.session import ASKED, SELECTION, Flags, asked, options, settings, terminable

if TYPE_CHECKING:
    from twokey.errors import ExitCode
    from twokey.fleet import Job
    from twokey.results import Result


@click.command("rotate")
@options(SELECTION, ASKED)
@click.option("--no-wait", is_flag=True, help="Refuse, instead of waiting, where another run is rotating the user.")
def command(*, force: bool, ignore_last_use: bool, retire: tuple[str, ...], no_wait: bool, **given: Any) -> int:
    """Rotate what is due; safe to run as often as you like.

    A rotation removes LAST, creates a key, proves that it works, writes it to the store and delivers it everywhere.
    Without --store, twokey.yaml says which users there are and where their keys are kept.
    """
    flags = Flags(**given)
    wishes = asked(force=force, ignore_last_use=ignore_last_use, retire=retire)
    wanted = settings(flags)

    from twokey import documents, fleet, rotate
    from twokey.cli import render
    from twokey.cli.session import Session

    session = Session()
    own_key = session.clients.own_key()
    roster = session.roster(wanted, flags.users)
    listener = render.Steps(verbose=flags.verbose, quiet=flags.quiet)

    def work(job: Job) -> Result:
        return rotate.rotate(job.user, job.policy, session.world(job, own_key, listener, wait=not no_wait), wishes)

    if len(roster.jobs) > wanted.max_users:
        results = fleet.too_many(roster.jobs, wanted.max_users)
    else:
        with render.Progress(len(roster.jobs), quiet=flags.quiet) as progress, terminable():
            results = fleet.run(roster.jobs, work, wanted.concurrency, progress.step)
    results = [*results, *roster.failed]
    return _report(results, flags, documents.results_document(results))


def _report(results: list[Result], flags: Flags, document: Any) -> ExitCode:
    from twokey import documents
    from twokey.cli import render
    from twokey.results import exit_code

    if flags.as_json:
        render.say(documents.encode(document))
    elif not flags.quiet:
        render.show_results(results)
        render.show_summary(document.summary)
    else:
        for result in results:
            if result.outcome in ("failed", "refused"):
                render.tell(render.line(result))
    return exit_code(results)
