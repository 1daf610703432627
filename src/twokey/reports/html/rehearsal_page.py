"""Rendering: a rehearsal as one HTML page, which loads nothing and has no script."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from twokey import __version__
from twokey.core import durations
from twokey.reports.html.page import policy, template_of, text_of
from twokey.reports.html.rehearsal_lanes import drawing
from twokey.reports.rehearsal import day

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from twokey.reports.rehearsal import Rehearsal, User

T = TypeVar("T")
TEMPLATE = "rehearsal.html"
MOST_USERS = 200
"""How many users have a timeline on the page; those with trouble come first."""
MOST_RUNS = 200
"""How many runs of a user its table lists."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the page says first."""

    look: str
    headline: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """Jobs that fail, or rotations that are late, for one cause."""

    look: str
    user: str
    title: str
    message: str
    remedy: str
    more: int


def render(rehearsal: Rehearsal) -> str:
    """Return the page of a rehearsal."""
    style = f"{text_of('page.css')}\n{text_of('rehearsal.css')}"
    ordered = sorted(rehearsal.users, key=lambda user: (not user.failures, not user.late))
    shown = ordered[:MOST_USERS]
    return template_of(TEMPLATE).render(
        version=__version__,
        policy=policy(style),
        style=style,
        rehearsal=rehearsal,
        verdict=_verdict(rehearsal),
        troubles=[*_troubles(ordered)],
        users=[(user, drawing(user, rehearsal)) for user in shown],
        more_users=len(ordered) - len(shown),
        most_runs=MOST_RUNS,
        day=day,
        time=_time,
    )


def _verdict(rehearsal: Rehearsal) -> Verdict:
    if rehearsal.jobs_failed:
        return Verdict("broken", f"{rehearsal.jobs_failed:,} of {rehearsal.jobs_started:,} jobs would have failed.")
    if rehearsal.late:
        late = "1 rotation" if rehearsal.late == 1 else f"{rehearsal.late:,} rotations"
        return Verdict("late", f"No job fails, but {late} would have been late.")
    return Verdict("kept", "No job fails, and no rotation is late.")


def _troubles(users: Sequence[User]) -> Iterator[Trouble]:
    for user in users:
        for failed in _grouped(user.failures, lambda one: one.job):
            first, count = failed[0], sum(one.count for one in failed)
            title = f"a job of {first.job} fails" if count == 1 else f"{count:,} jobs of {first.job} fail"
            yield Trouble("broken", user.user, title, first.message, first.remedy, 0)
    for user in users:
        for late in _grouped(user.late, lambda one: one.remedy):
            one = late[0]
            done = "was not done by the end" if one.done is None else f"was done {_time(one.late_by)} later"
            title = f"the rotation that was due on {day(one.due)} {done}"
            yield Trouble("late", user.user, title, one.message, one.remedy, len(late) - 1)


def _grouped(found: Sequence[T], by: Callable[[T], str]) -> list[list[T]]:
    groups: dict[str, list[T]] = {}
    for one in found:
        groups.setdefault(by(one), []).append(one)
    return [*groups.values()]


def _time(seconds: int) -> str:
    return durations.show(timedelta(seconds=seconds))
