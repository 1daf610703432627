"""Writes one user's lines of one run: each effect before and after it, and what was read as soon as it matters."""

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
    from twokey.core.model import Holding, MachineUser
    from twokey.core.ports import Clock


@dataclass(slots=True)
class _Read:
    """What was read since the last line."""

    keys: tuple[records.ListedKey, ...] | None = None
    holds: dict[str, str | None] = field(default_factory=dict)
    journal: Journal | None = None
    last_used: dict[str, datetime | None] = field(default_factory=dict)

    @property
    def anything(self) -> bool:
        return self.keys is not None or bool(self.holds) or self.journal is not None or bool(self.last_used)


@dataclass(slots=True)
class _Asked:
    """How often STS was asked who a key is, and how many right answers came in a row."""

    asked: int = 0
    in_a_row: int = 0


class _Common(TypedDict):
    """What every line about a user has."""

    at: datetime
    run: str
    account: str
    user: str


class Lines(Protocol):
    """What takes the lines of one run."""

    def write(self, record: records.Record, *, durable: bool = False) -> int:
        """Append a line, to the disk if ``durable``; return its number."""
        ...


class Recorder:
    """Writes one user's lines. The rules and what was read are written when an effect makes them matter."""

    def __init__(self, lines: Lines, run: str, user: MachineUser, clock: Clock, rules: records.Rules) -> None:
        self._lines = lines
        self._run = run
        self._user = user
        self._clock = clock
        self._rules: records.Rules | None = rules
        self._proofs: dict[str, _Asked] = {}
        self._epoch = -1
        self.read = _Read()

    def saw(self, place: str, holding: Holding) -> None:
        """Note what a place says that it holds."""
        self.read.holds[place] = (
            holding.key_id if isinstance(holding, Held) else "" if isinstance(holding, NotHeld) else None
        )

    def takes(self, journal: Journal) -> None:
        """Forget what was read before the lease: another run may have changed it since. Last uses do not go back."""
        if journal.lease is not None and journal.epoch != self._epoch:
            self._epoch = journal.epoch
            self.read = _Read(last_used=self.read.last_used)

    def asked(self, key_id: str, identity: tuple[str, str] | None) -> None:
        """Note an answer of STS."""
        proof = self._proofs.setdefault(key_id, _Asked())
        proof.asked += 1
        proof.in_a_row = proof.in_a_row + 1 if identity == (self._user.account, self._user.arn) else 0

    @contextmanager
    def effect(
        self, effect: records.Effect, key: str = "", place: str = "", journal: Journal | None = None
    ) -> Iterator[Made]:
        """Write that an effect begins, to the disk; and how it ended."""
        self._introduce()
        begun = self._write(
            records.Begin(**self._common(), effect=effect, key=key, place=place, journal=journal), durable=True
        )
        made = Made()
        try:
            yield made
        except Exception as error:
            # What is no error of ours is unforeseen: nobody knows what it means for the effect.
            doubt = isinstance(error, Ambiguous) or not isinstance(error, TwokeyError)
            self._write(records.Failed(**self._common(), of=begun, error=type(error).__name__, doubt=doubt))
            raise
        self._write(records.Done(**self._common(), of=begun, key=made.key, created=made.created))

    def _introduce(self) -> None:
        if self._rules is not None:
            self._write(msgspec.structs.replace(self._rules, at=self._clock.now()))
            self._rules = None
        if self.read.anything:
            read, self.read = self.read, _Read()
            self._write(
                records.Observed(
                    **self._common(),
                    keys=read.keys,
                    holds=read.holds,
                    journal=read.journal,
                    last_used=read.last_used,
                )
            )
        proofs, self._proofs = self._proofs, {}
        for key_id, proof in proofs.items():
            self._write(records.Proved(**self._common(), key=key_id, asked=proof.asked, in_a_row=proof.in_a_row))

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
class Made:
    """Which key an effect made."""

    key: str = ""
    created: datetime | None = None
