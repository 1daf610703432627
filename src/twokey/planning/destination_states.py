"""What the store and each destination hold, in one word and for people: by their own word, or by the journal's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from twokey.core.model import CannotTell, Held, NotHeld
from twokey.planning.assessment import written_since

if TYPE_CHECKING:
    from datetime import datetime

    from twokey.planning.assessment import Case

Word = Literal["held", "behind", "empty", "cannot_tell", "unreachable"]


@dataclass(frozen=True, slots=True)
class Standing:
    """What a place holds: CURRENT (``held``), not surely CURRENT (``behind``), nothing (``empty``).

    ``cannot_tell``: nobody knows, for it does not show it. ``unreachable``: it could not be read this time.
    """

    place: str
    word: Word
    message: str = ""


def standings(case: Case) -> tuple[Standing, ...]:
    """Return what the store holds, then each destination."""
    return (_store(case), *(_destination(case, name) for name in case.seen.destinations))


def _store(case: Case) -> Standing:
    name, holding = case.seen.store, case.seen.record.holding
    if isinstance(holding, Held):
        since = case.journal.committed if case.journal.current == case.held else None
        return Standing(name, "held", _since(case.held, since))
    if isinstance(holding, NotHeld):
        return Standing(name, "empty")
    return Standing(name, "unreachable" if holding.failed else "cannot_tell", holding.why)


def _destination(case: Case, name: str) -> Standing:
    holding, given = case.seen.destinations[name], case.journal.delivered.get(name)
    if isinstance(holding, CannotTell) and holding.failed:
        return Standing(name, "unreachable", holding.why)
    if name in case.journal.delivering:
        return Standing(name, "behind", "a delivery was not finished: id and secret may not belong together")
    if isinstance(holding, CannotTell):
        return _silent(case, name, holding)
    if isinstance(holding, NotHeld):
        return Standing(name, "empty")
    if holding.key_id != case.held:
        return Standing(name, "behind", f"holds {holding.key_id}")
    return Standing(name, "held", _since(case.held, given.at if given and given.key == case.held else None))


def _silent(case: Case, name: str, holding: CannotTell) -> Standing:
    given = case.journal.delivered.get(name)
    if given is None:
        return Standing(name, "cannot_tell", "it was never given a key, and does not show what it holds")
    said = f"given {given.key} at {_time(given.at)}"
    if written_since(given, holding):
        return Standing(name, "cannot_tell", f"somebody else has written there since it was {said}")
    return Standing(name, "held" if given.key == case.held else "behind", said)


def _since(key_id: str, moment: datetime | None) -> str:
    return f"{key_id} since {_time(moment)}" if moment else key_id


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
