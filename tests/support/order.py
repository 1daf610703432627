"""The order of the tests: each process begins with some of those that take long.

At the end, nothing would be left to run beside them; and one process alone would take longer for all of them than the
others for the rest. ``processes`` gives each process the next part of the list.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


def ordered(items: list[pytest.Item], processes: int) -> list[pytest.Item]:
    """Return the tests with those that are marked ``first`` at the beginning of each process's part, by module."""
    marked = [item for item in items if item.get_closest_marker("first")]
    others = iter([item for item in items if not item.get_closest_marker("first")])
    beginnings: list[list[pytest.Item]] = [[] for _ in range(processes)]
    for number, (_, module) in enumerate(groupby(marked, key=lambda item: item.path)):
        beginnings[number % processes] += module
    found: list[pytest.Item] = []
    for beginning, size in zip(beginnings, sizes(len(items), processes), strict=True):
        found += beginning
        found += [item for _, item in zip(range(size - len(beginning)), others, strict=False)]
    return [*found, *others]


def sizes(tests: int, processes: int) -> Iterator[int]:
    """Return the size of each process's part."""
    for number in range(processes):
        size = tests // (processes - number)
        tests -= size
        yield size
