"""How long the credentials of a run itself must still work before it may take LAST out of use.

Two keys leave no choice: LAST is removed before a key is created. If the session of the run, or the token of a
destination, ends between the two, the user has one key, and the operator learns of it at the next run. Where the end is
known, it is compared with what the irreversible part may take. The engine says how long that is (``needing``); the code
that has the token renews it, and refuses one that ends earlier (``refuse_short``).
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from math import ceil, floor
from typing import TYPE_CHECKING

from twokey.core import durations
from twokey.core.errors import BadCredentials

if TYPE_CHECKING:
    from collections.abc import Iterator

_needed: ContextVar[float] = ContextVar("needed", default=0.0)


@contextmanager
def needing(seconds: float) -> Iterator[None]:
    """Have this thread refuse tokens that end within so many seconds."""
    token = _needed.set(seconds)
    try:
        yield
    finally:
        _needed.reset(token)


def needed() -> float:
    """Return for how many seconds a token that is used now must work; 0 if that does not matter."""
    return _needed.get()


def refuse_short(what: str, left: float, remedy: str) -> None:
    """Raise ``BadCredentials`` if ``what`` ends within ``left`` seconds and that is too soon; infinite is unknown."""
    wanted = needed()
    if left < wanted:
        end = durations.show(timedelta(seconds=floor(left))) if left >= 1 else "0s"
        raise BadCredentials(
            f"{what} ends in {end}, and what must not be interrupted may take "
            f"{durations.show(timedelta(seconds=ceil(wanted)))}.",
            remedy=remedy,
        )
