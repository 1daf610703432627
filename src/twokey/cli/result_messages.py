"""What text calls the outcome of a user's rotation, and what a destination holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.cli import terminal

if TYPE_CHECKING:
    from twokey.reports.documents import DestinationStateEntry
    from twokey.rotation.results import Result

PLANNED = {
    "rotated": "will be rotated",
    "completed": "will be completed",
    "retired": "will be retired",
    "not_due": "not due",
    "refused": "will be refused",
    "failed": "cannot be planned",
}
STATES = {"unreachable": "cannot be read"}
"""The states of a destination that text calls otherwise than JSON: one that denies access is not out of reach."""
UP_TO_DATE = "up to date"
"""How a delivery ended that had nothing to do; a rotation is not meant."""
BAD = ("refused", "failed")
"""The outcomes about which the operator must do something."""


def ending(result: Result, *, planned: bool) -> str:
    """Return how it ended for a user, or will end, in words."""
    if result.reason == "held":
        return UP_TO_DATE
    return PLANNED.get(result.outcome, "") if planned else result.outcome.replace("_", " ")


def headline(result: Result, *, planned: bool) -> str:
    """Return how it ended for a user, or will end, and the reason's code unless it says the same."""
    why = "" if result.outcome.value == result.reason.value else f" ({result.reason})"
    return f"{ending(result, planned=planned)}{why}"


def facts(result: Result) -> list[tuple[str, str]]:
    """Return which key is what, and when the next rotation is due, or since when it has been."""
    found = (
        ("CURRENT", result.current),
        ("LAST", result.last),
        ("removed", ", ".join(result.removed)),
        due(result),
    )
    return [(label, fact) for label, fact in found if fact]


def due(result: Result) -> tuple[str, str]:
    """Return when the next rotation is due, or since when it has been; an empty text if that is unknown."""
    from datetime import UTC, datetime

    past = result.next_due is not None and result.next_due < datetime.now(UTC)
    return "due since" if past else "next due", terminal.when(result.next_due) if result.next_due else ""


def in_brackets(pairs: list[tuple[str, str]]) -> str:
    """Return facts as they follow a sentence."""
    shown = ", ".join(f"{label} {fact}" for label, fact in pairs if fact)
    return f" [{shown}]" if shown else ""


def state_line(state: DestinationStateEntry) -> str:
    """Return what a destination holds as a line for a log."""
    return "".join(state_parts(state))


def state_parts(state: DestinationStateEntry) -> tuple[str, str, str]:
    """Return a destination's name and state, in words, what comes between the two and its message, and the message."""
    between = ": " if state.outcome in STATES else ", "
    return (
        f"{state.destination}: {state_word(state)}",
        between if state.message else "",
        state.message or "",
    )


def state_word(state: DestinationStateEntry) -> str:
    """Return what text calls the state of a destination."""
    return STATES.get(state.outcome, state.outcome.replace("_", " "))


def failed_parts(result: Result) -> list[tuple[str, str, str]]:
    """Return the parts of a line for each destination that failed, except those that the result's message names."""
    failed = [one for one in result.destinations if one.outcome == "failed" and one.message not in result.message]
    return [(f"{one.destination}: failed", ", ", one.message) for one in failed]
