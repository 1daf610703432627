"""One history: an initial state, faults at numbered effects, and runs until the work is done."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from simulation.judge import Violation, at_the_end, judging
from simulation.states import initial
from simulation.world import LAG, USER, Clock, Iam, Killed, SimulatedDestination, Sts, World, copy_of, store_of
from twokey.core.journal import Lease
from twokey.rotation import lease as leases
from twokey.rotation import rotate, wait
from twokey.rotation.world import World as RotationWorld

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator
    from datetime import datetime

    from simulation.world import Key
    from twokey.planning.policy import RotationPolicy
    from twokey.rotation.results import Result

if TYPE_CHECKING:
    Known = Callable[[int, World], bool]
    """Says, before the run with that number, whether all that follows was played already."""

MOST_RUNS = 60
BETWEEN = timedelta(minutes=5)
AT_ONCE = timedelta(seconds=1)
SOON = timedelta(seconds=40)
A_SOAK_LATER = timedelta(days=3)
A_PERIOD_LATER = timedelta(days=16)


class Found(Exception):
    """A history that breaks an invariant, with the world in which it did."""

    def __init__(self, violation: Violation, world: World) -> None:
        super().__init__(str(violation))
        self.world = world


def outside_of(world: World, run: str) -> RotationWorld:
    """Return all that a run touches."""
    names = [name for name in world.held if name != "store" and name not in world.elsewhere]
    edge: Any = Iam(world, run)
    return RotationWorld(
        iam=edge,
        sts=Sts(world),
        clock=Clock(world),
        store=store_of(world, run),
        destinations=tuple(SimulatedDestination(world, run, name) for name in names),
        identities=world.identities,
        run=run,
    )


def one_run(world: World, policy: RotationPolicy, run: str) -> Result | None:
    """Run twokey once as a process of its own; None where it was killed."""
    try:
        return rotate.rotate(USER, policy, outside_of(world, run))
    except Killed:
        return None


@dataclass(slots=True)
class Milestone:
    """The world between two runs: histories that differ only later can continue from here."""

    run: int
    world: World


def play(
    name: str,
    destinations: int,
    faults: dict[int, str],
    *,
    recording: bool = False,
    begin: Milestone | None = None,
    milestones: list[Milestone] | None = None,
    known: Known = lambda _number, _world: False,
) -> World:
    """Play a history to its end; raises ``Found`` where an invariant is broken on the way or at the end.

    ``begin`` continues from a milestone of a history with the same faults up to there; ``milestones`` collects them.
    If what follows a milestone is ``known``, the history ends there.
    """
    start, policy = initial(name, destinations)
    begin = begin or Milestone(0, start)
    world = copy_of(begin.world, faults=faults, judge=judging(policy, start), recording=recording)
    with virtual_leases(world):
        try:
            _until_done(world, policy, begin.run, milestones, known)
        except Violation as violation:
            raise Found(violation, world) from None
    return world


def state_of(world: World) -> Hashable:
    """Return all that what follows depends on, between two runs with nothing under way.

    The name of a key that is yet to be created changes nothing.
    """
    return (
        world.now,
        world.journal,
        world.journal_revision,
        world.credential_revision,
        world.calm_runs,
        tuple(_state_of(key) for key in world.keys.values()),
        tuple(world.held.items()),
        tuple(world.secrets_at.items()),
        world.expired_until,
        tuple(sorted(world.deleted)),
        tuple(world.stamps.items()),
        tuple(world.held_until.items()),
        tuple((_state_of(key), at) for key, at in world.gone.values()),
        tuple(sorted(world.dead)),
        (world.lock.epoch, world.lock.lease) if world.lock else None,
    )


def _state_of(key: Key) -> Hashable:
    return (
        key.id,
        key.created,
        key.active,
        key.works,
        key.unmanaged,
        key.ever_held,
        key.inactive_since,
        key.last_used,
        key.used_for,
    )


def _until_done(
    world: World,
    policy: RotationPolicy,
    first: int,
    milestones: list[Milestone] | None,
    known: Known,
) -> None:
    for number in range(first, MOST_RUNS):
        if milestones is not None:
            milestones.append(Milestone(number, copy_of(world)))
        if known(number, world):
            return
        before, token_renewed = world.effects, world.now >= world.expired_until
        result = one_run(world, policy, f"run {number + 1}")
        undisturbed = token_renewed and not any(before <= fault < world.effects for fault in world.faults)
        world.calm_runs = world.calm_runs + 1 if undisturbed else 0
        soon, calm = (SOON, 8) if world.lag > LAG else (AT_ONCE, 2)
        if world.hasty and world.calm_runs < calm:
            world.now += soon
            continue
        world.now += BETWEEN
        # In haste two undisturbed runs may still meet what lags; the one after a pause is judged.
        if result is None or not undisturbed or (world.hasty and world.calm_runs == calm):
            continue
        if result.reason in ("soak", "soaking"):
            world.now += A_SOAK_LATER
            continue
        if world.elsewhere and result.reason == "out_of_date":
            world.now += A_PERIOD_LATER
            continue
        if result.reason == "contested" and result.outcome == "failed" and world.contested:
            continue  # CURRENT was delivered there again; the next run finds it there
        at_the_end(world, result.outcome.value, result.reason.value)
        return
    raise Violation(f"I4: not done after {MOST_RUNS} runs")


@contextmanager
def virtual_leases(world: World, *, naps: bool = False) -> Iterator[None]:
    """Let leases name virtual processes: a killed run is dead, and the kernel is not asked.

    And let a run that waits sleep once, without ``naps``: nothing else runs meanwhile, and nothing stops it.
    """
    real = leases.take, leases.is_dead, wait.LONGEST_NAP, wait.LONGEST_PAUSE

    def take(run: str, now: datetime) -> Lease:
        return Lease(run=run, host="host", process=1, start="1", until=now + leases.LENGTH)

    leases.take, leases.is_dead = take, lambda lease: lease.run in world.dead
    if not naps:
        wait.LONGEST_NAP = wait.LONGEST_PAUSE = math.inf
    try:
        yield
    finally:
        leases.take, leases.is_dead, wait.LONGEST_NAP, wait.LONGEST_PAUSE = real
