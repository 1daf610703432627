"""Delivers CURRENT to one destination after the other, and records each delivery in the journal.

A destination that fails stops no other. What was delivered is recorded at the latest 30 seconds afterwards and whenever
the lease is renewed, so a run that is killed after 250 of 300 destinations leaves 50 to the next one, not 300.

A destination whose pair is two values (``Traits.atomic`` is false) may be torn: a reader between the two writes sees
the id of one key and the secret of another, and that authenticates nowhere. The journal names such destinations as
``delivering`` before the first of them is written, and drops each once both of its values are. So a torn pair lasts as
long as one request takes; if the process dies between the two, or the second one fails, until the next run, which
delivers there again whatever the destination shows. The time between two runs is its bound: schedule them more often
than a rotation is due.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from twokey.core import timestamps, waiting
from twokey.core.destination import receipt_of
from twokey.core.errors import (
    Ambiguous,
    DeliveryFailed,
    Failed,
    ServiceError,
    Stopped,
    TwokeyError,
    UsageError,
    foreseen,
)
from twokey.core.journal import IN_DOUBT, LONGEST_STAMP, REMEMBERED, Delivery, stamp_of
from twokey.core.model import CannotTell
from twokey.planning.assessment import holds_none, rewritten, written_since
from twokey.rotation.claims import of_destination
from twokey.rotation.results import DeliveryResult

if TYPE_CHECKING:
    from twokey.core.destination import Destination
    from twokey.core.events import Reporter
    from twokey.core.journal import Journal
    from twokey.core.model import Observation
    from twokey.core.secret import Credential
    from twokey.rotation.leased_journal import LeasedJournal
    from twokey.rotation.results import Effects
    from twokey.rotation.world import World

FLUSH = 30.0
"""Seconds after which, at the latest, a delivery is in the journal while the run continues."""
WORTH_REPORTING = 10.0
"""Seconds of waiting for a service from which the wait is reported."""
NOT_BEGUN = "The run was stopped before this destination's turn. The next run delivers here."
WORKS = "CURRENT works where it was delivered, and the previous key still works everywhere else."
STOPPED_KEY = "CURRENT works where it was delivered; {} was revoked, so jobs that read it elsewhere fail."
RESUMED = "twokey finishes the delivery without creating another key."


class Deliveries:
    """The deliveries of one run to one user's destinations. Raises the errors of ``twokey.core.errors``."""

    def __init__(
        self, observation: Observation, leased: LeasedJournal, world: World, reporter: Reporter, effects: Effects
    ) -> None:
        self._observation = observation
        self._leased = leased
        self._clock = world.clock
        self._destinations = {destination.name: destination for destination in world.destinations}
        self._identities = world.identities
        self._reporter = reporter
        self._effects = effects
        self._stop = world.stop
        self._stopped = False
        self._fatal: TwokeyError | None = None
        self._unrecorded_since: float | None = None
        self._reported_until = float("-inf")
        self._delivered: dict[str, Delivery] = dict(leased.journal.delivered)
        self._open = dict.fromkeys(leased.journal.delivering)
        self._first: set[str] = set()

    def of(self, *key_ids: str) -> dict[str, Delivery]:
        """Return the destinations that last received one of these keys."""
        return {name: delivery for name, delivery in self._delivered.items() if delivery.key in key_ids}

    @property
    def delivering(self) -> tuple[str, ...]:
        """The destinations with an open delivery: a pair of two values there may be torn."""
        return tuple(self._open)

    def longest(self, journal: Journal, key_id: str) -> Journal:
        """Return the journal as long as deliveries of such a key to all destinations may make it."""
        now = self._clock.now()
        deliveries = {
            name: Delivery(
                key_id,
                now,
                self._longest_stamp(destination),
                self._identities.get(name, ""),
                self._remembered(name, self._delivered.get(name), key_id),
                IN_DOUBT,
            )
            for name, destination in self._destinations.items()
        }
        new = (name for name in self._destinations if name not in self._delivered)
        may_be_open = dict.fromkeys((*journal.delivering, *self._torn_between_writes(tuple(self._destinations)), *new))
        return msgspec.structs.replace(journal, delivered=journal.delivered | deliveries, delivering=tuple(may_be_open))

    def _longest_stamp(self, destination: Destination) -> str:
        return "" if destination.traits.confirms == "nothing" else "0" * LONGEST_STAMP

    def perform(self, names: tuple[str, ...], credential: Credential, instead_of: str) -> None:
        """Deliver to each; raises ``DeliveryFailed``, or ``Stopped``, at the end if any did not receive the key.

        ``instead_of`` names the key that they may hold until then. An error of the journal ends the run at once.
        """
        self._record_before(names, instead_of, credential.access_key_id)
        for name in names:
            if self._stopped:
                self._effects.delivered.append(DeliveryResult(name, "failed", NOT_BEGUN))
            else:
                self._keep_lease()
                self._deliver_to(self._destinations[name], credential)
        self._conclude_failed(names, credential.access_key_id)

    def conclude(self) -> None:
        """Give the lease back; record what was delivered, and leave everything else as it was."""
        with self._reporter.effect("record"):
            self._leased.conclude(**self._changes())

    def _record_before(self, names: tuple[str, ...], instead_of: str, key_id: str) -> None:
        """Record, before any of them is written, what they may hold, and which of them may be torn from now on.

        One that the journal does not name yet is named, and open until it is delivered to: if this run ends here, the
        next one delivers there again; and if it is no longer configured then, the key is kept that it may hold.
        If this run then ends before its commit, the next one knows where ``instead_of`` was until an unknown moment,
        that it is LAST, and where both values have to be written again.
        """
        role = {"last": instead_of} if instead_of and self._leased.journal.last != instead_of else {}
        if role and self._leased.journal.intent:
            # The key of an interrupted run becomes LAST: that run may be paused, and may not store it any more.
            self._leased.fence()
        new = [name for name in names if name not in self._delivered]
        may_be_open = dict.fromkeys((*self._torn_between_writes(names), *new))
        opened = [name for name in may_be_open if name not in self._open]
        if new or opened or role:
            now = timestamps.not_before_now(self._clock)
            self._delivered |= {
                name: Delivery(instead_of or key_id, now, identity=self._identities.get(name, "")) for name in new
            }
            self._first = set() if instead_of else set(new)
            self._open |= dict.fromkeys(opened)
            with self._reporter.effect("record", instead_of or key_id):
                self._leased.write(**self._changes(), **role)

    def _torn_between_writes(self, names: tuple[str, ...]) -> list[str]:
        return [name for name in names if not self._destinations[name].traits.atomic]

    def _deliver_to(self, destination: Destination, credential: Credential) -> None:
        step, key_id = f"deliver to {destination.name}", credential.access_key_id
        try:
            # One destination's failure, whatever it is, stops no other.
            with foreseen(destination.name), self._reporter.effect(step, key_id):
                self._effects.begun = True
                with waiting.during(self.meanwhile, self._still_ours):
                    receipt = receipt_of(destination, credential)
        except (Failed, UsageError) as error:
            self._failed(destination, error)
            return
        self._delivered_to(
            destination.name,
            Delivery(
                credential.access_key_id,
                timestamps.not_before_now(self._clock),
                stamp_of(receipt.stamp),
                self._identities.get(destination.name, ""),
            ),
        )
        self._effects.delivered.append(DeliveryResult(destination.name, "delivered" if receipt.written else "held"))
        self._raise_fatal()

    def _failed(self, destination: Destination, error: TwokeyError) -> None:
        self._raise_fatal()
        if isinstance(error, ServiceError) and not isinstance(error, Ambiguous):
            self._untouched(destination.name)
        else:
            before = self._delivered[destination.name]
            self._delivered[destination.name] = msgspec.structs.replace(before, doubt=IN_DOUBT)
        self._effects.delivered.append(DeliveryResult(destination.name, "failed", of_destination(error)))

    def _untouched(self, name: str) -> None:
        """Close the delivery: nothing was written there, so this run tore no pair. An earlier one may have."""
        if name not in self._observation.record.journal.delivering:
            self._open.pop(name, None)
            if name in self._first:
                self._delivered.pop(name, None)

    def _delivered_to(self, name: str, delivery: Delivery) -> None:
        before = self._observation.record.journal.delivered.get(name)
        delivery = msgspec.structs.replace(
            delivery,
            rewritten=self._remembered(name, before, delivery.key),
            doubt=max(0, before.doubt - 1) if before else 0,
        )
        if before is not None and before.key == delivery.key and self._surely_held(name, before):
            delivery = msgspec.structs.replace(delivery, at=before.at)
        self._delivered[name] = delivery
        self._open.pop(name, None)
        if self._unrecorded_since is None:
            self._unrecorded_since = self._clock.monotonic()

    def _remembered(self, name: str, before: Delivery | None, key_id: str) -> int:
        """Return for how many further rotations it is remembered that another program has written there."""
        if rewritten(self._observation, name):
            return REMEMBERED
        if before is None:
            return 0
        return before.rewritten if before.key == key_id else max(0, before.rewritten - 1)

    def _surely_held(self, name: str, before: Delivery) -> bool:
        """Say whether no job can have read another key of this user there since.

        No other program has written there, or what it has written is no key of this user.
        """
        holding = self._observation.destinations[name]
        is_open = name in self._observation.record.journal.delivering
        if holds_none(self._observation, name):
            return not is_open
        return (
            isinstance(holding, CannotTell)
            and bool(before.stamp and holding.stamp)
            and not written_since(before, holding)
            and not is_open
        )

    def meanwhile(self, left: float = 0.0) -> None:
        """Keep the lease while a destination waits for its service; end the waiting if the whole run is to stop.

        The journal's own error is kept: a destination may turn it into one of its own, but it did not cause it.
        """
        self._report_wait(left)
        if self._stop.is_set():
            self._stopped = True
            raise Stopped(
                "The run was stopped while it waited for this destination's service.", state="", remedy="Run again."
            )
        try:
            self._keep_lease()
        except TwokeyError as error:
            self._fatal = error
            raise

    def _report_wait(self, left: float) -> None:
        """Report a long wait for a service once."""
        until = self._clock.monotonic() + left
        if left > WORTH_REPORTING and until - self._reported_until > WORTH_REPORTING:
            self._reported_until = until
            moment = self._clock.now() + timedelta(seconds=left)
            self._reporter.note("limit", detail=timestamps.utc(moment))

    def _still_ours(self) -> None:
        """Let nothing be written once the lease is over, not even the second value of a pair.

        A process may be paused between any two of its steps, for hours. By then another run has delivered to this
        destination again, or will, for the journal names it; a late value of ours would tear that pair unnoticed.
        """
        try:
            self._leased.check()
        except TwokeyError as error:
            self._fatal = error
            raise

    def _raise_fatal(self) -> None:
        if self._fatal is not None:
            raise self._fatal

    def _keep_lease(self) -> None:
        """Keep the lease, and the record of deliveries up to date."""
        since = self._unrecorded_since
        if since is not None and self._clock.monotonic() - since >= FLUSH:
            self._leased.write(**self._changes())
        else:
            self._leased.guard(**self._changes())
        if self._leased.journal.delivered == self._delivered:
            self._unrecorded_since = None

    def _changes(self) -> dict[str, Any]:
        return {"delivered": dict(self._delivered), "delivering": self.delivering}

    def _elsewhere(self) -> str:
        """Say whether jobs still work that read a destination which did not receive CURRENT."""
        journal = self._leased.journal
        received = {delivery.key for delivery in journal.delivered.values()}
        before = journal.intent.known if journal.intent else (journal.current, journal.last)
        revoked = sorted({*received, *before} & set(journal.revoked))
        return STOPPED_KEY.format(", ".join(revoked)) if revoked else WORKS

    def _conclude_failed(self, names: tuple[str, ...], key_id: str) -> None:
        """If any destination did not receive the key, record what was delivered, give the lease back, and raise."""
        failed = [result for result in self._effects.delivered if result.outcome == "failed"]
        if not failed:
            return
        self._leased.release(**self._changes())
        count = f"{len(failed)} of {len(names)} destinations"
        state = self._elsewhere()
        if self._stopped:
            raise Stopped(
                f"The run was stopped: {count} did not receive {key_id}.", state=state, remedy=f"Run again: {RESUMED}"
            )
        raise DeliveryFailed(
            f"{key_id} could not be delivered to {count}: {failed[0].destination}: {failed[0].message}",
            state=state,
            remedy=f"Fix what the message of each failed destination names, then run again: {RESUMED}",
        )
