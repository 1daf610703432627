"""Performs a plan's actions in order, under the lease: the only writer.

``creation`` creates a key, ``removals`` deletes one, ``delivery`` delivers CURRENT, and says how long a torn pair can
last in a destination that takes two writes.
"""

from __future__ import annotations

from contextlib import nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from twokey.core import timestamps
from twokey.core.errors import Conflict, Failed
from twokey.core.journal import Intent, Retiring, Revoked, promised
from twokey.planning.plan import (
    Commit,
    Create,
    Deactivate,
    Delete,
    Deliver,
    Forget,
    RecordDeliveries,
    RecordRevoked,
    RemoveOrphan,
    Resume,
)
from twokey.rotation import preflight
from twokey.rotation.creation import Creation
from twokey.rotation.delivery import Deliveries
from twokey.rotation.removals import REMEMBERED, Removals
from twokey.rotation.results import DeliveryResult

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twokey.core.events import Reporter
    from twokey.core.journal import Journal
    from twokey.core.model import Observation
    from twokey.core.secret import Credential
    from twokey.planning.plan import Action
    from twokey.planning.policy import RotationPolicy
    from twokey.rotation.leased_journal import LeasedJournal
    from twokey.rotation.results import Effects
    from twokey.rotation.world import World

LONGEST_GRACE = timedelta(days=999, seconds=86_399)
"""Of the graces that are likely, the longest to write into the journal."""


class Apply:
    """Performs actions for one machine user. ``effects`` stays true even if it raises an error of ``twokey.core``."""

    def __init__(
        self,
        observation: Observation,
        policy: RotationPolicy,
        leased: LeasedJournal,
        world: World,
        reporter: Reporter,
        effects: Effects,
    ) -> None:
        self._observation = observation
        self._policy = policy
        self._user = observation.user
        self._leased = leased
        self._world = world
        self._reporter = reporter
        self._effects = effects
        self._credential: Credential | None = None
        self._deliveries = Deliveries(observation, leased, world, reporter, effects)
        self._removals = Removals(observation.user.name, world, leased.journal.removed)
        self._creation = Creation(observation.user, policy, leased, world, reporter, effects, self._removals)

    def preflight(self, actions: Sequence[Action], meanwhile: Callable[[float], None] | None = None) -> None:
        """Prove, before anything irreversible, that the writes to come are allowed; raises ``Refused``.

        Without a creation nothing is irreversible: a destination that cannot be written then fails alone.
        ``meanwhile`` is called while a destination waits for its service, instead of what keeps the lease.
        """
        creates = any(isinstance(action, Create) for action in actions)
        if not creates and not any(isinstance(action, Deliver) for action in actions):
            return
        self._reporter.note("preflight")
        removes = any(isinstance(action, Delete | Deactivate) for action in actions)
        preflight.room_for(self._world.store, self._journal_to_be(actions))
        if not creates:
            return
        preflight.regions_usable(self._world.sts, self._policy.verification.regions)
        with preflight.outlasting(self._policy.verification, self._world.sts) if removes else nullcontext():
            preflight.store_writable(self._world.store)
            if not any(isinstance(action, Create) and action.urgent for action in actions):
                preflight.destinations_writable(self._world.destinations, meanwhile or self._deliveries.meanwhile)
        if removes:
            preflight.keys_creatable(self._world.iam, self._user)
            if self._effects.new_store:
                # The lease created the store. Whether it can be changed, too, shows before a key is removed.
                self._leased.write()

    def _journal_to_be(self, actions: Sequence[Action]) -> Journal:
        """Return a journal as long as the longest that these actions will write."""
        journal, now = self._leased.journal, self._world.clock.now()
        known = next((action.known for action in actions if isinstance(action, Create)), None)
        longest_id = max((key.id for key in self._observation.keys), key=len, default="A" * 20)
        graces = {f"{longest_id[1:]}{number}": LONGEST_GRACE for number in range(2)}
        hooks = self._world.hooks
        hook = longest_id if hooks and "after" in hooks.configured else journal.hook
        marks = {one.key_id: Revoked(one.at, one.until) for one in actions if isinstance(one, RecordRevoked)}
        journal = msgspec.structs.replace(
            journal,
            hook=hook,
            current=longest_id,
            last=longest_id,
            committed=now,
            graces=graces,
            revoked=journal.revoked | marks,
        )
        if known is not None:
            journal = msgspec.structs.replace(
                journal,
                intent=Intent(known, now, self._creation.open_attempts),
                removed={f"{longest_id}{number}": now for number in range(REMEMBERED)},
            )
        return self._deliveries.longest(journal, longest_id)

    def perform(self, action: Action) -> None:
        """Perform one action."""
        match action:
            case RemoveOrphan() | Delete():
                self._remove(action)
            case Deactivate(key_id, named):
                self._deactivate(key_id, named=named)
            case RecordRevoked(key_id, at, until):
                self._leased.write(revoked={**self._leased.journal.revoked, key_id: Revoked(at, until)})
            case Create(known, last=last):
                self._credential = self._creation.create(known, last)
                self._effects.delivered.append(DeliveryResult(self._world.store.name, "delivered"))
            case Resume(key_id):
                self._resume(key_id)
            case Deliver(names, instead_of):
                self._deliver(names, instead_of)
            case Commit(last, renew):
                self._commit(last, renew=renew)
            case Forget(name, restarts_grace):
                self._forget(name, restarts_grace=restarts_grace)
            case RecordDeliveries():
                self._deliveries.conclude()

    def _remove(self, action: RemoveOrphan | Delete) -> None:
        key_id, step = action.key_id, "delete"
        if isinstance(action, RemoveOrphan):
            self._leased.fence()
            step = "remove orphan"
        self._leased.guard()
        with self._reporter.effect(step, key_id):
            self._effects.begun = True
            self._effects.removing = key_id
            self._removals.delete(key_id)
        self._effects.removed.append(key_id)
        self._removals.record(key_id)

    def _deactivate(self, key_id: str, *, named: bool) -> None:
        self._leased.guard()
        with self._reporter.effect("deactivate", key_id):
            self._effects.begun = True
            self._world.iam.deactivate_key(self._user.name, key_id)
        self._effects.deactivated.append(key_id)
        self._leased.write(
            retiring={
                **self._leased.journal.retiring,
                key_id: Retiring(timestamps.not_before_now(self._world.clock), named),
            }
        )

    def _resume(self, key_id: str) -> None:
        credential = self._leased.credential()
        if credential is None or credential.access_key_id != key_id:
            raise Conflict(
                f"{self._world.store.name} no longer holds {key_id}: another run or another program wrote to it.",
                state="Nothing was changed by this run.",
                remedy="Run again.",
            )
        self._creation.verify(credential)
        self._credential = credential
        self._effects.delivered.append(DeliveryResult(self._world.store.name, "held"))

    def _deliver(self, names: tuple[str, ...], instead_of: str) -> None:
        if self._credential is None:
            raise Failed("There is no credential to deliver.")
        self._deliveries.perform(names, self._credential, instead_of)

    def _forget(self, name: str, *, restarts_grace: bool) -> None:
        journal = self._leased.journal
        self._effects.begun = True
        with self._reporter.effect("record"):
            self._leased.release(
                delivered={one: delivery for one, delivery in journal.delivered.items() if one != name},
                delivering=tuple(one for one in journal.delivering if one != name),
                forgotten=timestamps.not_before_now(self._world.clock) if restarts_grace else journal.forgotten,
            )

    def _commit(self, last: str, *, renew: bool) -> None:
        journal = self._leased.journal
        current = self._credential.access_key_id if self._credential else self._leased.held
        committed = (
            timestamps.not_before_now(self._world.clock)
            if renew
            else journal.committed
            if journal.current == current
            else None
        )
        with self._reporter.effect("commit", current):
            self._leased.conclude(
                current=current,
                last=last,
                committed=committed,
                intent=None,
                retiring={key_id: at for key_id, at in journal.retiring.items() if self._is_soaking(key_id)},
                delivered=self._deliveries.of(current, last),
                delivering=self._deliveries.delivering,
                removed=self._removals.recorded,
                revoked={key_id: mark for key_id, mark in journal.revoked.items() if self._is_remembered(key_id, mark)},
                forgotten=None if renew else journal.forgotten,
                graces=promised(journal, self._policy.grace, current, last),
            )

    def _is_remembered(self, key_id: str, mark: Revoked) -> bool:
        """Say whether the journal keeps that a key was revoked: while it exists, and for a day in any case.

        A revocation of many users that was interrupted and is run again has to know whose key it has replaced.
        """
        return self._remains(key_id) or self._world.clock.now() - mark.at < timedelta(days=1)

    def _remains(self, key_id: str) -> bool:
        return self._observation.key(key_id) is not None and key_id not in self._removals.recorded

    def _is_soaking(self, key_id: str) -> bool:
        key = self._observation.key(key_id)
        return key is not None and not key.active and key_id not in self._removals.recorded
