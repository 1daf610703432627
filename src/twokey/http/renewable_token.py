"""A token that can be renewed: read or granted when it is first needed, and again before it ends or on request."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twokey.core import lifetime
from twokey.core.errors import Ambiguous, BadCredentials, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.core.ports import Clock
    from twokey.core.secret import Hidden

EARLY = 60.0
"""Seconds before its end at which a token is renewed."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A token, and for how many seconds it is valid; None if that is not known."""

    token: Hidden
    seconds: float | None = None


class RenewableToken:
    """One token. Thread-safe. ``str()`` names its source."""

    def __init__(
        self,
        get: Callable[[], Grant],
        source: str,
        clock: Clock | None = None,
        *,
        keep_unreadable: bool = False,
    ) -> None:
        """Prepare; nothing is read or called.

        ``get`` reads the token or logs in. ``source`` names where it comes from, in error messages. ``clock`` is needed
        for tokens that end. ``keep_unreadable``: a renewal that finds no token keeps the present one, so that the
        service's own refusal is reported.
        """
        self._get = get
        self._source = source
        self._clock = clock
        self._keep_unreadable = keep_unreadable
        self._lock = threading.Lock()
        self._token: Hidden | None = None
        self._end: float | None = None
        self._read_before = False

    def __str__(self) -> str:
        return self._source

    def value(self) -> Hidden:
        """Return the token, renewed if it is about to end, or will before what the engine needs it for.

        Raises what ``get`` raises, ``BadCredentials`` above all, also for a token that ends too soon and that the
        source does not replace. It never raises ``Ambiguous``.
        """
        with self._lock:
            token = self._token if self._token is not None and not self._ends() else self._fetch()
            if self._left() < lifetime.needed():
                before, token = token, self._fetch()
                # Another token shows that the source grants them whenever they are needed.
                if token == before:
                    lifetime.refuse_short(f"The token from {self._source}", self._left(), self._remedy())
            return token

    def renew(self) -> bool:
        """Get the token again after a refusal; return whether it is a different one now."""
        with self._lock:
            before = self._token
            try:
                return self._fetch() != before
            except BadCredentials:
                if not self._keep_unreadable:
                    raise
                return False

    def latest(self) -> Hidden:
        """Return the token, read again on each call but the first.

        For a login that sends it: a federated token is valid for minutes, and a new one replaces it in the meantime.
        """
        if self._read_before:
            self.renew()
        self._read_before = True
        return self.value()

    def _ends(self) -> bool:
        return self._left() < EARLY

    def _left(self) -> float:
        """Return for how many seconds the token is valid; infinite if that is not known."""
        if self._end is None or self._clock is None or self._token is None:
            return math.inf
        return self._end - self._clock.monotonic()

    def _remedy(self) -> str:
        return f"Let {self._source} grant tokens that are valid for longer, then run again."

    def _fetch(self) -> Hidden:
        began = self._clock.monotonic() if self._clock is not None else 0.0
        try:
            grant = self._get()
        except Ambiguous as error:
            # A login without a response leaves no doubt about the request that was to follow: it was not sent.
            raise Unreachable(error.message, state="Nothing was sent after that.", remedy=error.remedy) from None
        self._token = grant.token
        self._end = None if grant.seconds is None else began + grant.seconds
        return grant.token
