"""A store with a lock: what its service lacks, a write that fails once another run has taken over.

Each write of the journal takes the lock first, by a conditional write, from the fence that was read before the journal
was. So of two runs that read the same, one loses before it has written anything to the store. Right before each
request that writes to the store, the lock is read once more: a run that was paused, and whose lease another run has
taken over, does not send it.

What remains: a request that has left cannot be called back. It may take effect late, so the traits are the store's:
where that has no conditional write, a lease in doubt still ends by time alone.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from twokey.core import waiting
from twokey.core.model import Record
from twokey.destinations.locks.lock import Content, taken

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.core.destination import Receipt, Store
    from twokey.core.journal import Journal, Lease
    from twokey.core.model import Holding
    from twokey.core.secret import Credential
    from twokey.destinations.locks.lock import Lock


@dataclass(frozen=True, slots=True)
class Revision:
    """What the lock held before the store was read, or since this run wrote it, and the store's own revision."""

    lock: Content | None
    store: object


class LockedStore:
    """A store whose writes are guarded by a lock. Raises the errors of ``twokey.core.errors``."""

    def __init__(self, store: Store, lock: Lock) -> None:
        self.name = store.name
        self.traits = store.traits
        self._store = store
        self._lock = lock
        self._successors: dict[str, Content] = {}

    def held(self) -> Holding:
        """Return which key is here."""
        return self._store.held()

    def credential(self) -> Credential | None:
        """Read the credential."""
        return self._store.credential()

    def deliver(self, credential: Credential) -> Receipt:
        """Write the pair, as a destination does: without the lock."""
        return self._store.deliver(credential)

    def room_for(self, journal: Journal) -> None:
        """Raise ``ServiceRejected`` if a journal of this length could not be written."""
        self._store.room_for(journal)

    def preflight(self) -> None:
        """Raise what a write to the store would raise. The lock needs no test: this run has written it."""
        self._store.preflight()

    def load(self) -> Record:
        """Read the lock first, then the store.

        A read of the store may lag, or a run may have ended between its two writes: then the lock has the later epoch,
        and its lease counts.
        """
        content = self._lock.read()
        record = self._store.load()
        journal = record.journal
        if content is not None and content.epoch > journal.epoch:
            journal = msgspec.structs.replace(journal, epoch=content.epoch, lease=content.lease)
        return Record(record.holding, journal, Revision(content, record.revision))

    def save_journal(self, journal: Journal, revision: object) -> object:
        """Take the lock from what was read, then write the journal; raises ``Conflict`` if another run was first."""
        seen = _own(revision)
        content = self._advance(seen.lock, journal.epoch, journal.lease)
        with self._guarding(content):
            return Revision(content, self._store.save_journal(journal, seen.store))

    def put(self, credential: Credential, revision: object) -> object:
        """Write the pair while the lock is this run's."""
        seen = _own(revision)
        content = self._latest(seen.lock)
        with self._guarding(content):
            return Revision(content, self._store.put(credential, seen.store))

    def fence(self, revision: object) -> object:
        """Take the lock once more, so that whatever another run has prepared is not sent."""
        seen = _own(revision)
        before = self._latest(seen.lock)
        content = self._advance(before, before.epoch if before else 0, before.lease if before else None)
        with self._guarding(content):
            return Revision(content, self._store.fence(seen.store))

    def _advance(self, seen: Content | None, epoch: int, lease: Lease | None) -> Content:
        before, content = self._latest(seen), Content(epoch, lease)
        content = self._lock.replace(before, content)
        self._successors[before.fence if before else ""] = content
        return content

    def _latest(self, seen: Content | None) -> Content | None:
        """Return what this run has written to the lock since: the write to the store after that may have failed."""
        while (seen.fence if seen else "") in self._successors:
            seen = self._successors[seen.fence if seen else ""]
        return seen

    @contextmanager
    def _guarding(self, content: Content | None) -> Iterator[None]:
        def still_ours() -> None:
            now = self._lock.read()
            if now is None or content is None or now.fence != content.fence:
                raise taken(self._lock, now)

        with waiting.also_before_effect(still_ours):
            yield


def _own(revision: object) -> Revision:
    if not isinstance(revision, Revision):
        raise TypeError("the revision must come from this store")
    return revision
