"""The journal under our lease. Every write carries our epoch; once the lease is lost, nothing is written any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from twokey import lease as leases
from twokey.errors import Conflict, LeaseHeld
from twokey.model import Credential, Held, Journal, Record

if TYPE_CHECKING:
    from twokey.destinations.base import Store
    from twokey.ports import Clock

WRITE_LIMIT = 75.0
"""Seconds that a write to a store can take at most; a lease must outlast the write that it guards."""


class Ledger:
    """One user's journal for the length of a run.

    Made by ``take``. All its writes raise ``Conflict`` where the lease was lost.
    """

    def __init__(self, store: Store, clock: Clock, run: str, record: Record, deadline: float) -> None:
        self._store = store
        self._clock = clock
        self._run = run
        self._deadline = deadline
        self.released = False
        self.journal = record.journal
        self.revision = record.revision
        self.held = record.holding.key_id if isinstance(record.holding, Held) else ""

    @classmethod
    def take(cls, store: Store, clock: Clock, run: str, user_id: str, record: Record) -> Ledger:
        """Take the next epoch at the revision that was read; raises ``LeaseHeld``, or ``Conflict`` if it is stale."""
        before, now = clock.monotonic(), clock.now()
        held = record.journal.lease
        if held is not None and leases.blocks(held, run, now):
            raise held_by(held.until.isoformat(timespec="seconds").replace("+00:00", "Z"), held.host, held.process)
        journal = msgspec.structs.replace(
            record.journal,
            epoch=record.journal.epoch + 1,
            user=record.journal.user or user_id,
            lease=leases.take(run, now),
        )
        revision = store.save_journal(journal, record.revision)
        return cls(store, clock, run, Record(record.holding, journal, revision), _deadline(before))

    def reread(self) -> Record:
        """Read the store again under the lease; raises ``Conflict`` where the lease is no longer ours."""
        record = self._store.load()
        theirs, ours = record.journal.lease, self.journal.lease
        if theirs is None or ours is None or theirs.run != ours.run or record.journal.epoch != self.journal.epoch:
            raise Conflict("Another run has taken over this user's lease.", state="This run changed nothing since.")
        self.journal, self.revision = record.journal, record.revision
        self.held = record.holding.key_id if isinstance(record.holding, Held) else ""
        return record

    def write(self, **changes: Any) -> None:
        """Change the journal, and renew the lease by the same write."""
        self._write(renew=True, **changes)

    def guard(self, seconds: float = WRITE_LIMIT) -> None:
        """See to it that the lease lasts at least that much longer; raises ``Conflict`` if it is over already."""
        left = self._deadline - self._clock.monotonic()
        if left <= 0:
            raise Conflict(
                "This run's lease is over: a step took longer than a lease lasts.",
                state="The next run goes on from what the journal says.",
            )
        if left < seconds:
            self.write()

    def put(self, credential: Credential) -> None:
        """Write the credential to the store, conditionally on our epoch."""
        self.guard()
        self.revision = self._store.put(credential, self.revision)

    def credential(self) -> Credential | None:
        """Read the credential that the store holds."""
        return self._store.credential()

    def fence(self) -> None:
        """Make what an earlier, perhaps only paused, run prepared fail from now on."""
        self.guard()
        self.revision = self._store.fence(self.revision)

    def release(self, **changes: Any) -> None:
        """Give the lease back, with the last changes to the journal in the same write. Doing it again is nothing."""
        if not self.released:
            self._write(renew=False, lease=None, **changes)
            self.released = True

    def _write(self, *, renew: bool, **changes: Any) -> None:
        before, now = self._clock.monotonic(), self._clock.now()
        if before >= self._deadline:
            self.guard()
        if renew:
            changes["lease"] = leases.take(self._run, now)
        journal: Journal = msgspec.structs.replace(self.journal, **changes)
        self.revision = self._store.save_journal(journal, self.revision)
        self.journal = journal
        self._deadline = _deadline(before)


def held_by(until: str, host: str, process: int) -> LeaseHeld:
    """Return the error that says who is rotating this user."""
    return LeaseHeld(
        f"Another run is rotating this user until {until} at the latest "
        f"(process {process} on {host.split(maxsplit=1)[0]}).",
        state="Nothing was changed by this run.",
        remedy="Run again later, or without --no-wait to wait for it.",
    )


def _deadline(before: float) -> float:
    return before + leases.LENGTH.total_seconds() - leases.MARGIN
