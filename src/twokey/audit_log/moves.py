"""What a move to another store must keep to: both journals, and the moment at which the user changes store.

Like the invariants, this is derived from the text of the protocol and shares no code with what performs a move.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.audit_log.state import OtherStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.audit_log.invariants import Violation
    from twokey.audit_log.records import Begin, Ended, Observed, Rules
    from twokey.audit_log.state import UserState
    from twokey.core.journal import Journal
    from twokey.reports.documents import AuditRule

SAME: dict[str, AuditRule] = {
    "current": "I3",
    "last": "I3",
    "committed": "I2",
    "forgotten": "I2",
    "intent": "I6",
    "removed": "I6",
    "retiring": "I8",
}
"""What has to be the same in both journals when the user changes from one store to the other, and why."""


def is_of_new_store(begin: Begin, rules: Rules) -> bool:
    """Return whether this is a write of the journal of the store that the user is moved to."""
    return begin.effect == "journal" and bool(rules.moved_to) and begin.destination == rules.moved_to


def new_store(state: UserState, rules: Rules) -> OtherStore:
    """Return the store that the user is moved to."""
    return state.others.setdefault(rules.moved_to, OtherStore())


def observed(seen: Observed, state: UserState, rules: Rules) -> None:
    """Apply what a run read of the new store under its lease there."""
    store = new_store(state, rules)
    if seen.new_journal is not None and _leased_to(store.journal, seen.run):
        store.journal = seen.new_journal
        store.epochs = max(store.epochs, seen.new_journal.epoch)


def leased(begin: Begin, store: OtherStore) -> bool:
    """Return whether the run may write to the new store: it holds the lease there, or takes it."""
    lease = store.journal.lease
    return _takes(begin, store) or (lease is not None and lease.run == begin.run and begin.at <= lease.until)


def missed(begin: Begin, store: OtherStore) -> bool:
    """Return whether runs held leases there that this log does not contain."""
    journal = begin.journal
    if journal is None or not store.epochs or not _takes(begin, store) or _leased_to(store.journal, begin.run):
        return False  # the copy of the journal continues the former store's epochs
    return journal.epoch > store.epochs + 1


def begins(begin: Begin, store: OtherStore) -> None:
    """From now on, this journal may be the new store's."""
    if begin.journal is not None:
        store.epochs = max(store.epochs, begin.journal.epoch)


def arrival(begin: Begin, state: UserState, rules: Rules, *, moved: bool) -> Iterator[Violation]:
    """Check a write of the new store's journal: runs may rotate from it only after the former one says so.

    ``moved``: the run has read in the former store's journal that the user has moved.
    """
    journal = begin.journal
    if journal is None or journal.arriving or moved or state.journal.moved == rules.moved_to:
        return
    message = (
        f"the journal of {rules.moved_to} no longer says that a move is under way, before that of {rules.store} says "
        "that the user has moved: runs may rotate from both"
    )
    yield "lease", message


def switch(begin: Begin, state: UserState, rules: Rules) -> Iterator[Violation]:
    """Check the write by which the user changes from the former store to the new one: nothing was left behind."""
    journal = begin.journal
    if journal is None or not rules.moved_to or journal.moved != rules.moved_to or state.journal.moved == journal.moved:
        return
    new = new_store(state, rules).journal
    if new.arriving != rules.store:
        yield "lease", f"the user changes to {rules.moved_to}, whose journal does not say that a move is under way"
    current = state.key_held_by(rules.store)
    if state.key_held_by(rules.moved_to) != current:
        yield (
            "I1",
            f"the user changes to {rules.moved_to}, which does not hold {current or 'what the former store holds'}",
        )
    for name, rule in SAME.items():
        if getattr(journal, name) != getattr(new, name):
            yield rule, f"the user changes to {rules.moved_to}, whose journal has another `{name}` than the former one"
    if any(new.graces.get(key) != grace for key, grace in journal.graces.items()):
        yield "I2", f"the user changes to {rules.moved_to}, whose journal does not have every promised grace"
    yield from _deliveries(journal, new, current, rules)


def _deliveries(journal: Journal, new: Journal, current: str, rules: Rules) -> Iterator[Violation]:
    kept = {name: one for name, one in journal.delivered.items() if name not in (rules.store, rules.moved_to)}
    lost = [name for name, one in kept.items() if new.delivered.get(name) != one]
    lost += [name for name in journal.delivering if name != rules.moved_to and name not in new.delivering]
    former = new.delivered.get(rules.store)
    if not rules.former_unread and (former is None or former.key != current):
        lost.append(rules.store)
    if lost:
        yield "I3", f"the user changes to {rules.moved_to}, whose journal forgets what {', '.join(sorted(lost))} holds"


def unfinished(record: Ended, state: UserState, rules: Rules, *, moved: bool) -> Iterator[Violation]:
    """Check that a move that ends as completed has taken place."""
    new = new_store(state, rules).journal
    if not (moved or state.journal.moved == rules.moved_to) or new.arriving or new.lease:
        yield "I4", f"it ends as {record.outcome}, but the move to {rules.moved_to} is not finished"


def _takes(begin: Begin, store: OtherStore) -> bool:
    journal = begin.journal
    if journal is None or journal.lease is None or journal.lease.run != begin.run:
        return False
    return journal.epoch > store.journal.epoch


def _leased_to(journal: Journal, run: str) -> bool:
    return journal.lease is not None and journal.lease.run == run
