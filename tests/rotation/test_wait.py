"""What a run does while it waits: what it tells, who else may work meanwhile, and what ends the waiting."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from threading import Event
from typing import TYPE_CHECKING

import pytest

from simulation.states import ago
from simulation.world import START, USER, Clock, Iam, Key, SimulatedDestination, Sts, World
from twokey.core import waiting
from twokey.core.errors import Stopped
from twokey.core.journal import Journal, Lease
from twokey.core.model import Observation
from twokey.rotation.wait import await_lease, pause, settle
from twokey.rotation.world import World as RotationWorld

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.core import events

LEASE = Lease("another run", "elsewhere", 7, "", START + timedelta(seconds=60))


@pytest.fixture
def simulated() -> World:
    """A user in whose journal another run has a lease."""
    journal = Journal(epoch=3, user=USER.id, current="K2", committed=ago(16), lease=LEASE)
    return World(keys={"K2": Key("K2", ago(16))}, held={"store": "K2"}, journal=journal.encode())


@pytest.fixture
def reported() -> list[events.Event]:
    """What the run reports."""
    return []


@pytest.fixture
def world(simulated: World, reported: list[events.Event]) -> RotationWorld:
    """All that the run touches."""
    return RotationWorld(
        iam=Iam(simulated, "run"),
        sts=Sts(simulated),
        clock=Clock(simulated),
        store=SimulatedDestination(simulated, "run", "store"),
        run="run",
        listener=reported.append,
    )


def observed(world: RotationWorld) -> Observation:
    return Observation(USER, (), "store", world.store.load())


class Stopping(Clock):
    """A clock that is told to stop the run while it sleeps."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.stop = Event()

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.stop.set()


@pytest.mark.parametrize(("seconds", "users"), [(0.5, []), (1.0, []), (1.5, ["ci"])])
def test_a_list_that_may_lag_for_more_than_a_second_is_reported_under_the_users_name(
    world: RotationWorld, reported: list[events.Event], seconds: float, users: list[str]
) -> None:
    settle(observed(world), START + timedelta(seconds=seconds), world)
    assert [one.user for one in reported if one.step == "settle"] == users
    assert world.clock.now() >= START + timedelta(seconds=seconds)


def test_the_lease_of_another_run_is_reported_under_the_users_name(
    world: RotationWorld, reported: list[events.Event]
) -> None:
    await_lease(observed(world), world, deadline=600.0)
    assert {(one.user, one.step) for one in reported} == {("ci", "wait")}
    assert world.clock.now() >= LEASE.until


def test_another_user_may_be_worked_on_while_a_run_waits(world: RotationWorld) -> None:
    aside: list[str] = []

    @contextmanager
    def giving_way() -> Iterator[None]:
        aside.append(f"from {world.clock.monotonic():g}")
        yield
        aside.append(f"to {world.clock.monotonic():g}")

    with waiting.giving_way(giving_way):
        pause(world, 2.0)
    assert aside == ["from 0", "to 2"]


def test_a_run_that_is_to_stop_waits_no_longer(world: RotationWorld, simulated: World) -> None:
    clock = Stopping(simulated)
    with pytest.raises(Stopped):
        pause(replace(world, clock=clock, stop=clock.stop), 60.0)
    assert clock.monotonic() <= 0.5
