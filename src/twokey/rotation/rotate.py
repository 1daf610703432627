"""One machine user's rotation, from the first look to the result. Read this first.

    look        observe and plan without a lease; where nothing is due, this is all, and nothing is written
    wait        another run holds the user, or a key was made a moment ago and the list may not show it yet
    lease       take the user for this run
    observe     again, under the lease
    plan        again: only this decision counts
    preflight   prove that what is to come is allowed
    apply       perform the actions, in order

Whatever interrupts this, IAM and the store hold the truth, and the next run goes on from them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from twokey.core import durations, timestamps
from twokey.core.errors import Ambiguous, Conflict, LeaseHeld, Refused, ServiceError, Stopped, TwokeyError
from twokey.core.events import Reporter
from twokey.core.reasons import Reason
from twokey.planning.assessment import assess
from twokey.planning.decision import plan
from twokey.planning.destination_states import destination_states
from twokey.planning.plan import Overrides
from twokey.rotation import results
from twokey.rotation.apply import Apply
from twokey.rotation.leased_journal import LeasedJournal, blocked, held_by
from twokey.rotation.observe import ObservationChanged, observe, with_last_use
from twokey.rotation.results import Effects

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from twokey.core.model import MachineUser, Observation
    from twokey.core.ports import Clock
    from twokey.planning.destination_states import DestinationState
    from twokey.planning.plan import Plan
    from twokey.planning.policy import RotationPolicy
    from twokey.rotation.results import Result
    from twokey.rotation.world import World

    Decide = Callable[[Observation, RotationPolicy, datetime, Overrides | None], Plan]
    """Makes a plan of what was observed, without touching anything."""

MOST_SKEW = timedelta(seconds=60)
LOOKS = 5
"""How often a look is begun again because something moved."""
LONGEST_WAIT = 600.0
"""Seconds after which a run stops waiting for other runs."""
SHORTEST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds between two looks at another run's lease."""
LONGEST_NAP = 0.5
"""Seconds after which a waiting run looks whether it is to stop."""
WORTH_TELLING = 1.0
"""Seconds of waiting that a person should be told of."""
_RACE = "Other runs keep writing this user's journal."


def rotate(
    user: MachineUser, policy: RotationPolicy, world: World, asked: Overrides | None = None, decide: Decide = plan
) -> Result:
    """Rotate one user if a rotation is due. Never raises a ``TwokeyError``: every end is a result.

    ``decide`` makes the plan; every other step is the same for whatever is decided.
    """
    done, seen = Effects(), None
    patience = world.clock.monotonic() + LONGEST_WAIT
    try:
        while True:
            seen, decision = look(user, policy, world, asked, decide)
            if _busy(seen, world):
                _await_lease(seen, world, patience)
            elif decision.settles:
                _settle(seen, decision.settles, world)
            elif not decision.actions:
                return results.unchanged(seen, decision)
            else:
                try:
                    return _under_lease(seen, policy, world, asked, done, decide)
                except _LostTheRace:
                    if world.clock.monotonic() > patience:
                        raise
                    _rest(world, 0.2)
    except TwokeyError as error:
        assessment = assess(seen, policy, world.clock.now(), asked or Overrides()) if seen else None
        if not (done.effects or error.state or isinstance(error, (Ambiguous, Conflict))):
            error.state = "Nothing was changed."
        return results.failed(user, error, done, assessment)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a run would end as, with what plan, and what each place holds now; no plan where an error comes between."""

    result: Result
    plan: Plan | None = None
    places: tuple[DestinationState, ...] = ()


def preview(user: MachineUser, policy: RotationPolicy, world: World, asked: Overrides | None = None) -> Preview:
    """Say what ``rotate`` would do now; change nothing. Waits only for the list to settle."""
    seen = None
    try:
        while True:
            seen, decision = look(user, policy, world, asked)
            lease = seen.record.journal.lease
            if lease and _busy(seen, world):
                raise held_by(lease)
            if not decision.settles:
                assessment = assess(seen, policy, world.clock.now(), asked or Overrides())
                # What could not be read is told with each place.
                result = replace(results.unchanged(seen, decision), warnings=results.warnings(seen))
                return Preview(result, decision, destination_states(assessment))
            _settle(seen, decision.settles, world)
    except TwokeyError as error:
        found = assess(seen, policy, world.clock.now(), asked or Overrides()) if seen else None
        return Preview(results.failed(user, error, Effects(), found), places=destination_states(found) if found else ())


def look(
    user: MachineUser, policy: RotationPolicy, world: World, asked: Overrides | None = None, decide: Decide = plan
) -> tuple[Observation, Plan]:
    """Observe and plan. Writes nothing; raises the errors of ``observe``, and ``Refused`` for a wrong clock.

    What another run changes between two of our reads is looked at again.
    """
    for _ in range(LOOKS):
        seen = observe(user, world.iam, world.store, world.destinations, world.own_key, meanwhile=lambda: _go_on(world))
        try:
            return _decide(seen, policy, world, asked, decide)
        except ObservationChanged:
            world.clock.sleep(0.2)
    said = "The keys of this user change faster than they can be read."
    raise Refused(Reason.UNREADABLE, said, state="Nothing was changed.", remedy="Run again.")


def _decide(
    seen: Observation, policy: RotationPolicy, world: World, asked: Overrides | None, decide: Decide
) -> tuple[Observation, Plan]:
    _check_clock(world.clock)
    while True:
        decision = decide(seen, policy, world.clock.now(), asked)
        if not decision.needs:
            return seen, decision
        seen = with_last_use(seen, world.iam, decision.needs)


def _check_clock(clock: Clock) -> None:
    skew = clock.skew()
    if abs(skew) > MOST_SKEW:
        side = "ahead of" if skew > timedelta() else "behind"
        raise Refused(
            Reason.CLOCK_SKEW,
            f"This machine's clock is {durations.show(abs(skew))} {side} AWS's.",
            state="Nothing was changed.",
            remedy="Set the clock (NTP), then run again.",
        )


class _LostTheRace(Conflict):
    """Another run changed something between our look and our write: begin again."""


def _busy(seen: Observation, world: World) -> bool:
    return blocked(world.store, seen.record.journal, world.run, world.clock.now())


def _await_lease(seen: Observation, world: World, patience: float) -> None:
    """Return when the user may be free; raises ``LeaseHeld`` where nobody wants to wait, or not that long.

    Only the journal is read meanwhile: whoever waits must not cost the other run its share of IAM's request rate.
    """
    teller = Reporter(seen.user.name, world.clock, world.listener)
    record, pause = seen.record, SHORTEST_PAUSE
    while (lease := record.journal.lease) and blocked(world.store, record.journal, world.run, world.clock.now()):
        if not world.wait or world.clock.monotonic() > patience:
            raise held_by(lease)
        teller.note("wait", detail=timestamps.utc(lease.until))
        left = (lease.until - world.clock.now()).total_seconds()
        _rest(world, min(pause, max(left, SHORTEST_PAUSE)))
        pause = min(1.5 * pause, LONGEST_PAUSE)
        try:
            record = world.store.load()
        except ServiceError:
            return  # a whole look says better what is wrong


def _settle(seen: Observation, until: datetime, world: World) -> None:
    left = (until - world.clock.now()).total_seconds()
    if left > WORTH_TELLING:
        Reporter(seen.user.name, world.clock, world.listener).note("settle", detail=timestamps.utc(until))
    _rest(world, left)


def _rest(world: World, seconds: float) -> None:
    """Wait; raises ``Stopped`` as soon as the whole run is to stop. Nothing is under way while we wait here."""
    while seconds > 0:
        _go_on(world)
        world.clock.sleep(min(seconds, LONGEST_NAP))
        seconds -= LONGEST_NAP


def _go_on(world: World) -> None:
    """Raise ``Stopped`` where the whole run is to stop."""
    if world.stop.is_set():
        raise Stopped


def _under_lease(
    seen: Observation, policy: RotationPolicy, world: World, asked: Overrides | None, done: Effects, decide: Decide
) -> Result:
    teller = Reporter(seen.user.name, world.clock, world.listener)
    try:
        with teller.effect("lease"):
            ledger = LeasedJournal.take(world.store, world.clock, world.run, seen.user.id, seen.record)
    except (Conflict, LeaseHeld):
        raise _LostTheRace(_RACE, state="Nothing was changed.") from None
    try:
        seen, decision = _look_again(seen, policy, world, asked, ledger, decide)
        if not decision.actions:
            ledger.release()
            return results.unchanged(seen, decision)
        hands = Apply(
            seen,
            policy,
            ledger,
            iam=world.iam,
            sts=world.sts,
            clock=world.clock,
            store=world.store,
            destinations=world.destinations,
            teller=teller,
            done=done,
            stop=world.stop,
        )
        hands.preflight(decision.actions)
        for action in decision.actions:
            hands.perform(action)
        ledger.release()
    except BaseException:
        _give_back(ledger)
        raise
    return results.performed(seen, decision, policy, done, ledger.journal)


def _give_back(ledger: LeasedJournal) -> None:
    """Let the next run begin at once. If that fails, the lease ends by itself."""
    try:
        ledger.release()
    except TwokeyError:
        return


def _look_again(
    seen: Observation,
    policy: RotationPolicy,
    world: World,
    asked: Overrides | None,
    ledger: LeasedJournal,
    decide: Decide,
) -> tuple[Observation, Plan]:
    """Observe and plan under the lease. What was last used a moment ago need not be asked again.

    Raises ``_LostTheRace`` where another run was at work since the first look.
    """
    known = seen.last_used

    def keep_the_lease() -> None:
        _go_on(world)
        ledger.guard()

    seen = observe(
        seen.user,
        world.iam,
        world.store,
        world.destinations,
        world.own_key,
        load=ledger.reread,
        meanwhile=keep_the_lease,
    )
    try:
        seen, decision = _decide(replace(seen, last_used=known), policy, world, asked, decide)
    except ObservationChanged:
        raise _LostTheRace(_RACE, state="Nothing was changed.") from None
    if decision.settles:
        raise _LostTheRace(_RACE, state="Nothing was changed.")
    return seen, decision
