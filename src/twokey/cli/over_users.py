"""What the commands that change something share: from the selected users to the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.cli.options import Flags
    from twokey.config.settings import Settings
    from twokey.core.events import Event
    from twokey.fleet.roster import Job, Roster
    from twokey.fleet.runtime import Session
    from twokey.planning.plan import Overrides
    from twokey.rotation.look import Decide
    from twokey.rotation.results import Result

ACTING = (
    click.option("--verbose", "-v", is_flag=True, help="Tell each step on stderr."),
    click.option("--audit-log", metavar="FILE", help="Write each change, before and after, into this file."),
    click.option(
        "--no-wait", is_flag=True, help="Refuse, instead of waiting, where another run is at work on the user."
    ),
)


def act(
    flags: Flags,
    wanted: Settings,
    wishes: Overrides,
    *,
    wait: bool,
    verbose: bool,
    also: tuple[str, ...] = (),
    narrow: Callable[[Session, Roster], Roster] = lambda _session, roster: roster,
    decide: Callable[[Job], Decide] | None = None,
) -> int:
    """Observe, plan and apply for every selected user; print how it ended and return the exit code.

    ``also`` are URLs besides those of the configuration. ``narrow`` leaves out users or destinations; ``decide`` says
    how each user's plan is made, as ``rotate`` does by default.
    """
    from twokey.cli import progress, results_view, terminal
    from twokey.cli.options import of_one_user
    from twokey.cli.signals import terminable
    from twokey.fleet import pool
    from twokey.fleet.auditing import auditing
    from twokey.fleet.roster import too_many
    from twokey.fleet.runtime import Session
    from twokey.planning import decision
    from twokey.reports import documents
    from twokey.rotation import rotate

    session = Session(wanted)
    listener = progress.Steps(verbose=verbose, quiet=flags.quiet)
    with auditing(wanted.audit_log, session, terminal.announcer(quiet=flags.quiet)) as audit:
        own_key = session.clients.own_key()
        roster = session.check(narrow(session, session.roster(wanted, flags.users, also)))
        wishes = of_one_user(wishes, roster)

        def work(job: Job) -> Result:
            world = audit.watch(job, wishes, session.world(job, own_key, hear, wait=wait))
            made = decide(job) if decide else decision.plan
            return audit.ended(rotate.rotate(job.user, job.policy, world, wishes, made))

        interrupted: KeyboardInterrupt | None = None
        deliveries = sum(len(job.deliver) for job in roster.jobs)
        bar = progress.Progress(len(roster.jobs), quiet=flags.quiet, deliveries=deliveries)

        def hear(event: Event) -> None:
            listener(event)
            bar.heard(event)

        if len(roster.jobs) > wanted.max_users:
            results = too_many(roster.jobs, wanted.max_users)
        else:
            with bar, terminable():
                try:
                    results = pool.run(roster.jobs, work, wanted.concurrency, bar.step, session.stop)
                except pool.Interrupted as error:
                    results, interrupted = error.results, error
        results = [*results, *roster.failed]
        document = documents.results_document(results)
        code = results_view.report(results, document, document.summary, as_json=flags.as_json, quiet=flags.quiet)
        if interrupted:
            raise interrupted
        return code
