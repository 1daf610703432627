"""What a person sees while a run is under way: its steps, what it waits for, a bar. All of it on stderr."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Self

from twokey.cli.render import person_looks, tell

if TYPE_CHECKING:
    from twokey.events import Event

MANY = 3
"""From more users than this on, a progress bar is shown."""
WAITS = {
    "wait": "another run is rotating this user; waiting for it, at most until",
    "settle": "a key was created a moment ago; IAM's list is given time to show it, until",
}


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
    """A bar on stderr for more than a few users, when a person looks; otherwise nothing."""

    def __init__(self, total: int, *, quiet: bool) -> None:
        self._bar: Any = None
        if total > MANY and not quiet and person_looks(sys.stderr):
            from rich.console import Console
            from rich.progress import Progress as Bar

            self._bar = Bar(console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("machine users", total=total)

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
