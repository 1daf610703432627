"""What happens to the outside world, reported as it happens: an event before and after each effect, ids only."""

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
    """Ignore every event."""


class Reporter:
    """Reports to a listener what happens to one user."""

    def __init__(self, user: str, clock: Clock, listener: Listener) -> None:
        self._user = user
        self._clock = clock
        self._listener = listener

    def note(self, step: str, subject: str = "", detail: str = "") -> None:
        """Report something that is not an effect."""
        self._report(step, "note", subject, detail)

    @contextmanager
    def effect(self, step: str, subject: str = "") -> Iterator[None]:
        """Report that an effect begins, and how it ended."""
        self._report(step, "begin", subject)
        try:
            yield
        except BaseException as error:
            self._report(step, "failed", subject, type(error).__name__)
            raise
        self._report(step, "done", subject)

    def _report(self, step: str, phase: Phase, subject: str = "", detail: str = "") -> None:
        if self._listener is not ignore:
            self._listener(Event(self._clock.now(), self._user, step, phase, subject, detail))
