"""``twokey forget``: let the journal forget a destination that is no longer configured."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from twokey.cli import terminal
from twokey.cli.help import Command, epilog
from twokey.cli.options import SELECTION, Flags, options, settings_of
from twokey.cli.over_users import AUDIT_LOG, NO_WAIT, VERBOSE, over_users
from twokey.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twokey.core.events import Listener
    from twokey.fleet.auditing import Auditing
    from twokey.fleet.roster import Job
    from twokey.fleet.run import Run
    from twokey.rotation.results import Result


@click.command(
    "forget",
    cls=Command,
    epilog=epilog(
        ("twokey forget ci --destination github:acme/old", "Forget a pipeline that no longer exists."),
        times=True,
    ),
)
@options(SELECTION)
@click.option("--destination", metavar="URL", help="The destination to forget, as plan names it.  [required]")
@click.option("--yes", is_flag=True, help="Confirm that no job reads a key there.")
@options((VERBOSE, AUDIT_LOG, NO_WAIT))
def command(*, destination: str | None, yes: bool, no_wait: bool, verbose: bool, **parameters: Any) -> int:
    """Forget a destination that is no longer configured; no key is created or removed.

    twokey never removes a key that such a destination may hold. If the destination shows that it holds no key of the
    user, it is forgotten. Otherwise you are asked to confirm that no job reads a key there. LAST keeps its grace and
    the protection by its last use.
    """
    flags = Flags(**parameters)
    if destination is None:
        raise UsageError(
            "No destination is named.", remedy="Name it with --destination, as twokey plan and twokey status name it."
        )
    settings = settings_of(flags)
    if len(flags.users) != 1:
        raise UsageError("expected exactly one user.", remedy="Name the user: twokey forget USER --destination URL.")

    def work(run: Run, audit: Auditing) -> Callable[[Job, Listener], Result]:
        return partial(_forget, run, audit, destination, confirmed=yes, wait=not no_wait)

    def report(results: Sequence[Result]) -> int:
        from twokey.cli import results_view

        return results_view.report(results, as_json=flags.as_json, quiet=flags.quiet)

    from twokey.cli import progress

    steps = progress.Steps(verbose=verbose, quiet=flags.quiet)
    return over_users(flags, settings, work, report, audit_log=settings.audit_log, steps=steps)


def _forget(
    run: Run, audit: Auditing, url: str, job: Job, listener: Listener, *, confirmed: bool, wait: bool
) -> Result:
    from twokey.core.reasons import Reason
    from twokey.fleet.forgetting import name_of, with_candidate
    from twokey.planning.forgetting import forget_plan
    from twokey.planning.plan import Overrides
    from twokey.rotation import rotate

    requested = Overrides(forget=name_of(url, job.user))
    world = run.world(job, listener, wait=wait)
    configured = tuple(one.name for one in world.destinations)
    world = audit.watch(job, requested, world)
    at = run.runtime.destinations_in(job)
    world = with_candidate(world, requested.forget, at.services, at.account)
    decide = partial(forget_plan, configured=configured)
    result = rotate.rotate(job.user, job.policy, world, requested, partial(decide, confirmed=confirmed))
    if result.reason is Reason.UNCONFIRMED and _confirmed(result.message):
        result = rotate.rotate(job.user, job.policy, world, requested, partial(decide, confirmed=True))
    # The candidate is no destination of the user: what it holds is in the message.
    return audit.ended(
        replace(result, destinations=tuple(one for one in result.destinations if one.destination != requested.forget))
    )


def _confirmed(message: str) -> bool:
    """Ask the operator, if there is one."""
    if not (sys.stdin.isatty() and terminal.is_interactive(sys.stderr)):
        return False
    terminal.tell(message)
    return click.confirm("Does no job read a key there?", err=True)
