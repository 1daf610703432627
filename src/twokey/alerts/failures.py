"""What is said of an alert that was not sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twokey.core.errors import TwokeyError


def text_of(error: TwokeyError) -> str:
    """Return an error without the advice to run again: no run repeats an alert about what another one did."""
    remedy = "" if error.remedy.startswith("Run again") else error.remedy
    return " ".join(part for part in (error.message, error.state, remedy) if part)
