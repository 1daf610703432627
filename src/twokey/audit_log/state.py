"""What an audit log tells about one machine user: its keys, who holds what, the journal. Moved on line by line."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from twokey.core.journal import Journal

if TYPE_CHECKING:
    from datetime import datetime

    from twokey.audit_log.records import Begin, Done, Failed, ListedKey, Observed, Proved, Rules

AFTER_INTENT = timedelta(seconds=60)
"""A key that an intent explains is created within this time of it."""
BEFORE_INTENT = timedelta(seconds=2)
"""How much earlier IAM's ``CreateDate`` may seem: its resolution and that of the services' clock."""
MAY = "?"
"""Held by a place that cannot tell, and that was never given anything: it may hold any key."""


@dataclass(frozen=True, slots=True)
class Open:
    """An effect that began and has no end yet; its run had the lease then, or not, and the journal was at an epoch."""

    line: int
    begin: Begin
    leased: bool
    epoch: int


@dataclass(slots=True)
class UserState:
    """One user, as far as the log goes. What another log or a person did shows in the next observation."""

    keys: dict[str, ListedKey | None] = field(default_factory=dict)
    """The keys that are there; without a listing of their own where a creation's answer gave none."""
    listed_by: str = ""
    gone: set[str] = field(default_factory=set)
    holds: dict[str, str | None] = field(default_factory=dict)
    doubts: set[tuple[str, str, str]] = field(default_factory=set)
    """(place, key, run) of writes that may have taken place."""
    journal: Journal = field(default_factory=Journal)
    created: dict[str, str] = field(default_factory=dict)
    """The keys that the log saw created, and by which run."""
    ever_held: set[str] = field(default_factory=set)
    held_until: dict[str, datetime] = field(default_factory=dict)
    inactive_since: dict[str, datetime] = field(default_factory=dict)
    proofs: dict[tuple[str, str], int] = field(default_factory=dict)
    doubtful_creation: str = ""
    """The run whose creation may have made a key that nobody knows."""
    intent_of: str = ""
    """The run that wrote the open intent, until it creates a key."""
    fenced_by: str = ""
    home: tuple[str, str] | None = None
    """IAM's id of the user, and its store: the journal belongs to both."""
    epochs: int = 0
    """The latest epoch that any run of this log has written, or begun to write."""
    at_release: dict[str, str] = field(default_factory=dict)
    """What was not in order when a run gave its lease back; empty where all was."""

    @property
    def live(self) -> set[str]:
        """The keys that exist: lists lag, so those that were deleted are left out."""
        return set(self.keys) - self.gone - set(self.journal.removed)

    def holder(self, place: str) -> str:
        """Return the key that a place holds by its own word, or else the one that it was last given, or ``MAY``."""
        held = self.holds.get(place)
        if held is not None:
            return held
        given = self.journal.delivered.get(place)
        return given.key if given else MAY

    def leased_to(self, run: str) -> bool:
        """Say whether the lease is this run's."""
        return self.journal.lease is not None and self.journal.lease.run == run

    def unpublished(self, key: str) -> bool:
        """Say whether a rotation made this key and no job can have read it: an orphan, or a key just made."""
        if key in self.created:
            return key not in self.ever_held
        intent, listed = self.journal.intent, self.keys.get(key)
        if intent is None or listed is None or key in intent.known or key in self.ever_held:
            return False
        return any(at - BEFORE_INTENT <= listed.created <= at + AFTER_INTENT for at in (intent.at, *intent.earlier))

    def is_last(self, key: str, store: str) -> bool:
        """Say whether the evidence makes this key LAST."""
        journal, held = self.journal, self.holder(store)
        if journal.intent and held not in journal.intent.known:
            return key == journal.current or key in journal.intent.known
        if journal.current:
            return key == journal.last
        one, other = self.keys.get(key), self.keys.get(held)
        return one is not None and other is not None and len(self.live) == 2 and one.created < other.created

    def retired_at(self, store: str) -> datetime | None:
        """Return the latest moment at which, by the journal, a destination stopped holding LAST."""
        journal, held = self.journal, self.holder(store)
        moments = [delivery.at for delivery in journal.delivered.values()]
        current = self.keys.get(held)
        if journal.current == held and journal.committed:
            moments.append(journal.committed)
        elif current is not None:
            moments.append(current.created)
        return max(moments, default=None)

    def takes(self, begin: Begin) -> bool:
        """Say whether this effect takes the lease: a later epoch, or the first of a journal that was begun anew."""
        journal = begin.journal
        if journal is None or journal.lease is None or journal.lease.run != begin.run:
            return False
        return journal.epoch > self.journal.epoch or journal.epoch == 1 < self.journal.epoch

    def missed(self, begin: Begin) -> bool:
        """Say whether runs had the lease that this log does not have: on other machines, without a log, or removed."""
        journal = begin.journal
        if journal is None or not self.epochs or not self.takes(begin):
            return False
        return journal.epoch > self.epochs + 1 or journal.epoch < self.journal.epoch

    # What follows moves the state on.

    def rules(self, told: Rules) -> None:
        """Begin anew where the user was made again, or has another store."""
        home = (told.user_id, told.store)
        if self.home not in (None, home):
            self.journal, self.holds, self.doubts, self.epochs = Journal(), {}, set(), 0
        self.home = home

    def observed(self, seen: Observed) -> None:
        """Take over what a run read under its lease. What others read meanwhile may be old by now."""
        if not self.leased_to(seen.run):
            return
        if seen.keys is not None:
            self.keys = {key.id: key for key in seen.keys}
            self.listed_by = seen.run
            for key in seen.keys:
                if key.active:
                    self.inactive_since.pop(key.id, None)
            if self.doubtful_creation != seen.run:
                self.doubtful_creation = ""
        if seen.journal is not None:
            self.journal = seen.journal
            self.epochs = max(self.epochs, seen.journal.epoch)
        for place, key_id in seen.holds.items():
            self.holds[place] = key_id
            if key_id is not None:
                self.doubts = {doubt for doubt in self.doubts if doubt[0] != place or doubt[2] == seen.run}
            if key_id:
                self._held(key_id, seen.at)

    def proved(self, proof: Proved) -> None:
        """Take note of right answers in a row."""
        self.proofs[proof.run, proof.key] = proof.in_a_row

    def begins(self, begin: Begin) -> None:
        """Take an effect for possible from now on."""
        if begin.effect in ("store", "deliver"):
            self.doubts.add((begin.place, begin.key, begin.run))
        elif begin.effect == "create":
            self.doubtful_creation = begin.run
            self.intent_of = ""
        elif begin.journal is not None:
            self.epochs = 1 if begin.journal.epoch == 1 else max(self.epochs, begin.journal.epoch)

    def failed(self, begin: Begin, failure: Failed) -> None:
        """Take an effect back that surely did not take place."""
        if failure.doubt:
            return
        if begin.effect in ("store", "deliver"):
            self.doubts.discard((begin.place, begin.key, begin.run))
        elif begin.effect == "create":
            self.doubtful_creation = ""

    def done(self, begun: Open, done: Done, rules: Rules) -> None:
        """Take an effect for certain."""
        begin = begun.begin
        match begin.effect:
            case "create":
                self._created(begin, done)
            case "delete":
                self.keys.pop(begin.key, None)
                self.gone.add(begin.key)
            case "deactivate":
                self.inactive_since[begin.key] = done.at
            case "store" | "deliver":
                self._given(begin, done)
            case "fence":
                self.fenced_by = begin.run
            case "journal":
                self._written(begun, rules)

    def _created(self, begin: Begin, done: Done) -> None:
        self.doubtful_creation = ""
        if done.key not in self.gone:
            self.keys.setdefault(done.key, None)
            self.created[done.key] = begin.run

    def _given(self, begin: Begin, done: Done) -> None:
        if not self.leased_to(begin.run):
            return  # told late: another run has looked since
        self.doubts = {doubt for doubt in self.doubts if doubt[0] != begin.place}
        before = self.holder(begin.place)
        if before not in ("", MAY):
            self._held(before, done.at)
        self.holds[begin.place] = begin.key
        self._held(begin.key, done.at)

    def _written(self, begun: Open, rules: Rules) -> None:
        begin, journal = begun.begin, begun.begin.journal
        if journal is None:
            return
        if begun.epoch <= journal.epoch < self.journal.epoch:  # told late: another run has the lease since
            self.at_release.setdefault(begin.run, "")
            return
        if journal.epoch != self.journal.epoch:
            self.listed_by = self.fenced_by = ""
            self.proofs = {}
        if journal.intent is not None and journal.intent != self.journal.intent:
            self.intent_of = begin.run
        self.journal = journal
        if journal.lease is None:
            self.at_release[begin.run] = self._out_of_order(rules)

    def _out_of_order(self, rules: Rules) -> str:
        current = self.journal.current
        if self.journal.intent:
            return "the journal has an open intent"
        wrong = [place for place in (rules.store, *rules.destinations) if self.holder(place) != current]
        if wrong:
            return f"{', '.join(wrong)} does not hold CURRENT ({current or 'none'})"
        may_be_torn = [place for place in rules.destinations if place in self.journal.delivering]
        if may_be_torn:
            return f"{', '.join(may_be_torn)} may hold a torn pair"
        if current not in self.live:
            return f"CURRENT ({current}) does not exist"
        orphans = sorted(key for key in self.live if key in self.created and key not in self.ever_held)
        return f"{', '.join(orphans)} is an orphan" if orphans else ""

    def _held(self, key: str, at: datetime) -> None:
        self.ever_held.add(key)
        self.held_until[key] = max(at, self.held_until.get(key, at))
