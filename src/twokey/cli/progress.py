"""What a person sees while a run is under way: its steps, what it waits for, a bar. All of it on stderr."""

from __future__ import annotations

import sys
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

from twokey.cli.terminal import person_looks, tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.core.events import Event

MANY = 3
"""From more users, or from more destinations of all of them together, than this on, a progress bar is shown."""
WAITS = {
    "wait": "another run is rotating this user; waiting for it, at most until",
    "settle": "a key was created a moment ago; IAM's list is given time to show it, until",
    "limit": "a service's rate limit is used up; waiting for it, until",
}
DELIVERY = "deliver to "
"""How the step of a delivery begins."""
OFTEN = 60.0
"""Seconds between two lines that tell how far many deliveries are, where there is no bar."""


class Steps:
    """Tells on stderr what a run is doing: each step with ``-v``, otherwise only what it waits for, once."""

    def __init__(self, *, verbose: bool, quiet: bool) -> None:
        self._verbose = verbose
        self._quiet = quiet and not verbose
        self._waited: set[tuple[str, str]] = set()

    def __call__(self, event: Event) -> None:
        """Take an event of the engine."""
        if event.step in WAITS:
            if (event.user, event.detail) not in self._waited and not self._quiet:
                self._waited.add((event.user, event.detail))
                tell(f"{event.user}: {WAITS[event.step]} {event.detail}")
        elif self._verbose:
            words = {"begin": "…", "done": "done", "failed": f"failed ({event.detail})", "note": event.detail}
            tell(" ".join(part for part in (f"{event.user}:", event.step, event.subject, words[event.phase]) if part))


class Progress:
    """How far a run is: bars on stderr when a person looks, otherwise a line now and then where there is much to do."""

    def __init__(self, total: int, *, quiet: bool, deliveries: int = 0, clock: Callable[[], float] = monotonic) -> None:
        """Prepare for so many users, and so many destinations of all of them together."""
        self._bar: Any = None
        self._quiet = quiet
        self._deliveries = deliveries
        self._delivered = 0
        self._clock = clock
        self._told = clock()
        self._lock = Lock()
        if max(total, deliveries) > MANY and not quiet and person_looks(sys.stderr):
            from rich.console import Console
            from rich.progress import Progress as Bar

            self._bar = Bar(console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("machine users", total=total)
            self._places = self._bar.add_task("destinations", total=deliveries, visible=deliveries > MANY)

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def step(self, _result: object) -> None:
        """Count one user as done."""
        if self._bar:
            self._bar.advance(self._task)

    def heard(self, event: Event) -> None:
        """Count a delivery that ended."""
        if not event.step.startswith(DELIVERY) or event.phase not in ("done", "failed"):
            return
        if self._bar:
            self._bar.advance(self._places)
            return
        with self._lock:
            self._delivered += 1
            if not self._quiet and self._clock() - self._told >= OFTEN:
                self._told = self._clock()
                tell(f"{self._delivered} of at most {self._deliveries} deliveries are done.")
