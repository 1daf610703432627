"""What a created key has to prove before it is published, and the message if it does not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from simulation.world import START, USER, Clock, Key, Sts, World
from twokey.core.errors import NotVerified
from twokey.core.secret import Credential
from twokey.planning.policy import Verification
from twokey.rotation.verify import verify

SECOND = timedelta(seconds=1)


@pytest.fixture
def world() -> World:
    return World(keys={"N1": Key("N1", START, works=False)}, held={"store": ""})


def proved(world: World, rules: Verification, key_id: str = "N1") -> None:
    verify(Credential(key_id, "x" * 40), USER, rules, Sts(world), Clock(world))


def test_a_key_that_works_often_enough_in_a_row_is_proved(world: World) -> None:
    proved(world, Verification(3, SECOND, 4 * SECOND))
    assert world.now == START + 3 * SECOND


def test_a_key_that_stays_unknown_is_not(world: World) -> None:
    with pytest.raises(NotVerified, match="N2 did not work within 3 s: AWS does not know the key yet"):
        proved(world, Verification(3, SECOND, 3 * SECOND), "N2")


def test_a_key_that_works_too_late_is_said_to_work_by_then(world: World) -> None:
    with pytest.raises(NotVerified, match=r"within 3 s: it worked only 2 times in a row, and 3 are required"):
        proved(world, Verification(3, SECOND, 3 * SECOND))
