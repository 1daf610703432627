"""Every fault at every effect, up to three in a history: enumerated, not sampled.

A history is an initial state, a number of destinations and the faults at numbered effects. Playing one shows how many
effects it has, and so where the next fault can strike: the enumeration is a tree, walked to the end. What comes depends
on nothing but the world between two runs, so histories that meet there, in the same state at the same time, with as
many faults to come, go on as one.
"""

from __future__ import annotations

import gc
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simulation import revoking
from simulation.play import Found, Milestone, play, state_of
from simulation.states import (
    HASTE,
    LAGGING,
    LOCKED,
    PIPELINES,
    STATES,
    THROTTLED,
    UNCONDITIONAL,
    WITH_CURRENT,
    in_fair_weather,
)
from simulation.world import DESTINATION_FAULTS, FAULTS, MORE_FAULTS, Pointless

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from simulation.play import Known
    from simulation.world import World

DESTINATIONS = {"": (1, 2, 3), HASTE: (1, 3), UNCONDITIONAL: (1, 2), LOCKED: (1, 2), THROTTLED: (1, 2), LAGGING: (1, 2)}
"""How many destinations are played, including the store. The second tells what it holds, the third does not."""
Faults = dict[int, str]
Fault = tuple[int, str]


@dataclass
class Proof:
    """What an enumeration found."""

    histories: int = 0
    seconds: float = 0.0
    violations: list[tuple[str, str]] = field(default_factory=list)
    """The id of each history that broke an invariant, and which; the shortest first."""


def identifier(name: str, destinations: int, faults: Faults) -> str:
    """Return the id that repeats a history: ``STATE/DESTINATIONS/EFFECT=FAULT,…``."""
    return f"{name}/{destinations}/{','.join(f'{number}={fault}' for number, fault in faults.items())}"


def parse(text: str) -> tuple[str, int, Faults]:
    """Read an id; raises ``ValueError`` if it is not one."""
    name, destinations, faults = text.rsplit("/", 2)
    if name not in revoking.CASES and in_fair_weather(name) not in {**STATES, **PIPELINES}:
        raise ValueError(f"unknown state {name!r}; the states are: {', '.join((*STATES, *PIPELINES))}")
    pairs = (part.split("=", 1) for part in faults.split(",") if part)
    return name, int(destinations), {int(number): fault for number, fault in pairs}


def _how(name: str) -> Callable[..., World]:
    """Return what plays a history of this name."""
    return revoking.play if name in revoking.CASES else play


@dataclass
class Tree:
    """The histories of one state, and what was found on the way."""

    name: str
    destinations: int
    depth: int
    kinds: tuple[str, ...]
    proof: Proof = field(default_factory=Proof)
    met: dict[Hashable, int] = field(default_factory=dict)
    """The worlds between two runs from which all was played, with that many faults to come."""

    def play(self, faults: Faults, begin: Milestone | None, milestones: list[Milestone] | None) -> list[Fault]:
        """Play one history; return the faults that can come on top, up to where it meets another one."""
        self.proof.histories += 1
        try:
            known = self._known(faults)
            how = _how(self.name)
            world = how(self.name, self.destinations, faults, begin=begin, milestones=milestones, known=known)
        except Pointless:
            self.proof.histories -= 1
            return []
        except Found as found:
            self.proof.violations.append((identifier(self.name, self.destinations, faults), str(found)))
            return []
        return self._next(world, max(faults, default=-1))

    def _next(self, world: World, last: int) -> list[Fault]:
        """Return every fault at every effect after the last one.

        To be killed before an effect, with nothing since the one before it, is to be killed after that one.
        """
        numbers = range(last + 1, world.effects)
        same = {(number, "killed before") for number in numbers if number in world.still and number - 1 > last}
        return [(number, kind) for number in numbers for kind in self.kinds if (number, kind) not in same]

    def _known(self, faults: Faults) -> Known:
        left, last = self.depth - len(faults), max(faults, default=-1)

        def known(number: int, world: World) -> bool:
            if world.effects <= last or world.late:
                return False
            state = (number, state_of(world))
            if self.met.get(state, -1) >= left:
                return True
            self.met[state] = left
            return False

        return known

    def branch(self, faults: Faults, begin: Milestone) -> None:
        """Play a history, then each that has one more fault."""
        if len(faults) >= self.depth:
            self.play(faults, begin, None)
            return
        milestones: list[Milestone] = []
        for number, fault in self.play(faults, begin, milestones):
            self.branch({**faults, number: fault}, _latest(milestones, number))


def enumerate_state(
    name: str, destinations: int, depth: int, first: int = 0, step: int = 1, kinds: tuple[str, ...] = FAULTS
) -> Proof:
    """Play every history of one state with up to ``depth`` faults.

    ``first`` and ``step`` choose a share of the branches at the root, so that several processes share the work.
    """
    tree = Tree(name, destinations, depth, kinds)
    milestones: list[Milestone] = []
    faults = tree.play({}, None, milestones)
    if first:
        tree.proof.histories -= 1  # the history without a fault belongs to the first share
    for number, fault in faults[first::step]:
        tree.branch({number: fault}, _latest(milestones, number))
    return tree.proof


def _latest(milestones: list[Milestone], number: int) -> Milestone:
    """Return the last point between two runs before the effect with this number."""
    return next(one for one in reversed(milestones) if one.world.effects <= number)


Work = tuple[str, int, int, int, int, tuple[str, ...]]
SHARES = 4
PIPELINE_WORK = ((21, 1), (5, 2), (2, 2))
"""Destinations, including the store, and at most how many faults. With five there is one pipeline of each kind."""


def prove(depth: int, workers: int, weather: str = "", kinds: tuple[str, ...] = FAULTS) -> Proof:
    """Enumerate every state with each number of destinations, on several processes; ``weather`` is a state's suffix."""
    shares = [(share, SHARES, kinds) for share in range(SHARES)]
    return _on(
        workers,
        [
            (name + weather, destinations, depth, *one)
            for name in (WITH_CURRENT if weather == LAGGING else STATES)
            for destinations in DESTINATIONS[weather]
            for one in shares
        ],
    )


def prove_pipelines(workers: int) -> Proof:
    """Enumerate what can happen to one pipeline and to four, with up to two faults, and to twenty, with one."""
    shares = [(share, SHARES, DESTINATION_FAULTS) for share in range(SHARES)]
    return _on(workers, [(name, *work, *one) for name in PIPELINES for work in PIPELINE_WORK for one in shares])


def prove_revocations(workers: int, depth: int) -> Proof:
    """Enumerate what can happen to each case of a leaked key, on the store alone and with two other destinations.

    With them, in haste, and without conditions, there is one fault less.
    """
    shares = [(share, SHARES) for share in range(SHARES)]
    others = (*revoking.IN_HASTE, *revoking.WITHOUT_CONDITIONS)
    work: list[Work] = [(name, 1, depth, *one, FAULTS) for name in revoking.PLAIN for one in shares]
    work += [(name, 3, depth - 1, *one, FAULTS) for name in revoking.PLAIN for one in shares]
    work += [(name, 2, depth - 1, *one, MORE_FAULTS) for name in others for one in shares]
    return _on(workers, work)


def _on(workers: int, work: list[Work]) -> Proof:
    began = time.monotonic()
    whole = Proof()
    with ProcessPoolExecutor(workers, initializer=gc.disable) as pool:
        for part in pool.map(_one, work):
            whole.histories += part.histories
            whole.violations += part.violations
    whole.violations.sort(key=lambda found: (found[0].count("="), len(found[0])))
    whole.seconds = time.monotonic() - began
    return whole


def _one(work: Work) -> Proof:
    return enumerate_state(*work)


def table(name: str, destinations: int, faults: Faults) -> str:
    """Play a history once more and return it as a table, step by step, with what it breaks."""
    try:
        world, verdict = _how(name)(name, destinations, faults, recording=True), "no invariant is broken"
    except Found as found:
        world, verdict = found.world, str(found)
    rows = [f"{'effect':>6}  {'run':<7} {'what':<22} {'fault':<13} state afterwards"]
    rows += [f"{s.number:>6}  {s.run:<7} {s.what:<22} {s.fault or '-':<13} {s.state}" for s in world.steps]
    return "\n".join([*rows, f"Verdict: {verdict}"])
