"""How a chain of rules decides: they are asked in order, and the first verdict counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from twokey.planning.assessment import Assessment

Verdict = TypeVar("Verdict")


def first_verdict(rules: Iterable[Callable[[Assessment], Verdict | None]], assessment: Assessment) -> Verdict | None:
    """Return what the first rule that applies decides, or None where none of them applies."""
    for rule in rules:
        verdict = rule(assessment)
        if verdict is not None:
            return verdict
    return None
