"""What the terminal shows while a run is under way: its steps, what it waits for, a bar. All of it on stderr."""

from __future__ import annotations

import sys
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

from twokey.cli.repeats import FEW
from twokey.cli.terminal import is_interactive, tell
from twokey.fleet.names import Names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twokey.core.events import Event
    from twokey.core.model import MachineUser, UserKey
    from twokey.fleet.roster import Job

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
"""Seconds between two lines that count the finished deliveries, where there is no bar."""


class Steps:
    """Prints on stderr what a run is doing: each step with ``-v``, otherwise only what it waits for, once."""

    def __init__(self, *, verbose: bool, quiet: bool) -> None:
        self._verbose = verbose
        self._quiet = quiet and not verbose
        self._waits: set[tuple[UserKey, str]] = set()
        self._waiting: dict[str, set[UserKey]] = {}
        self._named: set[UserKey] = set()
        self._lock = Lock()

    def show(self, key: UserKey, name: str, event: Event) -> None:
        """Print an event of one user's rotation; ``name`` is how text names the user."""
        if event.step in WAITS:
            if (key, event.detail) not in self._waits and not self._quiet:
                self._waits.add((key, event.detail))
                self._show_wait(key, name, event)
        elif self._verbose:
            words = {"begin": "…", "done": "done", "failed": f"failed ({event.detail})", "note": event.detail}
            tell(" ".join(part for part in (f"{name}:", event.step, event.subject, words[event.phase]) if part))

    def _show_wait(self, key: UserKey, name: str, event: Event) -> None:
        """Print what a user waits for; of many that wait for the same, only the first ones, unless with ``-v``."""
        with self._lock:
            waiting = self._waiting.setdefault(event.step, set())
            known, few = key in waiting, len(waiting) < FEW
            waiting.add(key)
            if self._verbose or few or key in self._named:
                self._named.add(key)
                tell(f"{name}: {WAITS[event.step]} {event.detail}")
            elif not known and len(waiting) == FEW + 1:
                tell("Further users wait for the same; --verbose names each.")


class Progress:
    """How far a run is: bars on stderr at a terminal, otherwise a line now and then where there is much to do."""

    def __init__(self, total: int, *, quiet: bool, deliveries: int = 0, clock: Callable[[], float] = monotonic) -> None:
        """Prepare for so many users, and so many destinations of all of them together."""
        self._bar: Any = None
        self._quiet = quiet
        self._deliveries = deliveries
        self._delivered = 0
        self._clock = clock
        self._printed = clock()
        self._lock = Lock()
        if max(total, deliveries) > MANY and not quiet and is_interactive(sys.stderr):
            from rich.console import Console
            from rich.progress import Progress as Bar

            self._bar = Bar(console=Console(stderr=True), transient=True)
            self._users = self._bar.add_task("machine users", total=total)
            self._destinations = self._bar.add_task("destinations", total=deliveries, visible=deliveries > MANY)

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def clear(self) -> None:
        """Remove the bars, for good: they would be drawn over what is printed past them."""
        if self._bar:
            self._bar.stop()

    def step(self) -> None:
        """Count one user as done."""
        if self._bar:
            self._bar.advance(self._users)

    def heard(self, event: Event) -> None:
        """Count a delivery that ended."""
        if not self._deliveries or not event.step.startswith(DELIVERY) or event.phase not in ("done", "failed"):
            return
        if self._bar:
            self._bar.advance(self._destinations)
            return
        with self._lock:
            self._delivered += 1
            if not self._quiet and self._clock() - self._printed >= OFTEN:
                self._printed = self._clock()
                tell(f"{self._delivered} of at most {self._deliveries} deliveries are done.")


class Observer:
    """Follows a run at the terminal: its steps, if they are wanted, and how far it is."""

    def __init__(self, bar: Progress, steps: Steps | None, jobs: Sequence[Job]) -> None:
        self._bar = bar
        self._steps = steps
        self._named = Names(job.user.key for job in jobs)

    def heard(self, user: MachineUser, event: Event) -> None:
        """Take an event of one user's rotation."""
        if self._steps:
            self._steps.show(user.key, self._named(user.key), event)
        self._bar.heard(event)

    def ended(self, _result: object) -> None:
        """Count one user as done."""
        self._bar.step()
