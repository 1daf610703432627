"""What the programs share that use a service's client: their task, the names of their steps, what they found.

A program runs in the environment of ``make clients``, which twokey is not a part of, in a process of its own: the task
is JSON on its input, what it found is JSON on its output.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from typing import Any
from urllib.parse import quote


class Task(dict[str, Any]):
    """What the test wants done; ``url`` is the fake's."""

    def step(self, name: str) -> None:
        """Say what the next requests are for: the fake's recording takes it from a request of its own."""
        urllib.request.urlopen(f"{self['fake']}/.step/{quote(name)}").close()


def task() -> Task:
    """Read the task."""
    return Task(json.load(sys.stdin))


def found(**results: Any) -> None:
    """Write what was found."""
    json.dump(results, sys.stdout)
