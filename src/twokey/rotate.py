"""One machine user's rotation, from the first look to the result. Read this first.

    look        observe and plan without a lease; where nothing is due, this is all, and nothing is written
    lease       take the user for this run; another run that holds it is waited for
    observe     again, under the lease; an open intent is given time to show in the list
    plan        again: only this decision counts
    preflight   prove that what is to come is allowed
    apply       perform the actions, in order

Whatever interrupts this, IAM and the store hold the truth, and the next run goes on from them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from twokey import lease as leases
from twokey import results
from twokey.actions import Asked
from twokey.apply import Apply, Done
from twokey.errors import Conflict, LeaseHeld, Refused, TwokeyError
from twokey.events import Listener, Teller, ignore
from twokey.ledger import Ledger, held_by
from twokey.observe import Moved, observe, with_last_use
from twokey.plan import plan
from twokey.reasons import Reason
from twokey.roles import sort

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from twokey.actions import Plan
    from twokey.destinations.base import Destination, Store
    from twokey.model import MachineUser, Observation
    from twokey.policy import Policy
    from twokey.ports import Clock, Iam, Sts
    from twokey.results import Result

MOST_SKEW = timedelta(seconds=60)
LOOKS = 5
"""How often a look is begun again because something moved."""
LONGEST_WAIT = 600.0
"""Seconds after which a run stops waiting for other runs."""


@dataclass(frozen=True, slots=True)
class World:
    """Everything outside that one user's rotation touches."""

    iam: Iam
    sts: Sts
    clock: Clock
    store: Store
    destinations: Sequence[Destination] = ()
    own_key: str = ""
    run: str = "run"
    listener: Listener = ignore
    wait: bool = True


def rotate(user: MachineUser, policy: Policy, world: World, asked: Asked | None = None) -> Result:
    """Rotate one user if a rotation is due. Never raises a ``TwokeyError``: every end is a result."""
    done, seen = Done(), None
    try:
        patience = world.clock.monotonic() + LONGEST_WAIT
        while True:
            seen, decision = look(user, policy, world, asked)
            if _busy(seen, world):
                _wait(seen, world, patience)
                continue
            if not decision.actions:
                return results.rested(seen, decision)
            try:
                return _under_lease(seen, policy, world, asked, done)
            except LeaseHeld:
                _wait(seen, world, patience)
            except _LostTheRace:
                if world.clock.monotonic() > patience:
                    raise
                world.clock.sleep(0.2)
    except TwokeyError as error:
        case = sort(seen, policy, world.clock.now(), asked or Asked()) if seen else None
        return results.failed(user, error, done, case)


def look(user: MachineUser, policy: Policy, world: World, asked: Asked | None = None) -> tuple[Observation, Plan]:
    """Observe and plan. Writes nothing; raises the errors of ``observe``, and ``Refused`` for a wrong clock.

    What another run changes between two of our reads is looked at again.
    """
    for _ in range(LOOKS):
        seen = observe(user, world.iam, world.store, world.destinations, world.own_key)
        try:
            return _decide(seen, policy, world, asked)
        except Moved:
            world.clock.sleep(0.2)
    said = "The keys of this user change faster than they can be read."
    raise Refused(Reason.UNREADABLE, said, state="Nothing was changed.", remedy="Run again.")


def _decide(seen: Observation, policy: Policy, world: World, asked: Asked | None) -> tuple[Observation, Plan]:
    _check_clock(world.clock)
    while True:
        decision = plan(seen, policy, world.clock.now(), asked)
        if not decision.needs:
            return seen, decision
        seen = with_last_use(seen, world.iam, decision.needs)


def _check_clock(clock: Clock) -> None:
    skew = clock.skew()
    if abs(skew) > MOST_SKEW:
        seconds = skew.total_seconds()
        raise Refused(
            Reason.CLOCK_SKEW,
            f"This machine's clock is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} AWS's.",
            state="Nothing was changed.",
            remedy="Set the clock (NTP), then run again.",
        )


class _LostTheRace(Conflict):
    """Another run took the lease between our look and our write."""


def _busy(seen: Observation, world: World) -> bool:
    return leases.blocks(seen.record.journal.lease, world.run, world.clock.now())


def _wait(seen: Observation, world: World, patience: float) -> None:
    held = seen.record.journal.lease
    if held is None:
        world.clock.sleep(0.2)
        return
    until = _clock_time(held.until)
    if not world.wait or world.clock.monotonic() > patience:
        raise held_by(until, held.host, held.process)
    Teller(seen.user.name, world.clock, world.listener).note("wait", detail=until)
    world.clock.sleep(min(1.0, max(0.1, (held.until - world.clock.now()).total_seconds())))


def _under_lease(seen: Observation, policy: Policy, world: World, asked: Asked | None, done: Done) -> Result:
    teller = Teller(seen.user.name, world.clock, world.listener)
    try:
        with teller.effect("lease"):
            ledger = Ledger.take(world.store, world.clock, world.run, seen.user.id, seen.record)
    except Conflict:
        raise _LostTheRace("Other runs keep writing this user's journal.", state="Nothing was changed.") from None
    try:
        try:
            seen, decision = _look_again(seen, policy, world, asked, ledger)
        except Moved:
            raise _LostTheRace("Other runs keep writing this user's journal.", state="Nothing was changed.") from None
        if not decision.actions:
            ledger.release()
            return results.rested(seen, decision)
        hands = Apply(
            seen.user,
            policy,
            ledger,
            iam=world.iam,
            sts=world.sts,
            clock=world.clock,
            store=world.store,
            destinations=world.destinations,
            teller=teller,
            done=done,
        )
        hands.preflight(decision.actions)
        for action in decision.actions:
            hands.perform(action)
        ledger.release()
    except BaseException:
        _give_back(ledger)
        raise
    return results.performed(seen, decision, policy, done, ledger.journal)


def _give_back(ledger: Ledger) -> None:
    """Let the next run begin at once. If that fails, the lease ends by itself."""
    try:
        ledger.release()
    except TwokeyError:
        return


def _look_again(
    seen: Observation, policy: Policy, world: World, asked: Asked | None, ledger: Ledger
) -> tuple[Observation, Plan]:
    """Observe and plan under the lease. What was last used a moment ago need not be asked again."""
    intent = ledger.journal.intent
    if intent is not None and policy.settle:
        until = intent.at + policy.settle
        left = (until - world.clock.now()).total_seconds()
        if left > 0:
            Teller(seen.user.name, world.clock, world.listener).note("settle", detail=_clock_time(until))
            world.clock.sleep(left)
    known = seen.last_used
    seen = observe(seen.user, world.iam, world.store, world.destinations, world.own_key, load=ledger.reread)
    return _decide(replace(seen, last_used=known), policy, world, asked)


def _clock_time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
