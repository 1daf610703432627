"""The state of one machine user according to the log: its keys, what destinations hold, the journal."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from twokey.core.journal import Journal

if TYPE_CHECKING:
    from datetime import datetime

    from twokey.audit_log.records import Begin, Done, Failed, ListedKey, Observed, Proved, Rules
    from twokey.core.journal import Intent

AFTER_INTENT = timedelta(seconds=60)
"""A key is attributed to an intent if it was created within this time after it."""
INACCURACY = timedelta(seconds=2)
"""How far IAM's ``CreateDate`` may be off: its resolution and that of the services' clock."""
COMPLETE = timedelta(hours=1)
"""No list lags for longer: until then, an attempt without a known result stays in the journal."""
MAY = "?"
"""Held by a destination that cannot tell and that never got a key, or has an open delivery: it may hold any key."""


@dataclass(frozen=True, slots=True)
class Open:
    """An effect without a result yet; whether its run held the lease when it began, and the journal's epoch then.

    ``creating``: the journal is written while a creation of the same run waits to be sent.
    """

    line: int
    begin: Begin
    leased: bool
    epoch: int
    creating: bool = False


@dataclass(slots=True)
class OtherStore:
    """A store that the user is moved to, or was moved from, as far as the log describes it."""

    journal: Journal = field(default_factory=Journal)
    epochs: int = 0
    """The latest epoch that any run of this log has written there."""


@dataclass(slots=True)
class UserState:
    """One user, as far as the log describes it. Changes outside the log appear with the next observation."""

    keys: dict[str, ListedKey | None] = field(default_factory=dict)
    """The keys that exist; None for a key that was created and not listed yet."""
    listed_by: str = ""
    gone: set[str] = field(default_factory=set)
    holds: dict[str, str | None] = field(default_factory=dict)
    deliveries: dict[str, str] = field(default_factory=dict)
    """The key that each destination received last, according to the log."""
    announced: set[str] = field(default_factory=set)
    """The destinations that the journal names for a first delivery which has not taken place yet."""
    ambiguous_writes: set[tuple[str, str, str]] = field(default_factory=set)
    """(destination, key, run) of writes that may have taken place."""
    journal: Journal = field(default_factory=Journal)
    created: dict[str, str] = field(default_factory=dict)
    """The keys that were created according to the log, and by which run."""
    ever_held: set[str] = field(default_factory=set)
    held_until: dict[str, datetime] = field(default_factory=dict)
    inactive_since: dict[str, datetime] = field(default_factory=dict)
    proofs: dict[tuple[str, str], int] = field(default_factory=dict)
    ambiguous_creation: str = ""
    """The run whose creation may have created a key that is not known."""
    intent_of: str = ""
    """The run that wrote the open intent, until it creates a key."""
    attempts: dict[str, Intent] = field(default_factory=dict)
    """By run, the intent of a creation that began and whose result is not known."""
    last_used: dict[tuple[str, str], datetime | None] = field(default_factory=dict)
    """When a key was last used, by the run that read it."""
    fenced_by: str = ""
    identity: tuple[str, str] | None = None
    """IAM's ID of the user, and its store: the journal belongs to both."""
    others: dict[str, OtherStore] = field(default_factory=dict)
    """The other stores of a move, by name."""
    moving: set[tuple[str, str]] = field(default_factory=set)
    """(store, key) that a move has recorded, or may have recorded, before it writes the key there."""
    epochs: int = 0
    """The latest epoch that any run of this log has written, or begun to write."""
    at_release: dict[str, str] = field(default_factory=dict)
    """The problem that remained when a run released its lease; empty if there was none."""

    @property
    def live(self) -> set[str]:
        """The keys that exist. Lists lag, so deleted keys are left out."""
        return set(self.keys) - self.gone - set(self.journal.removed)

    def key_held_by(self, destination: str) -> str:
        """Return the key that a destination holds according to itself, or else its last delivery, or else ``MAY``."""
        held = self.holds.get(destination)
        if held is not None:
            return held
        delivery = self.journal.delivered.get(destination)
        return delivery.key if delivery and destination not in self.journal.delivering else MAY

    def leased_to(self, run: str) -> bool:
        """Return whether this run holds the lease."""
        return self.journal.lease is not None and self.journal.lease.run == run

    def unpublished(self, key: str) -> bool:
        """Return whether a rotation created this key and no job can have read it: an orphan, or a key just created."""
        if key in self.ever_held:
            return False
        if key in self.created:
            return True
        intent, listed = self.journal.intent, self.keys.get(key)
        if intent is None or listed is None or key in (*intent.known, self.journal.current, self.journal.last):
            return False
        return any(at - INACCURACY <= listed.created <= at + AFTER_INTENT for at in (intent.at, *intent.earlier))

    def is_last(self, key: str, store: str) -> bool:
        """Return whether this key is LAST by the evidence."""
        journal, held = self.journal, self.key_held_by(store)
        if journal.intent and held not in journal.intent.known:
            return key == journal.current or key in journal.intent.known
        if journal.current:
            return key == journal.last
        one, other = self.keys.get(key), self.keys.get(held)
        return one is not None and other is not None and len(self.live) == 2 and one.created < other.created

    def retired_at(self, store: str) -> datetime | None:
        """Return the latest moment at which a destination stopped holding LAST, according to the journal."""
        journal, held = self.journal, self.key_held_by(store)
        moments = [delivery.at for delivery in journal.delivered.values()]
        current = self.keys.get(held)
        if journal.current == held and journal.committed:
            moments.append(journal.committed)
        elif current is not None:
            moments.append(current.created)
        return max(moments, default=None)

    def takes(self, begin: Begin) -> bool:
        """Return whether this effect takes the lease: with a later epoch, or with the first epoch of a new journal."""
        journal = begin.journal
        if journal is None or journal.lease is None or journal.lease.run != begin.run:
            return False
        return journal.epoch > self.journal.epoch or journal.epoch == 1 < self.journal.epoch

    def missed(self, begin: Begin) -> bool:
        """Return whether runs held leases that this log does not contain: run elsewhere, without a log, or removed."""
        journal = begin.journal
        if journal is None or not self.epochs or not self.takes(begin):
            return False
        return journal.epoch > self.epochs + 1 or journal.epoch < self.journal.epoch

    def closes(self, journal: Journal, store: str) -> bool:
        """Return whether writing this journal is a commit, which closes every attempt."""
        return journal.intent is None and journal.lease is None and journal.current == self.key_held_by(store)

    def forgotten(self, journal: Journal, run: str, now: datetime) -> set[datetime]:
        """Return the creations of other runs whose key a list may still lack, and that this journal does not name."""
        named = (journal.intent.at, *journal.intent.earlier) if journal.intent else ()
        attempts = {intent.at for of, intent in self.attempts.items() if of != run}
        return {at for at in attempts if at not in named and now < at + COMPLETE}

    # The following methods change the state.

    def rules(self, rules: Rules) -> None:
        """Reset the journal if the user was recreated, or has another store; a move takes the journal along."""
        identity, before = (rules.user_id, rules.store), self.identity
        self.identity = identity
        if before in (None, identity):
            return
        if before is not None and before[0] == rules.user_id and self.journal.moved == rules.store:
            now = self.others.pop(rules.store, OtherStore())
            self.others[before[1]] = OtherStore(self.journal, self.epochs)
            self.journal, self.epochs = now.journal, now.epochs
            return
        self.journal, self.holds, self.ambiguous_writes, self.epochs = Journal(), {}, set(), 0
        self.attempts, self.others = {}, {}

    def observed(self, seen: Observed) -> None:
        """Apply what a run read under its lease. What other runs read may be outdated; last uses only grow."""
        self.last_used |= {(seen.run, key): at for key, at in seen.last_used.items()}
        if not self.leased_to(seen.run):
            return
        if seen.keys is not None:
            self.keys = {key.id: key for key in seen.keys}
            self.listed_by = seen.run
            for key in seen.keys:
                if key.active:
                    self.inactive_since.pop(key.id, None)
            if self.ambiguous_creation != seen.run:
                self.ambiguous_creation = ""
        if seen.journal is not None:
            self.renamed(seen.journal)
            self.journal = seen.journal
            self.announced &= set(seen.journal.delivering)
            self.epochs = max(self.epochs, seen.journal.epoch)
        for destination, key_id in seen.holds.items():
            self.holds[destination] = key_id
            if key_id is not None:
                self.ambiguous_writes = {
                    write for write in self.ambiguous_writes if write[0] != destination or write[2] == seen.run
                }
            if key_id:
                self._held(key_id, seen.at)

    def renamed(self, journal: Journal) -> None:
        """Give each destination the name under which a journal has it now: a URL that means another thing elsewhere."""
        new = {delivery.identity: name for name, delivery in journal.delivered.items() if delivery.identity}
        names = {name: new.get(delivery.identity, name) for name, delivery in self.journal.delivered.items()}
        self.journal = msgspec.structs.replace(
            self.journal,
            delivered={names[name]: one for name, one in self.journal.delivered.items()},
            delivering=tuple(names.get(name, name) for name in self.journal.delivering),
        )
        self.holds = {names.get(name, name): held for name, held in self.holds.items()}
        self.deliveries = {names.get(name, name): key for name, key in self.deliveries.items()}
        self.announced = {names.get(name, name) for name in self.announced}
        self.ambiguous_writes = {(names.get(name, name), key, run) for name, key, run in self.ambiguous_writes}

    def proved(self, proof: Proved) -> None:
        """Apply the correct responses in a row."""
        self.proofs[proof.run, proof.key] = proof.in_a_row

    def begins(self, begin: Begin) -> None:
        """From now on the effect may have taken place."""
        if begin.effect in ("store", "deliver"):
            self.ambiguous_writes.add((begin.destination, begin.key, begin.run))
        elif begin.effect == "create":
            self.ambiguous_creation = begin.run
            self.intent_of = ""
            if self.journal.intent is not None:
                self.attempts[begin.run] = self.journal.intent
        elif begin.journal is not None:
            if begin.journal.intent != self.attempts.get(begin.run):
                self.attempts.pop(begin.run, None)  # not sent yet: an intent is written again before, never after
            self.epochs = 1 if begin.journal.epoch == 1 else max(self.epochs, begin.journal.epoch)

    def failed(self, begin: Begin, failure: Failed) -> None:
        """Undo ``begins`` if the effect certainly did not take place."""
        if failure.ambiguous:
            return
        if begin.effect in ("store", "deliver"):
            self.ambiguous_writes.discard((begin.destination, begin.key, begin.run))
        elif begin.effect == "create":
            self.ambiguous_creation = self.intent_of = ""
            self.attempts.pop(begin.run, None)

    def done(self, opened: Open, done: Done, rules: Rules) -> None:
        """Apply an effect that took place."""
        begin = opened.begin
        match begin.effect:
            case "create":
                self._created(begin, done)
            case "delete":
                self.keys.pop(begin.key, None)
                self.gone.add(begin.key)
            case "deactivate":
                self.inactive_since[begin.key] = done.at
            case "store" | "deliver":
                self._delivered(begin, done)
            case "fence":
                self.fenced_by = begin.run
            case "journal" if begin.destination != rules.moved_to or begin.journal is None:
                self._written(opened, rules)
            case "journal":
                self.others[begin.destination].journal = begin.journal
                if begin.journal.lease is None:
                    self.at_release[begin.run] = ""

    def _created(self, begin: Begin, done: Done) -> None:
        self.ambiguous_creation = self.intent_of = ""
        self.attempts.pop(begin.run, None)
        if done.key not in self.gone:
            self.keys.setdefault(done.key, None)
            self.created[done.key] = begin.run

    def _delivered(self, begin: Begin, done: Done) -> None:
        if not self.leased_to(begin.run):
            return  # reported late: another run has observed since
        self.ambiguous_writes = {write for write in self.ambiguous_writes if write[0] != begin.destination}
        recorded = self.journal.delivered.get(begin.destination)
        # With an open delivery, it may have held what it last received until now.
        for before in {self.key_held_by(begin.destination), recorded.key if recorded else ""} - {"", MAY}:
            self._held(before, done.at)
        self.announced.discard(begin.destination)
        self.holds[begin.destination] = self.deliveries[begin.destination] = begin.key
        self._held(begin.key, done.at)

    def _written(self, opened: Open, rules: Rules) -> None:
        begin, journal = opened.begin, opened.begin.journal
        if journal is None:
            return
        if opened.epoch <= journal.epoch < self.journal.epoch:  # reported late: another run has taken the lease since
            self.at_release.setdefault(begin.run, "")
            return
        if journal.epoch != self.journal.epoch:
            self.listed_by = self.fenced_by = ""
            self.proofs = {}
        if journal.intent is not None and journal.intent != self.journal.intent:
            self.intent_of = begin.run
            if opened.creating:
                self.attempts[begin.run] = journal.intent
        if self.closes(journal, rules.store):
            self.attempts = {}
        if journal.last and journal.last != self.journal.last and self.unpublished(journal.last):
            self._held(journal.last, begin.at)  # the orphaned key that a destination may hold becomes LAST
        self.announced |= set(journal.delivering) & (set(journal.delivered) - set(self.journal.delivered))
        self.journal = journal
        if journal.lease is None:
            self.at_release[begin.run] = self._problem(rules)

    def _problem(self, rules: Rules) -> str:
        current = self.journal.current
        if self.journal.intent:
            return "the journal has an open intent"
        outdated = [name for name in (rules.store, *rules.destinations) if self.key_held_by(name) != current]
        if outdated:
            return f"{', '.join(outdated)} does not hold CURRENT ({current or 'none'})"
        may_be_torn = [name for name in rules.destinations if name in self.journal.delivering]
        if may_be_torn:
            return f"{', '.join(may_be_torn)} may hold a torn pair"
        if current not in self.live:
            return f"CURRENT ({current}) does not exist"
        orphans = sorted(key for key in self.live if key in self.created and key not in self.ever_held)
        return f"{', '.join(orphans)} is orphaned" if orphans else ""

    def _held(self, key: str, at: datetime) -> None:
        self.ever_held.add(key)
        self.held_until[key] = max(at, self.held_until.get(key, at))
