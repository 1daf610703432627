"""Long pauses inside a delivery: whoever waits for a service's rate limit keeps the lease alive, and can be stopped.

A delivery to hundreds of pipelines waits for the service's limit somewhere below ``Destination.deliver``. The engine
says with ``during`` what is to be done meanwhile; who waits calls ``pause``.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twokey.ports import Clock

SLICE = 5.0
"""Seconds for which nobody looks, at most: before each slice the meanwhile is called."""


def _nothing(_left: float) -> None:
    """Do nothing meanwhile."""


_meanwhile: ContextVar[Callable[[float], None]] = ContextVar("meanwhile", default=_nothing)


@contextmanager
def during(meanwhile: Callable[[float], None]) -> Iterator[None]:
    """Have every ``pause`` of this thread call ``meanwhile`` with the seconds left; it may raise to end the waiting."""
    token = _meanwhile.set(meanwhile)
    try:
        yield
    finally:
        _meanwhile.reset(token)


def pause(clock: Clock, seconds: float) -> None:
    """Wait. Raises what the meanwhile raises, before the first slice too; nothing must be under way then."""
    left = seconds
    while left > 0:
        _meanwhile.get()(left)
        clock.sleep(min(left, SLICE))
        left -= SLICE
