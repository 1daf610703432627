"""The waves of a run, and when it stops, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twokey.core.accounts import AccountChoice
    from twokey.core.hooks import Hook


@dataclass(frozen=True, slots=True)
class WaveSettings:
    """A wave: the accounts that are chosen, or how many percent of all; and what comes before the next one."""

    accounts: tuple[AccountChoice, ...] = ()
    percent: int = 0
    pause: timedelta = timedelta()
    status: bool = True
    check: Hook | None = None
    at: str = field(default="", compare=False)
    """The position in the file, as a message begins."""


@dataclass(frozen=True, slots=True)
class StopSettings:
    """How many users of a wave may fail or be refused: a number, or a share of them in percent."""

    number: int = 0
    percent: int | None = None

    def allows(self, bad: int, users: int) -> bool:
        """Return whether so many of the users of a wave may have failed."""
        return bad <= self.number if self.percent is None else 100 * bad <= self.percent * users

    def __str__(self) -> str:
        return str(self.number) if self.percent is None else f"{self.percent} %"
