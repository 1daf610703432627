"""Writes the lines of one user in one run: each effect before and after it, and before it what the run has read."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypedDict

import msgspec

from twokey.audit_log import records
from twokey.core.errors import Ambiguous, TwokeyError
from twokey.core.model import Held, NotHeld

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from twokey.core.journal import Journal
    from twokey.core.model import Holding, MachineUser, Record
    from twokey.core.ports import Clock


@dataclass(slots=True)
class _Read:
    """What the run has read since its previous line."""

    keys: tuple[records.ListedKey, ...] | None = None
    holds: dict[str, str | None] = field(default_factory=dict)
    journal: Journal | None = None
    new_journal: Journal | None = None
    last_used: dict[str, datetime | None] = field(default_factory=dict)

    @property
    def not_empty(self) -> bool:
        journal = self.journal or self.new_journal
        return self.keys is not None or bool(self.holds) or journal is not None or bool(self.last_used)


@dataclass(slots=True)
class _Proof:
    """How many times STS was asked which user a key belongs to, and the correct responses in a row at the end."""

    requests: int = 0
    in_a_row: int = 0


class _Common(TypedDict):
    """The members that every line about a user has."""

    at: datetime
    run: str
    account: str
    user: str


class Lines(Protocol):
    """Writes the lines of one run."""

    def write(self, record: records.Record, *, durable: bool = False) -> int:
        """Append a line, with ``durable`` flushed to disk; return its number."""
        ...


class Recorder:
    """Writes the lines of one user. The settings and what was read are written before the next effect."""

    def __init__(self, lines: Lines, run: str, user: MachineUser, clock: Clock, rules: records.Rules) -> None:
        self._lines = lines
        self._run = run
        self._user = user
        self._clock = clock
        self._rules: records.Rules | None = rules
        self._moved_to = rules.moved_to
        self._proofs: dict[str, _Proof] = {}
        self._epochs: dict[str, int] = {}
        self.read = _Read()

    def held(self, destination: str, holding: Holding) -> None:
        """Record what a destination says that it holds."""
        self.read.holds[destination] = (
            holding.key_id if isinstance(holding, Held) else "" if isinstance(holding, NotHeld) else None
        )

    def loaded(self, store: str, record: Record) -> None:
        """Record what a store contains."""
        self.held(store, record.holding)
        if store == self._moved_to:
            self.read.new_journal = record.journal
        else:
            self.read.journal = record.journal

    def writes_journal(self, store: str, journal: Journal) -> None:
        """With a new lease, discard what was read before it: another run may have changed it. Last uses only grow."""
        if journal.lease is None or journal.epoch == self._epochs.get(store, -1):
            return
        self._epochs[store] = journal.epoch
        if store == self._moved_to:  # its lease protects that store alone
            self.read.new_journal = None
            self.read.holds.pop(store, None)
        else:
            self.read = _Read(last_used=self.read.last_used)

    def proved(self, key_id: str, identity: tuple[str, str] | None) -> None:
        """Record a response of STS."""
        proof = self._proofs.setdefault(key_id, _Proof())
        proof.requests += 1
        proof.in_a_row = proof.in_a_row + 1 if identity == (self._user.account, self._user.arn) else 0

    @contextmanager
    def effect(
        self, effect: records.Effect, key: str = "", destination: str = "", journal: Journal | None = None
    ) -> Iterator[Created]:
        """Write that an effect begins, flushed to disk, and afterwards how it ended."""
        self._introduce()
        begin = self._write(
            records.Begin(**self._common(), effect=effect, key=key, destination=destination, journal=journal),
            durable=True,
        )
        created = Created()
        try:
            yield created
        except Exception as error:
            # An error that is not twokey's own proves nothing about the effect.
            ambiguous = isinstance(error, Ambiguous) or not isinstance(error, TwokeyError)
            self._write(records.Failed(**self._common(), of=begin, error=type(error).__name__, ambiguous=ambiguous))
            raise
        self._write(records.Done(**self._common(), of=begin, key=created.key, created=created.at))

    def _introduce(self) -> None:
        if self._rules is not None:
            self._write(msgspec.structs.replace(self._rules, at=self._clock.now()))
            self._rules = None
        if self.read.not_empty:
            read, self.read = self.read, _Read()
            self._write(
                records.Observed(
                    **self._common(),
                    keys=read.keys,
                    holds=read.holds,
                    journal=read.journal,
                    new_journal=read.new_journal,
                    last_used=read.last_used,
                )
            )
        proofs, self._proofs = self._proofs, {}
        for key_id, proof in proofs.items():
            self._write(records.Proved(**self._common(), key=key_id, requests=proof.requests, in_a_row=proof.in_a_row))

    def _common(self) -> _Common:
        return {
            "at": self._clock.now(),
            "run": self._run,
            "account": self._user.account,
            "user": self._user.name,
        }

    def _write(self, record: records.Record, *, durable: bool = False) -> int:
        return self._lines.write(record, durable=durable)


@dataclass(slots=True)
class Created:
    """The key that an effect created."""

    key: str = ""
    at: datetime | None = None
