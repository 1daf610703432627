"""One machine user's rotation, from the first look to the result. Read this first.

    look        observe and plan without a lease; if nothing is due, this is all, and nothing is written
    wait        another run holds the lease, or a key was created a moment ago and the list may not show it yet
    lease       take the user for this run
    observe     again, under the lease
    plan        again: only this decision counts
    preflight   prove that what is to come is allowed; where the lease would create the store, before it, too
    before      the operator's program, if there is one
    apply       perform the actions, in order
    after       the operator's program, if there is one; it runs until it has succeeded once

Whatever interrupts this, IAM and the store hold the truth, and the next run continues from them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from twokey.core.errors import Conflict, LeaseHeld, TwokeyError
from twokey.core.events import Reporter
from twokey.planning.decision import plan
from twokey.rotation import claims, hooks, results
from twokey.rotation.apply import Apply
from twokey.rotation.hooks import Around
from twokey.rotation.leased_journal import LeasedJournal
from twokey.rotation.look import Task, decide_on, look
from twokey.rotation.observe import ObservationChanged, observe
from twokey.rotation.results import Effects
from twokey.rotation.wait import await_lease, is_busy, pause, raise_if_stopped, settle

if TYPE_CHECKING:
    from twokey.core.model import MachineUser, Observation
    from twokey.planning.plan import Overrides, Plan
    from twokey.planning.policy import RotationPolicy
    from twokey.rotation.look import Decide
    from twokey.rotation.results import Result
    from twokey.rotation.world import World

LONGEST_WAIT = 600.0
"""Seconds after which a run stops waiting for other runs."""


def rotate(
    user: MachineUser, policy: RotationPolicy, world: World, overrides: Overrides | None = None, decide: Decide = plan
) -> Result:
    """Rotate one user if a rotation is due. Never raises a ``TwokeyError``: every end is a result.

    ``decide`` makes the plan; every other step is the same, whatever is decided.
    """
    task, effects, observation = Task(user, policy, world, overrides, decide), Effects(), None
    around = Around(world, Reporter(user.name, world.clock, world.listener))
    deadline = world.clock.monotonic() + LONGEST_WAIT
    try:
        while True:
            observation, decision = look(task)
            if is_busy(observation, world):
                await_lease(observation, world, deadline)
            elif decision.settles:
                settle(observation, decision.settles, world)
            elif not decision.actions and not hooks.due(world, observation.record.journal):
                return results.unchanged(observation, decision)
            else:
                try:
                    _check_before_creating(task, observation, decision, effects)
                    return around.on_failure(_under_lease(task, observation, effects, around))
                except _LostTheRace:
                    if world.clock.monotonic() > deadline:
                        raise
                    pause(world, 0.2)
    except TwokeyError as error:
        assessment = task.assess(observation) if observation else None
        claims.checked(error, effects, world.store.name)
        return around.on_failure(results.failed(user, error, effects, assessment))


class _LostTheRace(Conflict):
    """Another run changed something between our look and our write: begin again."""

    def __init__(self) -> None:
        super().__init__(
            "Other runs keep writing this user's journal.", state="Nothing was changed.", remedy="Run again later."
        )


def _under_lease(task: Task, observation: Observation, effects: Effects, around: Around) -> Result:
    world = task.world
    reporter = Reporter(task.user.name, world.clock, world.listener)
    try:
        with reporter.effect("lease"):
            leased = claims.leased(
                effects,
                observation.record,
                lambda: LeasedJournal.take(world.store, world.clock, world.run, task.user.id, observation.record),
            )
    except (Conflict, LeaseHeld):
        raise _LostTheRace from None
    try:
        observation, decision = _look_again(task, observation, leased)
        apply = Apply(observation, task.policy, leased, world, reporter, effects)
        apply.preflight(decision.actions)
        around.before(observation, decision, leased)
        for action in decision.actions:
            apply.perform(action)
        result = results.performed(observation, decision, task.policy, effects, leased.journal)
        return around.after(result, leased)
    except BaseException:
        _give_back(leased)
        raise


def _check_before_creating(task: Task, observation: Observation, decision: Plan, effects: Effects) -> None:
    """Where the lease would create the journal, prove first that the writes to come are allowed; raises ``Refused``.

    A run that is refused leaves no empty store behind. Where the journal exists, all this is asked under the lease.
    """
    if observation.record.journal.epoch:
        return
    world = task.world
    untaken = LeasedJournal.untaken(world.store, world.clock, world.run, observation.record)
    reporter = Reporter(task.user.name, world.clock, world.listener)
    apply = Apply(observation, task.policy, untaken, world, reporter, effects)
    apply.preflight(decision.actions, lambda _left: raise_if_stopped(world))


def _give_back(leased: LeasedJournal) -> None:
    """Let the next run begin at once. If that fails, the lease ends by itself."""
    try:
        leased.release()
    except TwokeyError:
        return


def _look_again(task: Task, before: Observation, leased: LeasedJournal) -> tuple[Observation, Plan]:
    """Observe and plan under the lease. The last uses that were read a moment ago are not read again.

    Raises ``_LostTheRace`` if another run was at work since the first look.
    """
    world = task.world

    def keep_the_lease() -> None:
        raise_if_stopped(world)
        leased.guard()

    observation = observe(
        task.user,
        world.iam,
        world.store,
        world.destinations,
        world.own_key,
        world.identities,
        load=leased.reread,
        meanwhile=keep_the_lease,
    )
    try:
        observation, decision = decide_on(replace(observation, last_used=before.last_used), task)
    except ObservationChanged:
        raise _LostTheRace from None
    if decision.settles:
        raise _LostTheRace
    return observation, decision
