"""twokey among people: its runs, with the rights that it has, and what it can have evidence for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from simulation.play import virtual_leases
from simulation.world import USER, Clock, Iam, Killed, Place, Sts
from twokey.core.journal import Journal
from twokey.planning.plan import Overrides
from twokey.rotation import rotate
from twokey.rotation.world import World as RotationWorld

if TYPE_CHECKING:
    from datetime import timedelta

    from simulation.people import Peopled
    from twokey.core.model import AccessKey, Holding, LastUse, MachineUser, Record
    from twokey.core.secret import Credential
    from twokey.planning.policy import RotationPolicy
    from twokey.rotation.results import Result


class _Clock(Clock):
    def __init__(self, world: Peopled) -> None:
        super().__init__(world)
        self._skew = world.skew

    def skew(self) -> timedelta:
        return self._skew


class _Iam(Iam):
    def __init__(self, world: Peopled, run: str) -> None:
        super().__init__(world, run)
        self._rights = world

    def keys(self, user: str) -> tuple[AccessKey, ...]:
        self._rights.need("list keys")
        return super().keys(user)

    def last_use(self, key_id: str) -> LastUse:
        self._rights.need("last use")
        return super().last_use(key_id)

    def may_create(self, _user: MachineUser) -> bool | None:
        return False if self._rights.lacks("create") else None


class _Place(Place):
    def __init__(self, world: Peopled, run: str, name: str) -> None:
        super().__init__(world, run, name)
        self._rights = world

    def held(self) -> Holding:
        self._rights.need("read store" if self.name == "store" else "read places")
        return super().held()

    def preflight(self) -> None:
        self._rights.need("store" if self.name == "store" else "deliver")

    def load(self) -> Record:
        self._rights.need("read store")
        self._rights.evident |= evidence(self._rights)
        return super().load()

    def credential(self) -> Credential | None:
        self._rights.need("read store")
        return super().credential()


def run_twokey(world: Peopled, policy: RotationPolicy, asked: Overrides | None = None) -> Result | None:
    """Run twokey once, as a process of its own; None where it was killed."""
    world.runs += 1
    world.asked = asked or Overrides()
    world.evident = world.evident if _is_open(world) else set()
    run = f"run {world.runs}"
    edge: Any = _Iam(world, run)
    outside = RotationWorld(
        iam=edge,
        sts=Sts(world),
        clock=_Clock(world),
        store=_Place(world, run, "store"),
        destinations=tuple(_Place(world, run, name) for name in world.destinations),
        run=run,
    )
    try:
        with virtual_leases(world):
            return rotate.rotate(replace(USER, id=world.user_id), policy, outside, world.asked)
    except Killed:
        return None
    finally:
        world.asked, world.faults, world.midway = Overrides(), {}, {}
        world.unseen.clear()


def _is_open(world: Peopled) -> bool:
    """Say whether an interrupted run has left its intent: what it had evidence for holds on."""
    return bool(world.journal) and Journal.decode(world.journal).intent is not None


def evidence(world: Peopled) -> set[str]:
    """Name the keys that may become LAST by what is there now (design, "Where the journal says nothing")."""
    held = world.keys.get(world.places["store"])
    journal = Journal.decode(world.journal) if world.journal else Journal()
    going = {key_id for key_id in world.given_up if world.named(key_id) and key_id in journal.retiring}
    others = [
        key
        for key in world.keys.values()
        if key is not held and not world.orphan(key) and key.id not in world.asked.retire | going
    ]
    published = [key for key in others if key.id not in world.withdrawn]
    alone = {found[0].id for found in (others, published) if len(found) == 1}
    if held is None:
        return alone
    return {held.id, *(key_id for key_id in alone if not journal.current and world.keys[key_id].created < held.created)}
