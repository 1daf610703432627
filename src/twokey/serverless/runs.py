"""What the functions share with each other when they run the code of ``twokey.fleet``."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from twokey.config.settings import Settings
    from twokey.fleet.roster import Job


def chosen(settings: Settings, accounts: Sequence[str]) -> Settings:
    """Return the settings for these accounts alone, by ID or name; for all of them without any."""
    if not accounts:
        return settings
    from twokey.config.account_settings import selected_by

    return replace(settings, accounts=selected_by(settings.accounts, tuple(accounts), None, settings.source))


class Unobserved:
    """Follows a run, and does nothing about it."""

    def heard(self, *_: object) -> None:
        """Ignore an event of one user's rotation."""

    def ended(self, _result: object) -> None:
        """Ignore that one user is done."""


@contextmanager
def unobserved(_jobs: Sequence[Job]) -> Iterator[Unobserved]:
    """Let nothing follow a run."""
    yield Unobserved()
