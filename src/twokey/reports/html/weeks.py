"""What is due in the next weeks, as a calendar. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.reports.html.users import Row

WEEKS = 5
SHADES = 4
MOST_NAMES = 4
MOST_EVENTS = 5
"""Days of each kind that the list beside the calendar has."""


@dataclass(frozen=True, slots=True)
class Day:
    """One day: how many rotations are due, and how many keys reach their window with no rotation before that."""

    date: date
    past: bool
    today: bool
    due: int
    breaking: int
    shade: int


@dataclass(frozen=True, slots=True)
class Event:
    """What happens on a day: to whom. ``more`` users are not named."""

    date: date
    kind: str
    names: tuple[str, ...]
    more: int


@dataclass(frozen=True, slots=True)
class Calendar:
    """Some weeks from the one of the audit on, and a list of their first days: those that break a window come first."""

    weeks: tuple[tuple[Day, ...], ...]
    overdue: int
    due: int
    breaking: int
    agenda: tuple[Event, ...]


def calendar(rows: Sequence[Row], now: datetime) -> Calendar:
    """Return what is due. A day is one in UTC; what is overdue is due today."""
    today = now.astimezone(UTC).date()
    first = today - timedelta(days=today.weekday())
    end = first + timedelta(weeks=WEEKS)
    due: defaultdict[date, list[str]] = defaultdict(list)
    breaking: defaultdict[date, list[str]] = defaultdict(list)
    for row in rows:
        if row.user.next_due is not None:
            due[max(row.user.next_due.astimezone(UTC).date(), today)].append(row.name)
        for moment in _breaks(row):
            breaking[moment.astimezone(UTC).date()].append(row.name)
    busiest = max((len(names) for day, names in due.items() if day < end), default=0)
    days = [first + timedelta(days=number) for number in range(7 * WEEKS)]
    cells = [
        Day(day, day < today, day == today, len(due[day]), len(breaking[day]), _shade(len(due[day]), busiest))
        for day in days
    ]
    agenda = [_event(day, "breaks", breaking[day]) for day in days if breaking[day]][:MOST_EVENTS]
    agenda += [_event(day, "due", due[day]) for day in days if due[day]][:MOST_EVENTS]
    return Calendar(
        tuple(tuple(cells[7 * week : 7 * week + 7]) for week in range(WEEKS)),
        sum(row.overdue for row in rows),
        sum(len(due[day]) for day in days),
        sum(len(breaking[day]) for day in days),
        tuple(agenda),
    )


def _breaks(row: Row) -> list[datetime]:
    """Return when Active keys reach the window that no rotation removes before: LAST is removed by the next one."""
    found = []
    for key in row.keys:
        if key.status != "Active" or key.breaks_at is None or key.breaks_at < row.now or key.role == "orphaned":
            continue
        due = row.user.next_due
        rotated = row.user.managed and due is not None and key.role in ("current", "last")
        if not rotated or (key.role == "last" and due is not None and key.breaks_at < due):
            found.append(key.breaks_at)
    return found


def _shade(count: int, busiest: int) -> int:
    return math.ceil(SHADES * count / busiest) if count else 0


def _event(day: date, kind: str, names: Sequence[str]) -> Event:
    return Event(day, kind, tuple(sorted(names)[:MOST_NAMES]), max(0, len(names) - MOST_NAMES))
