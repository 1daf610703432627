"""Replays an audit log in a model of keys, destinations and journal, and reports violations of the protocol."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from twokey.audit_log import moves
from twokey.audit_log.chain import Finding
from twokey.audit_log.invariants import violations
from twokey.audit_log.records import (
    Began,
    Begin,
    Done,
    Ended,
    Evidence,
    Failed,
    Observed,
    OfUser,
    Opened,
    Proved,
    Rules,
    Torn,
)
from twokey.audit_log.state import INACCURACY, Open, UserState
from twokey.core import timestamps
from twokey.core.reasons import Outcome, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from twokey.audit_log.invariants import Violation
    from twokey.audit_log.records import Record, UserRecord
    from twokey.core.journal import Intent

BACK = timedelta(seconds=60)
"""How much earlier than a previous line a line may be dated: all runs use the services' clock."""
UNDER_WAY = timedelta(seconds=15)
"""How long the request that creates a key may be under way."""
LONGEST_LEASE = timedelta(minutes=4)
"""How long after the line that announces it a lease may end: three minutes, and the difference between two clocks."""
CONDITIONAL = ("journal", "store", "fence")
"""Writes that fail by themselves if the lease was lost meanwhile; other effects must not begin without it."""
SETTLED = (Outcome.ROTATED, Outcome.COMPLETED)
REQUESTED = (Reason.DELIVERY_REQUESTED, Reason.FORGET_REQUESTED, Reason.MOVE_REQUESTED)
"""Runs that do what the operator requested, and leave everything else to the next rotation."""


@dataclass(slots=True)
class Part:
    """What one run does to one user."""

    rules: Rules | None = None
    open: list[Open] = field(default_factory=list)
    """The effects in progress. While a delivery or a creation waits for its service, the journal may be written."""
    moved: bool = False
    """Whether it has read in the journal of the store that the user has moved."""
    ended: bool = False


@dataclass(slots=True)
class Replay:
    """The state of the replay, and its counts."""

    runs: set[str] = field(default_factory=set)
    effects: int = 0
    torn: int = 0
    elsewhere: list[int] = field(default_factory=list)
    """The lines before which runs held leases that this log does not contain."""
    latest: datetime | None = None
    _users: dict[tuple[str, str], UserState] = field(default_factory=dict)
    _parts: dict[tuple[str, str, str], Part] = field(default_factory=dict)

    @property
    def interrupted(self) -> list[int]:
        """The lines of effects without a result: a crash, or a run that is still in progress."""
        return sorted(one.line for part in self._parts.values() for one in part.open)

    def play(self, line: int, record: Record) -> Iterator[Finding]:
        """Replay one line; return its violations."""
        if isinstance(record, OfUser):
            for rule, message in self._of_user(line, record):
                yield Finding(line, rule, f"line {line} ({record.user}): {message}.")
        elif isinstance(record, Began):
            if record.run in self.runs:
                yield Finding(line, "order", f"line {line}: the run {record.run} begins a second time.")
            self.runs.add(record.run)
        elif isinstance(record, Evidence):
            if record.run not in self.runs:
                yield Finding(line, "order", f"line {line}: the run {record.run} was never begun.")
        elif isinstance(record, Torn):
            self.torn += 1
        else:
            assert isinstance(record, Opened)

    def _of_user(self, line: int, record: UserRecord) -> Iterator[Violation]:
        if record.run not in self.runs:
            yield "order", f"the run {record.run} was never begun"
        if self.latest is not None and self.latest - record.at > BACK:
            yield "order", f"it is dated {timestamps.utc(record.at)}, earlier than a line before it"
        self.latest = max(record.at, self.latest or record.at)
        part = self._parts.setdefault((record.run, record.account, record.user), Part())
        state = self._users.setdefault((record.account, record.user), UserState())
        if part.ended:
            yield "order", "the run had ended for this user"
        if part.open and not isinstance(record, Done | Failed) and not _within(record, part):
            yield "order", f"the effect that began in line {part.open[-1].line} has no result, but its run continues"
            part.open.clear()
        yield from self._step(line, record, part, state)

    def _step(self, line: int, record: UserRecord, part: Part, state: UserState) -> Iterator[Violation]:
        match record:
            case Rules():
                if part.rules is not None:
                    yield "order", "the settings of this run appear a second time"
                part.rules = record
                state.rules(record)
            case Observed():
                state.observed(record)
                part.moved |= record.journal is not None and bool(record.journal.moved)
                if part.rules is not None and part.rules.moved_to:
                    moves.observed(record, state, part.rules)
            case Proved():
                state.proved(record)
            case Begin():
                yield from self._begin(line, record, part, state)
            case Done() | Failed():
                yield from _end(record, part, state)
            case Ended():
                part.ended = True
                yield from _ended(record, part, state)

    def _begin(self, line: int, begin: Begin, part: Part, state: UserState) -> Iterator[Violation]:
        self.effects += 1
        if part.rules is None:
            yield "order", "an effect begins before the settings of the run appear"
            return
        if moves.is_of_new_store(begin, part.rules):
            yield from self._at_new_store(line, begin, part, state, part.rules)
            return
        leased = _leased(begin, state)
        if state.missed(begin):
            self.elsewhere.append(line)
        own = begin.effect == "delete" and state.created.get(begin.key) == begin.run and state.unpublished(begin.key)
        # A run may delete its own key after it lost its lease: no job can have read it.
        if begin.effect not in CONDITIONAL and not leased and not own:
            yield "lease", f"{begin.effect} {begin.key}".rstrip() + " begins without the lease"
        if _too_long(begin):
            yield "lease", "the journal contains a lease that ends later than any lease lasts"
        if begin.journal is not None:
            state.renamed(begin.journal)
        yield from violations(begin, state, part.rules)
        yield from moves.switch(begin, state, part.rules)
        state.begins(begin)
        creating = any(one.begin.effect == "create" for one in part.open)
        part.open.append(Open(line, begin, leased, state.journal.epoch, creating))

    def _at_new_store(self, line: int, begin: Begin, part: Part, state: UserState, rules: Rules) -> Iterator[Violation]:
        store = moves.new_store(state, rules)
        if moves.missed(begin, store):
            self.elsewhere.append(line)
        if _too_long(begin):
            yield "lease", "the journal contains a lease that ends later than any lease lasts"
        yield from moves.arrival(begin, state, rules, moved=part.moved)
        part.open.append(Open(line, begin, moves.leased(begin, store), store.journal.epoch))
        moves.begins(begin, store)


def _within(record: UserRecord, part: Part) -> bool:
    """Return whether this is a write of the journal while a delivery or a creation waits."""
    is_journal = isinstance(record, Begin) and record.effect == "journal"
    return is_journal and [one.begin.effect for one in part.open] in (["deliver"], ["create"])


def _too_long(begin: Begin) -> bool:
    """Return whether this run writes a lease of its own that no other run would believe."""
    lease = begin.journal.lease if begin.journal else None
    return lease is not None and lease.run == begin.run and lease.until > begin.at + LONGEST_LEASE


def _leased(begin: Begin, state: UserState) -> bool:
    """Return whether the run may begin this effect: it holds the lease, or takes it."""
    lease = state.journal.lease
    return state.takes(begin) or (lease is not None and lease.run == begin.run and begin.at <= lease.until)


def _end(record: Done | Failed, part: Part, state: UserState) -> Iterator[Violation]:
    opened = part.open[-1] if part.open else None
    if opened is None or opened.line != record.of or part.rules is None:
        yield "order", f"it is the result of line {record.of}, in which no open effect began"
        return
    part.open.pop()
    if isinstance(record, Failed):
        state.failed(opened.begin, record)
        return
    if not opened.leased and opened.begin.effect in CONDITIONAL:
        yield "lease", f"{opened.begin.effect} took place without the lease"
    if opened.begin.effect == "create":
        yield from _created(record, state.attempts.get(record.run))
    state.done(opened, record, part.rules)


def _created(done: Done, intent: Intent | None) -> Iterator[Violation]:
    if not done.key:
        yield "order", "a creation returned no key"
    if not done.created or not intent:
        return
    latest = intent.at + timedelta(seconds=intent.within) + UNDER_WAY
    if not intent.at - INACCURACY <= done.created <= latest + INACCURACY:
        yield "I6", f"{done.key} was created at a time that its intent does not explain"


def _ended(record: Ended, part: Part, state: UserState) -> Iterator[Violation]:
    if part.rules is None and record.outcome not in (Outcome.REFUSED, Outcome.FAILED):
        yield "order", f"it ends as {record.outcome}, but it began no effect"
    if record.outcome in SETTLED and part.rules is not None:
        problem = state.at_release.get(record.run, "the lease was never released")
        # A delivery that the operator requested may be limited to some destinations, and leaves an open intent open.
        if problem and (record.reason not in REQUESTED or record.run not in state.at_release):
            yield "I4", f"it ends as {record.outcome}, but {problem}"
        elif record.reason is Reason.MOVE_REQUESTED:
            yield from moves.unfinished(record, state, part.rules, moved=part.moved)
