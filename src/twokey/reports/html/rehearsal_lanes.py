"""The timeline of one user of a rehearsal: the two keys, the runs, the jobs. Pure; positions are in percent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from twokey.core import durations
from twokey.reports.rehearsal import day

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from twokey.reports.rehearsal import Jobs, Key, Rehearsal, Run, User

DAY = 86_400
NARROWEST = 0.25
"""The width at which a short bar can still be seen."""
LABELLED = 2.2
"""The width from which a bar has room for the letter of its key."""
MOST_MARKS = 400
"""How many marks a lane has at most: more could not be told apart."""
APART = 0.6
"""Marks of one look that are nearer to each other are drawn once."""
LAST_TICK = 96
_STEPS = (1, 2, 5, 7, 10, 15, 30, 60, 90, 180, 365)
Look = Literal["current", "last", "orphan", "kept", "risk", "broken"]
LOOKS = {
    "rotated": "done",
    "completed": "done",
    "retired": "done",
    "refused": "refused",
    "failed": "failed",
    "killed": "failed",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """A time, drawn as a bar; ``label`` is empty where there is no room for it."""

    x: float
    width: float
    look: Look
    label: str
    title: str

    @property
    def middle(self) -> float:
        """Where its label stands."""
        return round(self.x + self.width / 2, 3)


@dataclass(frozen=True, slots=True)
class Mark:
    """A run, drawn as a mark."""

    x: float
    look: str
    title: str


@dataclass(frozen=True, slots=True)
class JobLane:
    """The jobs of one length: those that fail, and for each rotation one that reads its key right before it.

    That one is a risk where its key ends too early for it, although no job that was played failed.
    """

    name: str
    failed: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Drawing:
    """All lanes of one user."""

    rows: tuple[tuple[Bar, ...], tuple[Bar, ...]]
    marks: tuple[Mark, ...]
    late: tuple[Bar, ...]
    jobs: tuple[JobLane, ...]
    outage: Bar | None
    ticks: tuple[tuple[float, str], ...]


def drawing(user: User, rehearsal: Rehearsal) -> Drawing:
    """Return the drawing of one user."""
    scale = _Scale(rehearsal.days * DAY)
    outage = rehearsal.outage
    return Drawing(
        rows=_rows(user.keys, scale),
        # What went wrong is drawn over what was done at the same time.
        marks=tuple(sorted(_marks(user.runs, scale), key=lambda mark: mark.look != "done")),
        late=tuple(
            scale.bar(one.due, one.done, "broken", "", f"late by {durations.show(timedelta(seconds=one.late_by))}")
            for one in user.late
        ),
        jobs=tuple(_jobs(jobs, user, scale) for jobs in user.jobs),
        outage=scale.bar(outage.since, outage.until, "broken", "", "no run") if outage else None,
        ticks=tuple(_ticks(rehearsal.days)),
    )


class _Scale:
    def __init__(self, end: int) -> None:
        self.end = end

    def at(self, moment: float) -> float:
        return round(min(max(moment / self.end, 0.0), 1.0) * 100, 3)

    def bar(self, since: float, until: float | None, look: Look, label: str, title: str) -> Bar:
        width = round(max((100.0 if until is None else self.at(until)) - self.at(since), NARROWEST), 3)
        x = min(self.at(since), round(100.0 - width, 3))
        return Bar(x, width, look, label if width >= LABELLED else "", title)


def _rows(keys: Sequence[Key], scale: _Scale) -> tuple[tuple[Bar, ...], tuple[Bar, ...]]:
    """Lay the keys into two rows, as IAM has two for each user: a key takes the row that is free."""
    rows: tuple[list[Bar], list[Bar]] = ([], [])
    free = [float("-inf"), float("-inf")]
    for key in sorted(keys, key=lambda one: one.created):
        row = 0 if free[0] <= free[1] else 1
        free[row] = scale.end if key.ended is None else key.ended
        rows[row].extend(_bars(key, scale))
    return tuple(rows[0]), tuple(rows[1])


def _bars(key: Key, scale: _Scale) -> Iterator[Bar]:
    name = f"{key.label}, {key.id}"
    ended = f"until {day(key.ended)}" if key.ended is not None else "to the end"
    if key.current_from is None:
        look: Look = "orphan" if key.created >= 0 else "last"
        role = "orphan" if key.created >= 0 else "LAST"
        yield scale.bar(key.created, key.ended, look, key.label if look == "last" else "", f"{name}: {role} {ended}")
        return
    until = key.current_until if key.current_until is not None else key.ended
    replaced = f"until {day(until)}" if until is not None else "to the end"
    yield scale.bar(key.created, until, "current", key.label, f"{name}: CURRENT {replaced}")
    if until is not None and (key.ended is None or key.ended > until):
        yield scale.bar(until, key.ended, "last", key.label, f"{name}: LAST {ended}")


def _marks(runs: Sequence[Run], scale: _Scale) -> Iterator[Mark]:
    latest: dict[str, float] = {}
    count = 0
    for run in runs:
        look = LOOKS.get(run.outcome)
        x = scale.at(run.at)
        if look is None or count >= MOST_MARKS or x - latest.get(look, -100.0) < APART:
            continue
        latest[look], count = x, count + 1
        met = f", met {run.weather}" if run.weather else ""
        yield Mark(x, look, f"{day(run.at)}: {run.outcome}{met}")


def _jobs(jobs: Jobs, user: User, scale: _Scale) -> JobLane:
    failed = {one.key: one for one in user.failures if one.job == jobs.job}
    bars = []
    for key in user.keys:
        one, since = failed.get(key.id), key.current_until
        if one is not None:
            title = f"read {key.label}, failed on {day(one.failed_at)}"
            bars.append(scale.bar(one.started, one.needed_until, "broken", "", title))
        elif since is not None and since < scale.end:
            until = since + jobs.length
            look: Look = "risk" if key.ended is not None and key.ended < until else "kept"
            bars.append(scale.bar(since, until, look, "", f"read {key.label} right before {day(since)}"))
    return JobLane(jobs.job, jobs.failed, tuple(bars[:MOST_MARKS]))


def _ticks(days: int) -> Iterator[tuple[float, str]]:
    step = next((step for step in _STEPS if days / step <= 9), _STEPS[-1])
    for number in range(0, days + 1, step):
        x = round(100 * number / days, 3)
        if x <= LAST_TICK:
            yield x, str(number)
