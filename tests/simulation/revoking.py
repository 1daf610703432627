"""A key has leaked: revoked under every fault at every effect; ``revoke`` or ``rotate`` finishes what is left.

What must hold besides I1 to I8 for every key that has not leaked:

- L1 A leaked key that was Inactive once is never Active again.
- L2 A leaked key is deleted only while it is Inactive.
- L3 No destination gets a leaked key after it was made Inactive.
- L4 At the end of an undisturbed run, every leaked key is Inactive or gone, and every destination holds one key that
  works and has not leaked; or there is no room for another key, and the run says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import msgspec

from simulation.judge import Violation, judging
from simulation.play import (
    A_SOAK_LATER,
    AT_ONCE,
    BETWEEN,
    MOST_RUNS,
    Found,
    Milestone,
    one_run,
    outside_of,
    virtual_leases,
)
from simulation.states import HASTE, UNCONDITIONAL, ago, initial
from simulation.world import USER, Killed, World, copy_of, destination_of
from twokey.core.errors import TwokeyError
from twokey.core.journal import Delivery, Journal
from twokey.core.reasons import Outcome, Reason, Revocation
from twokey.revocation.contain import contain
from twokey.revocation.decision import Leak
from twokey.revocation.results import RevokeResult
from twokey.revocation.revoke import PROGRESS, revoke

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from simulation.play import Known
    from twokey.planning.policy import RotationPolicy
    from twokey.rotation.results import Result

FRESH = "two keys, rotated yesterday"


@dataclass(frozen=True, slots=True)
class Case:
    """What leaked, and what the operator wants. ``rotates``: a schedule finishes what the first command left."""

    state: str
    leaked: tuple[str, ...]
    delete: bool
    rotates: bool

    def __str__(self) -> str:
        after = "rotated" if self.rotates else "revoked again"
        return f"{self.state}: {' and '.join(self.leaked)} leaked{', deleted' if self.delete else ''}, {after}"


def _cases(states: Mapping[str, Sequence[tuple[str, ...]]], weather: str = "") -> dict[str, Case]:
    cases = (
        Case(state + weather, leaked, delete, rotates)
        for state, leaks in states.items()
        for leaked, delete, rotates in product(leaks, (False, True), (False, True))
    )
    return {str(case): case for case in cases}


LAST, CURRENT, BOTH = ("K1",), ("K2",), ("K1", "K2")
STATES = {
    "one key, stored": (("K1",),),
    "two keys": (LAST, CURRENT, BOTH),
    FRESH: (LAST, CURRENT, BOTH),
    "an unmanaged key": (CURRENT, ("K9",)),
    "interrupted, with an orphan": (CURRENT, ("N0",)),
    "two keys, with soak": (CURRENT,),
}
PLAIN = _cases(STATES)
IN_HASTE = _cases({"two keys": (LAST, CURRENT), FRESH: (CURRENT,)}, HASTE)
WITHOUT_CONDITIONS = _cases({"two keys": (CURRENT,), "one key, stored": (("K1",),)}, UNCONDITIONAL)
CASES = {**PLAIN, **IN_HASTE, **WITHOUT_CONDITIONS}


def start_of(case: Case, destinations: int) -> tuple[World, RotationPolicy]:
    """Return the world in which a case begins."""
    world, policy = initial(case.state.replace(FRESH, "two keys"), destinations)
    if world.journal and "third" in world.held:
        _record(world, delivered={"third": Delivery(world.held["third"], ago(16))})
    if case.state.startswith(FRESH):
        _record(world, committed=ago(1))
        world.keys["K2"].created, world.held_until["K1"] = ago(1), ago(1)
    return world, policy


def _record(world: World, **changes: Any) -> None:
    world.journal = msgspec.structs.replace(Journal.decode(world.journal), **changes).encode()


def judging_leak(
    policy: RotationPolicy, start: World, case: Case, *, alone: bool = True
) -> Callable[[World, str, str], None]:
    """Return the judge of a case: L1 to L3 for the keys that leaked, everything else for the others.

    Not ``alone``: a rotation may remove, or deliver, a key that has not been stopped yet when it looks at it.
    """
    others = judging(policy, start, case.leaked)

    def judge(world: World, what: str, key_id: str) -> None:
        stopped = {one for one in case.leaked if one in world.keys and world.keys[one].inactive_since}
        again = [one for one in stopped if world.keys[one].active]
        if again:
            raise Violation(f"L1: {again} is Active again")
        key = world.keys.get(key_id)
        if alone and what == "about to delete" and key_id in case.leaked and key and key.active:
            raise Violation(f"L2: {key_id} is deleted while it is Active")
        if alone and key_id in stopped and (what == "store" or destination_of(what)):
            raise Violation(f"L3: {what} gets {key_id} after it was made Inactive")
        others(world, what, key_id)

    return judge


def one_revocation(
    world: World, policy: RotationPolicy, run: str, case: Case, *, wait: bool = True
) -> RevokeResult | None:
    """Run ``revoke`` once as a process of its own; None where it was killed, or could not contain a key."""
    outside = replace(outside_of(world, run), wait=wait)
    try:
        contained = [contain(USER.name, key_id, outside.iam, outside.clock) for key_id in case.leaked]
        leak = Leak({one.key_id: one.at for one in contained}, delete=case.delete)
        return revoke(USER, policy, outside, leak, contained)
    except (Killed, TwokeyError):
        return None


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
    """Play a history to its end, as ``simulation.play.play`` does; raises ``Found``."""
    case = CASES[name]
    start, policy = start_of(case, destinations)
    begin = begin or Milestone(0, start)
    world = copy_of(begin.world, faults=faults, judge=judging_leak(policy, start, case), recording=recording)
    with virtual_leases(world):
        try:
            _until_done(world, policy, case, begin.run, milestones, known)
        except Violation as violation:
            raise Found(violation, world) from None
    return world


def _until_done(
    world: World, policy: RotationPolicy, case: Case, first: int, milestones: list[Milestone] | None, known: Known
) -> None:
    for number in range(first, MOST_RUNS):
        if milestones is not None:
            milestones.append(Milestone(number, copy_of(world)))
        if known(number, world):
            return
        before = world.effects
        rotates = case.rotates and number > 0 and _contained(world, case)
        result = _one_run(world, policy, f"run {number + 1}", case, rotates=rotates)
        undisturbed = not any(before <= fault < world.effects for fault in world.faults)
        world.calm_runs = world.calm_runs + 1 if undisturbed else 0
        if world.hasty and world.calm_runs < 2:
            world.now += AT_ONCE
            continue
        world.now += BETWEEN
        if result is None or not undisturbed or (world.hasty and world.calm_runs == 2):
            continue
        rotation = result.rotation if isinstance(result, RevokeResult) else result
        if rotation and rotation.reason in (Reason.SOAK, Reason.SOAKING):
            world.now += A_SOAK_LATER
            continue
        if rotates and rotation and rotation.outcome in PROGRESS:
            continue  # a rotation does one thing at a time
        at_the_end(world, case, result)
        return
    raise Violation(f"I4: not done after {MOST_RUNS} runs")


def _one_run(
    world: World, policy: RotationPolicy, run: str, case: Case, *, rotates: bool
) -> RevokeResult | Result | None:
    return one_run(world, policy, run) if rotates else one_revocation(world, policy, run, case)


def _contained(world: World, case: Case) -> bool:
    return not any(world.keys[key_id].active for key_id in case.leaked if key_id in world.keys)


def at_the_end(world: World, case: Case, result: RevokeResult | Result) -> None:
    """Judge L4."""
    journal = Journal.decode(world.journal)
    if not _contained(world, case):
        raise Violation(f"L4: a leaked key is Active: {world.show()}")
    if journal.lease and journal.lease.until > world.now:  # that of a dead run, where nothing was to be done
        raise Violation(f"I4: the lease was not given back: {world.journal}")
    outcome: Any = result.outcome
    if outcome in (Revocation.CONTAINED, Outcome.REFUSED):
        _refused(world, case, result)
        return
    if outcome in (Revocation.FAILED, Revocation.REFUSED, Outcome.FAILED):
        raise Violation(f"L4: an undisturbed run ended as {result}")
    # Where CURRENT stays, a rotation that was interrupted is left to the next one.
    interrupted = journal.intent and journal.current not in journal.revoked and isinstance(result, RevokeResult)
    if (journal.intent and not interrupted) or journal.delivering:
        raise Violation(f"I4: the journal is not clean: {world.journal}")
    held = {*world.held.values(), *world.secrets_at.values()}
    (works,) = [world.keys.get(one) for one in held] if len(held) == 1 else [None]
    if works is None or not (works.active and works.works) or works.id in case.leaked:
        raise Violation(f"L4: not all destinations hold one key that works: {world.show()}")
    left = [key.id for key in world.keys.values() if key.id.startswith("N") and not key.ever_held]
    if set(left) - {journal.last, *case.leaked} and not interrupted:
        raise Violation(f"I4: {left} are left over")
    if case.delete and any(key_id in world.keys for key_id in journal.revoked):
        raise Violation(f"L4: a leaked key that is to be deleted still exists: {world.show()}")


def _refused(world: World, case: Case, result: RevokeResult | Result) -> None:
    """Check that there is no room for another key, and that the run says how there may be."""
    if len(world.keys) < 2:
        raise Violation(f"L4: {result.outcome}, although there is room: {world.show()} {result}")
    if isinstance(result, RevokeResult):
        if case.delete and any(key_id in world.keys for key_id in case.leaked):
            raise Violation(f"L4: contained, although the leaked key may make room: {world.show()} {result}")
        gone = world.held["store"] not in world.keys
        way_on = "twokey rotate ci --retire KEY_ID" if gone else f"twokey revoke {world.held['store']} "
        if way_on not in result.message or not all(key_id in result.message for key_id in world.keys):
            raise Violation(f"L4: the way on is not named: {result.message}")
        return
    if case.delete and any(key_id in world.keys for key_id in Journal.decode(world.journal).revoked):
        raise Violation(f"L4: refused, although the leaked key may make room: {world.show()} {result}")


def at_the_end_of_all(world: World, policy: RotationPolicy, case: Case) -> None:
    """Revoke until a run has nothing left to wait for, and judge L4."""
    for number in range(6):
        world.now += BETWEEN
        result = one_revocation(world, policy, f"last {number}", case)
        assert result
        if result.rotation and result.rotation.reason in (Reason.SOAK, Reason.SOAKING):
            world.now += A_SOAK_LATER
            continue
        at_the_end(world, case, result)
        return
    raise Violation("I4: not done after six undisturbed revocations")
