"""The look: observe and plan, without a lease and without writing anything."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from twokey.core import durations
from twokey.core.commands import move_command
from twokey.core.errors import Refused
from twokey.core.reasons import Reason
from twokey.planning.assessment import assess
from twokey.planning.decision import plan
from twokey.planning.plan import Overrides
from twokey.rotation.observe import ObservationChanged, observe, with_last_use
from twokey.rotation.wait import raise_if_stopped

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from twokey.core.journal import Journal
    from twokey.core.model import MachineUser, Observation
    from twokey.core.ports import Clock
    from twokey.planning.assessment import Assessment
    from twokey.planning.plan import Plan
    from twokey.planning.policy import RotationPolicy
    from twokey.rotation.world import World

    Decide = Callable[[Observation, RotationPolicy, datetime, Overrides | None], Plan]
    """Makes a plan of an observation, without touching anything."""

MOST_SKEW = timedelta(seconds=60)
LOOKS = 5
"""How often a look is begun again because something changed."""


@dataclass(frozen=True, slots=True)
class Task:
    """One user's rotation: the user, the rules, the world, what the operator requested, and how the plan is made."""

    user: MachineUser
    policy: RotationPolicy
    world: World
    overrides: Overrides | None = None
    decide: Decide = plan

    def assess(self, observation: Observation) -> Assessment:
        """Sort the keys of an observation into their roles, as of now."""
        return assess(observation, self.policy, self.world.clock.now(), self.overrides or Overrides())


def look(task: Task) -> tuple[Observation, Plan]:
    """Observe and plan. Raises the errors of ``observe``, and ``Refused`` for a wrong clock.

    If another run changes something between two of our reads, we look again.
    """
    world = task.world
    for _ in range(LOOKS):
        observation = observe(
            task.user,
            world.iam,
            world.store,
            world.destinations,
            world.own_key,
            world.identities,
            meanwhile=lambda: raise_if_stopped(world),
        )
        try:
            return decide_on(observation, task)
        except ObservationChanged:
            world.clock.sleep(0.2)
    raise Refused(
        Reason.UNREADABLE,
        "The keys of this user change faster than they can be read.",
        state="Nothing was changed.",
        remedy="Find out what else changes them, or run again later.",
    )


def decide_on(observation: Observation, task: Task) -> tuple[Observation, Plan]:
    """Plan, reading the last uses that the plan needs; raises ``Refused`` for a wrong clock."""
    _check_clock(task.world.clock)
    refuse_moved(task.user.name, observation.store, observation.record.journal)
    while True:
        decision = task.decide(observation, task.policy, task.world.clock.now(), task.overrides)
        if not decision.needs:
            return observation, decision
        observation = with_last_use(observation, task.world.iam, decision.needs)


def refuse_moved(user: str, store: str, journal: Journal) -> None:
    """Raise ``Refused`` for a store that is not the user's any more, or not yet: two stores never rotate one user."""
    if journal.arriving:
        raise Refused(
            Reason.MOVE_UNFINISHED,
            f"A move of {user} from {journal.arriving} to {store} is not finished.",
            state="Nothing was changed.",
            remedy=f"Finish it: {move_command(user, journal.arriving, store)}. Until then, run with {journal.arriving} "
            "as the store; if the command is refused because the user has moved on, with the store that it names.",
        )
    if journal.moved:
        raise Refused(
            Reason.MOVED,
            f"{user} was moved to {journal.moved}: {store} is not its store any more.",
            state="Nothing was changed.",
            remedy=f"Use a configuration with {journal.moved} as the store of {user}. To move it back: "
            f"{move_command(user, journal.moved, store)}.",
        )


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
