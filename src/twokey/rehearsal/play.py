"""The rehearsal itself: every scheduled run of every user, in order, on a clock that does not wait."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from twokey.core.errors import UsageError
from twokey.rehearsal.actor import Actor
from twokey.rehearsal.weather import fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from twokey.planning.policy import RotationPolicy
    from twokey.rehearsal.options import Options
    from twokey.rehearsal.stage import Job, Stage

MOST_RUNS = 100_000
"""How many runs, over all users, are still played: each is decided, even where nothing is due."""


@dataclass(frozen=True, slots=True)
class Played:
    """What was played: the users, how many runs were scheduled, which of them the outage took."""

    actors: Sequence[Actor]
    runs: int
    missed: int
    outage: tuple[float, float] | None


def play(
    stage: Stage,
    jobs: Sequence[Job],
    options: Options,
    progress: Callable[[int, int], None] = lambda _day, _days: None,
    *,
    every_run: bool = False,
) -> Played:
    """Play all runs. The first takes place at the beginning, in calm weather.

    ``every_run``: have the engine run also where nothing is due: slow, and the same.
    """
    check_runs(len(jobs), options)
    actors = [Actor(job, stage, options.jobs) for job in jobs]
    outage: tuple[float, float] | None = None
    runs = missed = 0
    for number, moment in enumerate(_moments(options)):
        runs += 1
        progress(int(moment // 86_400), options.days)
        if outage and outage[0] <= moment < outage[1]:
            missed += 1
            continue
        stage.advance_to(moment)
        for actor in actors:
            if every_run or actor.wakes():
                met = fault(options.seed, number, actor.job.user.name) if options.faults and number else None
                actor.play(f"run {number}", moment, met)
        if number == 0:
            outage = _outage(actors, options)
    end = options.length.total_seconds()
    for actor in actors:
        actor.ended(end)
    return Played(actors, runs, missed, outage)


def check_runs(users: int, options: Options) -> None:
    """Raise ``UsageError`` for more runs than can be played."""
    runs = users * int(options.length / options.every)
    if runs > MOST_RUNS:
        raise UsageError(
            f"{runs:,} runs of one user each are too many for a rehearsal: it plays at most {MOST_RUNS:,}.",
            state="Nothing was called.",
            remedy="Name fewer users, or fewer --days, or a longer --every.",
        )


def _moments(options: Options) -> Iterator[float]:
    every, end = options.every.total_seconds(), options.length.total_seconds()
    number = 0
    while number * every < end:
        yield number * every
        number += 1


def _outage(actors: Sequence[Actor], options: Options) -> tuple[float, float] | None:
    """Return when no run takes place: from when the first rotation is due, which is the worst moment."""
    if options.outage is None:
        return None
    end = options.length.total_seconds()
    since = min((actor.due for actor in actors if actor.due is not None), default=0.0)
    since = min(max(since, 0.0), end)
    return since, min(since + options.outage.total_seconds(), end)


def interval(policies: Sequence[RotationPolicy]) -> timedelta:
    """Return how often to run where neither the option nor the configuration says it: twice in the shortest slack."""
    slack = min((policy.slack for policy in policies), default=timedelta(hours=15))
    choices = [timedelta(hours=hours) for hours in (12, 6, 3, 1)]
    choices += [timedelta(minutes=minutes) for minutes in (30, 15, 5)]
    return next((choice for choice in choices if choice <= slack / 2), timedelta(minutes=1))
