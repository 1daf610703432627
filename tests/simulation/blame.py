"""The invariants where operators interfere: what twokey does is judged; what they did is not held against it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from simulation.judge import Violation
from simulation.operators import OperatedWorld
from twokey.core.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulation.world import Key, World
    from twokey.planning.policy import RotationPolicy
    from twokey.rotation.results import Result

TICK = timedelta(seconds=1)


def judging_twokey(policy: RotationPolicy) -> Callable[[World, str, str], None]:
    """Return the judge of each of twokey's effects."""

    def judge(world: World, what: str, key_id: str) -> None:
        assert isinstance(world, OperatedWorld)
        if what == "create":
            _creation(world, key_id)
        elif what in ("about to delete", "about to deactivate"):
            _removal(world, policy, what, key_id)
        elif what == "journal":
            _journal(world)
        elif what == "store" or what.startswith("deliver"):
            _delivery(world, what, key_id)

    return judge


def _creation(world: OperatedWorld, key_id: str) -> None:
    others = [key for key in world.keys if key != key_id and key not in world.unseen]
    if len(others) >= 2:
        raise Violation(f"I5: a key is created although {len(others)} exist")
    orphans = [key.id for key in world.keys.values() if world.orphan(key)]
    if len(orphans) > 1:
        raise Violation(f"I6: {orphans} are orphans at the same time")


def _delivery(world: OperatedWorld, what: str, key_id: str) -> None:
    if not world.works(key_id) and key_id not in world.unseen:
        raise Violation(f"I1: {what} with {key_id}, which does not work")


def _removal(world: OperatedWorld, policy: RotationPolicy, what: str, key_id: str) -> None:
    key = world.keys.get(key_id)
    if key is None:
        return
    named = world.named(key_id)
    holders = world.holders(key_id)
    if named or world.overrides.ignore_last_use:
        # The operator's word replaces what only the journal knows: what a destination left out last received.
        holders = [name for name in holders if name == "store" or name in world.destinations]
    if key_id in world.withdrawn:
        holders = [name for name in holders if world.telling.get(name, True)]
    if holders:
        raise Violation(f"I3: {what} hits {key_id}, held by {', '.join(holders)}")
    if named or key_id in world.withdrawn:
        _soak(world, policy, what, key)
        return
    if key_id not in world.attributable | world.evident:
        raise Violation(f"I7: {what} hits {key_id}, which is not twokey's")
    if key.ever_held and not world.overrides.ignore_last_use:
        _in_use(world, policy, what, key)
    _soak(world, policy, what, key)


def _in_use(world: OperatedWorld, policy: RotationPolicy, what: str, key: Key) -> None:
    until = world.held_until.get(key.id)
    if until is not None and world.now < until + policy.grace:
        raise Violation(f"I2: {what} hits {key.id} {until + policy.grace - world.now} before its grace is over")
    ended = policy.enforce_window and world.now - key.created >= policy.window
    if key.last_used and world.now - key.last_used < policy.idle and not ended:
        raise Violation(f"I2: {what} hits {key.id}, which a job used {world.now - key.last_used} ago")


def _soak(world: OperatedWorld, policy: RotationPolicy, what: str, key: Key) -> None:
    if what != "about to delete" or not policy.soak or key.id in world.reactivated:
        return
    if world.orphan(key) or key.id in world.withdrawn:
        return
    since = key.inactive_since
    if key.active or since is None or world.now - since < policy.soak - TICK:
        raise Violation(f"I8: {key.id} is deleted without its soak")


def _journal(world: OperatedWorld) -> None:
    journal = Journal.decode(world.journal)
    for role, key_id in (("CURRENT", journal.current), ("LAST", journal.last)):
        if key_id in world.keys and key_id not in world.attributable | world.evident:
            raise Violation(f"I7: the journal names {key_id} as {role}, and nothing shows that")


def at_any_time(world: OperatedWorld) -> None:
    """Judge what must be true between any two steps, twokey's or the operator's."""
    for name, held in world.held.items():
        mine = world.protected(name) and name not in world.manual
        if world.torn(name):
            if world.journal and name not in Journal.decode(world.journal).delivering and mine:
                raise Violation(
                    f"torn window: {name} holds a mixed pair, and the journal does not name it as delivering"
                )
            continue
        if held and mine and not world.works(held) and held not in world.broken:
            raise Violation(f"I1: {name} holds {held}, which does not work, and no operator caused that")
    for job in world.jobs:
        if world.now < job.until and job.key_id not in world.broken and not world.works(job.key_id):
            raise Violation(
                f"I2: the job that read {job.key_id} from {job.destination} fails, and no operator caused that"
            )


def after_a_run(before: OperatedWorld, after: OperatedWorld, result: Result | None) -> None:
    """Judge a result by what was changed: a run that refuses, or finds nothing due, has changed nothing."""
    if result is None or result.outcome not in ("refused", "not_due"):
        return
    if before.held != after.held or before.keys != after.keys:
        raise Violation(f"{result.outcome} ({result.reason}), and yet something was changed: {result.message}")


def clean(world: OperatedWorld) -> str:
    """Say what is not in order, or nothing if all destinations hold one working key and the journal is closed."""
    store = world.held["store"]
    if not world.works(store):
        return f"the store holds {store or 'nothing'}, which does not work"
    for name in world.destinations:
        if (world.held[name] != store or world.torn(name)) and world.protected(name):
            return f"{name} holds {world.held[name] or 'nothing'} and not {store}"
    journal = Journal.decode(world.journal) if world.journal else Journal()
    # A lease that has expired binds no run, and a run in which nothing is due does not write to remove it.
    bound = journal.lease is not None and world.now < journal.lease.until
    if journal.intent or bound or journal.current not in ("", store):
        return f"the journal is not clean: {world.journal}"
    orphans = [key.id for key in world.keys.values() if world.orphan(key)]
    return f"{orphans} are orphans" if orphans else ""
