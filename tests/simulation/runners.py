"""Two and three runners at once on one user: at each effect a seeded scheduler chooses which one continues.

Each runner is a thread, but only one runs at a time: it yields before every effect. A runner may be paused for longer
than its lease lasts, and continue when another one has taken over.
"""

from __future__ import annotations

import gc
import random
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from simulation.judge import Violation, at_the_end, judging
from simulation.play import Found, one_run, virtual_leases
from simulation.prove import Proof
from simulation.revoking import PLAIN, at_the_end_of_all, judging_leak, one_revocation, start_of
from simulation.states import PIPELINES, STATES, initial
from simulation.world import Change, Killed, World, copy_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.planning.policy import RotationPolicy

PAUSES = (0.0, 0.0, 0.0, 1.0, 40.0, 200.0)
"""Seconds that pass while another runner continues; the last is longer than a lease."""


TO_THE_STORE = ("lease", "journal", "store", "fence")
"""The effects in a store."""


class Baton:
    """Lets exactly one runner continue, chosen by seed at every effect."""

    def __init__(self, names: list[str], choose: random.Random) -> None:
        self._turns = {name: threading.Semaphore(0) for name in names}
        self._alive = list(names)
        self._choose = choose
        self.done = threading.Semaphore(0)

    def pass_on(self) -> None:
        """Give the turn to one of the runners that are left, or end."""
        if self._alive:
            self._turns[self._choose.choice(self._alive)].release()
        else:
            self.done.release()

    def wait(self, name: str) -> None:
        """Wait for this runner's turn."""
        self._turns[name].acquire()

    def offer(self, name: str) -> None:
        """Let the scheduler choose which runner continues; return when it is this one's turn again."""
        chosen = self._choose.choice(self._alive)
        if chosen != name:
            self._turns[chosen].release()
            self.wait(name)

    def leave(self, name: str) -> None:
        """End; the others share the turns."""
        self._alive.remove(name)
        self.pass_on()


@dataclass(slots=True)
class Shared(World):
    """A world in which every effect waits for its turn."""

    baton: Baton | None = None
    choose: random.Random | None = None

    def effect(self, run: str, what: str, key_id: str, change: Change) -> None:
        """Yield, perhaps let time pass, and act when it is this runner's turn again.

        ``CreateAccessKey`` is sent right after the lease was checked: IAM has no fence, so a process that is paused
        just between the two for longer than its lease is outside of what is proved.
        """
        if what != "create" and not (self.locked and what in TO_THE_STORE):
            self._yield(run)
        World.effect(self, run, what, key_id, change)

    def between(self, run: str) -> None:
        """Yield before the lock is read. A request to the store is sent right after that, as a creation is."""
        self._yield(run)

    def _yield(self, run: str) -> None:
        if self.baton and self.choose:
            self.baton.offer(run)
            self.now += timedelta(seconds=self.choose.choice(PAUSES))


def schedule(name: str, destinations: int, runners: int, seed: int) -> None:
    """Play one schedule, then one undisturbed run; raises ``Found`` where an invariant is broken."""
    choose = random.Random(seed)
    start, policy = initial(name, destinations)
    names = [f"runner {number + 1}" for number in range(runners)]
    faults = {choose.randrange(12): choose.choice(("lost", "killed before", "killed after"))} if seed % 2 else {}
    plain = copy_of(start, faults=faults, judge=judging(policy, start))
    world = Shared(
        **{slot: getattr(plain, slot) for slot in World.__slots__}, baton=Baton(names, choose), choose=choose
    )
    with virtual_leases(world):
        trouble = run_all(world, names, lambda name: one_run(world, policy, name))
        try:
            if trouble:
                raise trouble[0]
            world.baton = None
            world.faults = {}
            _undisturbed(world, policy)
        except Violation as violation:
            raise Found(violation, world) from None


def run_all(world: Shared, names: list[str], one: Callable[[str], object]) -> list[Violation]:
    """Let all runners do their work at once; return what they broke."""
    trouble: list[Violation] = []
    baton = world.baton
    assert baton

    def work(name: str) -> None:
        baton.wait(name)
        try:
            one(name)
        except Violation as violation:
            trouble.append(violation)
        except Killed:
            pass
        finally:
            baton.leave(name)

    threads = [threading.Thread(target=work, args=(name,), daemon=True) for name in names]
    for thread in threads:
        thread.start()
    baton.pass_on()
    baton.done.acquire()
    for thread in threads:
        thread.join()
    return trouble


def schedule_revocation(name: str, runners: int, seed: int) -> None:
    """Play one schedule of a rotation and one or two revocations at once, then undisturbed ones."""
    choose, case = random.Random(seed), PLAIN[name]
    start, policy = start_of(case, 2)
    names = [("rotation", "revocation", "another revocation")[number] for number in range(runners)]
    faults = {choose.randrange(12): choose.choice(("lost", "killed before", "killed after"))} if seed % 2 else {}
    plain = copy_of(start, faults=faults, judge=judging_leak(policy, start, case, alone=False))
    slots = {slot: getattr(plain, slot) for slot in World.__slots__}
    world = Shared(**slots, baton=Baton(names, choose), choose=choose)

    def one(runner: str) -> object:
        rotates = runner == "rotation"
        return one_run(world, policy, runner) if rotates else one_revocation(world, policy, runner, case)

    with virtual_leases(world):
        trouble = run_all(world, names, one)
        try:
            if trouble:
                raise trouble[0]
            world.baton, world.faults = None, {}
            at_the_end_of_all(world, policy, case)
        except Violation as violation:
            raise Found(violation, world) from None


def _undisturbed(world: World, policy: RotationPolicy) -> None:
    for number in range(4):
        world.now += timedelta(minutes=5)
        result = one_run(world, policy, f"last {number}")
        assert result
        if result.reason in ("soak", "soaking"):
            world.now += timedelta(days=3)
            continue
        if result.reason == "contested" and result.outcome == "failed" and world.contested:
            continue  # CURRENT was delivered there again; the next run finds it there
        at_the_end(world, result.outcome.value, result.reason.value)
        return
    raise Violation("I4: not done after four undisturbed runs")


def race(schedules: int, workers: int, first_seed: int = 0) -> Proof:
    """Play that many schedules over all states, on several processes."""
    return _raced(_share, schedules, workers, first_seed)


def _raced(share: Callable[[tuple[int, int]], Proof], schedules: int, workers: int, first_seed: int = 0) -> Proof:
    began = time.monotonic()
    whole = Proof()
    size = max(1, schedules // (workers * 8))
    starts = range(first_seed, first_seed + schedules, size)
    with ProcessPoolExecutor(workers, initializer=gc.disable) as pool:
        for part in pool.map(share, [(start, min(size, first_seed + schedules - start)) for start in starts]):
            whole.histories += part.histories
            whole.violations += part.violations
    whole.seconds = time.monotonic() - began
    return whole


def race_revocations(schedules: int, workers: int) -> Proof:
    """Play that many schedules of revocations beside rotations, over all cases."""
    return _raced(_share_of_revocations, schedules, workers)


def _share_of_revocations(work: tuple[int, int]) -> Proof:
    proof, names = Proof(), list(PLAIN)
    for seed in range(work[0], work[0] + work[1]):
        name, runners = names[seed % len(names)], 2 + (seed // 3) % 2
        proof.histories += 1
        try:
            schedule_revocation(name, runners, seed)
        except Found as found:
            proof.violations.append((f"{name}, {runners} runners, seed {seed}", str(found)))
    return proof


def _share(work: tuple[int, int]) -> Proof:
    proof = Proof()
    names = [*STATES, *PIPELINES]
    for seed in range(work[0], work[0] + work[1]):
        name, destinations, runners = names[seed % len(names)], 1 + seed % 3, 2 + (seed // 3) % 2
        destinations += 2 if name in PIPELINES else 0
        proof.histories += 1
        try:
            schedule(name, destinations, runners, seed)
        except Found as found:
            proof.violations.append(
                (f"{name}, {destinations} destinations, {runners} runners, seed {seed}", str(found))
            )
    return proof
