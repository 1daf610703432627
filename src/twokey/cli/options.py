"""What every command shares: the options, the configuration they make, and the AWS edge of one run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twokey.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.config.settings import Settings
    from twokey.fleet.roster import Roster
    from twokey.planning.plan import Overrides

DEFAULT_CONFIG = "twokey.yaml"

SELECTION = (
    click.argument("users", nargs=-1, metavar="[USER ...]"),
    click.option("--path", metavar="PATH", help="Every user below this IAM path, such as /machine-users/."),
    click.option("--store", metavar="URL", help="Where CURRENT is kept, such as secretsmanager:machine-users/{user}."),
    click.option("--to", "deliver", metavar="URL", multiple=True, help="Another destination; may be repeated."),
    click.option("--window", metavar="TIME", help="The longest that a key may live.  [default: 30d]"),
    click.option(
        "--grace",
        metavar="TIME",
        help="How long LAST keeps working.  [default: the period less its slack and the soak]",
    ),
    click.option("--idle", metavar="TIME", help="How long LAST must be unused.  [default: 1/15 of the period]"),
    click.option("--soak", metavar="TIME", help="Make LAST Inactive this long before it is deleted.  [default: 0s]"),
    click.option("--config", metavar="FILE", help=f"The configuration.  [default: {DEFAULT_CONFIG} here]"),
    click.option("--concurrency", type=click.IntRange(1, 64), metavar="N", help="Users at a time.  [default: 32]"),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
    click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors (and the JSON object)."),
)
MOST = click.option("--max-users", type=click.IntRange(1), metavar="N", help="Refuse to touch more.  [default: 100]")
ASKED = (
    MOST,
    click.option("--force", is_flag=True, help="Rotate although nothing is due; overrides nothing else."),
    click.option("--ignore-last-use", is_flag=True, help="Accept that jobs in flight fail: skip grace and last use."),
    click.option("--retire", metavar="KEY_ID", multiple=True, help="You say that this key may be removed."),
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
    deliver: tuple[str, ...]
    window: str | None
    grace: str | None
    idle: str | None
    soak: str | None
    config: str | None
    concurrency: int | None
    as_json: bool
    quiet: bool
    max_users: int | None = None
    audit_log: str | None = None


def settings(flags: Flags, *, may_pick: bool = False) -> Settings:
    """Return what the flags or the configuration file ask for; raises ``UsageError``.

    With ``may_pick`` --to goes with a file: see ``picks``.
    """
    found = _settings(flags, may_pick=may_pick)
    return replace(found, audit_log=Path(flags.audit_log)) if flags.audit_log is not None else found


def picks(flags: Flags) -> tuple[str, ...]:
    """Return the URLs that pick among the destinations of the file; none without one. Raises ``UsageError``."""
    from twokey.destinations import registry

    if not _from_file(flags):
        return ()
    for url in flags.deliver:
        registry.parse(url)
    return flags.deliver


def _from_file(flags: Flags) -> bool:
    return flags.config is not None or (flags.store is None and Path(DEFAULT_CONFIG).exists())


def _settings(flags: Flags, *, may_pick: bool) -> Settings:
    from twokey.config.load import from_flags
    from twokey.config.load import load as load_file
    from twokey.config.schema import CONCURRENCY, MAX_USERS

    if not _from_file(flags):
        return from_flags(
            store=flags.store,
            path=flags.path,
            users=flags.users,
            deliver=flags.deliver,
            window=flags.window,
            grace=flags.grace,
            idle=flags.idle,
            soak=flags.soak,
            max_users=flags.max_users or MAX_USERS,
            concurrency=flags.concurrency or CONCURRENCY,
        )
    file = flags.config or DEFAULT_CONFIG
    given = ("path", "store", "deliver", "window", "grace", "idle", "soak")
    alien = [
        f"--{'to' if name == 'deliver' else name}"
        for name in given
        if getattr(flags, name) and not (may_pick and name == "deliver")
    ]
    if alien:
        raise UsageError(
            f"{alien[0]} does not go with a configuration file ({file}).",
            remedy="Change it there, or give --store and the rest without the file.",
        )
    loaded = load_file(Path(file))
    return replace(
        loaded,
        max_users=flags.max_users or loaded.max_users,
        concurrency=flags.concurrency or loaded.concurrency,
    )


def asked(*, force: bool, ignore_last_use: bool, retire: tuple[str, ...]) -> Overrides:
    """Return what was asked for beyond what is due; raises ``UsageError`` for what is no key id."""
    import re

    from twokey.planning.plan import Overrides

    for key_id in retire:
        if not re.fullmatch(r"[A-Z0-9]{16,128}", key_id):
            raise UsageError(f"--retire: {key_id!r} is not an access key id.", remedy="It begins with AKIA.")
    return Overrides(force=force, ignore_last_use=ignore_last_use, retire=frozenset(retire))


def of_one_user(wishes: Overrides, roster: Roster) -> Overrides:
    """Hold ``--retire`` against the keys of the one user that is selected; with several, each key has one owner."""
    return replace(wishes, all_theirs=len(roster.jobs) == 1)
