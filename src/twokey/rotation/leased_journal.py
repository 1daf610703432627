"""The journal under our lease. Every write carries our epoch; once the lease is lost, nothing is written any more."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from twokey.core import timestamps, waiting
from twokey.core.errors import Ambiguous, Conflict, LeaseHeld, foreseen
from twokey.core.model import Held, Record
from twokey.planning.belief import believed
from twokey.rotation import lease as leases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from twokey.core.destination import Store
    from twokey.core.journal import Journal, Lease
    from twokey.core.ports import Clock
    from twokey.core.secret import Credential

WRITE_LIMIT = 75.0
"""Seconds that one request can take at most; a lease must outlast the write that it guards."""
PUT_LIMIT = 2 * WRITE_LIMIT
"""The same for writing the credential, which begins with a read."""


class LeasedJournal:
    """One user's journal for the length of a run.

    Made by ``take``. All its writes raise ``Conflict`` where the lease was lost. ``follows``: a hook follows the last
    changes, under the same lease.
    """

    def __init__(self, store: Store, clock: Clock, run: str, record: Record, deadline: float) -> None:
        self._store = store
        self._clock = clock
        self._run = run
        self._deadline = deadline
        self._doubtful = False
        self.released = False
        self.follows = False
        self.journal = record.journal
        self.revision = record.revision
        self.held = record.holding.key_id if isinstance(record.holding, Held) else ""

    @classmethod
    def take(cls, store: Store, clock: Clock, run: str, user_id: str, record: Record, **changes: Any) -> LeasedJournal:
        """Take the next epoch at the revision that was read; raises ``LeaseHeld``, or ``Conflict`` if it is stale.

        The changes to the journal are part of the same write.
        """
        before, now = clock.monotonic(), clock.now()
        other = record.journal.lease
        if other is not None and blocked(store, record.journal, run, now):
            raise held_by(other)
        found = believed(record.journal, now)
        journal = msgspec.structs.replace(
            found,
            epoch=found.epoch + 1,
            user=found.user or user_id,
            lease=leases.take(run, now),
            **changes,
        )
        deadline = _deadline(before)
        with _while_it_lasts(store, lambda: deadline - clock.monotonic()):
            revision = store.save_journal(journal, record.revision)
        return cls(store, clock, run, Record(record.holding, journal, revision), deadline)

    @classmethod
    def untaken(cls, store: Store, clock: Clock, run: str, record: Record) -> LeasedJournal:
        """Return the journal as it will be under a lease that is not taken yet: nothing can be written with it."""
        journal = msgspec.structs.replace(record.journal, lease=leases.take(run, clock.now()))
        return cls(store, clock, run, Record(record.holding, journal, record.revision), clock.monotonic())

    def reread(self) -> Record:
        """Read the store again under the lease; raises ``Conflict`` where the lease is no longer ours."""
        record = self._store.load()
        theirs, ours = record.journal.lease, self.journal.lease
        if theirs is None or ours is None or theirs.run != ours.run or record.journal.epoch != self.journal.epoch:
            raise Conflict(
                "Another run has taken over this user's lease.",
                state="This run changed nothing since.",
                remedy="Wait for that run, then run again.",
            )
        self.journal, self.revision = believed(record.journal, self._clock.now()), record.revision
        self.held = record.holding.key_id if isinstance(record.holding, Held) else ""
        return record

    def write(self, **changes: Any) -> None:
        """Change the journal, and renew the lease by the same write."""
        self._write(renew=True, **changes)

    def left(self) -> float:
        """Return the seconds for which the lease surely lasts; zero or less once it is over."""
        return self._deadline - self._clock.monotonic()

    def guard(self, seconds: float = WRITE_LIMIT, **changes: Any) -> None:
        """Ensure that the lease lasts at least that much longer; raises ``Conflict`` if it is over already.

        If the journal is written for that, the changes are written with it.
        """
        if self.left() < seconds:
            self.write(**changes)
            self._check()

    def check(self) -> None:
        """Raise ``Conflict`` where the lease is over: another run may be writing by now."""
        self._check()

    def put(self, credential: Credential) -> None:
        """Write the credential to the store, conditionally on our epoch."""
        self.guard(PUT_LIMIT)
        with self._writing():
            self.revision = self._store.put(credential, self.revision)

    def credential(self) -> Credential | None:
        """Read the credential that the store holds."""
        with foreseen(self._store.name, reading=True):
            return self._store.credential()

    def fence(self) -> None:
        """Make every write fail from now on that an earlier run, perhaps only paused, has prepared."""
        self.guard()
        with self._writing():
            self.revision = self._store.fence(self.revision)

    def conclude(self, **changes: Any) -> None:
        """Write the last changes of a rotation, and give the lease back; where a hook follows, note that instead."""
        if self.follows:
            self.write(**{"hook": changes.get("current") or self.journal.current, **changes})
        else:
            self.release(**changes)

    def release(self, **changes: Any) -> None:
        """Give the lease back, with the last changes to the journal in the same write. A second call does nothing.

        It is not given back while a write without a condition is in doubt: if that write takes effect late, no other
        run may have changed anything by then.
        """
        if not self.released and not self._doubtful:
            self._write(renew=False, lease=None, **changes)
            self.released = True

    def _write(self, *, renew: bool, **changes: Any) -> None:
        before, now = self._clock.monotonic(), self._clock.now()
        self._check()
        if renew:
            changes["lease"] = leases.take(self._run, now)
        journal: Journal = msgspec.structs.replace(self.journal, **changes)
        with self._writing():
            self.revision = self._store.save_journal(journal, self.revision)
        self.journal = journal
        self._deadline = _deadline(before)

    def _check(self) -> None:
        _check_left(self.left())

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Let no request leave once the lease is over; keep the lease where a write without a condition is in doubt."""
        try:
            with _while_it_lasts(self._store, self.left):
                yield
        except Ambiguous:
            self._doubtful = not self._store.traits.conditional
            raise


@contextmanager
def _while_it_lasts(store: Store, left: Callable[[], float]) -> Iterator[None]:
    """Look at the lease right before each request that may change something: the process may have slept until then."""
    with waiting.during(lambda _left: None, lambda: _check_left(left())), foreseen(store.name):
        yield


def _check_left(left: float) -> None:
    if left <= 0:
        raise Conflict(
            "This run's lease expired: a step took longer than a lease lasts.",
            state="The next run continues from what the journal records.",
            remedy="Run again.",
        )


def blocked(store: Store, journal: Journal, run: str, now: datetime) -> bool:
    """Say whether another run's lease keeps this one from going on."""
    return leases.blocks(journal, run, now, conditional=store.traits.conditional)


def held_by(lease: Lease) -> LeaseHeld:
    """Return the error that names the run that is rotating this user."""
    return LeaseHeld(
        f"Another run is rotating this user until {timestamps.utc(lease.until)} at the latest "
        f"(process {lease.process} on {lease.host.split(maxsplit=1)[0]}).",
        state="Nothing was changed by this run.",
        remedy="Run again later, or without --no-wait to wait for it.",
    )


def _deadline(before: float) -> float:
    return before + leases.LENGTH.total_seconds() - leases.MARGIN
