"""What the store and each destination hold, in one word and a message: as they show it, or as the journal records."""

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
    """What a destination holds: CURRENT (``held``), not surely CURRENT (``out_of_date``), nothing (``empty``).

    ``cannot_tell``: unknown, for it does not show it. ``unreachable``: it could not be read this time.
    """

    destination: str
    state: State
    message: str = ""


def destination_states(assessment: Assessment) -> tuple[DestinationState, ...]:
    """Return what the store holds, then each destination."""
    return (_store(assessment), *(_destination(assessment, name) for name in assessment.observation.destinations))


def _store(assessment: Assessment) -> DestinationState:
    name, holding = assessment.observation.store, assessment.observation.record.holding
    if isinstance(holding, Held):
        since = assessment.journal.committed if assessment.journal.current == assessment.held else None
        return DestinationState(name, "held", _since(assessment.held, since))
    if isinstance(holding, NotHeld):
        return DestinationState(name, "empty")
    return DestinationState(name, "unreachable" if holding.failed else "cannot_tell", holding.why)


def _destination(assessment: Assessment, name: str) -> DestinationState:
    holding, delivery = assessment.observation.destinations[name], assessment.journal.delivered.get(name)
    if isinstance(holding, CannotTell) and holding.failed:
        return DestinationState(name, "unreachable", holding.why)
    if name in assessment.journal.delivering:
        return DestinationState(
            name, "out_of_date", "a delivery was not finished: ID and secret may not belong together"
        )
    if isinstance(holding, CannotTell):
        return _silent(assessment, name, holding)
    if isinstance(holding, NotHeld):
        return DestinationState(name, "empty")
    if holding.key_id != assessment.held:
        return DestinationState(name, "out_of_date", f"holds {holding.key_id}")
    return DestinationState(
        name, "held", _since(assessment.held, delivery.at if delivery and delivery.key == assessment.held else None)
    )


def _silent(assessment: Assessment, name: str, holding: CannotTell) -> DestinationState:
    delivery = assessment.journal.delivered.get(name)
    if delivery is None:
        message = f"it has received no key yet, and does not show what it holds{_because(holding)}"
        return DestinationState(name, "cannot_tell", message)
    received = f"received {delivery.key} at {timestamps.utc(delivery.at)}"
    if written_since(delivery, holding):
        message = f"another program has written there since it {received}{_because(holding)}"
        return DestinationState(name, "cannot_tell", message)
    return DestinationState(name, "held" if delivery.key == assessment.held else "out_of_date", received)


def _because(holding: CannotTell) -> str:
    """Return what the destination shows instead of a key, such as a session token beside it."""
    return f" ({holding.why.rstrip('.')})" if holding.why else ""


def _since(key_id: str, moment: datetime | None) -> str:
    return f"{key_id} since {timestamps.utc(moment)}" if moment else key_id
