"""``twokey deliver``: deliver CURRENT to its destinations, again where it is there already."""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from twokey.cli import terminal
from twokey.cli.help import Command, epilog
from twokey.cli.options import (
    MAX_USERS,
    Flags,
    options,
    overrides,
    selected_destinations,
    selection,
    settings_of,
)
from twokey.cli.over_users import AUDIT_LOG, NO_WAIT, VERBOSE, act
from twokey.core.errors import TwokeyError, UsageError

if TYPE_CHECKING:
    from twokey.fleet.roster import Job, Roster
    from twokey.fleet.runtime import Runtime
    from twokey.rotation.look import Decide


@click.command(
    "deliver",
    cls=Command,
    epilog=epilog(
        ("twokey deliver", "Deliver to every destination that does not hold CURRENT."),
        ("twokey deliver ci --to github:acme/site", "Deliver one user's CURRENT to one destination."),
        times=True,
    ),
)
@options(
    selection(
        to="A destination to deliver to, such as github:acme/site: with twokey.yaml, one of those that it names. May "
        "be repeated.  [default with twokey.yaml: all]",
        excluded="--path, --store, --lock, --window, --grace, --idle and --soak",
    ),
    (MAX_USERS,),
)
@click.option("--unmanaged", is_flag=True, help="With twokey.yaml: deliver also to a --to that it does not name.")
@options((VERBOSE, AUDIT_LOG, NO_WAIT))
def command(*, unmanaged: bool, no_wait: bool, verbose: bool, **parameters: Any) -> int:
    """Deliver CURRENT to its destinations; no key is created or removed.

    Use it for a new pipeline, after a token was repaired, or after a secret was rolled back. Destinations that show
    CURRENT stay as they are; those that cannot tell what they hold are written again. With twokey.yaml, --to selects
    among its destinations; another one needs --unmanaged, because later runs would not update it.
    """
    flags = Flags(**parameters)
    settings = settings_of(flags, to_selects=True)
    urls = selected_destinations(flags)
    if not urls and not any(selection.deliver for selection in settings.selections):
        raise UsageError(
            "No destination is configured.",
            remedy="Add --to, such as --to ssm:/machine-users/{user}, or deliver: in twokey.yaml.",
        )

    def select(runtime: Runtime) -> Roster:
        from twokey.fleet.roster import select_destinations
        from twokey.fleet.runtime import fill

        roster = runtime.roster(settings, flags.users, urls)
        return select_destinations(
            roster,
            settings.selections,
            urls,
            fill,
            lambda url: unmanaged or _confirmed(url),
            lambda url, job: _as_configured(url, job, runtime),
        )

    requested = overrides(force=False, ignore_last_use=False, retire=())
    return act(
        flags, settings, requested, command="deliver", wait=not no_wait, verbose=verbose, select=select, decide=_decide
    )


def _as_configured(url: str, job: Job, runtime: Runtime) -> str:
    """Return the URL by which the user's configuration means the same thing; without one, the URL itself."""
    from twokey.destinations import identity, registry

    if url in job.deliver:
        return url

    at = runtime.destinations_in(job)

    def meant(one: str) -> str:
        return identity.identity(registry.open_destination(one, at.services), at.services, at.account)

    with suppress(TwokeyError):  # what cannot be opened is reported by the run
        wanted = meant(url)
        return next((one for one in job.deliver if meant(one) == wanted), url)
    return url


def _confirmed(url: str) -> bool:
    """Ask the operator, if there is one."""
    if not (sys.stdin.isatty() and terminal.is_interactive(sys.stderr)):
        return False
    terminal.tell(f"{url} is a destination of no user in the configuration: later runs would not deliver there.")
    return click.confirm("Deliver there once?", err=True)


def _decide(job: Job) -> Decide:
    from twokey.planning.redelivery import deliver_plan

    return partial(deliver_plan, chosen=job.targets)
