"""Creates a key: intent, creation, verification, the store. What cannot be finished is undone, or the intent stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.core.destination import holding_of
from twokey.core.errors import Ambiguous, Conflict, Failed, NotVerified, ServiceError, Stopped
from twokey.core.fields import InvalidValue
from twokey.core.journal import Intent
from twokey.core.model import CannotTell, Held
from twokey.planning.assessment import open_attempts
from twokey.rotation.verify import verify

if TYPE_CHECKING:
    from twokey.core.events import Reporter
    from twokey.core.model import MachineUser
    from twokey.core.secret import Credential
    from twokey.planning.policy import RotationPolicy
    from twokey.rotation.leased_journal import LeasedJournal
    from twokey.rotation.removals import Removals
    from twokey.rotation.results import Effects
    from twokey.rotation.world import World

FRESH = (10.0, 20.0, 40.0)
"""Seconds after which an intent is too old for a creation; then it is written again. A later run waits for the whole
time that the intent records, so it is short at first, and longer where the store takes longer to write it. The request
itself takes up to 15 s, and what is created within 60 s is attributed to the intent."""
SEND_LIMIT = 20.0
"""Seconds of the lease that must be left when a creation is sent."""


class Creation:
    """The creation of one user's key. Raises the errors of ``twokey.core.errors``."""

    def __init__(
        self,
        user: MachineUser,
        policy: RotationPolicy,
        leased: LeasedJournal,
        world: World,
        reporter: Reporter,
        effects: Effects,
        removals: Removals,
    ) -> None:
        self._user = user
        self._policy = policy
        self._leased = leased
        self._world = world
        self._reporter = reporter
        self._effects = effects
        self._removals = removals
        self.open_attempts = open_attempts(leased.journal, world.clock.now())
        self._before = leased.journal.intent if self.open_attempts else None

    def create(self, known: tuple[str, ...], last: str = "") -> Credential:
        """Create a key, verify it and write it to the store; ``known`` are the ids that are listed now.

        ``last`` is recorded as LAST with the intent; if it is empty, the journal keeps what it says of LAST.
        """
        credential = self._create_after(self._intend(known, last or self._leased.journal.last))
        try:
            self._publish(credential)
        except Conflict as error:
            self._disown(credential.access_key_id, error)
            raise
        return credential

    def verify(self, credential: Credential) -> None:
        """Prove that a key works, keeping the lease meanwhile; raises ``NotVerified``, or ``Stopped``."""
        with self._reporter.effect("verify", credential.access_key_id):
            verify(
                credential,
                self._user,
                self._policy.verification,
                self._world.sts,
                self._world.clock,
                self._leased.guard,
                self._world.out_of_time,
            )

    def _publish(self, credential: Credential) -> None:
        try:
            self.verify(credential)
        except (NotVerified, Stopped) as error:
            error.state = self._undo(credential.access_key_id)
            raise
        with self._reporter.effect("store", credential.access_key_id):
            self._put(credential)

    def _intend(self, known: tuple[str, ...], last: str, within: float = FRESH[0]) -> tuple[Intent, float]:
        """Write the intent, and say when that began. Attempts of earlier runs that were never closed stay in it."""
        began = self._world.clock.monotonic()
        intent = Intent(known, self._world.clock.now(), self.open_attempts, within)
        with self._reporter.effect("intent"):
            self._leased.write(intent=intent, last=last, removed=self._removals.recorded)
        return intent, began

    def _create_after(self, intended: tuple[Intent, float]) -> Credential:
        def in_time() -> None:
            nonlocal intended
            intended = self._renewed(*intended)

        with self._reporter.effect("create"):
            self._effects.begun = True
            try:
                key, credential = self._world.iam.create_key(self._user.name, in_time)
            except Ambiguous:
                raise
            except ServiceError:
                # The response proves that nothing was created; only an earlier open attempt may still show up.
                self._leased.write(intent=self._before)
                raise
        self._effects.created = key.id
        return credential

    def _renewed(self, intent: Intent, began: float) -> tuple[Intent, float]:
        """Write the intent again if it is too old for a creation that is sent now, and renew the lease with it.

        A creation may wait for IAM's pace, and a process may be paused for hours between any two of its steps, so the
        time is checked right before the request is sent.
        """
        for within in (*FRESH, None):
            if self._world.clock.monotonic() - began <= intent.within and self._leased.left() >= SEND_LIMIT:
                return intent, began
            if within is not None:
                intent, began = self._intend(intent.known, self._leased.journal.last, within)
        raise Conflict(
            f"No key could be created within {FRESH[-1]:g} s of its intent: the process was paused, or the store took "
            f"longer to write it, {len(FRESH)} times.",
            state="No key was created.",
            remedy="Run again on a machine with more CPU to spare, or when the store responds faster.",
        )

    def _disown(self, key_id: str, error: Conflict) -> None:
        """After a lost lease: remove the key that this run created, if it is sure that no reader will ever see it."""
        deleted = f"{key_id}, which this run created and no reader saw, was deleted again."
        if not self._effects.created:
            error.state = deleted
            return
        error.state = (
            f"{key_id}, which this run created, still exists and nothing uses it: the next run removes it, or names it."
        )
        if not self._world.store.traits.conditional:
            return
        try:
            with self._reporter.effect("remove unpublished", key_id):
                gone = self._removals.delete(key_id)
        except ServiceError:
            return
        if gone:
            self._effects.created = ""
            error.state = deleted

    def _put(self, credential: Credential) -> None:
        """Write to the store. If it is refused, the new key is deleted again; if it is in doubt, never."""
        try:
            self._leased.put(credential)
        except Ambiguous:
            raise
        except ServiceError:
            if self._surely_unpublished(credential.access_key_id):
                self._undo(credential.access_key_id)
            raise

    def _surely_unpublished(self, key_id: str) -> bool:
        try:
            holding = holding_of(self._world.store)
        except (Failed, InvalidValue):
            return False
        return not isinstance(holding, CannotTell) and holding != Held(key_id)

    def _undo(self, key_id: str) -> str:
        """Delete the key that this run created and no reader saw, then close its intent; return what is true now."""
        self._leased.guard()
        with self._reporter.effect("remove unpublished", key_id):
            gone = self._removals.delete(key_id)
        if not gone:
            return f"IAM does not know {key_id} yet; if it appears later, the next run removes it."
        self._effects.created = ""
        self._removals.record(key_id)
        self._leased.write(intent=self._before, removed=self._removals.recorded)
        return f"{key_id} was deleted again."
