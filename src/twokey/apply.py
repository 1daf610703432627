"""Performs a plan's actions in order, under the lease: the only writer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from twokey.actions import Commit, Create, Deactivate, Delete, Deliver, RemoveStray, Resume
from twokey.errors import Ambiguous, Conflict, DeliveryFailed, Failed, NotVerified, Refused, ServiceError
from twokey.model import CannotTell, Delivery, Held, Intent, Retiring
from twokey.reasons import Reason
from twokey.verify import verify

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from twokey.actions import Action
    from twokey.destinations.base import Destination
    from twokey.events import Teller
    from twokey.ledger import Ledger
    from twokey.model import Credential, MachineUser
    from twokey.policy import Policy
    from twokey.ports import Clock, Iam, Sts

FRESH = 10.0
"""Seconds after which an intent is too old for a creation; it has to be attributable by its time."""
REMEMBERED = 4
"""How many deleted ids the journal keeps, for lists that lag."""


@dataclass(slots=True)
class Delivered:
    """How one destination ended: ``delivered``, ``held`` (had it already) or ``failed``, with a message."""

    destination: str
    outcome: Literal["delivered", "held", "failed"]
    message: str = ""


@dataclass(slots=True)
class Done:
    """What has been done so far; kept up to date, so that a failure can still be reported truly."""

    created: str = ""
    removed: list[str] = field(default_factory=list)
    delivered: list[Delivered] = field(default_factory=list)
    effects: int = 0


class Apply:
    """Performs actions for one machine user. Raises the errors of ``twokey.errors``; ``done`` stays true even then."""

    def __init__(
        self,
        user: MachineUser,
        policy: Policy,
        ledger: Ledger,
        *,
        iam: Iam,
        sts: Sts,
        clock: Clock,
        store: Destination,
        destinations: Sequence[Destination],
        teller: Teller,
        done: Done,
    ) -> None:
        self._user = user
        self._policy = policy
        self._ledger = ledger
        self._iam = iam
        self._sts = sts
        self._clock = clock
        self._store = store
        self._places = {place.name: place for place in destinations}
        self._teller = teller
        self._credential: Credential | None = None
        self._delivered: dict[str, Delivery] = dict(ledger.journal.delivered)
        self._removed: tuple[str, ...] = ledger.journal.removed
        self.done = done

    def preflight(self, actions: Sequence[Action]) -> None:
        """Prove, before anything irreversible, that the writes to come are allowed; raises ``Refused``."""
        if not any(isinstance(action, Create) for action in actions):
            return
        self._teller.note("preflight")
        removes = any(isinstance(action, Delete | Deactivate) for action in actions)
        try:
            for place in (self._store, *self._places.values()):
                place.preflight()
        except ServiceError as error:
            raise Refused(Reason.PREFLIGHT, error.message, state="Nothing was changed.", remedy=error.remedy) from None
        if removes and self._iam.may_create(self._user) is False:
            raise Refused(
                Reason.PREFLIGHT,
                f"Access denied: iam:CreateAccessKey on {self._user.arn}.",
                state="Nothing was changed.",
                remedy="Allow it for the principal that runs twokey.",
            )

    def perform(self, action: Action) -> None:
        """Perform one action."""
        match action:
            case RemoveStray(key_id):
                self._ledger.fence()
                self._delete(key_id, "remove stray")
            case Deactivate(key_id):
                self._deactivate(key_id)
            case Delete(key_id):
                self._delete(key_id, "delete")
            case Create(known):
                self._create(known)
            case Resume(key_id):
                self._resume(key_id)
            case Deliver(names):
                self._deliver(names)
            case Commit(last, renew):
                self._commit(last, renew=renew)

    def _delete(self, key_id: str, step: str) -> None:
        self._ledger.guard()
        with self._teller.effect(step, key_id):
            self.done.effects += 1
            self._iam.delete_key(self._user.name, key_id)
        self.done.removed.append(key_id)
        self._removed = (*self._removed, key_id)[-REMEMBERED:]

    def _deactivate(self, key_id: str) -> None:
        self._ledger.guard()
        with self._teller.effect("deactivate", key_id):
            self.done.effects += 1
            self._iam.deactivate_key(self._user.name, key_id)
        self._ledger.release(retiring=Retiring(key_id, self._from_now()))

    def _create(self, known: tuple[str, ...]) -> None:
        key_id = self._send_create(self._fresh_intent(known))
        credential = self._credential
        assert credential is not None
        try:
            self._verify(credential)
        except NotVerified:
            self._undo(key_id)
            raise
        with self._teller.effect("store", key_id):
            self._put(credential)
        self.done.delivered.append(Delivered(self._store.name, "delivered"))

    def _intend(self, known: tuple[str, ...]) -> Intent:
        """Write the intent. Attempts that were never closed stay in it."""
        before = self._ledger.journal.intent
        earlier = (before.at, *before.earlier)[:REMEMBERED] if before else ()
        intent = Intent(known, self._clock.now(), earlier)
        with self._teller.effect("intent"):
            self._ledger.write(intent=intent, removed=self._removed)
        return intent

    def _fresh_intent(self, known: tuple[str, ...]) -> Intent:
        """Write the intent, and again if the process has stood still meanwhile.

        The intent explains a key that is created soon after it, and a key must not be created on an old lease.
        """
        for _ in range(3):
            began = self._clock.monotonic()
            intent = self._intend(known)
            if self._clock.monotonic() - began <= FRESH:
                return intent
        raise Conflict("The journal is written too slowly to create a key after it.", state="No key was created.")

    def _send_create(self, intent: Intent) -> str:
        with self._teller.effect("create"):
            self.done.effects += 1
            try:
                key, self._credential = self._iam.create_key(self._user.name)
            except Ambiguous:
                raise
            except ServiceError:
                # The answer proves that nothing was made; only an earlier open attempt may still come to light.
                if not intent.earlier:
                    self._ledger.write(intent=None)
                raise
        self.done.created = key.id
        return key.id

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

    def _undo(self, key_id: str) -> None:
        """Remove the key that this run created and nobody has seen, then close the intent."""
        self._ledger.guard()
        with self._teller.effect("remove unpublished", key_id):
            self._iam.delete_key(self._user.name, key_id)
        self.done.created = ""
        self._credential = None
        self._removed = (*self._removed, key_id)[-REMEMBERED:]
        self._ledger.write(intent=None, removed=self._removed)

    def _resume(self, key_id: str) -> None:
        credential = self._ledger.credential()
        if credential is None or credential.access_key_id != key_id:
            raise Conflict(f"{self._store.name} no longer holds {key_id}.", state="Nothing was changed by this run.")
        self._verify(credential)
        self._credential = credential
        self.done.delivered.append(Delivered(self._store.name, "held"))

    def _verify(self, credential: Credential) -> None:
        with self._teller.effect("verify", credential.access_key_id):
            verify(credential, self._user, self._policy.verification, self._sts, self._clock)

    def _deliver(self, names: tuple[str, ...]) -> None:
        """Deliver to each place; one that fails stops no other. Raises ``DeliveryFailed`` at the end if any did."""
        credential = self._credential
        if credential is None:
            raise Failed("There is no credential to deliver.")
        for name in names:
            self._ledger.guard()
            self._deliver_to(self._places[name], credential)
        failed = [one for one in self.done.delivered if one.outcome == "failed"]
        if failed:
            self._ledger.release(delivered=self._delivered, removed=self._removed)
            raise DeliveryFailed(
                f"{len(failed)} of {len(names)} destinations could not be given {credential.access_key_id}: "
                f"{failed[0].destination}: {failed[0].message}",
                state="CURRENT works where it was delivered, and the former key still works everywhere else.",
                remedy="Mend it and run again: the delivery is finished without creating another key.",
            )

    def _deliver_to(self, place: Destination, credential: Credential) -> None:
        try:
            with self._teller.effect(f"deliver to {place.name}", credential.access_key_id):
                self.done.effects += 1
                receipt = place.deliver(credential)
        except Failed as error:
            self.done.delivered.append(Delivered(place.name, "failed", str(error)))
            return
        self._delivered[place.name] = Delivery(credential.access_key_id, self._from_now())
        self.done.delivered.append(Delivered(place.name, "delivered" if receipt.written else "held"))

    def _commit(self, last: str, *, renew: bool) -> None:
        journal = self._ledger.journal
        current = self._credential.access_key_id if self._credential else self._ledger.held
        soaking = journal.retiring
        committed = self._from_now() if renew else journal.committed if journal.current == current else None
        with self._teller.effect("commit", current):
            self._ledger.release(
                current=current,
                last=last,
                committed=committed,
                intent=None,
                retiring=None if renew or (soaking and soaking.key in self._removed) else soaking,
                delivered={name: given for name, given in self._delivered.items() if name in self._places},
                removed=self._removed,
            )

    def _from_now(self) -> datetime:
        """Return a moment that is surely not before the present one: grace counts from it.

        ``now()`` lags by up to the one-second resolution of the services' ``Date``.
        """
        return self._clock.now() + timedelta(seconds=1)
