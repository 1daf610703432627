"""What the store and each destination hold, in one word and for people: by their own word, or by the journal's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from twokey.core import timestamps
from twokey.core.model import CannotTell, Held, NotHeld
from twokey.planning.assessment import written_since

if TYPE_CHECKING:
    from datetime import datetime

    from twokey.planning.assessment import Assessment

State = Literal["held", "out_of_date", "empty", "cannot_tell", "unreachable"]


@dataclass(frozen=True, slots=True)
class DestinationState:
    """What a place holds: CURRENT (``held``), not surely CURRENT (``behind``), nothing (``empty``).

    ``cannot_tell``: nobody knows, for it does not show it. ``unreachable``: it could not be read this time.
    """

    place: str
    word: State
    message: str = ""


def destination_states(assessment: Assessment) -> tuple[DestinationState, ...]:
    """Return what the store holds, then each destination."""
    return (_store(assessment), *(_destination(assessment, name) for name in assessment.seen.destinations))


def _store(assessment: Assessment) -> DestinationState:
    name, holding = assessment.seen.store, assessment.seen.record.holding
    if isinstance(holding, Held):
        since = assessment.journal.committed if assessment.journal.current == assessment.held else None
        return DestinationState(name, "held", _since(assessment.held, since))
    if isinstance(holding, NotHeld):
        return DestinationState(name, "empty")
    return DestinationState(name, "unreachable" if holding.failed else "cannot_tell", holding.why)


def _destination(assessment: Assessment, name: str) -> DestinationState:
    holding, given = assessment.seen.destinations[name], assessment.journal.delivered.get(name)
    if isinstance(holding, CannotTell) and holding.failed:
        return DestinationState(name, "unreachable", holding.why)
    if name in assessment.journal.delivering:
        return DestinationState(
            name, "out_of_date", "a delivery was not finished: id and secret may not belong together"
        )
    if isinstance(holding, CannotTell):
        return _silent(assessment, name, holding)
    if isinstance(holding, NotHeld):
        return DestinationState(name, "empty")
    if holding.key_id != assessment.held:
        return DestinationState(name, "out_of_date", f"holds {holding.key_id}")
    return DestinationState(
        name, "held", _since(assessment.held, given.at if given and given.key == assessment.held else None)
    )


def _silent(assessment: Assessment, name: str, holding: CannotTell) -> DestinationState:
    given = assessment.journal.delivered.get(name)
    if given is None:
        return DestinationState(name, "cannot_tell", "it was never given a key, and does not show what it holds")
    said = f"given {given.key} at {timestamps.utc(given.at)}"
    if written_since(given, holding):
        return DestinationState(name, "cannot_tell", f"somebody else has written there since it was {said}")
    return DestinationState(name, "held" if given.key == assessment.held else "out_of_date", said)


def _since(key_id: str, moment: datetime | None) -> str:
    return f"{key_id} since {timestamps.utc(moment)}" if moment else key_id
