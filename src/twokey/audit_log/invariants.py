"""The invariants I1 to I8 of the protocol, checked for an effect that is about to begin.

They are derived from the text of the protocol and share no code with the decisions of twokey, so that a defect there is
not repeated here.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from twokey.audit_log.state import MAY
from twokey.core import durations, timestamps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.audit_log.records import Begin, Rules
    from twokey.core.journal import Journal
    from twokey.reports.documents import AuditRule

    Violation = tuple[AuditRule, str]
    """The invariant, and how an effect violates it."""
    from twokey.audit_log.state import UserState


OWN_USE = timedelta(minutes=8)
"""How long after its creation a key may be used by the run that created it: five minutes, and a verification, which
takes no longer than a lease."""


def violations(begin: Begin, state: UserState, rules: Rules) -> Iterator[Violation]:
    """Return the invariants that an effect violates, given everything before it."""
    match begin.effect:
        case "create":
            yield from _creation(begin, state, rules)
        case "delete" | "deactivate":
            yield from _removal(begin, state, rules)
        case "store" | "deliver":
            yield from _publication(begin, state, rules)
        case "journal" if begin.journal is not None:
            yield from _claims(begin.journal, state, rules)
            yield from _memory(begin, begin.journal, state, rules)
            yield from _promises(begin.journal, state, rules)
            yield from _becoming_last(begin, begin.journal, state, rules)


def _creation(begin: Begin, state: UserState, rules: Rules) -> Iterator[Violation]:
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
    # One that a destination may hold is not removed: it becomes LAST.
    if orphans and not any(state.key_held_by(name) == MAY for name in rules.destinations):
        yield "I6", f"a key is created although an orphaned key exists: {_names(orphans)}"


def _publication(begin: Begin, state: UserState, rules: Rules) -> Iterator[Violation]:
    listed, moving = state.keys.get(begin.key), begin.destination == rules.moved_to
    if begin.destination not in (rules.store, rules.moved_to, *rules.destinations):
        yield "I1", f"{begin.destination} is not a destination of this user"
    if begin.key not in state.live and (not moving or begin.key in state.gone):  # a move does not list the keys
        yield "I1", f"{begin.destination} gets {begin.key}, which does not exist"
    elif (listed and not listed.active) or begin.key in state.inactive_since:
        yield "I1", f"{begin.destination} gets {begin.key}, which is Inactive"
    if state.proofs.get((begin.run, begin.key), 0) < rules.proofs:
        yield "I1", f"{begin.destination} gets {begin.key}, which was not proved ({rules.proofs} responses in a row)"
    beside_the_store = begin.effect == "deliver" or moving
    if beside_the_store and state.key_held_by(rules.store) != begin.key:
        yield "I1", f"{begin.destination} gets {begin.key}, which the store does not hold"
    if beside_the_store and begin.destination not in state.journal.delivered:
        yield "order", f"{begin.destination} gets {begin.key} before the journal names {begin.destination}"


def _claims(journal: Journal, state: UserState, rules: Rules) -> Iterator[Violation]:
    """Check the deletions and deliveries that the journal records against those that the log records."""
    known = state.journal
    if not known.epoch or journal.epoch not in (known.epoch, known.epoch + 1):
        return  # the journal contains the work of runs that this log does not have
    removed = set(journal.removed) - set(known.removed) - state.gone
    if removed:
        yield "order", f"the journal says that {_names(removed)} was deleted, but no line of the log does"
    for destination, delivery in journal.delivered.items():
        if not _explained(destination, journal, state, rules):
            yield "order", f"the journal says that {destination} got {delivery.key}, but no line of the log does"


def _explained(destination: str, journal: Journal, state: UserState, rules: Rules) -> bool:
    """Return whether what the journal says that a destination received is what the log records, or may be."""
    delivery, before = journal.delivered[destination], state.journal.delivered.get(destination)
    if before is not None and not before.identity:
        # A version of twokey recorded it that knew no identities: it is believed to mean what the URL means now.
        before = msgspec.structs.replace(before, identity=delivery.identity)
    if before is not None:
        # A delivery that got no response leaves what is recorded, but for the doubt.
        before = msgspec.structs.replace(before, doubt=delivery.doubt)
    held, store_holds = state.holds.get(destination), state.key_held_by(rules.store)
    if delivery == before:
        # What was announced as a first delivery has to take place.
        closed = destination in state.announced and destination not in journal.delivering
        return not closed or delivery.key != store_holds
    # What a destination may hold that cannot tell is recorded before it gets another key.
    may_hold = held is None and (delivery.key == journal.last or state.is_last(delivery.key, rules.store))
    # A destination that the journal does not name yet is named before the first request to it.
    is_announced = before is None and destination in journal.delivering and delivery.key in (store_holds, journal.last)
    if destination == rules.moved_to and delivery.key == store_holds:
        state.moving.add((destination, delivery.key))
    if (destination, delivery.key) in state.moving:
        return True  # what a move is about to write there; that record may be in doubt
    return held == delivery.key or may_hold or is_announced


def _memory(begin: Begin, journal: Journal, state: UserState, rules: Rules) -> Iterator[Violation]:
    """Check that no creation that may have made a key is forgotten, and no destination that may hold one."""
    forgotten = state.forgotten(journal, begin.run, begin.at)
    if forgotten and not state.closes(journal, rules.store):
        moments = ", ".join(timestamps.utc(at) for at in sorted(forgotten))
        yield "I6", f"the journal forgets the creation of {moments}, whose key a list may still lack"
    kept = {journal.current, journal.last} - {""}
    for destination in set(state.journal.delivered) - set(journal.delivered) - {rules.forget}:
        holds = kept & {key for name, key, _ in state.ambiguous_writes if name == destination}
        holds |= kept & {state.deliveries.get(destination, "")}
        # A delivery that was announced and refused leaves what was there before, and need not be named.
        if destination not in state.journal.delivering:
            holds |= kept & {state.holds.get(destination) or ""}
        if holds:
            yield "I3", f"the journal forgets {destination}, which holds or may hold {_names(holds)}"


def _promises(journal: Journal, state: UserState, rules: Rules) -> Iterator[Violation]:
    """Check that the readers of CURRENT and of LAST keep the grace that they were promised, and that a commit promises.

    A commit is what gives the lease back with another CURRENT, LAST, or time.
    """
    known, none = state.journal, timedelta(0)
    before = (known.current, known.last, known.committed)
    commits = journal.lease is None and (journal.current, journal.last, journal.committed) != before
    for key in filter(None, (journal.current, journal.last)):
        promised = max(known.graces.get(key, none), timedelta(seconds=rules.grace) if commits else none)
        if journal.graces.get(key, none) < promised:
            yield "I2", f"the journal does not promise the readers of {key} a grace of {durations.show(promised)}"


def _becoming_last(begin: Begin, journal: Journal, state: UserState, rules: Rules) -> Iterator[Violation]:
    """Check that the run that created an orphaned key can no longer store it once the key becomes LAST.

    What takes the lease repeats what the run has read; a run before it may have written that, and was checked then.
    """
    key, intent = journal.last, state.journal.intent
    if not key or key == state.journal.last or not state.unpublished(key) or state.created.get(key) == begin.run:
        return
    if state.takes(begin):
        return
    stored_since = intent and key in intent.known and state.key_held_by(rules.store) not in intent.known
    if not stored_since and state.fenced_by != begin.run:
        yield "I6", f"{key}, an orphaned key of another run, becomes LAST without a fence"


def _removal(begin: Begin, state: UserState, rules: Rules) -> Iterator[Violation]:
    key = begin.key
    if key in state.gone:
        return  # a list that lags showed a deleted key again
    unpublished, effect = state.unpublished(key), f"{begin.effect} of {key}"
    own = unpublished and state.created.get(key) == begin.run
    retiring = state.journal.retiring.get(key)
    named = key in rules.retire or (retiring is not None and retiring.named)
    if begin.effect == "delete" and _may_be_deleted_as_revoked(begin, state):
        return  # whatever holds it holds a key that no longer works
    holders = _holders(key, state, rules, elsewhere=not named and not rules.ignore_last_use, unknown=not own)
    if holders:
        yield "I3", f"{effect}, which {_names(holders)} holds or may hold"
    if unpublished:
        if not own and state.fenced_by != begin.run:
            yield "I6", f"{effect}, an orphaned key of another run, without a fence"
        if not own and not named:
            yield from _used(begin, state, effect)
        return
    if not named and not state.is_last(key, rules.store):
        yield "I7", f"{effect}, which is neither LAST nor orphaned: an unmanaged key"
    if not named and not rules.ignore_last_use:
        yield from _too_early(begin, state, rules, effect)
    if begin.effect == "delete" and rules.soak:
        yield from _unsoaked(begin, state, rules, effect)


def _may_be_deleted_as_revoked(begin: Begin, state: UserState) -> bool:
    """Return whether a key has leaked, is Inactive, and is no longer to be kept."""
    mark, listed = state.journal.revoked.get(begin.key), state.keys.get(begin.key)
    inactive = begin.key in state.inactive_since or (listed is not None and not listed.active)
    return mark is not None and mark.until is not None and begin.at >= mark.until and inactive


def _holders(key: str, state: UserState, rules: Rules, *, elsewhere: bool, unknown: bool) -> set[str]:
    """Name what holds a key or may hold it; also what is ``elsewhere``, not among this run's destinations.

    With ``unknown``, what cannot tell which key it holds may hold this one.
    """
    destinations = (rules.store, *rules.destinations)
    held = {key, MAY} if unknown else {key}
    holders = {name for name in destinations if state.key_held_by(name) in held}
    holders |= {name for name, written, _ in state.ambiguous_writes if written == key}
    if elsewhere:
        delivered = state.journal.delivered.items()
        holders |= {name for name, delivery in delivered if delivery.key == key and name not in destinations}
    return holders


def _used(begin: Begin, state: UserState, effect: str) -> Iterator[Violation]:
    """Check that no job uses an orphaned key: only the run that created it knew its secret."""
    read = (begin.run, begin.key)
    if read not in state.last_used:
        yield "I7", f"{effect}, an orphaned key of another run, without reading its last use"
        return
    used, listed = state.last_used[read], state.keys.get(begin.key)
    if used and listed and used > listed.created + OWN_USE:
        yield "I7", f"{effect}, which was used at {timestamps.utc(used)}: no orphaned key is used then"


def _too_early(begin: Begin, state: UserState, rules: Rules, effect: str) -> Iterator[Violation]:
    moments = [at for at in (state.held_until.get(begin.key), state.retired_at(rules.store)) if at]
    if not moments:
        return
    grace = max(timedelta(seconds=rules.grace), state.journal.graces.get(begin.key, timedelta(0)))
    remaining = max(moments) + grace - begin.at
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
