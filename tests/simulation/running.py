"""twokey among operators: its runs, with the permissions that it has, and what it can have evidence for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from simulation.play import virtual_leases
from simulation.world import USER, Clock, Iam, Killed, SimulatedDestination, Sts
from twokey.core.journal import Journal
from twokey.planning.plan import Overrides
from twokey.rotation import rotate
from twokey.rotation.world import World as RotationWorld

if TYPE_CHECKING:
    from datetime import timedelta

    from simulation.operators import OperatedWorld
    from twokey.core.model import AccessKey, Holding, LastUse, MachineUser, Record
    from twokey.core.secret import Credential
    from twokey.planning.policy import RotationPolicy
    from twokey.rotation.results import Result


class _Clock(Clock):
    def __init__(self, world: OperatedWorld) -> None:
        super().__init__(world)
        self._skew = world.skew

    def skew(self) -> timedelta:
        return self._skew


class _Iam(Iam):
    def __init__(self, world: OperatedWorld, run: str) -> None:
        super().__init__(world, run)
        self._permissions = world

    def keys(self, user: str) -> tuple[AccessKey, ...]:
        self._permissions.need("list keys")
        return super().keys(user)

    def last_use(self, key_id: str) -> LastUse:
        self._permissions.need("last use")
        return super().last_use(key_id)

    def may_create(self, _user: MachineUser) -> bool | None:
        return False if self._permissions.lacks("create") else None


class _Destination(SimulatedDestination):
    def __init__(self, world: OperatedWorld, run: str, name: str) -> None:
        super().__init__(world, run, name)
        self._permissions = world

    def held(self) -> Holding:
        self._permissions.need("read store" if self.name == "store" else "read destinations")
        return super().held()

    def preflight(self) -> None:
        self._permissions.need("store" if self.name == "store" else "deliver")

    def load(self) -> Record:
        self._permissions.need("read store")
        self._permissions.evident |= evidence(self._permissions)
        return super().load()

    def credential(self) -> Credential | None:
        self._permissions.need("read store")
        return super().credential()


def run_twokey(world: OperatedWorld, policy: RotationPolicy, overrides: Overrides | None = None) -> Result | None:
    """Run twokey once, as a process of its own; None where it was killed."""
    world.runs += 1
    world.overrides = overrides or Overrides()
    world.evident = world.evident if _is_open(world) else set()
    run = f"run {world.runs}"
    edge: Any = _Iam(world, run)
    outside = RotationWorld(
        iam=edge,
        sts=Sts(world),
        clock=_Clock(world),
        store=_Destination(world, run, "store"),
        destinations=tuple(_Destination(world, run, name) for name in world.destinations),
        run=run,
    )
    try:
        with virtual_leases(world):
            return rotate.rotate(replace(USER, id=world.user_id), policy, outside, world.overrides)
    except Killed:
        return None
    finally:
        world.overrides, world.faults, world.midway = Overrides(), {}, {}
        world.unseen.clear()


def _is_open(world: OperatedWorld) -> bool:
    """Say whether an interrupted run has left its intent: then what it had evidence for stays valid."""
    return bool(world.journal) and Journal.decode(world.journal).intent is not None


def evidence(world: OperatedWorld) -> set[str]:
    """Name the keys that may become LAST by what exists now (design, "Where the journal says nothing")."""
    held = world.keys.get(world.held["store"])
    journal = Journal.decode(world.journal) if world.journal else Journal()
    going = {key_id for key_id in world.named_earlier if world.named(key_id) and key_id in journal.retiring}
    others = [
        key
        for key in world.keys.values()
        if key is not held and not world.orphan(key) and key.id not in world.overrides.retire | going
    ]
    published = [key for key in others if key.id not in world.withdrawn]
    alone = {found[0].id for found in (others, published) if len(found) == 1}
    if held is None:
        return alone
    return {held.id, *(key_id for key_id in alone if not journal.current and world.keys[key_id].created < held.created)}
