"""What every command shares: the options, and the settings that they or the configuration file make."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twokey.cli.numbers import WholeNumber
from twokey.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.config.settings import Settings
    from twokey.planning.plan import Overrides

DEFAULT_CONFIG = "twokey.yaml"

ACCOUNT = click.option(
    "--account",
    "accounts",
    metavar="ID|NAME",
    multiple=True,
    help="Only this account of those in the configuration; may be repeated.",
)


def selection(
    to: str = "A further destination that jobs read CURRENT from, such as github:acme/site; may be repeated.",
    excluded: str = "--path, --store, --lock, --to, --window, --grace, --idle and --soak",
) -> tuple[Callable[[Any], Any], ...]:
    """Return the users, and the options that select users, say where their credentials go, and set the rules.

    ``to`` is the help of --to; ``excluded`` names the options that a configuration file excludes.
    """
    return (
        click.argument("users", nargs=-1, metavar="[USER ...]"),
        click.option("--path", metavar="PATH", help="Select every user below this IAM path, such as /machine-users/."),
        ACCOUNT,
        click.option(
            "--store", metavar="URL", help="The store that holds CURRENT, such as secretsmanager:machine-users/{user}."
        ),
        click.option(
            "--lock",
            metavar="URL",
            help="A lock for a store without conditional writes, such as dynamodb:twokey-locks/{user}.",
        ),
        click.option("--to", "deliver", metavar="URL", multiple=True, help=to),
        click.option("--window", metavar="TIME", help="The longest time that a key may live.  [default: 30d]"),
        click.option(
            "--grace",
            metavar="TIME",
            help="How long LAST is guaranteed to work after a rotation.  "
            "[default: the period minus its slack and the soak]",
        ),
        click.option(
            "--idle",
            metavar="TIME",
            help="How long LAST must be unused before it is removed.  [default: 1/15 of the period]",
        ),
        click.option("--soak", metavar="TIME", help="How long LAST is Inactive before it is deleted.  [default: 0s]"),
        click.option(
            "--config",
            metavar="FILE",
            help=f"The configuration file. It excludes {excluded}.  [default: ./{DEFAULT_CONFIG}]",
        ),
        click.option(
            "--concurrency",
            type=WholeNumber(1, 64),
            metavar="N",
            help="The number of users to process at a time.  [default: 32]",
        ),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
        click.option("--quiet", "-q", is_flag=True, help="Print only errors (and the JSON object)."),
    )


SELECTION = selection()
MAX_USERS = click.option(
    "--max-users", type=WholeNumber(1), metavar="N", help="Refuse to change more users than this.  [default: 100]"
)
MAX_ACCOUNTS = click.option(
    "--max-accounts",
    type=WholeNumber(1),
    metavar="N",
    help="Refuse to change users of more accounts than this.  [default: no limit]",
)
OVERRIDES = (
    MAX_USERS,
    MAX_ACCOUNTS,
    click.option("--force", is_flag=True, help="Rotate even if no rotation is due; overrides nothing else."),
    click.option(
        "--ignore-last-use",
        is_flag=True,
        help="Remove LAST although it was used recently or its grace is not over: jobs that still use it fail.",
    ),
    click.option(
        "--retire",
        metavar="KEY_ID",
        multiple=True,
        help="Allow the removal of this key, whatever its role, grace and last use; a key that a destination holds is "
        "refused all the same. May be repeated.",
    ),
)


def options(*groups: tuple[Callable[[Any], Any], ...]) -> Callable[[Any], Any]:
    """Put groups of options on a command, in the order in which help shows them."""

    def decorate(command: Any) -> Any:
        for option in reversed([option for group in groups for option in group]):
            command = option(command)
        return command

    return decorate


@dataclass(frozen=True, slots=True)
class Flags:
    """The options of ``SELECTION``, as they were typed."""

    users: tuple[str, ...]
    path: str | None
    store: str | None
    lock: str | None
    deliver: tuple[str, ...]
    window: str | None
    grace: str | None
    idle: str | None
    soak: str | None
    config: str | None
    concurrency: int | None
    as_json: bool
    quiet: bool
    accounts: tuple[str, ...] = ()
    max_accounts: int | None = None
    max_users: int | None = None
    audit_log: str | None = None


def settings_of(flags: Flags, *, to_selects: bool = False) -> Settings:
    """Return the settings that the flags or the configuration file make; raises ``UsageError``.

    With ``to_selects``, --to may be combined with a file: see ``selected_destinations``.
    """
    from twokey.config.load import audited_by

    found = _settings(flags, to_selects=to_selects)
    if flags.accounts or flags.max_accounts:
        from twokey.config.account_settings import selected_by

        found = replace(found, accounts=selected_by(found.accounts, flags.accounts, flags.max_accounts, found.source))
    return audited_by(found, flags.audit_log)


def selected_destinations(flags: Flags) -> tuple[str, ...]:
    """Return the URLs that select among the destinations of the file; none without one. Raises ``UsageError``."""
    from twokey.destinations import registry

    if not uses_file(flags):
        return ()
    for url in flags.deliver:
        registry.parse(url)
    return flags.deliver


def uses_file(flags: Flags) -> bool:
    """Return whether a configuration file makes the settings: the named one, or the default one."""
    return flags.config is not None or (flags.store is None and Path(DEFAULT_CONFIG).exists())


def _settings(flags: Flags, *, to_selects: bool) -> Settings:
    from twokey.config.load import from_flags, limited
    from twokey.config.load import load as load_file
    from twokey.config.schema import CONCURRENCY, MAX_USERS

    if not uses_file(flags):
        return from_flags(
            store=flags.store,
            path=flags.path,
            users=flags.users,
            deliver=flags.deliver,
            lock=flags.lock,
            window=flags.window,
            grace=flags.grace,
            idle=flags.idle,
            soak=flags.soak,
            max_users=flags.max_users or MAX_USERS,
            concurrency=flags.concurrency or CONCURRENCY,
        )
    file = DEFAULT_CONFIG if flags.config is None else flags.config
    _refuse_flags_of_the_file(flags, file, to_selects=to_selects)
    return limited(load_file(Path(file)), flags.max_users, flags.concurrency)


def _refuse_flags_of_the_file(flags: Flags, file: str, *, to_selects: bool) -> None:
    for name in ("path", "store", "lock", "deliver", "window", "grace", "idle", "soak"):
        if getattr(flags, name) and not (to_selects and name == "deliver"):
            raise UsageError(
                f"--{'to' if name == 'deliver' else name} cannot be combined with a configuration file ({file}).",
                remedy="Set it in the file, or use --store and the other options without the file.",
            )


def configuration(config: str | None, accounts: tuple[str, ...] = ()) -> Settings | None:
    """Return the settings of the named file, or of the default one; None if nothing is named and there is none.

    ``accounts``: those of its accounts that the operator has chosen; raises ``UsageError`` where it has none.
    """
    from twokey.config.account_settings import selected_by
    from twokey.config.load import load

    if config is None and not Path(DEFAULT_CONFIG).exists():
        if accounts:
            raise UsageError("--account is about the accounts of a twokey.yaml, and there is none.")
        return None
    found = load(Path(DEFAULT_CONFIG if config is None else config))
    if accounts:
        found = replace(found, accounts=selected_by(found.accounts, accounts, None, found.source))
    return found


def overrides(*, force: bool, ignore_last_use: bool, retire: tuple[str, ...]) -> Overrides:
    """Return what the operator requests beyond what is due; raises ``UsageError`` for a malformed key id."""
    from twokey.planning.plan import requested

    return requested(force=force, ignore_last_use=ignore_last_use, retire=retire)
