"""The list of requests that the emulator has seen."""

from __future__ import annotations

import fnmatch
import threading
from typing import TYPE_CHECKING, Any

from twokey.emulator.values import Request

if TYPE_CHECKING:
    from collections.abc import Mapping


class Record:
    """Requests in order of arrival. Threads may read them while other requests are handled."""

    def __init__(self) -> None:
        """Start empty."""
        self._lock = threading.Lock()
        self._requests: dict[int, Request] = {}
        self._next = 1

    def open(self, fields: Mapping[str, Any]) -> int:
        """Record that a request arrived; return its number."""
        with self._lock:
            number, self._next = self._next, self._next + 1
            self._requests[number] = Request(number=number, status=0, error_code=None, effect="", **fields)
            return number

    def close(self, number: int, *, status: int, error_code: str | None, effect: str) -> None:
        """Record how it ended; a request that was cleared stays cleared."""
        with self._lock:
            request = self._requests.get(number)
            if request is not None:
                changed = {"status": status, "error_code": error_code, "effect": effect}
                self._requests[number] = Request(**{**vars(request), **changed})

    def all(self) -> list[Request]:
        """Every request, by number."""
        with self._lock:
            return list(self._requests.values())

    def count(self, pattern: str) -> int:
        """How many requests match a pattern such as `iam:*`."""
        return sum(fnmatch.fnmatchcase(request.name, pattern) for request in self.all())

    def clear(self) -> None:
        """Remove all requests; the numbers continue."""
        with self._lock:
            self._requests.clear()
