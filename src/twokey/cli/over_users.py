"""What the commands over machine users share: the run at the terminal, from the selected users to the report."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from twokey.cli.options import Flags
    from twokey.cli.progress import Observer, Steps
    from twokey.config.settings import AuditFile, Settings
    from twokey.core.events import Listener
    from twokey.fleet.auditing import Auditing
    from twokey.fleet.first import First
    from twokey.fleet.roster import Job, Roster
    from twokey.fleet.run import Run
    from twokey.fleet.runtime import Runtime
    from twokey.planning.plan import Overrides
    from twokey.rotation.look import Decide
    from twokey.rotation.results import Result

T = TypeVar("T")

VERBOSE = click.option("--verbose", "-v", is_flag=True, help="Print each step on stderr.")
AUDIT_LOG = click.option("--audit-log", metavar="FILE", help="Record each change in this file, before and after it.")
NO_WAIT = click.option(
    "--no-wait", is_flag=True, help="Refuse a user that another run is working on, instead of waiting for that run."
)


def over_users(
    flags: Flags,
    settings: Settings,
    work: Callable[[Run, Auditing], Callable[[Job, Listener], T]],
    report: Callable[[Sequence[T | Result]], int],
    *,
    select: Callable[[Runtime], Roster] | None = None,
    audit_log: AuditFile | None = None,
    steps: Steps | None = None,
    deliveries: bool = False,
    limited: bool = True,
    retire: frozenset[str] = frozenset(),
    first: First | None = None,
    opened: Callable[[Auditing], None] = lambda _: None,
    in_waves: bool = False,
) -> int:
    """Do a command's work for every selected user, report all results, and return the exit code.

    ``work`` returns what is done for each user of the run; ``steps`` prints its events, and with ``deliveries`` they
    are counted. ``select`` finds the users otherwise than by name. Each key to ``retire`` must be one of theirs. An
    interruption is raised after the report. ``first`` is the connection to AWS, where there is one already.
    ``opened`` gets the audit log before anything is called. ``in_waves``: in the waves of the settings.
    """
    from twokey.cli import progress, terminal
    from twokey.cli.signals import terminable
    from twokey.fleet.auditing import auditing
    from twokey.fleet.run import Run
    from twokey.fleet.runtime import Runtime

    @contextmanager
    def observe(jobs: Sequence[Job]) -> Iterator[Observer]:
        count = sum(len(job.deliver) for job in jobs) if deliveries else 0
        bar = progress.Progress(len(jobs), quiet=flags.quiet, deliveries=count)
        with bar, terminable(bar.clear):
            yield progress.Observer(bar, steps, jobs)

    runtime = Runtime(settings, first) if first else Runtime(settings)
    with auditing(audit_log, runtime, terminal.announcer(quiet=flags.quiet)) as audit:
        opened(audit)
        run = Run.over(runtime, settings, select or (lambda runtime: runtime.roster(settings, flags.users)))
        if not flags.quiet:
            for warning in run.roster.warnings:
                terminal.tell(f"Warning: {warning}")
        announce = terminal.announcer(quiet=flags.quiet)
        ended = run.each(
            work(run, audit), observe, limited=limited, retire=retire, in_waves=in_waves, announce=announce
        )
        code = report(ended.results)
    if ended.interrupted:
        raise ended.interrupted
    return code


def act(
    flags: Flags,
    settings: Settings,
    requested: Overrides,
    *,
    command: str,
    wait: bool,
    verbose: bool,
    select: Callable[[Runtime], Roster] | None = None,
    decide: Callable[[Job], Decide] | None = None,
) -> int:
    """Observe, plan and apply for every selected user; print how it ended and return the exit code.

    ``decide`` returns how each user's plan is made; without it, as ``rotate`` does.
    """
    from twokey.cli import progress, results_view, terminal
    from twokey.core.errors import TwokeyError
    from twokey.fleet import commands
    from twokey.fleet.alerting import Alerting

    whole = command == "rotate" and not flags.users and decide is None
    alerting = Alerting(settings, command, lambda failure: terminal.tell(f"Warning: {failure}"), whole=whole)

    def work(run: Run, audit: Auditing) -> Callable[[Job, Listener], Result]:
        return commands.rotating(run, audit, alerting, requested, wait=wait, decide=decide)

    def report(results: Sequence[Result]) -> int:
        alerting.ended(results)
        return results_view.report(results, as_json=flags.as_json, quiet=flags.quiet)

    steps = progress.Steps(verbose=verbose, quiet=flags.quiet)
    try:
        code = over_users(
            flags,
            settings,
            work,
            report,
            select=select,
            audit_log=settings.audit_log,
            steps=steps,
            deliveries=True,
            retire=requested.retire,
            in_waves=command == "rotate",
        )
    except TwokeyError as error:
        alerting.failed(error)
        raise
    alerting.tell()
    return code
