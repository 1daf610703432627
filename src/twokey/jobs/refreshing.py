"""Credentials that are read again when a job asks for them, for as long as the job runs."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from twokey.core.errors import TwokeyError
from twokey.core.secret import SessionCredential
from twokey.jobs.credentials import HOUR

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.core.ports import Clock
    from twokey.core.secret import Credential
    from twokey.jobs.credentials import Provided, Source

REFRESH = timedelta(minutes=20)
"""A session that ends sooner is replaced: SDKs ask again from 15 minutes before the end on."""
TOGETHER = 60.0
"""Seconds for which several processes of one job get the same session, however short it is."""


class Refreshing:
    """Provides a source's credentials to the processes of one job; any thread may ask.

    An access key is read from the store each time. A session serves until it is near its end; then the store is read
    and the roles are assumed again. If that fails while the former credentials are sure to work, the job keeps them,
    and the operator is told once. ``mask`` gets each credential before the job does.
    """

    def __init__(
        self, source: Source, clock: Clock, notify: Callable[[str], None], mask: Callable[[Credential], None]
    ) -> None:
        self._source = source
        self._clock = clock
        self._notify = notify
        self._mask = mask
        self._lock = threading.Lock()
        self._held: Provided | None = None
        self._since = 0.0
        self._failing = False
        self.asked = 0
        """How often the job asked."""

    def first(self) -> Provided:
        """Read for the first time; raises the errors of the source."""
        with self._lock:
            return self._read()

    def ask(self) -> Provided:
        """Return credentials for the job; raises ``TwokeyError`` if there are none that work."""
        with self._lock:
            self.asked += 1
            held = self._held
            if held and self._serves(held):
                return held
            try:
                provided = self._read()
            except TwokeyError as error:
                kept = held and self._kept(held)
                if kept is None:
                    raise
                self._say(f"The credentials of the job cannot be refreshed, and it keeps those it has: {error}")
                return kept
            self._failing = False
            return provided

    def _serves(self, held: Provided) -> bool:
        if not isinstance(held.credential, SessionCredential):
            return False
        left = held.expires - self._clock.now()
        recent = self._clock.monotonic() - self._since < TOGETHER
        return left > REFRESH or (recent and left > timedelta(0))

    def _kept(self, held: Provided) -> Provided | None:
        """Return credentials that were read earlier, if they are sure to work; grace guarantees that of a key."""
        now, end = self._clock.now(), held.guaranteed or held.expires
        return replace(held, expires=min(end, max(held.expires, now + HOUR))) if now < end else None

    def _read(self) -> Provided:
        provided = self._source.read()
        self._mask(provided.credential)
        self._held, self._since = provided, self._clock.monotonic()
        return provided

    def _say(self, message: str) -> None:
        if not self._failing:
            self._failing = True
            self._notify(message)
