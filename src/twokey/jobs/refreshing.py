"""Credentials that are read again when a job asks for them, for as long as the job runs."""

from __future__ import annotations

import threading
import time
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
PATIENCE = 0.5
"""Seconds for which a process waits for another session while the former one works. SDKs wait for one or two."""
KEY_PATIENCE = 20.0
"""The same for an access key, which may be another one since it was read: an SDK gives a program a minute."""


class Refreshing:
    """Provides a source's credentials to the processes of one job; any thread may ask.

    An access key is read from the store each time. A session serves until it is near its end; then the store is read
    and the roles are assumed again. If that fails or takes long while the former credentials are sure to work, the job
    keeps them, and the operator is told of a failure once. ``mask`` gets each credential before the job does.
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
        self._refresh: _Refresh | None = None
        self._failing = False
        self.requests = 0
        """How often the job requested credentials."""

    def first(self) -> Provided:
        """Read for the first time; raises the errors of the source."""
        return self._read()

    def get(self) -> Provided:
        """Return credentials for the job; raises ``TwokeyError`` if there are none that work."""
        with self._lock:
            self.requests += 1
            held = self._held
            if held and self._serves(held):
                return held
            refresh = self._refresh
            if refresh is None:
                refresh = self._refresh = _Refresh()
                threading.Thread(target=self._run, args=(refresh,), name="twokey-refresh", daemon=True).start()
        kept = held and self._kept(held)
        if kept is None:
            return refresh.result()
        patience = PATIENCE if isinstance(kept.credential, SessionCredential) else KEY_PATIENCE
        if not refresh.ended(patience):
            return kept
        try:
            return refresh.result()
        except TwokeyError:
            return kept

    def _run(self, refresh: _Refresh) -> None:
        """Read the source for all that ask meanwhile."""
        try:
            refresh.provided = self._read()
            self._failing = False
        except TwokeyError as error:
            refresh.error = error
            if self._held and self._kept(self._held):
                self._say(f"The credentials of the job cannot be refreshed, and it keeps those it has: {error}")
        except Exception as error:  # noqa: BLE001  whatever it is, the process that asked gets it
            refresh.error = error
        finally:
            with self._lock:
                self._refresh = None
            refresh.done.set()

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
        with self._lock:
            self._held, self._since = provided, self._clock.monotonic()
        return provided

    def _say(self, message: str) -> None:
        if not self._failing:
            self._failing = True
            self._notify(message)


class _Refresh:
    """One reading of the source, for which several processes may wait."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.provided: Provided | None = None
        self.error: Exception | None = None
        self._begun = time.monotonic()

    def ended(self, patience: float) -> bool:
        """Wait until the reading has ended, or has lasted so many seconds; return whether it has ended."""
        return self.done.wait(max(0.0, self._begun + patience - time.monotonic()))

    def result(self) -> Provided:
        """Wait for the end; return what was read, or raise why nothing was."""
        self.done.wait()
        if self.provided is None:
            raise self.error or RuntimeError("The reading of the source ended early.")
        return self.provided
