"""``twokey move-store``: move users to another store."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from twokey.cli.help import Command, epilog
from twokey.cli.options import ACCOUNT, DEFAULT_CONFIG, MAX_USERS, Flags, options, settings_of
from twokey.cli.over_users import AUDIT_LOG, VERBOSE, over_users
from twokey.core.errors import TwokeyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twokey.config.settings import Settings
    from twokey.core.destination import Store
    from twokey.core.events import Listener
    from twokey.destinations.registry import Services
    from twokey.fleet.auditing import Auditing
    from twokey.fleet.roster import Job, Roster
    from twokey.fleet.run import Run
    from twokey.fleet.runtime import Runtime, Where
    from twokey.rotation.results import Result


@click.command(
    "move-store",
    cls=Command,
    epilog=epilog(
        (
            "twokey move-store ci --from secretsmanager:ci --to ssm:/ci",
            "Move ci from Secrets Manager to Parameter Store.",
        ),
        ("twokey move-store ci --to 'ssm:/keys/{user}'", "Move ci from the store in ./twokey.yaml."),
    ),
)
@click.argument("users", nargs=-1, metavar="[USER ...]")
@ACCOUNT
@click.option("--from", "source", metavar="URL", help="The former store.  [default: the store in the configuration]")
@click.option("--to", "target", metavar="URL", help="The new store.  [default: the store in the configuration]")
@click.option(
    "--former-unread",
    is_flag=True,
    help="Confirm that no job reads the former store any more: twokey may then remove the key that it holds.",
)
@click.option("--config", metavar="FILE", help=f"The configuration file.  [default: ./{DEFAULT_CONFIG}]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--quiet", "-q", is_flag=True, help="Print only errors (and the JSON object).")
@options((MAX_USERS, AUDIT_LOG, VERBOSE))
def command(
    *,
    users: tuple[str, ...],
    accounts: tuple[str, ...],
    source: str | None,
    target: str | None,
    former_unread: bool,
    config: str | None,
    as_json: bool,
    quiet: bool,
    max_users: int | None,
    audit_log: str | None,
    verbose: bool,
) -> int:
    """Move users to another store, and keep every guarantee to their jobs.

    The pair and the journal are copied, so grace, the last-use veto and the record of what destinations hold stay the
    same. The former store keeps the key; its journal says which store the user has now, and a run that still names the
    former store is refused. No key is created, deactivated or deleted. The same command finishes an interrupted move.
    """
    flags = _flags(users, source, target, config, as_json=as_json, quiet=quiet, max_users=max_users)
    flags = replace(flags, audit_log=audit_log, accounts=accounts)
    settings = settings_of(flags)
    _check(settings, source, target)

    from twokey.cli import progress, results_view

    def work(run: Run, audit: Auditing) -> Callable[[Job, Listener], Result]:
        return _move(run, audit, source, target, unread=former_unread)

    def select(runtime: Runtime) -> Roster:
        roster = runtime.roster(settings, users)
        if source and target:
            _refuse_same(roster, source, target, runtime)
        return roster

    def report(results: Sequence[Result]) -> int:
        return results_view.report(results, as_json=as_json, quiet=quiet)

    steps = progress.Steps(verbose=verbose, quiet=quiet)
    return over_users(flags, settings, work, report, select=select, audit_log=settings.audit_log, steps=steps)


def _flags(
    users: tuple[str, ...],
    source: str | None,
    target: str | None,
    config: str | None,
    *,
    as_json: bool,
    quiet: bool,
    max_users: int | None,
) -> Flags:
    from pathlib import Path

    # With a configuration it has the connections, and the store that is not named; without one, both are named.
    from_file = config is not None or Path(DEFAULT_CONFIG).exists()
    if not from_file and not (source and target and users):
        raise UsageError(
            "Without a configuration file, move-store needs the user, --from and --to.",
            remedy="Write twokey move-store USER --from URL --to URL.",
        )
    return Flags(
        users=users,
        path=None,
        store=None if from_file else source,
        lock=None,
        deliver=(),
        window=None,
        grace=None,
        idle=None,
        soak=None,
        config=config,
        concurrency=None,
        as_json=as_json,
        quiet=quiet,
        max_users=max_users,
    )


def _check(settings: Settings, source: str | None, target: str | None) -> None:
    """Raise ``UsageError`` for errors that show before anything is called."""
    from twokey.destinations import registry

    if not source and not target:
        raise UsageError(
            "move-store needs --from or --to.",
            remedy="Name the one that is not in the configuration: the new store (--to), or the former one (--from).",
        )
    for option, url in (("--from", source), ("--to", target)):
        if url is not None:
            try:
                registry.check_store(registry.parse(url, registry.store_schemes))
            except UsageError as error:
                raise UsageError(f"{option}: {error.message}", state=error.state, remedy=error.remedy) from None
    several = not settings.selections or len(settings.selections) > 1 or not settings.selections[0].one_user
    for option, url in (("--from", source), ("--to", target)):
        if several and url is not None and not registry.names_user(url):
            raise UsageError(
                f"{option}: {url!r} would be the same for every selected user.", remedy="Put {user} into the URL."
            )
        if url is not None and _is_of_accounts(settings, url):
            raise UsageError(
                f"{option}: {url!r} would be the same for users of one name in two accounts.",
                remedy="Put {account} into the URL.",
            )


def _is_of_accounts(settings: Settings, url: str) -> bool:
    """Return whether a store would be that of users of several accounts, whichever of them this run selects."""
    from twokey.config.account_rules import only_account
    from twokey.destinations.address import names_account

    accounts = settings.accounts
    return (
        accounts is not None
        and not names_account(url)
        and any(one.is_shared("store", url) and not only_account(one, accounts) for one in settings.selections)
    )


def _move(
    run: Run, audit: Auditing, source: str | None, target: str | None, *, unread: bool
) -> Callable[[Job, Listener], Result]:
    from twokey.destinations import identity
    from twokey.destinations.locks.registry import locked
    from twokey.moving.move import already_there, move_store

    def one(job: Job, listener: Listener) -> Result:
        at = run.runtime.store_in(job)
        services = at.services
        former, new = _opened(source, job, services), _opened(target, job, services)
        meant = {store.name: identity.identity(store, services, at.account) for store in (former, new)}
        same = _same(former, new, at)
        # Runs from the former store take the user's lock; nothing rotates from the new one until it has arrived.
        former = locked(former, job.lock, services) if job.lock else former
        world = run.world(job, listener)
        world = replace(world, store=former, identities={**world.identities, **meant})
        if same:
            return audit.ended(already_there(job.user, job.policy, world))
        world, new = audit.watch_move(job, world, new, unread=unread)
        return audit.ended(move_store(job.user, job.policy, world, new, unread=unread))

    return one


def _opened(url: str | None, job: Job, services: Services) -> Store:
    """Open a store that was named, or else the one in the configuration."""
    from twokey.destinations import registry
    from twokey.fleet.runtime import fill

    return registry.open_store(fill(url, job.user) if url else job.store, services)


def _same(former: Store, new: Store, at: Where) -> bool:
    """Say whether two URLs mean one store, however they are written."""
    from twokey.destinations import identity

    return not identity.write_targets(former, at.services, at.account).isdisjoint(
        identity.write_targets(new, at.services, at.account)
    )


def _refuse_same(roster: Roster, source: str, target: str, runtime: Runtime) -> None:
    """Raise ``UsageError`` if the two stores that were named are one, for any user, before anything is changed."""
    for job in roster.jobs:
        try:
            at = runtime.store_in(job)
            former, new = _opened(source, job, at.services), _opened(target, job, at.services)
            same = _same(former, new, at)
        except TwokeyError:
            continue  # this user's own result says so
        if same:
            names = " and ".join(dict.fromkeys((former.name, new.name)))
            raise UsageError(
                f"--from and --to are the same store of {job.user.name}: {names}.",
                remedy="Name the former store with --from, and the new one with --to.",
            )
