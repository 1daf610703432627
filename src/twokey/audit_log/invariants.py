"""The invariants I1 to I8 of the protocol, checked for an effect that is about to begin.

They are derived from the text of the protocol and share no code with the decisions of twokey, so that a defect there is
not repeated here.
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

    Violation = tuple[AuditRule, str]
    """The invariant, and how an effect violates it."""
    from twokey.audit_log.state import UserState


def violations(begin: Begin, state: UserState, rules: Rules) -> Iterator[Violation]:
    """Return the invariants that an effect violates, given everything before it."""
    match begin.effect:
        case "create":
            yield from _creation(begin, state)
        case "delete" | "deactivate":
            yield from _removal(begin, state, rules)
        case "store" | "deliver":
            yield from _publication(begin, state, rules)
        case "journal" if begin.journal is not None:
            yield from _claims(begin.journal, state, rules)


def _creation(begin: Begin, state: UserState) -> Iterator[Violation]:
    if state.listed_by != begin.run:
        yield "I5", "a key is created by a run that did not list the keys under its lease"
    if len(state.live) >= 2:
        yield "I5", f"a key is created although {len(state.live)} exist: {_names(state.live)}"
    intent = state.journal.intent
    if intent is None or state.intent_of != begin.run:
        yield "I6", "a key is created without an intent of the run in the journal"
    elif not state.live <= set(intent.known):
        yield "I6", f"a key is created after an intent that does not name {_names(state.live - set(intent.known))}"
    if state.ambiguous_creation:
        yield (
            "I6",
            "a key is created although an earlier creation may have created one, and the keys were not listed since",
        )
    orphans = {key for key in state.live if key in state.created and key not in state.ever_held}
    if orphans:
        yield "I6", f"a key is created although an orphaned key exists: {_names(orphans)}"


def _publication(begin: Begin, state: UserState, rules: Rules) -> Iterator[Violation]:
    listed = state.keys.get(begin.key)
    if begin.destination not in (rules.store, *rules.destinations):
        yield "I1", f"{begin.destination} is not a destination of this user"
    if begin.key not in state.live:
        yield "I1", f"{begin.destination} gets {begin.key}, which does not exist"
    elif (listed and not listed.active) or begin.key in state.inactive_since:
        yield "I1", f"{begin.destination} gets {begin.key}, which is Inactive"
    if state.proofs.get((begin.run, begin.key), 0) < rules.proofs:
        yield "I1", f"{begin.destination} gets {begin.key}, which was not proved ({rules.proofs} responses in a row)"
    if begin.effect == "deliver" and state.key_held_by(rules.store) != begin.key:
        yield "I1", f"{begin.destination} gets {begin.key}, which the store does not hold"


def _claims(journal: Journal, state: UserState, rules: Rules) -> Iterator[Violation]:
    """Check the deletions and deliveries that the journal records against those that the log records."""
    known = state.journal
    if not known.epoch or journal.epoch not in (known.epoch, known.epoch + 1):
        return  # the journal contains the work of runs that this log does not have
    removed = set(journal.removed) - set(known.removed) - state.gone
    if removed:
        yield "order", f"the journal says that {_names(removed)} was deleted, but no line of the log does"
    for destination, delivery in journal.delivered.items():
        held = state.holds.get(destination)
        # What a destination may hold that cannot tell is recorded before it gets another key.
        may_hold = held is None and state.is_last(delivery.key, rules.store)
        if delivery != known.delivered.get(destination) and held != delivery.key and not may_hold:
            yield "order", f"the journal says that {destination} got {delivery.key}, but no line of the log does"


def _removal(begin: Begin, state: UserState, rules: Rules) -> Iterator[Violation]:
    key = begin.key
    if key in state.gone:
        return  # a list that lags showed a deleted key again
    unpublished, effect = state.unpublished(key), f"{begin.effect} of {key}"
    destinations = (rules.store, *rules.destinations)
    holders = [name for name in destinations if state.key_held_by(name) == key]
    holders += sorted({name for name, written, _ in state.ambiguous_writes if written == key} - set(holders))
    if not unpublished:
        holders += [name for name in destinations if state.key_held_by(name) == MAY]
    if holders:
        yield "I3", f"{effect}, which {_names(holders)} holds or may hold"
    if unpublished:
        if state.created.get(key) != begin.run and state.fenced_by != begin.run:
            yield "I6", f"{effect}, an orphaned key of another run, without a fence"
        return
    retiring = state.journal.retiring.get(key)
    named = key in rules.retire or (retiring is not None and retiring.named)
    if not named and not state.is_last(key, rules.store):
        yield "I7", f"{effect}, which is neither LAST nor orphaned: an unmanaged key"
    if not named and not rules.ignore_last_use:
        yield from _too_early(begin, state, rules, effect)
    if begin.effect == "delete" and rules.soak:
        yield from _unsoaked(begin, state, rules, effect)


def _too_early(begin: Begin, state: UserState, rules: Rules, effect: str) -> Iterator[Violation]:
    moments = [at for at in (state.held_until.get(begin.key), state.retired_at(rules.store)) if at]
    if not moments:
        return
    remaining = max(moments) + timedelta(seconds=rules.grace) - begin.at
    if remaining > timedelta(0):
        yield "I2", f"{effect} {durations.show(remaining)} before its grace is over"


def _unsoaked(begin: Begin, state: UserState, rules: Rules, effect: str) -> Iterator[Violation]:
    listed, retiring = state.keys.get(begin.key), state.journal.retiring.get(begin.key)
    if listed is None or listed.active or retiring is None:
        yield "I8", f"{effect}, which was not made Inactive before"
        return
    since = max(retiring.at, state.inactive_since.get(begin.key, retiring.at))
    remaining = since + timedelta(seconds=rules.soak) - begin.at
    if remaining > timedelta(0):
        yield "I8", f"{effect} {durations.show(remaining)} before its soak is over"


def _names(keys: set[str] | list[str]) -> str:
    return ", ".join(sorted(keys))
