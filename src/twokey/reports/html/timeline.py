"""The two-key timeline of a user: when each key was CURRENT and LAST, and what happened meanwhile. Pure.

The lanes are the roles. A key begins in the lane of CURRENT, and moves to that of LAST with the rotation.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from twokey.reports.html.users import DAY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from twokey.reports.audit import Event, Key
    from twokey.reports.html.users import Row

MOST = 12
LANE = 26
"""Pixels from lane to lane."""
BEFORE, AFTER = 2.0, 0.75
"""How much of the time is drawn before and after the audit, in windows."""
EVENTS = ("delivered", "refused", "failed")
APART = 1.5
"""In percent: marks of one look that are nearer to each other are drawn once."""
SAME = timedelta(minutes=5)
"""Two records of a rotation that are nearer to each other are of the same one."""
MOST_TICKS = 5
LAST_TICK = 95
"""In percent: the text of a later one would not fit."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a lane; positions along the axis are percentages."""

    look: str
    lane: int
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Mark:
    """Something at one moment."""

    look: str
    lane: int
    x: float
    title: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A date on the axis."""

    x: float
    text: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """The drawing of a user. ``facts`` say in words what it shows."""

    row: Row
    lanes: tuple[str, ...]
    segments: tuple[Segment, ...]
    marks: tuple[Mark, ...]
    ticks: tuple[Tick, ...]
    now: float
    facts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Axis:
    """The part of the time that is drawn."""

    start: datetime
    end: datetime

    def at(self, moment: datetime) -> float:
        """Return where a moment is, in percent; what is outside is at the end that is nearer."""
        return round(min(max(100 * ((moment - self.start) / (self.end - self.start)), 0), 100), 2)

    def shows(self, moment: datetime) -> bool:
        """Whether a moment is on the axis."""
        return self.start <= moment <= self.end

    def segment(self, look: str, lane: int, start: datetime, end: datetime) -> Iterator[Segment]:
        """Return the part of a segment that is on the axis, if any."""
        x, to = self.at(start), self.at(end)
        if end > start and to > x:
            yield Segment(look, lane, x, round(to - x, 2))

    def ticks(self, now: datetime) -> Iterator[Tick]:
        """Return some dates, whole weeks from the audit."""
        weeks = max(1, round((self.end - self.start) / (7 * DAY) / MOST_TICKS + 0.499))
        moment = now - ((now - self.start) // (7 * weeks * DAY)) * (7 * weeks * DAY)
        while self.at(moment) <= LAST_TICK:
            yield Tick(self.at(moment), f"{moment:%d %b}")
            moment += 7 * weeks * DAY


def timelines(rows: Iterable[Row], earlier: dict[tuple[str, str], list[Event]]) -> tuple[Timeline, ...]:
    """Return the drawings of the first users that twokey rotates, those with problems before the others.

    ``earlier`` are events of users that only earlier results know of.
    """
    managed = [row for row in rows if row.user.managed and (row.current or row.others)]
    return tuple(timeline(row, earlier.get((row.user.account, row.user.user), [])) for row in managed[:MOST])


def timeline(row: Row, earlier: Sequence[Event] = ()) -> Timeline:
    """Return the drawing of a user."""
    events = sorted({*row.user.events, *earlier}, key=lambda event: event.at)
    axis = _axis(row, events)
    paired = row.current is not None or row.last is not None
    lanes = [*(("CURRENT", "LAST") if paired else ()), *(key.role for key in row.others)]
    if any(one.at for one in row.user.destinations) or any(event.kind in EVENTS for event in events):
        lanes.append("events")
    rotated = rotations(row, events) if paired else []
    segments = [*_pair(row, axis, rotated, events), *_other_keys(row, axis, first=2 if paired else 0)]
    return Timeline(
        row,
        tuple(lanes),
        tuple(segments),
        tuple(_apart(_marks(row, axis, rotated, events, len(lanes) - 1))),
        tuple(axis.ticks(row.now)),
        axis.at(row.now),
        tuple(_facts(row)),
    )


def _axis(row: Row, events: Iterable[Event]) -> Axis:
    known = [key.created for key in row.keys if key.created is not None] + [event.at for event in events]
    start = max(min(known, default=row.now), row.now - BEFORE * row.window)
    start = min(start, row.now - row.window / 2) - row.window / 20
    ends = [key.breaks_at for key in row.keys if key.breaks_at is not None]
    latest = max([*ends, row.now + row.window / 2])
    return Axis(start, min(latest, row.now + AFTER * row.window) + row.window / 12)


def rotations(row: Row, events: Iterable[Event]) -> list[datetime]:
    """Return when a key became CURRENT, as far as the journal, the audit log and earlier results know."""
    known = [event.at for event in events if event.kind == "rotated"]
    if row.user.rotated_at is not None:
        known.append(row.user.rotated_at)
    elif row.current is not None and row.current.created is not None:
        known.append(row.current.created)
    found: list[datetime] = []
    for moment in sorted(known):
        if not found or moment - found[-1] > SAME:
            found.append(moment)
    return found


def _pair(row: Row, axis: Axis, rotated: Sequence[datetime], events: Sequence[Event]) -> Iterator[Segment]:
    """Return the lanes of CURRENT and LAST: the key that one rotation ends as CURRENT is LAST until the next one."""
    if not rotated:
        return
    begins = list(rotated)
    if row.last is not None and row.last.created is not None and row.last.created < begins[0]:
        begins.insert(0, row.last.created)
    looks = ["past"] * (len(begins) - 2) + ["last", "current"][-len(begins) :]
    for at, (begin, look) in enumerate(zip(begins, looks, strict=True)):
        is_current = at == len(begins) - 1
        if is_current and row.current is None:
            return
        until = row.now if is_current else begins[at + 1]
        yield from axis.segment(look, 0, begin, until)
        if not is_current and (look != "last" or row.last is not None):
            retired = begins[at + 1]
            next_one = row.now if look == "last" else begins[at + 2]
            yield from _as_last(row, axis, look, retired, _removed(events, retired, next_one))
    for lane, key in ((0, row.current), (1, row.last)):
        yield from _ends(row, axis, lane, key)


def _as_last(row: Row, axis: Axis, look: str, start: datetime, end: datetime) -> Iterator[Segment]:
    yield from axis.segment(look, 1, start, end)
    soaks = [event.at for event in row.user.events if event.kind == "inactive" and start <= event.at <= end]
    if soaks and look == "last" and row.last is not None and row.last.status == "Inactive":
        soak = timedelta(seconds=row.user.soak or 0)
        yield from axis.segment("soak", 1, soaks[-1], max(end, soaks[-1] + soak))


def _removed(events: Iterable[Event], after: datetime, default: datetime) -> datetime:
    return next((event.at for event in events if event.kind == "removed" and after < event.at <= default), default)


def _ends(row: Row, axis: Axis, lane: int, key: Key | None) -> Iterator[Segment]:
    """Return how long a key may still live, or how long it has been older than the window."""
    if key is None or key.breaks_at is None or key.status != "Active":
        return
    yield from axis.segment("broken", lane, max(key.breaks_at, key.created or key.breaks_at), row.now)
    yield from axis.segment("ahead", lane, row.now, key.breaks_at)


def _other_keys(row: Row, axis: Axis, *, first: int) -> Iterator[Segment]:
    for lane, key in enumerate(row.others, start=first):
        if key.created is not None:
            yield from axis.segment("other" if key.status == "Active" else "soak", lane, key.created, row.now)
        yield from _ends(row, axis, lane, key)


def _marks(row: Row, axis: Axis, rotated: Sequence[datetime], events: Sequence[Event], lane: int) -> Iterator[Mark]:
    for moment in rotated:
        if axis.shows(moment):
            yield Mark("rotated", 0, axis.at(moment), f"rotated {moment:%Y-%m-%d}")
    seen = {(event.detail, event.at) for event in events if event.kind == "delivered"}
    for one in row.user.destinations:
        if one.at is not None and axis.shows(one.at) and (one.destination, one.at) not in seen:
            look = "outdated" if one in row.outdated else "delivered"
            yield Mark(look, lane, axis.at(one.at), f"{one.destination} {one.at:%Y-%m-%d}")
    for event in events:
        if not axis.shows(event.at):
            continue
        if event.kind == "delivered":
            yield Mark("delivered", lane, axis.at(event.at), f"{event.detail or 'delivered'} {event.at:%Y-%m-%d}")
        elif event.kind in ("refused", "failed"):
            yield Mark(event.kind, lane, axis.at(event.at), f"{event.kind} {event.at:%Y-%m-%d}")
    if row.user.next_due is not None and axis.shows(row.user.next_due):
        yield Mark("due", 0, axis.at(row.user.next_due), f"due {row.user.next_due:%Y-%m-%d}")


def _apart(marks: Iterable[Mark]) -> Iterator[Mark]:
    """Leave out marks that would cover one of the same look: a user can be refused in every run of a week."""
    drawn: dict[str, float] = {}
    for mark in marks:
        if abs(mark.x - drawn.get(mark.look, -100.0)) >= APART:
            drawn[mark.look] = mark.x
            yield mark


def _facts(row: Row) -> Iterator[str]:
    if row.user.rotated_at is not None:
        yield f"rotated {row.user.rotated_at:%Y-%m-%d}"
    if row.user.next_due is not None:
        yield f"{'overdue since' if row.overdue else 'due'} {row.user.next_due:%Y-%m-%d}"
    since = row.user.rotated_at
    refused = [event for event in row.user.events if event.kind in ("refused", "failed")]
    refused = [event for event in refused if since is None or event.at > since]
    if refused:
        times = f" (and {len(refused) - 1} more since the latest rotation)" if len(refused) > 1 else ""
        why = f": {refused[-1].detail}" if refused[-1].detail else ""
        yield f"{refused[-1].kind} {refused[-1].at:%Y-%m-%d}{times}{why}"
