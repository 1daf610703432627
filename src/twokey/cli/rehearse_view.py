"""A rehearsal for the terminal: a strip for each user, then what would have gone wrong, then the figures."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from twokey.cli import terminal
from twokey.core import durations
from twokey.reports.rehearsal import day

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from twokey.reports.rehearsal import Key, Rehearsal, Run, User

T = TypeVar("T")
LEGEND = {"R": "rotated", "r": "LAST retired", "?": "refused", "!": "failed or killed", "-": "no run"}
MARKS = {"failed": "!", "killed": "!", "rotated": "R", "completed": "R", "retired": "r", "refused": "?"}
"""What stands in the line of runs, the most important first."""
BEFORE = 10
"""Columns before the strips."""
LONGEST_STRIP = 90
MOST_USERS = 20
"""How many users have a strip of their own on the terminal."""


def show(result: Rehearsal) -> None:
    """Print what a rehearsal showed."""
    strips = min(LONGEST_STRIP, max(20, terminal.width() - BEFORE - 1))
    days = "1 day" if result.days == 1 else f"{result.days:,} days"
    terminal.headline(f"{days}, a run every {_time(result.every)}{_conditions(result)}")
    shown = sorted(result.users, key=lambda user: (not user.failures, not user.late))[:MOST_USERS]
    for user in shown:
        _user(user, result, strips)
    _legend(shown, result, strips)
    if len(result.users) > len(shown):
        terminal.say()
        terminal.paragraph(f"{len(result.users) - len(shown)} more users are in the JSON document and on the page.")
    _trouble(result)
    _summary(result)


def _conditions(result: Rehearsal) -> str:
    outage = result.outage
    without = f", none from {day(outage.since)} to {day(outage.until)}" if outage else ""
    return f"{without}{', with faults' if result.faults else ''}"


def _legend(users: Sequence[User], result: Rehearsal, width: int) -> None:
    marks = {mark for user in users for mark in _runs(user.runs, result, width)}
    shown = [f"{mark} {meaning}" for mark, meaning in LEGEND.items() if mark in marks]
    if any(user.failures for user in users):
        shown.append("x jobs failed")
    terminal.say()
    terminal.paragraph(f"Each letter beside CURRENT and LAST is a key. {', '.join(shown)}.", "")


def _user(user: User, result: Rehearsal, width: int) -> None:
    terminal.say()
    terminal.say(f"{user.user}  window {_time(user.window)}, grace {_time(user.grace)}")
    for name, strip in strips(user, result, width).items():
        terminal.say(f"  {name:<{BEFORE - 2}}{strip}".rstrip())


def strips(user: User, result: Rehearsal, width: int) -> dict[str, str]:
    """Return the lines of a user's timeline: each column stands for the same time."""
    end = result.days * 86_400
    column = end / width

    def at(pick: Callable[[float], str]) -> str:
        return "".join(pick((index + 0.5) * column) for index in range(width))

    lines = {
        "CURRENT": at(lambda moment: _label(user.keys, moment, current=True)),
        "LAST": at(lambda moment: _label(user.keys, moment, current=False)),
        "runs": _runs(user.runs, result, width),
    }
    if user.failures:
        lines["jobs"] = _marked((one.failed_at for one in user.failures), "x", end, width)
    lines["day"] = _days(result.days, width)
    return lines


def _label(keys: Sequence[Key], moment: float, *, current: bool) -> str:
    for key in reversed(keys):
        since, until = key.current_from, key.current_until
        is_current = since is not None and since <= moment and (until is None or moment < until)
        works = key.created <= moment and (key.ended is None or moment < key.ended)
        known = until is not None or key.created < 0
        if works and is_current is current and (current or known):
            return key.label[0]
    return "."


def _runs(runs: Sequence[Run], result: Rehearsal, width: int) -> str:
    end = result.days * 86_400
    line = list("." * width)
    if result.outage:
        for index in range(width):
            if result.outage.since <= (index + 0.5) * end / width < result.outage.until:
                line[index] = "-"
    order = list(MARKS.values())
    for run in runs:
        mark = MARKS.get(run.outcome, ".")
        index = min(width - 1, run.at * width // end)
        if mark in order and (line[index] not in order or order.index(mark) < order.index(line[index])):
            line[index] = mark
        for later in range(index + 1, min(width - 1, (run.at + run.repeated * result.every) * width // end) + 1):
            if mark in order and line[later] == ".":
                line[later] = mark
    return "".join(line)


def _marked(moments: Iterator[int], mark: str, end: int, width: int) -> str:
    line = list("." * width)
    for moment in moments:
        line[min(width - 1, moment * width // end)] = mark
    return "".join(line)


def _days(days: int, width: int) -> str:
    """Return a scale: the number of a day, where it begins."""
    step = next((step for step in (1, 2, 5, 7, 10, 15, 30, 60, 90, 180, 365) if days / step <= 7), 365)
    line = [" "] * (width + 4)
    for number in range(0, days, step):
        at = number * width // days
        line[at : at + len(str(number))] = str(number)
    return "".join(line).rstrip()


def _trouble(result: Rehearsal) -> None:
    if result.jobs_failed:
        terminal.headline("Jobs that would have failed")
    for user in result.users:
        for job, failed in _grouped(user.failures, lambda one: one.job).items():
            count = sum(one.count for one in failed)
            jobs = f"a job of {job}" if count == 1 else f"{count:,} jobs of {job}"
            terminal.paragraph(f"{user.user}: {jobs}. {failed[0].message}", "  ", "  ")
            terminal.paragraph(failed[0].remedy, "    ")
    if result.late:
        terminal.headline("Rotations that would have been late")
    for user in result.users:
        for remedy, late in _grouped(user.late, lambda one: one.remedy).items():
            first = late[0]
            done = "was not done by the end" if first.done is None else f"was done {_time(first.late_by)} later"
            terminal.paragraph(f"{user.user}: due on {day(first.due)}, it {done}. {first.message}", "  ", "  ")
            terminal.paragraph(remedy, "    ")
            if late[1:]:
                terminal.say(f"    {len(late[1:])} more would have been late for this cause.")


def _grouped(found: Sequence[T], by: Callable[[T], str]) -> dict[str, list[T]]:
    groups: dict[str, list[T]] = {}
    for one in found:
        groups.setdefault(by(one), []).append(one)
    return groups


def _summary(result: Rehearsal) -> None:
    terminal.headline("Result")
    users = "1 user" if len(result.users) == 1 else f"{len(result.users):,} users"
    missed = f", {result.missed:,} of which the outage took" if result.missed else ""
    rotations = "1 rotation" if result.rotations == 1 else f"{result.rotations:,} rotations"
    runs = "1 run" if result.runs == 1 else f"{result.runs:,} runs"
    terminal.paragraph(f"{users}, {runs}{missed}, {rotations}.", "  ")
    if result.refused:
        refusals = "1 refusal" if result.refused == 1 else f"{result.refused:,} refusals"
        terminal.paragraph(f"{refusals}: see the reasons with --json, or on the page of --html.", "  ")
    if result.weather:
        met = ", ".join(f"{kind} {count}" for kind, count in result.weather.items())
        terminal.paragraph(f"What the runs met: {met}.", "  ")
        orphans = sum(user.orphans for user in result.users)
        if orphans:
            left = "1 key" if orphans == 1 else f"{orphans:,} keys"
            terminal.paragraph(f"Interrupted runs left {left} orphaned; later runs removed all of them.", "  ")
    terminal.fact(_of_jobs(result), holds=not result.jobs_failed)
    terminal.fact(_of_rotations(result), holds=not result.late)
    for note in result.notes:
        terminal.paragraph(note, "  ", "  ")


def _of_jobs(result: Rehearsal) -> str:
    if not result.jobs_failed:
        return f"no job fails: {result.jobs_started:,} were played"
    return f"{result.jobs_failed:,} of {result.jobs_started:,} jobs would have failed"


def _of_rotations(result: Rehearsal) -> str:
    if not result.late:
        return "no rotation is late"
    late = "1 rotation" if result.late == 1 else f"{result.late:,} rotations"
    return f"{late} would have been late; {result.rotations:,} {'was' if result.rotations == 1 else 'were'} done"


def _time(seconds: int) -> str:
    return durations.show(timedelta(seconds=seconds))
