"""A move to another store keeps every promise: each fault at each effect, and pairs of them, moved again until done."""

from __future__ import annotations

import itertools
import random
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from simulation.judge import Violation
from simulation.moving import FORMER, LATER, NEW, SimulatedStore, TwoStores, before, check, copied, move, play, rotated
from simulation.play import virtual_leases
from simulation.world import FAULTS

if TYPE_CHECKING:
    from collections.abc import Hashable

    from twokey.core.secret import Credential

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
    met: set[Hashable] = set()
    for number, fault in itertools.product(range(effects_of(start)), FAULTS):
        play(STARTS[start], {number: fault}, between=between, met=met)


@pytest.mark.parametrize("start", ["due", "without conditions"])
def test_two_faults_anywhere(start: str) -> None:
    """Every second one of the histories, which differ by a rotation in between, too."""
    met: set[Hashable] = set()
    for (first, second), (fault, other) in itertools.product(
        itertools.combinations(range(effects_of(start) + 6), 2), itertools.product(FAULTS, FAULTS)
    ):
        if (first + second // 2 + FAULTS.index(fault) + FAULTS.index(other)) % 2:
            continue
        between = FORMER if (first + second) % 2 else ""
        play(STARTS[start], {first: fault, second: other}, between=between, met=met)


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
                assert result.outcome.value in ("refused", "completed", "rotated"), result.message
            busy[0] = False

    world.judge = at


def test_a_rotation_that_was_paused_before_its_write_to_the_former_store_cannot_make_it_after_the_move(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else the former store, which jobs still read, would get a key that the new store's runs take for an orphan."""
    world = copied(STARTS["due"], {})
    put = SimulatedStore.put
    paused: list[bool] = []

    def paused_before(self: SimulatedStore, credential: Credential, revision: object) -> object:
        if self.name == FORMER and not paused:
            paused.append(True)
            world.now += LATER
            result = move(world, "move")
            assert result is not None
            assert result.outcome.value == "completed", result.message
        return put(self, credential, revision)

    monkeypatch.setattr(SimulatedStore, "put", paused_before)
    with virtual_leases(world):
        rotation = rotated(world, "rotation", FORMER)
        assert paused
        assert rotation is not None
        assert rotation.outcome.value == "failed", rotation.message
        assert world.held[FORMER] == world.held[NEW] == "B"
        world.now += LATER
        assert world.journal_of(NEW).intent, "an open intent moves along"
        repaired = rotated(world, "later", NEW)
        assert repaired is not None
        assert repaired.outcome.value == "rotated", repaired.message
        assert len(world.keys) == 2


def test_a_key_that_an_interrupted_move_wrote_to_the_new_store_stays_recorded_until_it_has_another() -> None:
    """A later move that is killed before its write there must not leave the journal without it."""
    start = STARTS["due"]
    written, recorded = 4, 3
    world = copied(start, {written - 1: "killed after"})
    with virtual_leases(world):
        assert move(world, "first move") is None
        assert world.held[NEW] == "B"
        world.now += LATER
        result = rotated(world, "rotation", FORMER)
        assert result is not None
        assert (result.outcome.value, result.last) == ("rotated", "B")
        world.now += timedelta(days=16)
        world.faults = {world.effects + recorded - 1: "killed after"}
        assert move(world, "second move") is None
        assert world.held[NEW] == "B"
        world.faults = {}
        world.now += LATER
        result = rotated(world, "another rotation", FORMER)
        assert result is not None
        assert (result.outcome.value, result.reason.value) == ("refused", "last_held"), result.message
        world.now += LATER
        finished = move(world, "third move")
        assert finished is not None
        assert finished.outcome.value == "completed", finished.message
        assert world.held[NEW] == world.held[FORMER] != "B"


def test_a_move_does_not_begin_the_grace_of_last_again() -> None:
    """Else the next rotation that is due would be refused for as long as the move is younger than a grace."""
    world = copied(STARTS["fresh"], {})
    with virtual_leases(world):
        assert move(world, "move") is not None
        world.now += timedelta(days=13)
        result = rotated(world, "rotation", NEW, FORMER)
        assert result is not None
        assert (result.outcome.value, result.reason.value) == ("rotated", "due"), result.message


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
