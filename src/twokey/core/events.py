"""What happens to the outside world, told as it happens: one event before and one after each effect, ids only."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from twokey.core.ports import Clock

Phase = Literal["begin", "done", "failed", "note"]


@dataclass(frozen=True, slots=True)
class Event:
    """An effect on IAM or a store, or a note. It never carries a secret."""

    at: datetime
    user: str
    step: str
    phase: Phase
    subject: str = ""
    detail: str = ""


Listener = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """Listen to nothing."""


class Reporter:
    """Tells a listener what happens to one user."""

    def __init__(self, user: str, clock: Clock, listener: Listener) -> None:
        self._user = user
        self._clock = clock
        self._listener = listener

    def note(self, step: str, subject: str = "", detail: str = "") -> None:
        """Tell something that is no effect."""
        self._tell(step, "note", subject, detail)

    @contextmanager
    def effect(self, step: str, subject: str = "") -> Iterator[None]:
        """Tell that an effect begins, and how it ended."""
        self._tell(step, "begin", subject)
        try:
            yield
        except BaseException as error:
            self._tell(step, "failed", subject, type(error).__name__)
            raise
        self._tell(step, "done", subject)

    def _tell(self, step: str, phase: Phase, subject: str = "", detail: str = "") -> None:
        self._listener(Event(self._clock.now(), self._user, step, phase, subject, detail))
