"""The ages of keys against their windows, as a distribution: of all keys, and per account and path. Pure."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twokey.reports.html.users import days

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import timedelta

    from twokey.reports.html.users import Row

BINS = 30
LIMIT = 1.5
"""The axis ends here, in windows; older keys are in the last bin."""
WINDOW = 100 / LIMIT
"""Where the window ends on the axis, in percent of its length."""
MOST_GROUPS = 40
LAYERS = ("current", "last", "other")


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a bin's column; positions are percentages of the drawing."""

    layer: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Group:
    """The ages of the keys of one account and path."""

    account: str
    path: str
    bars: tuple[Bar, ...]
    keys: int
    median: str
    oldest: str
    broken: int
    unknown: int


@dataclass(frozen=True, slots=True)
class Ages:
    """All that the drawing of ages shows."""

    whole: Group
    highest: int
    layers: dict[str, int]
    groups: tuple[Group, ...]
    further: int


def ages(rows: Sequence[Row]) -> Ages:
    """Return the distributions. Inactive keys authenticate no program, and are not counted."""
    grouped: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row.user.account, row.user.path].append(row)
    whole, highest = _group("", "", rows)
    all_groups = (_group(account, path, theirs)[0] for (account, path), theirs in grouped.items())
    groups = [one for one in all_groups if one.keys]
    groups.sort(key=lambda one: (-one.broken, -one.unknown, -one.keys, one.account, one.path))
    layers = Counter(_layer(key.role) for row in rows for key in row.keys if key.status == "Active")
    return Ages(
        whole,
        highest,
        {layer: layers[layer] for layer in LAYERS},
        tuple(groups[:MOST_GROUPS]),
        len(groups[MOST_GROUPS:]),
    )


def _layer(role: str) -> str:
    return role if role in LAYERS else "other"


def _group(account: str, path: str, rows: Iterable[Row]) -> tuple[Group, int]:
    counts = [Counter[str]() for _ in range(BINS)]
    known: list[timedelta] = []
    keys = broken = unknown = 0
    for row in rows:
        for key in row.keys:
            if key.status != "Active":
                continue
            keys += 1
            broken += key.window == "broken"
            unknown += key.window == "unknown"
            if key.created is not None:
                old = row.now - key.created
                known.append(old)
                counts[_bin(old / row.window, key.window)][_layer(key.role)] += 1
    highest = max((one.total() for one in counts), default=0)
    oldest = days(max(known)) if known else "unknown"
    median = days(statistics.median_low(known)) if known else "unknown"
    return Group(account, path, _bars(counts, highest), keys, median, oldest, broken, unknown), highest


def _bin(windows: float, window: str) -> int:
    """Return the bin of an age. A key at the window's very end is on the side that the audit says."""
    at, edge = int(windows / LIMIT * BINS), round(BINS / LIMIT)
    if window == "broken":
        at = max(at, edge)
    elif window == "kept":
        at = min(at, edge - 1)
    return min(max(at, 0), BINS - 1)


def _bars(counts: Sequence[Counter[str]], highest: int) -> tuple[Bar, ...]:
    width = 100 / BINS
    bars = []
    for at, count in enumerate(counts):
        top = 100.0
        for layer in LAYERS:
            if count[layer]:
                height = 100 * count[layer] / highest
                top -= height
                name = "broken" if (at + 0.5) * width > WINDOW else layer
                bars.append(Bar(name, round(at * width, 2), round(top, 2), round(width, 2), round(height, 2)))
    return tuple(bars)
