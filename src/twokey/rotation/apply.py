"""Performs a plan's actions in order, under the lease: the only writer. Deliveries have a module of their own.

How long a torn pair can last, in a place that takes two writes: see ``twokey.rotation.delivery``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from twokey.core import timestamps
from twokey.core.errors import Ambiguous, Conflict, Failed, NotVerified, ServiceError
from twokey.core.journal import Intent, Retiring
from twokey.core.model import CannotTell, Held
from twokey.planning.plan import Commit, Create, Deactivate, Delete, Deliver, RecordDeliveries, RemoveOrphan, Resume
from twokey.rotation import preflight
from twokey.rotation.delivery import Deliveries
from twokey.rotation.results import DeliveryResult
from twokey.rotation.verify import verify

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from threading import Event

    from twokey.core.destination import Destination, Store
    from twokey.core.events import Reporter
    from twokey.core.journal import Journal
    from twokey.core.model import Observation
    from twokey.core.ports import Clock, Iam, Sts
    from twokey.core.secret import Credential
    from twokey.planning.plan import Action
    from twokey.planning.policy import RotationPolicy
    from twokey.rotation.leased_journal import LeasedJournal
    from twokey.rotation.results import Effects

FRESH = 40.0
"""Seconds after which an intent is too old for a creation: the request takes up to 15 s, and what is created within
60 s is attributed to the intent."""
SEND_LIMIT = 20.0
"""Seconds of the lease that must be left when a creation is sent."""
ATTEMPTS = 3
"""How often an intent is written anew because the process stood still after it."""
DELETIONS = 3
"""How often a deletion is asked for while IAM says that it does not know a key that it lists."""
REMEMBERED = 4
"""How many deleted ids the journal keeps, for lists that lag."""


class _TooLate(Failed):
    """The process has stood still since it wrote its intent; nothing was sent."""


class Apply:
    """Performs actions for one machine user. ``done`` stays true even where it raises an error of ``twokey.core``."""

    def __init__(
        self,
        seen: Observation,
        policy: RotationPolicy,
        ledger: LeasedJournal,
        *,
        iam: Iam,
        sts: Sts,
        clock: Clock,
        store: Store,
        destinations: Sequence[Destination],
        teller: Reporter,
        done: Effects,
        stop: Event,
    ) -> None:
        self._seen = seen
        self._user = seen.user
        self._policy = policy
        self._ledger = ledger
        self._iam = iam
        self._sts = sts
        self._clock = clock
        self._store = store
        self._places = {place.name: place for place in destinations}
        self._teller = teller
        self._credential: Credential | None = None
        self._deliveries = Deliveries(
            seen, ledger, clock=clock, places=self._places, teller=teller, done=done, stop=stop
        )
        self._removed: dict[str, datetime] = dict(ledger.journal.removed)
        before = ledger.journal.intent
        self._open_attempts = (before.at, *before.earlier)[:REMEMBERED] if before else ()
        self.done = done

    def preflight(self, actions: Sequence[Action]) -> None:
        """Prove, before anything irreversible, that the writes to come are allowed; raises ``Refused``.

        Without a creation nothing is irreversible: a destination that cannot be written then fails alone.
        """
        creates = any(isinstance(action, Create) for action in actions)
        if not creates and not any(isinstance(action, Deliver) for action in actions):
            return
        self._teller.note("preflight")
        removes = any(isinstance(action, Delete | Deactivate) for action in actions)
        preflight.room_for(self._store, self._journal_to_be(actions))
        if not creates:
            return
        preflight.store_writable(self._store)
        preflight.places_writable(self._places.values(), self._deliveries.meanwhile)
        if removes:
            preflight.keys_creatable(self._iam, self._user)

    def _journal_to_be(self, actions: Sequence[Action]) -> Journal:
        """Return a journal as long as the longest that these actions will write."""
        journal, now = self._ledger.journal, self._clock.now()
        known = next((action.known for action in actions if isinstance(action, Create)), None)
        longest_id = max((key.id for key in self._seen.keys), key=len, default="A" * 20)
        journal = msgspec.structs.replace(journal, current=longest_id, last=longest_id, committed=now)
        if known is not None:
            journal = msgspec.structs.replace(
                journal,
                intent=Intent(known, now, self._open_attempts),
                removed={f"{longest_id}{number}": now for number in range(REMEMBERED)},
            )
        return self._deliveries.longest(journal, longest_id)

    def perform(self, action: Action) -> None:
        """Perform one action."""
        match action:
            case RemoveOrphan(key_id):
                self._ledger.fence()
                self._delete(key_id, "remove orphan")
            case Deactivate(key_id, named):
                self._deactivate(key_id, named=named)
            case Delete(key_id):
                self._delete(key_id, "delete")
            case Create(known):
                self._create(known)
            case Resume(key_id):
                self._resume(key_id)
            case Deliver(names, instead_of):
                self._deliver(names, instead_of)
            case Commit(last, renew):
                self._commit(last, renew=renew)
            case RecordDeliveries():
                self._deliveries.conclude()

    def _delete(self, key_id: str, step: str) -> None:
        self._ledger.guard()
        with self._teller.effect(step, key_id):
            self.done.effects += 1
            self.done.removing = key_id
            self._surely_delete(key_id)
        self.done.removed.append(key_id)
        self._note_removed(key_id)

    def _surely_delete(self, key_id: str) -> bool:
        """Delete a key; say whether it was there.

        A server of IAM that does not know a young key yet says the same as one that knows that it is gone.
        """
        for attempt in range(DELETIONS):
            self._clock.sleep(attempt)
            if self._iam.delete_key(self._user.name, key_id):
                return True
            if key_id not in {key.id for key in self._iam.keys(self._user.name)}:
                return False
        return False

    def _note_removed(self, key_id: str) -> None:
        self._removed[key_id] = timestamps.not_before_now(self._clock)
        self._removed = dict(sorted(self._removed.items(), key=lambda one: one[1])[-REMEMBERED:])

    def _deactivate(self, key_id: str, *, named: bool) -> None:
        self._ledger.guard()
        with self._teller.effect("deactivate", key_id):
            self.done.effects += 1
            self._iam.deactivate_key(self._user.name, key_id)
        self._ledger.write(
            retiring={**self._ledger.journal.retiring, key_id: Retiring(timestamps.not_before_now(self._clock), named)}
        )

    def _create(self, known: tuple[str, ...]) -> None:
        key_id = self._send_create(known)
        credential = self._credential
        assert credential is not None
        try:
            self._publish(credential)
        except Conflict as error:
            self._disown(key_id, error)
            raise
        self.done.delivered.append(DeliveryResult(self._store.name, "delivered"))

    def _publish(self, credential: Credential) -> None:
        try:
            self._verify(credential)
        except NotVerified as error:
            error.state = self._undo(credential.access_key_id)
            raise
        with self._teller.effect("store", credential.access_key_id):
            self._put(credential)

    def _send_create(self, known: tuple[str, ...]) -> str:
        """Write the intent and create a key soon after it: the intent explains only what is created soon.

        A process may stand still for hours between any two of its steps, so that is looked at right before the
        request leaves.
        """
        for _ in range(ATTEMPTS):
            try:
                return self._create_after(self._intend(known))
            except _TooLate:
                continue
        raise Conflict("No key could be created soon enough after its intent.", state="No key was created.")

    def _intend(self, known: tuple[str, ...]) -> tuple[Intent, float]:
        """Write the intent, and say when that was begun. Attempts of earlier runs that were never closed stay in it."""
        began = self._clock.monotonic()
        intent = Intent(known, self._clock.now(), self._open_attempts)
        with self._teller.effect("intent"):
            self._ledger.write(intent=intent, removed=self._removed)
        return intent, began

    def _create_after(self, intended: tuple[Intent, float]) -> str:
        intent, began = intended

        def in_time() -> None:
            if self._clock.monotonic() - began > FRESH or self._ledger.left() < SEND_LIMIT:
                raise _TooLate("The process stood still after its intent.")

        with self._teller.effect("create"):
            self.done.effects += 1
            try:
                key, self._credential = self._iam.create_key(self._user.name, in_time)
            except Ambiguous:
                raise
            except ServiceError:
                # The answer proves that nothing was made; only an earlier open attempt may still come to light.
                if not intent.earlier:
                    self._ledger.write(intent=None)
                raise
        self.done.created = key.id
        return key.id

    def _disown(self, key_id: str, error: Conflict) -> None:
        """After a lost lease: remove the key that this run created, where it is sure that nobody will ever see it."""
        error.state = f"{key_id}, which this run had created, is left to the next run, or to a person: nothing uses it."
        if not self._store.traits.conditional or not self.done.created:
            return
        try:
            with self._teller.effect("remove unpublished", key_id):
                gone = self._surely_delete(key_id)
        except ServiceError:
            return
        if gone:
            self.done.created = ""
            error.state = f"{key_id}, which this run had created and nobody has seen, was removed again."

    def _put(self, credential: Credential) -> None:
        """Write to the store. A refused write takes the new key back; a doubtful one never does."""
        try:
            self._ledger.put(credential)
        except (Ambiguous, Conflict):
            raise
        except ServiceError:
            if self._surely_unpublished(credential.access_key_id):
                self._undo(credential.access_key_id)
            raise

    def _surely_unpublished(self, key_id: str) -> bool:
        try:
            holding = self._store.held()
        except Failed:
            return False
        return not isinstance(holding, CannotTell) and holding != Held(key_id)

    def _undo(self, key_id: str) -> str:
        """Remove the key that this run created and nobody has seen, then close the intent; return what is true now."""
        self._ledger.guard()
        with self._teller.effect("remove unpublished", key_id):
            gone = self._surely_delete(key_id)
        if not gone:
            return f"IAM does not know {key_id} yet; should it show later, the next run removes it."
        self.done.created = ""
        self._credential = None
        self._note_removed(key_id)
        self._ledger.write(intent=None, removed=self._removed)
        return f"{key_id} was removed again."

    def _resume(self, key_id: str) -> None:
        credential = self._ledger.credential()
        if credential is None or credential.access_key_id != key_id:
            raise Conflict(f"{self._store.name} no longer holds {key_id}.", state="Nothing was changed by this run.")
        self._verify(credential)
        self._credential = credential
        self.done.delivered.append(DeliveryResult(self._store.name, "held"))

    def _verify(self, credential: Credential) -> None:
        with self._teller.effect("verify", credential.access_key_id):
            verify(credential, self._user, self._policy.verification, self._sts, self._clock, self._ledger.guard)

    def _deliver(self, names: tuple[str, ...], instead_of: str) -> None:
        if self._credential is None:
            raise Failed("There is no credential to deliver.")
        self._deliveries.perform(names, self._credential, instead_of)

    def _commit(self, last: str, *, renew: bool) -> None:
        journal = self._ledger.journal
        current = self._credential.access_key_id if self._credential else self._ledger.held
        committed = (
            timestamps.not_before_now(self._clock)
            if renew
            else journal.committed
            if journal.current == current
            else None
        )
        given_so_far = self._deliveries.delivered
        with self._teller.effect("commit", current):
            self._ledger.release(
                current=current,
                last=last,
                committed=committed,
                intent=None,
                retiring={key_id: at for key_id, at in journal.retiring.items() if self._is_soaking(key_id)},
                delivered={name: given for name, given in given_so_far.items() if given.key in (current, last)},
                delivering=self._deliveries.delivering,
                removed=self._removed,
            )

    def _is_soaking(self, key_id: str) -> bool:
        key = self._seen.key(key_id)
        return key is not None and not key.active and key_id not in self._removed
