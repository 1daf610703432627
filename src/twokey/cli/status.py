"""``twokey status``: every key, who holds it, what is due when, what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from twokey.cli.options import SELECTION, Flags, options, settings
from twokey.cli.signals import terminable

if TYPE_CHECKING:
    from twokey.fleet.roster import Job
    from twokey.reports.documents import StatusEntry


@click.command("status")
@options(SELECTION)
def command(**given: Any) -> int:
    """Show every key: its age, who holds it, what is due, what is wrong. Writes nothing."""
    flags = Flags(**given)
    wanted = settings(flags)

    from concurrent.futures import ThreadPoolExecutor

    from twokey.cli import progress, status_view, terminal
    from twokey.core.errors import ExitCode
    from twokey.core.events import ignore
    from twokey.fleet.runtime import Session
    from twokey.reports import documents, status

    session = Session(wanted)
    own_key = session.clients.own_key()
    roster = session.check(session.roster(wanted, flags.users))

    def work(job: Job) -> StatusEntry:
        entry = status.status(job.user, job.policy, session.world(job, own_key, ignore))
        bar.step(entry)
        return entry

    with (
        progress.Progress(len(roster.jobs), quiet=flags.quiet) as bar,
        terminable(),
        ThreadPoolExecutor(max_workers=wanted.concurrency) as pool,
    ):
        entries = list(pool.map(work, roster.jobs))
    entries += [status.unknown(result) for result in roster.failed]
    if flags.as_json:
        terminal.say(documents.encode(documents.StatusDocument(entries)))
    elif not flags.quiet:
        status_view.show_status(entries)
    return ExitCode.DONE if all(entry.readable for entry in entries) else ExitCode.FAILED
