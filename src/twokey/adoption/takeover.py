"""One user's takeover, from the first look to the journal. ``decision`` decides, this module performs.

    look        observe and decide without a lease; without ``perform``, this is all, and nothing is written
    preflight   prove that the store can be written
    prove       read the credential and ask STS who it is: a wrong one is refused before anything is written
    lease       take the user for this run
    look again  only this decision counts; it must be the same
    prove       again, under the lease, where the store is to be written
    record      the journal says what the destinations hold: if this run ends now, LAST's grace counts from here
    put         write the credential to the store, conditionally on the lease
    commit      the journal names CURRENT and LAST

Whatever interrupts this, the next run, of ``adopt`` or of ``rotate``, continues from what it finds.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from twokey.adoption.decision import Decision, Offer, decide
from twokey.core import timestamps
from twokey.core.commands import rotate_command
from twokey.core.errors import Conflict, LeaseHeld, NotVerified, Refused, TwokeyError
from twokey.core.events import Reporter
from twokey.core.journal import Delivery, promised
from twokey.core.model import Held
from twokey.core.reasons import Ending, Reason
from twokey.rotation import claims, preflight, results
from twokey.rotation import lease as leases
from twokey.rotation.leased_journal import LeasedJournal, blocked, held_by
from twokey.rotation.look import Task, look
from twokey.rotation.observe import ObservationChanged, holding, observe, with_last_use
from twokey.rotation.results import Effects
from twokey.rotation.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from twokey.adoption.sources import CredentialSource, Sources
    from twokey.core.journal import Journal
    from twokey.core.model import MachineUser, Observation
    from twokey.core.reasons import Outcome
    from twokey.core.secret import Credential
    from twokey.planning.policy import RotationPolicy
    from twokey.rotation.world import World

ATTEMPTS = 5
"""How often a takeover is begun again because something changed."""
YOUNG = timedelta(seconds=60)
"""A key younger than this may not be known to all of AWS's servers yet; it is verified as long as a created one.

AWS, "Troubleshoot IAM": changes are not always immediately visible."""


@dataclass(frozen=True, slots=True)
class TakeoverResult:
    """How a takeover ended for one user. ``observation`` is None if the user could not be observed."""

    user: MachineUser
    store: str
    ending: Ending
    decision: Decision
    observation: Observation | None = None
    offer: Offer | None = None
    at: datetime | None = None


def preview(user: MachineUser, policy: RotationPolicy, world: World, sources: Sources) -> TakeoverResult:
    """Say what ``take_over`` would do now; write nothing, and read a secret only to learn which key it is of."""
    return _Takeover(user, policy, world, sources).end(perform=False)


def take_over(user: MachineUser, policy: RotationPolicy, world: World, sources: Sources) -> TakeoverResult:
    """Take a user over. Never raises a ``TwokeyError``: every end is a result."""
    return _Takeover(user, policy, world, sources).end(perform=True)


class _Changed(Conflict):
    """Something changed between our look and our write: begin again."""


class _Takeover:
    def __init__(self, user: MachineUser, policy: RotationPolicy, world: World, sources: Sources) -> None:
        self._user = user
        self._policy = policy
        self._world = world
        self._sources = sources
        self._reporter = Reporter(user.name, world.clock, world.listener)
        self._effects = Effects()
        self._observation: Observation | None = None
        self._offer: Offer | None = None

    def end(self, *, perform: bool) -> TakeoverResult:
        try:
            decision = self._attempt(perform=perform)
        except TwokeyError as error:
            claims.checked(error, self._effects, self._world.store.name)
            decision = _decision_of(results.failed(self._user, error, self._effects))
        at = self._world.clock.now()
        return TakeoverResult(
            self._user, self._world.store.name, decision.ending, decision, self._observation, self._offer, at
        )

    def _attempt(self, *, perform: bool) -> Decision:
        for _ in range(ATTEMPTS):
            with contextlib.suppress(_Changed):
                observation, decision = self._look()
                if decision.ending is not Ending.ADOPTED:
                    return decision
                self._refuse_if_busy(observation.record.journal)
                if perform:
                    self._take(observation, decision)
                return decision
            self._world.clock.sleep(0.2)
        raise Refused(
            Reason.UNREADABLE,
            "The keys or the store of this user change faster than they can be read.",
            state="Nothing was changed.",
            remedy="Find out what else changes them, or run again later.",
        )

    def _look(self) -> tuple[Observation, Decision]:
        observation, _ = look(Task(self._user, self._policy, self._world))
        try:
            observation = with_last_use(
                observation,
                self._world.iam,
                [key.id for key in observation.keys if key.id not in observation.last_used],
            )
        except ObservationChanged:
            raise _Changed("A key was deleted while it was read.") from None
        self._observation, self._offer = observation, self._offered()
        return observation, self._decide(observation)

    def _decide(self, observation: Observation) -> Decision:
        sources = frozenset(self._sources.destinations)
        return decide(observation, self._policy, self._world.clock.now(), sources, self._offer)

    def _offered(self) -> Offer | None:
        chosen = self._sources.chosen
        if chosen is None:
            return None
        return Offer(chosen.name, holding(chosen))

    def _refuse_if_busy(self, journal: Journal) -> None:
        if journal.lease and blocked(self._world.store, journal, self._world.run, self._world.clock.now()):
            error = held_by(journal.lease)
            error.remedy = "Run again when that run has ended."
            raise error

    def _take(self, observation: Observation, decision: Decision) -> None:
        self._preflight(observation.record.journal, decision)
        credential = self._fetch(decision)
        self._prove(credential, decision)
        try:
            with self._reporter.effect("lease"):
                world, user_id = self._world, self._user.id
                leased = claims.leased(
                    self._effects,
                    observation.record,
                    lambda: LeasedJournal.take(world.store, world.clock, world.run, user_id, observation.record),
                )
        except (Conflict, LeaseHeld):
            raise _Changed("Another run was at work.") from None
        try:
            self._under_lease(leased, decision, credential)
        except BaseException:
            _give_back(leased)
            raise

    def _under_lease(self, leased: LeasedJournal, decision: Decision, credential: Credential) -> None:
        known = self._observation.last_used if self._observation else {}
        world = self._world
        observation = observe(
            self._user,
            world.iam,
            world.store,
            world.destinations,
            world.own_key,
            world.identities,
            load=leased.reread,
            meanwhile=leased.guard,
        )
        observation = replace(observation, last_used=known)
        decision, before = self._decide(observation), decision
        if not decision.does_as(before) or self._fetch(decision) != credential:
            raise _Changed("What was observed before the lease has changed.")
        delivered = {
            name: Delivery(
                key_id, timestamps.not_before_now(self._world.clock), identity=self._world.identities.get(name, "")
            )
            for name, key_id in decision.delivered.items()
        }
        delivered = leased.journal.delivered | delivered
        if decision.put:
            self._put(leased, decision, credential, delivered)
        self._commit(leased, decision, delivered)

    def _put(
        self, leased: LeasedJournal, decision: Decision, credential: Credential, delivered: dict[str, Delivery]
    ) -> None:
        self._prove(credential, decision, leased.guard)
        if decision.delivered:
            with self._reporter.effect("record", decision.current):
                leased.write(delivered=delivered)
        with self._reporter.effect("store", decision.current):
            self._effects.begun = True
            leased.put(credential)

    def _preflight(self, journal: Journal, decision: Decision) -> None:
        """Prove that the store can be written; raises ``Refused``. Nothing has been written yet."""
        store, now = self._world.store, self._world.clock.now()
        delivered = {
            name: Delivery(key_id, now, identity=self._world.identities.get(name, ""))
            for name, key_id in decision.delivered.items()
        }
        to_be = msgspec.structs.replace(
            journal,
            user=self._user.id,
            current=decision.current,
            last=decision.last,
            committed=now,
            lease=leases.take(self._world.run, now),
            delivered=journal.delivered | delivered,
            graces=self._promised(journal, decision),
        )
        self._reporter.note("preflight")
        preflight.room_for(store, to_be)
        preflight.store_writable(store)

    def _commit(self, leased: LeasedJournal, decision: Decision, delivered: dict[str, Delivery]) -> None:
        with self._reporter.effect("commit", decision.current):
            leased.release(
                current=decision.current,
                last=decision.last,
                committed=decision.committed or timestamps.not_before_now(self._world.clock),
                delivered=delivered,
                graces=self._promised(leased.journal, decision),
            )
        if self._observation:
            record = replace(self._observation.record, holding=Held(decision.current), journal=leased.journal)
            self._observation = replace(self._observation, record=record)

    def _promised(self, journal: Journal, decision: Decision) -> dict[str, timedelta]:
        """Promise the readers of CURRENT and LAST the configured grace, as a rotation's commit does."""
        return promised(journal, self._policy.grace, decision.current, decision.last)

    def _fetch(self, decision: Decision) -> Credential:
        """Read the credential of CURRENT; raises ``_Changed`` if its source no longer holds it."""
        source = self._source_named(decision.source)
        credential = source.credential()
        if credential is None or credential.access_key_id != decision.current:
            raise _Changed(f"{source.name} no longer holds {decision.current}.")
        return credential

    def _source_named(self, name: str) -> CredentialSource:
        chosen = self._sources.chosen
        if chosen is not None and chosen.name == name:
            return chosen
        return self._sources.destinations.get(name) or self._world.store

    def _prove(self, credential: Credential, decision: Decision, still_ours: Callable[[], None] = lambda: None) -> None:
        """Ask STS who the credential is; raises ``Refused`` if it does not authenticate as this user.

        A key that has existed for a while is known everywhere: one failed attempt is enough.
        """
        rules, world = self._policy.verification, self._world
        key = self._observation.key(credential.access_key_id) if self._observation else None
        if key is not None and world.clock.now() - key.created > YOUNG:
            rules = rules.shortest
        try:
            with self._reporter.effect("verify", credential.access_key_id):
                verify(credential, self._user, rules, world.sts, world.clock, still_ours)
        except NotVerified as error:
            raise Refused(
                Reason.UNVERIFIED,
                f"{decision.source} holds {credential.access_key_id}, which did not work with the secret beside it. "
                f"{_why(error)}",
                state="The credential in the store was not changed.",
                remedy="Find the secret that belongs to it, or name the key that may be removed: "
                f"{rotate_command(self._user.name, '--retire KEY_ID')}.",
            ) from None


def _why(error: NotVerified) -> str:
    """Leave out that the key was created a moment ago: it was not."""
    return error.message.partition(": ")[2].replace("does not know the key yet", "does not accept it")


def _give_back(leased: LeasedJournal) -> None:
    """Let the next run begin at once. If that fails, the lease ends by itself."""
    with contextlib.suppress(TwokeyError):
        leased.release()


def _decision_of(result: results.Result) -> Decision:
    outcome: Outcome = result.outcome
    return Decision(Ending(outcome.value), result.reason, result.message)
