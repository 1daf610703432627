"""A user with ten pipelines that never show what they hold, on virtual time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from threading import Event
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from simulation.play import virtual_leases
from simulation.states import ago
from simulation.world import USER, Clock, Iam, Key, Killed, SimulatedDestination, Sts, World, copy_of
from twokey.core.journal import Delivery, Journal
from twokey.planning.decision import plan
from twokey.planning.policy import RotationPolicy, Verification
from twokey.rotation import rotate
from twokey.rotation.world import World as RotationWorld

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.core.destination import Receipt
    from twokey.core.events import Event as RunEvent
    from twokey.core.hooks import Hooks
    from twokey.core.model import Holding
    from twokey.core.secret import Credential
    from twokey.rotation.look import Decide
    from twokey.rotation.results import Result

POLICY = RotationPolicy(verification=Verification(successes=1, interval=timedelta(seconds=1)))
TEN = tuple(f"ci:{number}" for number in range(10))


@dataclass
class Delivering:
    """A settled user, and destinations that cannot tell what they hold."""

    world: World
    before: dict[str, Callable[[], None]] = field(default_factory=dict)
    """What happens in a destination right before it is written."""
    looked_at: dict[str, Callable[[], None]] = field(default_factory=dict)
    """What happens in a destination when it is asked what it holds."""
    checked: dict[str, Callable[[], None]] = field(default_factory=dict)
    """What happens in a destination when it is asked whether it could be written."""
    then: dict[str, Callable[[], None]] = field(default_factory=dict)
    """What happens in the world once a step of a run is done."""
    hooks: Hooks | None = None
    own_key: str = ""
    stop: Event = field(default_factory=Event)
    reached: list[str] = field(default_factory=list)
    events: list[RunEvent] = field(default_factory=list)
    runs: int = 0
    latency: float = 0.0
    """Seconds that a destination takes to say what it holds, or whether it could be written."""

    def run(self, decide: Decide = plan) -> Result | None:
        """Run twokey as a process of its own; None where it was killed."""
        self.runs += 1
        self.reached.clear()
        run, world = f"run {self.runs}", self.world
        edge: Any = Iam(world, run)
        outside = RotationWorld(
            iam=edge,
            sts=Sts(world),
            clock=Clock(world),
            store=SimulatedDestination(world, run, "store"),
            destinations=tuple(Watched(self, run, name) for name in world.held if name != "store"),
            run=run,
            listener=self._hear,
            stop=self.stop,
            hooks=self.hooks,
            own_key=self.own_key,
        )
        with virtual_leases(world):
            try:
                return rotate.rotate(USER, POLICY, outside, None, decide)
            except Killed:
                world.dead.add(run)
                return None

    def _hear(self, event: RunEvent) -> None:
        self.events.append(event)
        if event.phase == "done":
            self.then.get(event.step, lambda: None)()

    def rotated(self, decide: Decide = plan) -> Result:
        """Run twokey to an end."""
        result = self.run(decide)
        assert result
        return result

    def effects(self, decide: Decide = plan) -> list[str]:
        """Play the next run without a fault in a world of its own; return its effects."""
        test = replace(self, world=copy_of(self.world, recording=True), events=[], reached=[])
        test.run(decide)
        return [step.what for step in test.world.steps]

    @property
    def journal(self) -> Journal:
        """What the journal says now."""
        return Journal.decode(self.world.journal)

    def holding(self, key_id: str) -> list[str]:
        """Name the destinations that hold a whole pair of this key."""
        return [name for name in TEN if self.world.held[name] == key_id and not self.world.torn(name)]


class Watched(SimulatedDestination):
    """A destination that tells the test when it is delivered to."""

    def __init__(self, test: Delivering, run: str, name: str) -> None:
        super().__init__(test.world, run, name)
        self._test = test

    def held(self) -> Holding:
        Clock(self._world).sleep(self._test.latency)
        self._test.looked_at.get(self.name, lambda: None)()
        return super().held()

    def preflight(self) -> None:
        Clock(self._world).sleep(self._test.latency)
        self._test.checked.get(self.name, lambda: None)()
        super().preflight()

    def deliver(self, credential: Credential) -> Receipt:
        self._test.reached.append(self.name)
        self._test.before.get(self.name, lambda: None)()
        return super().deliver(credential)


def raising(error: Exception | BaseException) -> Callable[[], None]:
    """Return something that raises this error."""

    def fail() -> None:
        raise error

    return fail


@pytest.fixture
def pipelines() -> Delivering:
    """A user whose rotation is due, with ten pipelines that hold CURRENT and take two writes each."""
    journal = Journal(epoch=3, user="AIDACI", current="K2", last="K1", committed=ago(16))
    world = World(keys={"K1": Key("K1", ago(31)), "K2": Key("K2", ago(16))}, held={"store": "K2"})
    test = Delivering(world)
    for name in TEN:
        world.held[name] = world.secrets_at[name] = "K2"
        world.telling[name] = False
        world.stamps[name] = 1
    world.journal = replace_journal(journal)
    return test


def replace_journal(journal: Journal) -> str:
    """Return the journal in which every destination received CURRENT when it was committed."""
    delivered = {name: Delivery("K2", ago(16), "1") for name in TEN}
    return msgspec.structs.replace(journal, delivered=delivered).encode()
