"""Long pauses: code that waits for a service's rate limit keeps the lease alive, and can be stopped.

A delivery to hundreds of pipelines waits for the service's limit somewhere below ``Destination.deliver``. The engine
sets with ``during`` what is to be done meanwhile; the code that waits calls ``pause``. What waits for another run, or
for IAM's list, gives way to other users meanwhile (``aside``).
"""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING

from twokey.core.errors import TwokeyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twokey.core.ports import Clock

SLICE = 5.0
"""Seconds of a slice of a pause, at most: before each slice ``meanwhile`` is called."""


def _nothing(_left: float) -> None:
    """Do nothing meanwhile."""


def _allowed() -> None:
    """Let the request leave."""


_before_effect: ContextVar[Callable[[], None]] = ContextVar("before_effect", default=_allowed)
_meanwhile: ContextVar[Callable[[float], None]] = ContextVar("meanwhile", default=_nothing)


_aside: ContextVar[Callable[[], AbstractContextManager[None]]] = ContextVar("aside", default=nullcontext)


@contextmanager
def giving_way(aside: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """Have this thread enter ``aside()`` while it waits without doing anything."""
    token = _aside.set(aside)
    try:
        yield
    finally:
        _aside.reset(token)


def aside() -> AbstractContextManager[None]:
    """Return the context in which to wait: another user may be worked on meanwhile."""
    return _aside.get()()


@contextmanager
def during(meanwhile: Callable[[float], None], before_effect: Callable[[], None] = _allowed) -> Iterator[None]:
    """Have every ``pause`` of this thread call ``meanwhile`` with the seconds left; it may raise to end the waiting.

    ``before_effect`` is called right before a request is sent that may change something; it may raise, too.
    """
    token, other = _meanwhile.set(meanwhile), _before_effect.set(before_effect)
    try:
        yield
    finally:
        _meanwhile.reset(token)
        _before_effect.reset(other)


@contextmanager
def also_before_effect(check: Callable[[], None]) -> Iterator[None]:
    """Have ``check`` called, too, right before a request that may change something; it may raise.

    It comes first: it may take a while, and what else forbids the request must be looked at after that.
    """
    other = _before_effect.get()

    def both() -> None:
        token = _before_effect.set(other)
        try:
            check()
        finally:
            _before_effect.reset(token)
        other()

    token = _before_effect.set(both)
    try:
        yield
    finally:
        _before_effect.reset(token)


def before_effect(in_doubt: TwokeyError | None = None) -> None:
    """Announce a request that may change something. Raises whatever forbids it: then the request must not be sent.

    ``in_doubt`` is the error of an earlier attempt that may have taken effect: it is raised instead, because what
    forbids the next attempt proves nothing about that one.
    """
    try:
        _before_effect.get()()
    except TwokeyError:
        if in_doubt is None:
            raise
        raise in_doubt from None


def pause(clock: Clock, seconds: float) -> None:
    """Wait. Raises what ``meanwhile`` raises, also before the first slice; no request may be in flight then."""
    left = seconds
    while left > 0:
        _meanwhile.get()(left)
        clock.sleep(min(left, SLICE))
        left -= SLICE
