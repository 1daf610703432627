"""The invariants I1 to I8 of the design, judged on the world after every effect, and at the end of a history."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from simulation.world import destination_of
from twokey.core.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulation.world import World
    from twokey.planning.policy import RotationPolicy


class Violation(Exception):
    """An invariant does not hold."""


def judging(policy: RotationPolicy, start: World, leaked: tuple[str, ...] = ()) -> Callable[[World, str, str], None]:
    """Return the judge for one initial state. What was broken from the start is not held against a run.

    A ``leaked`` key is none that jobs may rely on.
    """
    broken = {(name, held) for name, held in start.held.items() if held and not _works(start, held)}
    broken |= {(name, key_id) for name in start.held for key_id in leaked}

    def judge(world: World, what: str, key_id: str) -> None:
        if what == "create":
            _create(world, key_id)
        elif what in ("about to delete", "deactivate"):
            if key_id not in leaked:
                _removal(world, policy, what, key_id)
        else:
            _recorded(world, what)
            _destinations(world, broken)

    return judge


def _recorded(world: World, what: str) -> None:
    """A destination is in the journal before the first request to it: it may be taken out of the configuration."""
    name = destination_of(what)
    if name and name not in Journal.decode(world.journal).delivered:
        raise Violation(f"{name} received a key, and the journal does not name it")


def _works(world: World, key_id: str) -> bool:
    key = world.keys.get(key_id)
    return key is not None and key.active and key.works


def _destinations(world: World, broken: set[tuple[str, str]]) -> None:
    failing = {held for held in {*world.held.values()} if held and not _works(world, held)}
    for name, held in world.held.items():
        if name in world.secrets_at and world.torn(name):
            _torn(world, name)
        elif held in failing and (name, held) not in broken:
            raise Violation(f"I1: {name} holds {held}, which does not work")


def _torn(world: World, name: str) -> None:
    """A pair may be torn between its two writes, and after a crash: as long as the journal says so."""
    if name not in Journal.decode(world.journal).delivering:
        raise Violation(f"torn window: {name} holds a mixed pair, and the journal does not name it as delivering")


def _create(world: World, key_id: str) -> None:
    others = [key for key in world.keys if key != key_id]
    if len(others) >= 2:
        raise Violation(f"I5: a key is created although {len(others)} exist")
    found = (key for key in world.keys.values() if not key.unmanaged and not key.ever_held and key.id.startswith("N"))
    orphans = [key for key in found if key.id not in becoming_last(world)]
    if len(orphans) > 1:
        raise Violation(f"I6: {len(orphans)} orphans at the same time")


def becoming_last(world: World) -> set[str]:
    """Name the keys of interrupted runs that are, or become, LAST: a destination whose state is unknown may hold them.

    Without such a destination, a rotation that leaves one of them beside its own key has left an orphan.
    """
    journal = Journal.decode(world.journal) if world.journal else Journal()
    unknown = any(not telling and name not in journal.delivered for name, telling in world.telling.items())
    return {journal.last, *(journal.intent.known if journal.intent and unknown else ())}


def _removal(world: World, policy: RotationPolicy, what: str, key_id: str) -> None:
    key = world.keys.get(key_id)
    if key is None:
        return
    if key_id in world.held.values() or key_id in world.secrets_at.values():
        raise Violation(f"I3: {what} hits {key_id}, which is held")
    if key.unmanaged:
        raise Violation(f"I7: {what} hits the unmanaged key {key_id}")
    until = world.held_until.get(key_id)
    grace = max(policy.grace, world.promised.get(key_id, policy.grace))
    if until is not None and world.now < until + grace:
        raise Violation(f"I2: {what} hits {key_id} {until + grace - world.now} before its grace is over")
    if what == "about to delete" and policy.soak and key.ever_held:
        since = key.inactive_since
        if key.active or since is None or world.now - since < policy.soak - timedelta(seconds=1):
            raise Violation(f"I8: {key_id} is deleted without its soak")


def at_the_end(world: World, outcome: str, reason: str) -> None:
    """Judge I4: one undisturbed run was enough, or it refused because of what is not twokey's."""
    if world.deleted:
        without_the_deleted(world, outcome)
        return
    # A destination that cannot tell received CURRENT just now: LAST has its grace again, and all else is done.
    if outcome == "refused" and reason != "grace":
        last = Journal.decode(world.journal).last if _ours(world) else ""
        if reason == "last_held" and last in [world.held[name] for name in world.elsewhere]:
            return
        if any(key.unmanaged for key in world.keys.values()) or not _ours(world):
            return
        raise Violation(f"I4: refused, and there is no unmanaged key: {world.show()}")
    if outcome == "failed":
        raise Violation("I4: an undisturbed run failed")
    journal = Journal.decode(world.journal) if world.journal else Journal()
    # A run that took the lock to give its lease back, and was paused until that was over, leaves it to end by time.
    lease = None if world.locked and journal.lease and journal.lease.until < world.now else journal.lease
    if journal.intent or lease or journal.delivering:
        raise Violation(f"I4: the journal is not clean: {world.journal}")
    reached = [key_id for name, key_id in world.held.items() if name not in world.elsewhere]
    held = {*reached, *world.secrets_at.values()}
    if len(held) != 1 or not _works(world, next(iter(held))):
        raise Violation(f"I4: not all destinations hold one working key: {world.held}")
    left = [key.id for key in world.keys.values() if key.id.startswith("N") and not key.ever_held]
    orphans = [key_id for key_id in left if key_id != journal.last]
    if orphans:
        raise Violation(f"I4: {orphans} are left over")


def without_the_deleted(world: World, outcome: str) -> None:
    """Judge what is left after a project is gone for good: the run says so, and everything else is in order.

    The previous key stays valid: what the deleted project held can no longer be determined.
    """
    store = world.held["store"]
    there = [name for name in world.held if name not in world.deleted]
    wrong = [name for name in there if world.held[name] != store or world.torn(name)]
    if wrong or not _works(world, store):
        raise Violation(f"I4: {wrong} do not hold a working CURRENT: {world.show()}")
    journal = Journal.decode(world.journal)
    if journal.lease or not set(journal.delivering) <= world.deleted:
        raise Violation(f"I4: the journal is not clean: {world.journal}")
    served = [given.key for name, given in journal.delivered.items() if name in world.deleted]
    former = journal.current if journal.intent else journal.last
    lost = [key_id for key_id in (*served, former) if key_id and not _works(world, key_id)]
    if lost:
        raise Violation(f"I3: {lost} do not work, which jobs may still have: {world.show()}")
    if outcome not in ("failed", "refused") and any(key_id != store for key_id in served):
        raise Violation(f"I4: {outcome}, although a deleted project did not receive CURRENT")


def _ours(world: World) -> bool:
    """Say whether twokey can know which key has which role: it has a journal that it can read."""
    try:
        return bool(world.journal) and bool(Journal.decode(world.journal).current)
    except ValueError:
        return False
