"""Properties of states that are made up at random: always the same ones, or, to explore, such as Hypothesis chooses.

Hypothesis takes milliseconds to draw what a ``Random`` makes up in a tenth of one, and that is nearly all that a
property costs. So each state is made from the ``Random`` of its number. Where one breaks a property, Hypothesis takes
that source's part, and looks for the smallest state that does.
"""

from __future__ import annotations

from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

Value = TypeVar("Value")
EXPLORING = settings().max_examples >= 2000
"""Whether each property is looked at by Hypothesis, on states of its own."""
MANY = settings(max_examples=settings().max_examples * (1 if EXPLORING else 20))


def always(make: Callable[[Random], tuple[Any, ...]]) -> Callable[[Callable[..., None]], Callable[[], None]]:
    """Check a property on every state that ``make`` makes up. A state is what the property takes."""

    @cache
    def states() -> list[tuple[Any, ...]]:
        return [make(Random(number)) for number in range(MANY.max_examples)]

    def always_holds(holds: Callable[..., None]) -> Callable[[], None]:
        @MANY
        @given(st.randoms(use_true_random=False).map(make))
        def search(state: tuple[Any, ...]) -> None:
            holds(*state)

        def check() -> None:
            if EXPLORING:
                search()
                return
            try:
                for state in states():
                    holds(*state)
            except AssertionError:
                search()
                raise

        check.__doc__ = holds.__doc__
        return check

    return always_holds


def maybe(choose: Random, make: Callable[[Random], Value]) -> Value | None:
    """Make up something, or nothing."""
    return make(choose) if choose.random() < 0.5 else None


def some(choose: Random, of: tuple[Value, ...], most: int) -> list[Value]:
    """Choose up to that many different ones, in any order."""
    return choose.sample(of, choose.randint(0, most))
