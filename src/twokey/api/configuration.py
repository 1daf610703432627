"""What a call is given: a configuration, and what the call chooses and limits in it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from twokey.api import arguments
from twokey.config import load as _load
from twokey.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

    from twokey.config.settings import Settings


@dataclass(frozen=True, slots=True)
class Configuration:
    """The content of a ``twokey.yaml``, checked. ``source`` is its name in messages; the rest is not for callers."""

    source: str
    settings: Settings = field(repr=False)


def load(file: str | PathLike[str] = "twokey.yaml") -> Configuration:
    """Read a configuration file; raises ``UsageError`` with file, line and problem."""
    arguments.check(file=file)
    settings = _load.load(Path(file))
    return Configuration(settings.source, settings)


def parse(text: str, source: str = "the configuration") -> Configuration:
    """Read a configuration from text; raises ``UsageError`` with ``source``, line and problem."""
    arguments.check(text=text, source=source)
    settings = _load.parse(text, source)
    return Configuration(settings.source, settings)


def chosen(
    configuration: Configuration,
    users: tuple[str, ...] = (),
    account: Iterable[str] | None = None,
    max_users: int | None = None,
    max_accounts: int | None = None,
    concurrency: int | None = None,
) -> Settings:
    """Return the settings of one call: those of the configuration, with what the call limits."""
    source: object = configuration
    if not isinstance(source, Configuration):
        found = type(source).__name__
        raise UsageError(f"Expected a configuration, got {found}.", remedy="Make one with load() or parse().")
    arguments.texts("users", users, "Give the names one by one: rotate(configuration, *names).")
    arguments.check(max_users=max_users, max_accounts=max_accounts, concurrency=concurrency)
    settings = _load.limited(configuration.settings, max_users, concurrency)
    accounts = arguments.texts("account", account)
    if account is not None and not accounts:
        # A program may have chosen them, and found none.
        raise UsageError("account: no account is named.", remedy="To work in all accounts, leave it out.")
    if accounts or max_accounts is not None:
        from twokey.config.account_settings import selected_by

        if max_accounts is not None and max_accounts < 1:
            raise UsageError("--max-accounts must be at least 1.")
        settings = replace(settings, accounts=selected_by(settings.accounts, accounts, max_accounts, settings.source))
    return settings
