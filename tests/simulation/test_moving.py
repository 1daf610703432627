"""A move to another store keeps every promise: each fault at each effect, and pairs of them, moved again until done."""

from __future__ import annotations

import itertools
import random

import pytest

from simulation.judge import Violation
from simulation.moving import FORMER, LATER, NEW, TwoStores, before, check, copied, move, play, rotated
from simulation.play import virtual_leases
from simulation.world import FAULTS

STARTS = {
    "fresh": before(due=False, conditional=True, pipeline=True),
    "due": before(due=True, conditional=True, pipeline=False),
    "without conditions": before(due=True, conditional=False, pipeline=True),
}


def effects_of(start: str) -> int:
    """Count the effects of a move that nothing disturbs."""
    world = copied(STARTS[start], {})
    with virtual_leases(world):
        result = move(world, "move")
    assert result is not None
    assert result.outcome.value == "completed", result.message
    return world.effects


@pytest.mark.parametrize("start", STARTS)
def test_a_move_that_nothing_disturbs(start: str) -> None:
    world = play(STARTS[start], {})
    assert effects_of(start) == 7
    assert set(world.keys) != {"A", "B"}, "it was rotated afterwards"


@pytest.mark.parametrize("between", ["", FORMER, NEW])
@pytest.mark.parametrize("start", STARTS)
def test_one_fault_anywhere(start: str, between: str) -> None:
    """``between``: after each interrupted move, a configuration that names this store rotates, or is refused."""
    for number, fault in itertools.product(range(effects_of(start)), FAULTS):
        play(STARTS[start], {number: fault}, between=between)


@pytest.mark.parametrize("start", ["due", "without conditions"])
def test_two_faults_anywhere(start: str) -> None:
    for (first, second), fault, other in itertools.product(
        itertools.combinations(range(effects_of(start) + 6), 2), FAULTS, FAULTS
    ):
        play(STARTS[start], {first: fault, second: other}, between=FORMER if (first + second) % 2 else "")


def test_one_runs_at_a_time() -> None:
    """A rotation or another move that begins at any effect of a move waits, or is refused, and breaks nothing."""
    choose = random.Random(9)
    for number in range(effects_of("due")):
        world = copied(STARTS["due"], {})
        with virtual_leases(world):
            _interrupt(world, number, choose)
            result = move(world, "move")
            assert result is not None
            world.now += LATER
            again = move(world, "move again")
            assert again is not None
            assert again.outcome.value == "completed", again.message
            assert world.rotating() == [NEW]


def _interrupt(world: TwoStores, number: int, choose: random.Random) -> None:
    judge, seen, busy = world.judge, [0], [False]

    def at(now: object, what: str, key_id: str) -> None:
        judge(world, what, key_id)
        if busy[0] or now is None:
            return
        seen[0] += 1
        if seen[0] - 1 == number:
            busy[0] = True
            store = choose.choice((FORMER, NEW))
            for result in (rotated(world, "other", store), move(world, "another move")):
                assert result is not None
                assert result.outcome.value in ("refused", "completed"), result.message
            busy[0] = False

    world.judge = at


def test_back_again() -> None:
    world = play(STARTS["fresh"], {})
    world.faults = {}
    with virtual_leases(world):
        result = move(world, "back", NEW, FORMER)
        assert result is not None
        assert result.outcome.value == "completed", result.message
        assert world.rotating() == [FORMER]
        refused = rotated(world, "rotation", NEW)
        assert refused is not None
        assert refused.reason.value == "moved"


def test_a_broken_move_is_found() -> None:
    """The check itself: a world in which two stores rotate is a violation."""
    world = copied(STARTS["fresh"], {})
    world.journals[NEW] = world.journals[FORMER]
    with virtual_leases(world), pytest.raises(Violation, match="not moved"):
        check(world)
