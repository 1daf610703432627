"""Every fault at every effect, up to three in a history: enumerated, not sampled.

A history is an initial state, a number of places and the faults at numbered effects. Playing one tells how many
effects it has, and so where the next fault can strike: the enumeration is a tree, walked to the end.
"""

from __future__ import annotations

import gc
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from simulation.play import Found, Milestone, play
from simulation.states import BLIND, HASTE, STATES
from simulation.world import FAULTS

PLACES = (1, 2, 3)
Faults = dict[int, str]


@dataclass
class Proof:
    """What an enumeration found."""

    histories: int = 0
    seconds: float = 0.0
    violations: list[tuple[str, str]] = field(default_factory=list)
    """The id of each history that broke an invariant, and which; the shortest first."""


def identifier(name: str, places: int, faults: Faults) -> str:
    """Return the id that repeats a history: ``STATE/PLACES/EFFECT=FAULT,…``."""
    return f"{name}/{places}/{','.join(f'{number}={fault}' for number, fault in faults.items())}"


def parse(text: str) -> tuple[str, int, Faults]:
    """Read an id; raises ``ValueError`` where it is none."""
    name, places, faults = text.rsplit("/", 2)
    if name.removesuffix(BLIND).removesuffix(HASTE) not in STATES:
        raise ValueError(f"no state is called {name!r}; there are: {', '.join(STATES)}")
    pairs = (part.split("=", 1) for part in faults.split(",") if part)
    return name, int(places), {int(number): fault for number, fault in pairs}


def enumerate_state(
    name: str, places: int, depth: int, first: int = 0, step: int = 1, kinds: tuple[str, ...] = FAULTS
) -> Proof:
    """Play every history of one state with up to ``depth`` faults.

    ``first`` and ``step`` choose a share of the branches at the root, so that several processes share the work.
    """
    proof = Proof()
    milestones: list[Milestone] = []
    effects = _play(proof, name, places, {}, None, milestones)
    if first:
        proof.histories -= 1  # the history without a fault belongs to the first share
    for number, fault in [(number, fault) for number in range(effects) for fault in kinds][first::step]:
        _branch(proof, name, places, {number: fault}, depth, _latest(milestones, number), kinds)
    return proof


def _branch(
    proof: Proof, name: str, places: int, faults: Faults, depth: int, begin: Milestone, kinds: tuple[str, ...]
) -> None:
    milestones: list[Milestone] = []
    effects = _play(proof, name, places, faults, begin, milestones)
    if len(faults) >= depth:
        return
    for number in range(max(faults) + 1, effects):
        for fault in kinds:
            _branch(proof, name, places, {**faults, number: fault}, depth, _latest(milestones, number), kinds)


def _latest(milestones: list[Milestone], number: int) -> Milestone:
    """Return the last point between two runs before the effect with this number."""
    return next(one for one in reversed(milestones) if one.world.effects <= number)


def _play(
    proof: Proof, name: str, places: int, faults: Faults, begin: Milestone | None, milestones: list[Milestone]
) -> int:
    proof.histories += 1
    try:
        return play(name, places, faults, begin=begin, milestones=milestones).effects
    except Found as found:
        proof.violations.append((identifier(name, places, faults), str(found)))
        return 0


def prove(depth: int, workers: int, weather: str = "", kinds: tuple[str, ...] = FAULTS) -> Proof:
    """Enumerate every state with one, two and three places, on several processes; ``weather`` is a state's suffix."""
    began = time.monotonic()
    shares = 4
    work = [
        (name + weather, places, depth, share, shares, kinds)
        for name in STATES
        for places in PLACES
        for share in range(shares)
    ]
    whole = Proof()
    with ProcessPoolExecutor(workers, initializer=gc.disable) as pool:
        for part in pool.map(_one, work):
            whole.histories += part.histories
            whole.violations += part.violations
    whole.violations.sort(key=lambda found: (found[0].count("="), len(found[0])))
    whole.seconds = time.monotonic() - began
    return whole


def _one(work: tuple[str, int, int, int, int, tuple[str, ...]]) -> Proof:
    return enumerate_state(*work)


def table(name: str, places: int, faults: Faults) -> str:
    """Play a history once more and return it as a table, step by step, with what it breaks."""
    try:
        world, verdict = play(name, places, faults, recording=True), "no invariant is broken"
    except Found as found:
        world, verdict = found.world, str(found)
    rows = [f"{'effect':>6}  {'run':<7} {'what':<22} {'fault':<13} state afterwards"]
    rows += [f"{s.number:>6}  {s.run:<7} {s.what:<22} {s.fault or '-':<13} {s.state}" for s in world.steps]
    return "\n".join([*rows, f"Verdict: {verdict}"])
