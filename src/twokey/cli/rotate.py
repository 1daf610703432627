"""``twokey rotate``: rotate the keys that are due."""

from __future__ import annotations

from typing import Any

import click

from twokey.cli.help import Command, epilog
from twokey.cli.options import OVERRIDES, SELECTION, Flags, options, overrides, settings_of
from twokey.cli.over_users import AUDIT_LOG, NO_WAIT, VERBOSE, act


@click.command(
    "rotate",
    cls=Command,
    epilog=epilog(
        ("twokey rotate", "Rotate what is due among the users of ./twokey.yaml."),
        ("twokey rotate ci --store 'secretsmanager:machine-users/{user}'", "Rotate one user, without a file."),
        times=True,
    ),
)
@options(SELECTION, OVERRIDES, (VERBOSE, AUDIT_LOG, NO_WAIT))
@click.option("--plan", "plan_file", metavar="FILE", help="Perform exactly the plan in this file of plan --out.")
@click.option("--signed-by", metavar="FILE", help="Accept only a plan that this public key verifies (Ed25519, PEM).")
@click.option("--plan-max-age", metavar="TIME", help="Refuse a plan that is older.  [default: 3d]")
def command(
    *,
    force: bool,
    ignore_last_use: bool,
    retire: tuple[str, ...],
    no_wait: bool,
    verbose: bool,
    plan_file: str | None,
    signed_by: str | None,
    plan_max_age: str | None,
    **parameters: Any,
) -> int:
    """Rotate the keys that are due; safe to run as often as you like.

    A rotation removes LAST, creates a key, proves that it works, writes it to the store and delivers it to all
    destinations. CURRENT becomes LAST. Without --store, twokey.yaml defines the users and their stores.
    """
    flags = Flags(**parameters)
    requested = overrides(force=force, ignore_last_use=ignore_last_use, retire=retire)

    from twokey.fleet import plan_files

    if plan_file is None:
        plan_files.refuse_without_plan(signed_by, plan_max_age)
        return act(flags, settings_of(flags), requested, command="rotate", wait=not no_wait, verbose=verbose)
    plan_files.refuse_with_plan(requested)
    settings = settings_of(flags)
    following = plan_files.following(plan_file, flags.users, signed_by, plan_max_age)
    return act(
        flags,
        settings,
        following.overrides,
        command="rotate",
        wait=not no_wait,
        verbose=verbose,
        select=lambda runtime: following.select(runtime.roster(settings, flags.users), runtime, settings),
        decide=following.decide,
    )
