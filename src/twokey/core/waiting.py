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

    from twokey.core.ports import Clock

SLICE = 5.0
"""Seconds for which nobody looks, at most: before each slice the meanwhile is called."""


def _nothing(_left: float) -> None:
    """Do nothing meanwhile."""


def _unhindered() -> None:
    """Let it go."""


_before_effect: ContextVar[Callable[[], None]] = ContextVar("before_effect", default=_unhindered)
_meanwhile: ContextVar[Callable[[float], None]] = ContextVar("meanwhile", default=_nothing)


@contextmanager
def during(meanwhile: Callable[[float], None], before_effect: Callable[[], None] = _unhindered) -> Iterator[None]:
    """Have every ``pause`` of this thread call ``meanwhile`` with the seconds left; it may raise to end the waiting.

    ``before_effect`` is called right before a request leaves that may change something; it may raise, too.
    """
    token, other = _meanwhile.set(meanwhile), _before_effect.set(before_effect)
    try:
        yield
    finally:
        _meanwhile.reset(token)
        _before_effect.reset(other)


def before_effect() -> None:
    """Say that a request leaves now that may change something. Raises what forbids that: then it must not leave."""
    _before_effect.get()()


def pause(clock: Clock, seconds: float) -> None:
    """Wait. Raises what the meanwhile raises, before the first slice too; nothing must be under way then."""
    left = seconds
    while left > 0:
        _meanwhile.get()(left)
        clock.sleep(min(left, SLICE))
        left -= SLICE
