"""A figure, its goal, and the table and JSON that show them. Arithmetic only; other modules measure."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

HEADINGS = ("benchmark", "figure", "value", "compared with", "goal", "met")


@dataclass(frozen=True, slots=True)
class Goal:
    """The goal of a figure: at most ``limit``, or at least."""

    limit: float
    at_least: bool = False

    def met_by(self, value: float) -> bool:
        """Say whether the value reaches the goal."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        """Return the goal as the table shows it."""
        return f"{'at least' if self.at_least else 'at most'} {number(self.limit)}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure. ``value`` is None if it could not be measured; ``against`` then says why."""

    name: str
    value: float | None
    against: str
    goal: Goal | None = None

    @property
    def met(self) -> bool | None:
        """Say whether the goal is met; None without a goal. A figure that was not measured does not meet its goal."""
        if self.goal is None:
            return None
        return self.value is not None and self.goal.met_by(self.value)


def at_most(limit: float) -> Goal:
    """Return the goal of a figure that should be small."""
    return Goal(limit)


def at_least(limit: float) -> Goal:
    """Return the goal of a figure that should be large."""
    return Goal(limit, at_least=True)


def ratio_of_medians(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return our median divided by theirs; raises ``ValueError`` if theirs is zero."""
    base = median(theirs)
    if base <= 0:
        raise ValueError("the measured base is zero: nothing can be compared with it")
    return median(ours) / base


def per(total: float, parts: int) -> float:
    """Return a total divided by the number of parts; raises ``ValueError`` for zero parts."""
    if parts < 1:
        raise ValueError("there is nothing to divide the total by")
    return total / parts


def share_of_rate(let_through: int, burst: int, seconds: float, rate: float) -> float:
    """Return the share of ``rate`` that was used after the burst: 1 is the maximum of a token bucket."""
    if seconds <= 0:
        raise ValueError("no time has passed")
    return (let_through - burst) / seconds / rate


def number(value: float) -> str:
    """Return a number with its significant digits: ``1.07``, ``0.934``, ``24.6``, ``180``."""
    if value == int(value):
        return f"{int(value):,}"
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{digits}f}"


def table(groups: Sequence[tuple[str, Sequence[Figure]]]) -> str:
    """Return one table of all figures, benchmark by benchmark."""
    rows: list[tuple[str, ...]] = [HEADINGS]
    for name, figures in groups:
        rows += [(name if index == 0 else "", *_cells(figure)) for index, figure in enumerate(figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    rows.insert(1, tuple("-" * width for width in widths))
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)


def document(groups: Sequence[tuple[str, Sequence[Figure]]]) -> str:
    """Return all figures as one JSON object, with the machine on which they were measured."""
    shown = [{"benchmark": name, **asdict(figure), "met": figure.met} for name, figures in groups for figure in figures]
    return json.dumps({"machine": machine(), "figures": shown}, indent=2)


def machine() -> dict[str, str | int]:
    """Return the machine on which the figures were measured."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {"cores": cores, "python": platform.python_version(), "system": platform.system()}


def _cells(figure: Figure) -> tuple[str, str, str, str, str]:
    value = "not measured" if figure.value is None else number(figure.value)
    met = {True: "yes", False: "NO", None: ""}[figure.met]
    return figure.name, value, figure.against, str(figure.goal or ""), met
