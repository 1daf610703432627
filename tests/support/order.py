"""The order of the tests: each process begins with some of those that take long.

At the end, nothing would be left to run beside them; and one process alone would take longer for all of them than the
others for the rest. pytest-xdist gives each process the next part of the list (``--dist worksteal``).
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def ordered(items: list[pytest.Item], processes: int) -> list[pytest.Item]:
    """Return the tests with those that are marked ``first`` at the beginning of each process's part, by module."""
    marked = [item for item in items if item.get_closest_marker("first")]
    others = iter([item for item in items if not item.get_closest_marker("first")])
    beginnings: list[list[pytest.Item]] = [[] for _ in range(processes)]
    for number, (_, module) in enumerate(groupby(marked, key=lambda item: item.path)):
        beginnings[number % processes] += module
    found: list[pytest.Item] = []
    for number, beginning in enumerate(beginnings):
        size = (len(items) - len(found)) // (processes - number)
        found += beginning
        found += [item for _, item in zip(range(size - len(beginning)), others, strict=False)]
    return [*found, *others]
