"""Several results of one account as a history: what grew, what shrank, what appeared and what went away. Pure."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twokey.permissions.findings import SEVERITIES
from twokey.reports.audit import ROOT, Event
from twokey.reports.html.users import DAY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from twokey.reports.audit import Audit, Finding

MOST_POINTS = 60
MOST_CHANGES = 20


@dataclass(frozen=True, slots=True)
class Point:
    """What one result says in figures. ``kept`` is a share of the Active keys in percent; None without any."""

    at: datetime
    users: int
    keys: int
    findings: dict[str, int]
    kept: float | None
    median: int | None
    oldest: int | None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart: its points in percent of the drawing, from the top left."""

    look: str
    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over one axis of time, and the values at the top and the bottom."""

    title: str
    unit: str
    top: float
    bottom: float
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class History:
    """All results, the oldest first; the charts; what is different between the last two."""

    points: tuple[Point, ...]
    charts: tuple[Chart, ...]
    appeared: tuple[Finding, ...]
    resolved: tuple[Finding, ...]
    more_appeared: int
    more_resolved: int


def history(audits: Sequence[Audit]) -> History | None:
    """Return the history of the results, in the order of their times; None of a single one."""
    if len(audits) < 2:
        return None
    points = [_point(audit) for audit in audits]
    appeared, resolved = _changes(audits[-2].findings, audits[-1].findings)
    return History(
        tuple(points),
        tuple(_charts(_thinned(points))),
        tuple(appeared[:MOST_CHANGES]),
        tuple(resolved[:MOST_CHANGES]),
        len(appeared[MOST_CHANGES:]),
        len(resolved[MOST_CHANGES:]),
    )


def _point(audit: Audit) -> Point:
    active = [key for key in audit.keys if key.status == "Active"]
    ages = [(audit.generated - key.created) // DAY for key in active if key.created is not None]
    kept = sum(key.window == "kept" for key in active)
    users = {(user.account, user.user) for user in audit.users} | {(key.account, key.user) for key in audit.keys}
    return Point(
        audit.generated,
        sum(name != ROOT for _, name in users),
        len(active),
        {severity: sum(one.severity == severity for one in audit.findings) for severity in reversed(SEVERITIES)},
        round(100 * kept / len(active), 2) if active else None,
        statistics.median_low(ages) if ages else None,
        max(ages, default=None),
    )


def _thinned(points: Sequence[Point]) -> list[Point]:
    """Return at most so many points as a chart can show, the first and the last among them."""
    if len(points) <= MOST_POINTS:
        return list(points)
    step = (len(points) - 1) / (MOST_POINTS - 1)
    return [points[round(number * step)] for number in range(MOST_POINTS)]


def _charts(points: Sequence[Point]) -> list[Chart]:
    severities = [(name, name, _findings(name)) for name in reversed(SEVERITIES)]
    lowest = min((point.kept for point in points if point.kept is not None), default=0)
    ages: list[tuple[str, str, Callable[[Point], float | None]]] = [
        ("last", "oldest key", lambda point: point.oldest),
        ("current", "median", lambda point: point.median),
    ]
    return [
        _chart("Findings", "", points, severities, 0, None),
        _chart("Keys in their window", "%", points, [("current", "kept", lambda p: p.kept)], min(90, lowest), 100),
        _chart("Age of keys", "d", points, ages, 0, None),
    ]


def _findings(severity: str) -> Callable[[Point], float | None]:
    return lambda point: point.findings[severity]


def _chart(
    title: str,
    unit: str,
    points: Sequence[Point],
    series: Sequence[tuple[str, str, Callable[[Point], float | None]]],
    bottom: float,
    top: float | None,
) -> Chart:
    values = [value for _, _, read in series for point in points if (value := read(point)) is not None]
    bottom = int(bottom)
    top = top if top is not None else max([*values, 1])
    first, span = points[0].at, (points[-1].at - points[0].at) or DAY
    lines = []
    for look, name, read in series:
        placed = [
            (round(100 * ((point.at - first) / span), 2), round(100 - 100 * (value - bottom) / (top - bottom), 2))
            for point in points
            if (value := read(point)) is not None
        ]
        if any(read(point) for point in points):
            lines.append(Line(look, name, tuple(placed)))
    return Chart(title, unit, top, bottom, tuple(lines))


def _changes(before: Sequence[Finding], after: Sequence[Finding]) -> tuple[list[Finding], list[Finding]]:
    """Return the findings that only one of two results has. A message may differ: it may tell an age."""
    old, new = {one.identity for one in before}, {one.identity for one in after}
    return [one for one in after if one.identity not in old], [one for one in before if one.identity not in new]


def earlier_events(audits: Sequence[Audit]) -> dict[tuple[str, str], list[Event]]:
    """Return what earlier results know of each user: its rotations, and the events of its journal then."""
    found: defaultdict[tuple[str, str], set[Event]] = defaultdict(set)
    for audit in audits[:-1]:
        for user in audit.users:
            events = found[user.account, user.user]
            events |= set(user.events)
            if user.rotated_at is not None:
                events.add(Event(at=user.rotated_at, kind="rotated", key_id=None, detail=None))
    return {user: sorted(events, key=lambda event: event.at) for user, events in found.items()}
