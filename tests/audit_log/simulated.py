"""The histories of the simulation with an audit log, which must record exactly what took place."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from simulation import moving, play, runners
from simulation.world import USER, Clock, Iam, Killed, SimulatedDestination, Sts, World
from twokey.audit_log.log import AuditLog
from twokey.audit_log.trail import Trail
from twokey.moving.move import move_store
from twokey.planning.plan import Overrides
from twokey.rotation import rotate
from twokey.rotation.world import World as RotationWorld

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from simulation.moving import TwoStores
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


def _empty_log(file: Path) -> AuditLog:
    """Open a log that is empty, for thousands of histories: it waits for the disk neither here nor at its end."""
    os.close(os.open(file, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600))
    return AuditLog.open(file)


@contextmanager
def logged(file: Path, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let every run of the simulation write into one audit log, empty before."""
    log = _empty_log(file)

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
        log.abandon()


@contextmanager
def logged_moves(file: Path, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let every move and every rotation between two simulated stores write into one audit log, empty before."""
    log = _empty_log(file)

    def ended(trail: Trail, result: Result) -> Result:
        trail.ended(result)
        return result

    def trail_of(world: TwoStores, run: str) -> Trail:
        mortal: Any = Mortal(log, world, run)
        return Trail(mortal, run, Clock(world))

    def move(world: TwoStores, run: str, source: str = moving.FORMER, target: str = moving.NEW) -> Result | None:
        trail = trail_of(world, run)
        try:
            store = moving.SimulatedStore(world, run, target)
            outside, new = trail.watch_move(
                USER, moving.POLICY, Overrides(), moving.outside(world, run, source), store, unread=False
            )
            return ended(trail, move_store(USER, moving.POLICY, outside, new))
        except Killed:
            return None

    def rotated(world: TwoStores, run: str, store: str, *others: str) -> Result | None:
        trail = trail_of(world, run)
        pipelines = [name for name in world.held if name not in (moving.FORMER, moving.NEW)]
        try:
            outside = moving.outside(world, run, store, *others, *pipelines)
            outside = trail.watch(USER, moving.POLICY, Overrides(), outside)
            return ended(trail, rotate.rotate(USER, moving.POLICY, outside))
        except Killed:
            return None

    patch.setattr(moving, "move", move)
    patch.setattr(moving, "rotated", rotated)
    try:
        yield
    finally:
        log.abandon()
