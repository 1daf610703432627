"""Brings CURRENT to one place after the other, and keeps book of it in the journal.

A place that fails stops no other. What was delivered is written down at the latest 30 seconds afterwards and whenever
the lease is renewed, so a run that is killed after 250 of 300 places leaves 50 to the next one, not 300.

A place whose pair is two values (``Traits.atomic`` is false) may be torn: a reader between the two writes sees the id
of one key and the secret of another, and that authenticates nowhere. The journal names such places as ``delivering``
before the first of them is written, and drops each once both of its values are. So a torn pair lasts as long as one
request takes; where the process dies between the two, or the second one fails, until the next run, which delivers there
again whatever the place shows. How far apart runs are is what bounds it: let them be scheduled more often than a
rotation is due.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from twokey.core import timestamps, waiting
from twokey.core.errors import (
    Ambiguous,
    DeliveryFailed,
    Failed,
    ServiceError,
    Stopped,
    TwokeyError,
    UsageError,
    unforeseen,
)
from twokey.core.journal import LONGEST_STAMP, Delivery, stamp_of
from twokey.core.model import CannotTell
from twokey.planning.assessment import written_since
from twokey.rotation.results import DeliveryResult

if TYPE_CHECKING:
    from collections.abc import Mapping
    from threading import Event

    from twokey.core.destination import Destination
    from twokey.core.events import Reporter
    from twokey.core.journal import Journal
    from twokey.core.model import Observation
    from twokey.core.ports import Clock
    from twokey.core.secret import Credential
    from twokey.rotation.leased_journal import LeasedJournal
    from twokey.rotation.results import Effects

FLUSH = 30.0
"""Seconds after which, at the latest, a delivery stands in the journal while the run goes on."""
WORTH_TELLING = 10.0
"""Seconds of waiting for a service that a person should be told of."""
NOT_BEGUN = "The run was stopped before it was this destination's turn. The next run goes on."
WORKS = "CURRENT works where it was delivered, and the former key still works everywhere else."
RESUMED = "the delivery is finished without creating another key."


class Deliveries:
    """The deliveries of one run to one user's places. Raises the errors of ``twokey.core.errors``."""

    def __init__(
        self,
        seen: Observation,
        ledger: LeasedJournal,
        *,
        clock: Clock,
        places: Mapping[str, Destination],
        teller: Reporter,
        done: Effects,
        stop: Event,
    ) -> None:
        self._seen = seen
        self._ledger = ledger
        self._clock = clock
        self._places = places
        self._teller = teller
        self._done = done
        self._stop = stop
        self._stopped = False
        self._ended: TwokeyError | None = None
        self._unwritten_since: float | None = None
        self._told = float("-inf")
        self.delivered: dict[str, Delivery] = dict(ledger.journal.delivered)
        self._open = dict.fromkeys(ledger.journal.delivering)

    @property
    def delivering(self) -> tuple[str, ...]:
        """The places with an open delivery: a pair of two values there may be torn."""
        return tuple(self._open)

    def longest(self, journal: Journal, key_id: str) -> Journal:
        """Return the journal as long as deliveries of such a key to all places may make it."""
        now = self._clock.now()
        given = {name: Delivery(key_id, now, self._longest_stamp(place)) for name, place in self._places.items()}
        may_be_open = dict.fromkeys((*journal.delivering, *self._torn_in_between(tuple(self._places))))
        return msgspec.structs.replace(journal, delivered=journal.delivered | given, delivering=tuple(may_be_open))

    def _longest_stamp(self, place: Destination) -> str:
        return "" if place.traits.confirms == "nothing" else "0" * LONGEST_STAMP

    def perform(self, names: tuple[str, ...], credential: Credential, instead_of: str) -> None:
        """Deliver to each place; raises ``DeliveryFailed``, or ``Stopped``, at the end if any was not given the key.

        ``instead_of`` names the key that the places may hold until then. An error of the ledger ends the run at once.
        """
        self._note(names, instead_of, credential.access_key_id)
        for name in names:
            if self._stopped:
                self._done.delivered.append(DeliveryResult(name, "failed", NOT_BEGUN))
            else:
                self._keep()
                self._deliver_to(self._places[name], credential)
        self._report(names, credential.access_key_id)

    def conclude(self) -> None:
        """Give the lease back, with what was delivered written down and everything else as it was."""
        with self._teller.effect("note"):
            self._ledger.release(**self._book())

    def _note(self, names: tuple[str, ...], instead_of: str, key_id: str) -> None:
        """Write down, before any place is written, what they may hold, and which of them may be torn from now on.

        If this run then ends before its commit, the next one knows that ``instead_of`` was there until nobody knows
        when, and where both values have to be written again.
        """
        unknown = [name for name in names if instead_of and name not in self.delivered]
        torn = [name for name in self._torn_in_between(names) if name not in self._open]
        if unknown or torn:
            self.delivered |= {name: Delivery(instead_of, timestamps.not_before_now(self._clock)) for name in unknown}
            self._open |= dict.fromkeys(torn)
            with self._teller.effect("note", instead_of or key_id):
                self._ledger.write(**self._book())

    def _torn_in_between(self, names: tuple[str, ...]) -> list[str]:
        return [name for name in names if not self._places[name].traits.atomic]

    def _deliver_to(self, place: Destination, credential: Credential) -> None:
        try:
            with self._teller.effect(f"deliver to {place.name}", credential.access_key_id):
                self._done.effects += 1
                with waiting.during(self.meanwhile, self._still_ours):
                    receipt = place.deliver(credential)
        except (Failed, UsageError) as error:
            self._failed(place, error)
            return
        except TwokeyError:
            raise
        except Exception as error:  # noqa: BLE001  one place's failure, whatever it is, stops no other
            self._failed(place, unforeseen(place.name, error))
            return
        self._delivered_to(
            place.name,
            Delivery(credential.access_key_id, timestamps.not_before_now(self._clock), stamp_of(receipt.stamp)),
        )
        self._done.delivered.append(DeliveryResult(place.name, "delivered" if receipt.written else "held"))
        self._end_the_run()

    def _failed(self, place: Destination, error: TwokeyError) -> None:
        self._end_the_run()
        if isinstance(error, ServiceError) and not isinstance(error, Ambiguous):
            self._untouched(place.name)
        self._done.delivered.append(DeliveryResult(place.name, "failed", str(error)))

    def _untouched(self, name: str) -> None:
        """Note that nothing was written there, so that this run has torn no pair; an earlier one may have."""
        if name not in self._seen.record.journal.delivering:
            self._open.pop(name, None)

    def _delivered_to(self, name: str, given: Delivery) -> None:
        before = self.delivered.get(name)
        if before is not None and before.key == given.key and self._surely_held(name, before):
            given = msgspec.structs.replace(given, at=before.at)
        self.delivered[name] = given
        self._open.pop(name, None)
        if self._unwritten_since is None:
            self._unwritten_since = self._clock.monotonic()

    def _surely_held(self, name: str, before: Delivery) -> bool:
        """Say whether nobody else has written there since, so that nobody can have read another key meanwhile."""
        holding = self._seen.destinations[name]
        return (
            isinstance(holding, CannotTell)
            and bool(before.stamp and holding.stamp)
            and not written_since(before, holding)
            and name not in self._seen.record.journal.delivering
        )

    def meanwhile(self, left: float = 0.0) -> None:
        """Keep the lease while a place waits for its service; end the waiting where the whole run is to stop.

        The ledger's own error is kept: a place may turn it into one of its own, and it is not that place's failure.
        """
        self._tell(left)
        if self._stop.is_set():
            self._stopped = True
            raise Stopped(
                "The run was stopped while it waited for this destination's service.", state="", remedy="Run again."
            )
        try:
            self._keep()
        except TwokeyError as error:
            self._ended = error
            raise

    def _tell(self, left: float) -> None:
        """Tell once of a long wait for a service."""
        until = self._clock.monotonic() + left
        if left > WORTH_TELLING and until - self._told > WORTH_TELLING:
            self._told = until
            moment = self._clock.now() + timedelta(seconds=left)
            self._teller.note("limit", detail=timestamps.utc(moment))

    def _still_ours(self) -> None:
        """Let nothing be written once the lease is over, be it the second value of a pair.

        A process may stand still between any two of its steps, for hours. Another run has delivered to this place
        again by then, or will, for the journal names it; a late value of ours would tear that pair unnoticed.
        """
        try:
            self._ledger.check()
        except TwokeyError as error:
            self._ended = error
            raise

    def _end_the_run(self) -> None:
        if self._ended is not None:
            raise self._ended

    def _keep(self) -> None:
        """Keep the lease, and the book of deliveries up to date."""
        since = self._unwritten_since
        if since is not None and self._clock.monotonic() - since >= FLUSH:
            self._ledger.write(**self._book())
        else:
            self._ledger.guard(**self._book())
        if self._ledger.journal.delivered == self.delivered:
            self._unwritten_since = None

    def _book(self) -> dict[str, Any]:
        return {"delivered": dict(self.delivered), "delivering": self.delivering}

    def _report(self, names: tuple[str, ...], key_id: str) -> None:
        """Where any place was not given the key, write down what was delivered, give the lease back, and raise."""
        failed = [one for one in self._done.delivered if one.outcome == "failed"]
        if not failed:
            return
        self._ledger.release(**self._book())
        some = f"{len(failed)} of {len(names)} destinations"
        if self._stopped:
            raise Stopped(
                f"The run was stopped: {some} were not given {key_id}.", state=WORKS, remedy=f"Run again: {RESUMED}"
            )
        raise DeliveryFailed(
            f"{some} could not be given {key_id}: {failed[0].destination}: {failed[0].message}",
            state=WORKS,
            remedy=f"Mend it and run again: {RESUMED}",
        )
