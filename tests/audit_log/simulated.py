"""The histories of the simulation with an audit log, which must record exactly what took place."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from simulation import play, runners
from simulation.world import USER, Clock, Iam, Killed, SimulatedDestination, Sts, World
from twokey.audit_log.log import AuditLog
from twokey.audit_log.trail import Trail
from twokey.planning.plan import Overrides
from twokey.rotation import rotate
from twokey.rotation.world import World as RotationWorld

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from twokey.audit_log.records import Record
    from twokey.planning.policy import RotationPolicy
    from twokey.rotation.results import Result


class Mortal:
    """A log as one run writes it: a dead process writes nothing any more. No write waits for the disk."""

    def __init__(self, log: AuditLog, world: World, run: str) -> None:
        self._log = log
        self._world = world
        self._run = run

    def append(self, record: Record, *, durable: bool = False) -> int:
        if self._run in self._world.dead:
            raise Killed
        return self._log.append(record)


@contextmanager
def logged(file: Path, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let every run of the simulation write into one audit log."""
    log = AuditLog.open(file)

    def one_run(world: World, policy: RotationPolicy, run: str) -> Result | None:
        edge: Any = Iam(world, run)
        others = tuple(SimulatedDestination(world, run, name) for name in world.held if name != "store")
        outside = RotationWorld(
            iam=edge,
            sts=Sts(world),
            clock=Clock(world),
            store=SimulatedDestination(world, run, "store"),
            destinations=others,
            run=run,
        )
        mortal: Any = Mortal(log, world, run)
        trail = Trail(mortal, run, Clock(world))
        try:
            result = rotate.rotate(USER, policy, trail.watch(USER, policy, Overrides(), outside))
            trail.ended(result)
        except Killed:
            return None
        return result

    patch.setattr(play, "one_run", one_run)
    patch.setattr(runners, "one_run", one_run)
    try:
        yield
    finally:
        log.close()
