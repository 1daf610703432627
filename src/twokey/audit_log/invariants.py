"""The invariants I1 to I8 of the protocol, held against an effect that is about to begin.

They are written from the protocol's text alone and share nothing with the code that decides, so that a defect there
does not excuse itself here.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from twokey.audit_log.state import MAY
from twokey.core import durations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.audit_log.records import Begin, Rules
    from twokey.core.journal import Journal
    from twokey.reports.documents import AuditRule

    Broken = tuple[AuditRule, str]
    """The invariant, and in which way an effect breaks it."""
    from twokey.audit_log.state import UserState


def broken(begin: Begin, state: UserState, rules: Rules) -> Iterator[Broken]:
    """Say which invariants an effect breaks, given all that came before it."""
    match begin.effect:
        case "create":
            yield from _creation(begin, state)
        case "delete" | "deactivate":
            yield from _removal(begin, state, rules)
        case "store" | "deliver":
            yield from _publication(begin, state, rules)
        case "journal" if begin.journal is not None:
            yield from _claims(begin.journal, state, rules)


def _creation(begin: Begin, state: UserState) -> Iterator[Broken]:
    if state.listed_by != begin.run:
        yield "I5", "a key is created by a run that did not list the keys under its lease"
    if len(state.live) >= 2:
        yield "I5", f"a key is created although {len(state.live)} exist: {_names(state.live)}"
    intent = state.journal.intent
    if intent is None or state.intent_of != begin.run:
        yield "I6", "a key is created without an intent of its own in the journal"
    elif not state.live <= set(intent.known):
        yield "I6", f"a key is created behind an intent that does not know {_names(state.live - set(intent.known))}"
    if state.doubtful_creation:
        yield "I6", "a key is created although an earlier creation may have made one that nobody has looked for"
    orphans = {key for key in state.live if key in state.created and key not in state.ever_held}
    if orphans:
        yield "I6", f"a key is created although there is an orphan: {_names(orphans)}"


def _publication(begin: Begin, state: UserState, rules: Rules) -> Iterator[Broken]:
    listed = state.keys.get(begin.key)
    if begin.place not in (rules.store, *rules.destinations):
        yield "I1", f"{begin.place} is no place of this user's"
    if begin.key not in state.live:
        yield "I1", f"{begin.place} is given {begin.key}, which does not exist"
    elif (listed and not listed.active) or begin.key in state.inactive_since:
        yield "I1", f"{begin.place} is given {begin.key}, which is Inactive"
    if state.proofs.get((begin.run, begin.key), 0) < rules.proofs:
        yield "I1", f"{begin.place} is given {begin.key}, which was not proved ({rules.proofs} answers in a row)"
    if begin.effect == "deliver" and state.holder(rules.store) != begin.key:
        yield "I1", f"{begin.place} is given {begin.key}, which the store does not hold"


def _claims(journal: Journal, state: UserState, rules: Rules) -> Iterator[Broken]:
    """Hold what the journal says was done against what the log says was done."""
    known = state.journal
    if not known.epoch or journal.epoch not in (known.epoch, known.epoch + 1):
        return  # what stands in it was done by runs that this log does not have
    removed = set(journal.removed) - set(known.removed) - state.gone
    if removed:
        yield "order", f"the journal says that {_names(removed)} was deleted, and no line does"
    for place, given in journal.delivered.items():
        held = state.holds.get(place)
        # What a place that cannot tell may hold is written down before it is given something else.
        may_be = held is None and state.is_last(given.key, rules.store)
        if given != known.delivered.get(place) and held != given.key and not may_be:
            yield "order", f"the journal says that {place} was given {given.key}, and no line does"


def _removal(begin: Begin, state: UserState, rules: Rules) -> Iterator[Broken]:
    key = begin.key
    if key in state.gone:
        return  # a list that lags showed it once more: nothing is lost
    unpublished, does = state.unpublished(key), f"{begin.effect} of {key}"
    places = (rules.store, *rules.destinations)
    holders = [place for place in places if state.holder(place) == key]
    holders += sorted({place for place, given, _ in state.doubts if given == key} - set(holders))
    if not unpublished:
        holders += [place for place in places if state.holder(place) == MAY]
    if holders:
        yield "I3", f"{does}, which {_names(holders)} holds or may hold"
    if unpublished:
        if state.created.get(key) != begin.run and state.fenced_by != begin.run:
            yield "I6", f"{does}, an orphan of another run that was not fenced off"
        return
    retiring = state.journal.retiring.get(key)
    named = key in rules.retire or (retiring is not None and retiring.named)
    if not named and not state.is_last(key, rules.store):
        yield "I7", f"{does}, which is neither LAST nor an orphan: an unmanaged key"
    if not named and not rules.ignore_last_use:
        yield from _too_early(begin, state, rules, does)
    if begin.effect == "delete" and rules.soak:
        yield from _unsoaked(begin, state, rules, does)


def _too_early(begin: Begin, state: UserState, rules: Rules, does: str) -> Iterator[Broken]:
    moments = [at for at in (state.held_until.get(begin.key), state.retired_at(rules.store)) if at]
    if not moments:
        return
    left = max(moments) + timedelta(seconds=rules.grace) - begin.at
    if left > timedelta(0):
        yield "I2", f"{does} {durations.show(left)} before its grace is over"


def _unsoaked(begin: Begin, state: UserState, rules: Rules, does: str) -> Iterator[Broken]:
    listed, retiring = state.keys.get(begin.key), state.journal.retiring.get(begin.key)
    if listed is None or listed.active or retiring is None:
        yield "I8", f"{does}, which was not made Inactive before"
        return
    since = max(retiring.at, state.inactive_since.get(begin.key, retiring.at))
    left = since + timedelta(seconds=rules.soak) - begin.at
    if left > timedelta(0):
        yield "I8", f"{does} {durations.show(left)} before its soak is over"


def _names(keys: set[str] | list[str]) -> str:
    return ", ".join(sorted(keys))
