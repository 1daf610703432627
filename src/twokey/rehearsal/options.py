"""What is to be rehearsed: for how long, how often runs take place, which jobs there are, what goes wrong. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from twokey.core import durations
from twokey.core.errors import UsageError

MOST_DAYS = 1_000
HOUR = timedelta(hours=1)
SHORTEST = timedelta(minutes=1)
"""The shortest time between two runs, or two jobs, and the shortest length of a job."""
MOST_JOBS = 8
"""How many kinds of jobs there may be."""


@dataclass(frozen=True, slots=True)
class JobKind:
    """Jobs of one length, one every so often.

    Each reads its key once, from each destination, when it starts, and uses it again when it ends. That is the worst
    case: IAM shows no use in between, so nothing but the promise of grace keeps LAST for it.
    """

    length: timedelta
    every: timedelta = HOUR

    @property
    def name(self) -> str:
        """The job as an option names it."""
        length = durations.exact(self.length).replace(" ", "")
        return length if self.every == HOUR else f"{length}/{durations.exact(self.every).replace(' ', '')}"


@dataclass(frozen=True, slots=True)
class Options:
    """What is to be rehearsed. ``outage``: for how long no run takes place, from when the first rotation is due."""

    days: int
    every: timedelta
    jobs: tuple[JobKind, ...]
    outage: timedelta | None = None
    faults: bool = False
    seed: int = 0

    @property
    def length(self) -> timedelta:
        """The whole time."""
        return timedelta(days=self.days)


def job(text: str) -> JobKind:
    """Read ``6h``, or ``6h/1d`` for a job of six hours every day; raises ``UsageError``."""
    length, slash, every = text.partition("/")
    return JobKind(duration(length, "--job"), duration(every, "--job") if slash else HOUR)


def duration(text: str, what: str) -> timedelta:
    """Read a duration of at least a minute; raises ``UsageError``."""
    found = durations.parse(text, what)
    if found < SHORTEST:
        raise UsageError(f"{what}: {durations.exact(found)} is too short.", remedy="Set it to at least 1m.")
    return found
