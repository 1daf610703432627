"""A delivery that is interrupted, and its destination then taken out of the configuration: its key is never removed.

The journal may still say that it holds the key before: that one was recorded before the request was sent.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from simulation.play import one_run, virtual_leases
from simulation.states import initial
from simulation.world import World, destination_of
from twokey.core.reasons import Reason


def interrupted(state: str, number: int, effect: int, fault: str) -> tuple[str, World] | None:
    """Return the destination whose delivery is the interrupted effect; it is no longer configured."""
    world, policy = initial(state, number)
    world.faults, world.recording = {effect: fault}, True
    one_run(world, policy, "interrupted")
    struck = next((step for step in world.steps if step.fault), None)
    destination = destination_of(struck.what.rpartition(" ")[0]) if struck else ""
    world.now += timedelta(minutes=5)
    world.arrive()
    world.elsewhere |= {destination}
    return (destination, world) if destination else None


@pytest.mark.parametrize("fault", ["killed after", "lost", "late"])
@pytest.mark.parametrize(
    ("state", "number"), [("two keys", 2), ("one key, stored", 3), ("pipelines", 5), ("pipelines of a new user", 3)]
)
def test_no_key_that_it_holds_is_removed_and_rotations_are_refused_instead(state: str, number: int, fault: str) -> None:
    policy, seen = initial(state, number)[1], 0
    for effect in range(16):
        found = interrupted(state, number, effect, fault)
        if found is None:
            continue
        destination, world = found
        began = len(world.steps)
        with virtual_leases(world):
            for run in range(7):
                result = one_run(world, policy, f"run {run}")
                world.now += timedelta(days=8)
        deleted = {step.what.removeprefix("delete ") for step in world.steps[began:] if step.what.startswith("delete ")}
        assert world.held[destination] not in deleted
        assert result is not None
        assert result.reason is Reason.LAST_HELD
        assert destination in result.message
        seen += 1
    assert seen >= number - 1
