"""Which thing at its service each destination of a run has turned out to be: two names of one thing are found.

``identity.py`` compares URLs before anything is called. A service may know one thing by several names: a repository
that was renamed is still found by its former name, and a variable group has a name and an id. That shows only when the
service is asked. A destination claims what it has found, before its first write; a second URL for it is refused.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from twokey.core.errors import ServiceRejected

if TYPE_CHECKING:
    from collections.abc import Iterable


class Claims:
    """What the destinations of one run write to, by the names that their services have for it. Thread-safe."""

    def __init__(self) -> None:
        self._urls: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()

    def claim(self, url: str, server: str, thing: str, names: Iterable[str]) -> None:
        """Record that a URL means a thing at a server, and writes values of these names there.

        ``thing`` is the service's own name for it, equal however it was reached. Raises ``ServiceRejected`` if another
        URL has claimed one of the values.
        """
        with self._lock:
            for name in names:
                other = self._urls.setdefault((f"{server} {thing}", name), url)
                if other != url:
                    raise ServiceRejected(
                        f"{url} and {other} are two names of the same thing ({thing}), where both write {name}.",
                        state="Nothing was written there.",
                        remedy="Remove one of the two destinations, or, where it holds variables and they are for two "
                        "users, give each user separate variable names: id=NAME&secret=NAME.",
                    )
