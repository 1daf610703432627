"""What a created key has to prove before it is published, and the message if it does not."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from simulation.world import START, USER, Clock, Key, Sts, World
from twokey.core.errors import NotVerified, ServiceError, Stopped, Unreachable
from twokey.core.secret import Credential
from twokey.planning.policy import Verification
from twokey.rotation.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable

SECOND = timedelta(seconds=1)
OURS = (USER.account, USER.arn)
"""What STS responds once a key works."""


class Responses(Sts):
    """An STS whose servers differ: each request is given the next response, and the last one from then on."""

    def __init__(self, *responses: tuple[str, str] | ServiceError | None) -> None:
        super().__init__(World())
        self.responses = list(responses)
        self.asked: list[str | None] = []

    def identity_of(self, _credential: Credential, region: str | None = None) -> tuple[str, str] | None:
        self.asked.append(region)
        response = self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
        if isinstance(response, ServiceError):
            raise response
        return response


@pytest.fixture
def world() -> World:
    return World(keys={"N1": Key("N1", START, works=False)}, held={"store": ""})


def proved(world: World, rules: Verification, key_id: str = "N1") -> None:
    verify(Credential(key_id, "x" * 40), USER, rules, Sts(world), Clock(world))


def test_a_key_that_works_often_enough_in_a_row_is_proved(world: World) -> None:
    proved(world, Verification(3, SECOND, 4 * SECOND))
    assert world.now == START + 3 * SECOND


def test_a_run_that_is_out_of_time_waits_no_longer(world: World) -> None:
    key, rules = Credential("N2", "x" * 40), Verification(3, SECOND, 60 * SECOND)
    with pytest.raises(Stopped, match="was over before the created key N2 was proved to work"):
        verify(key, USER, rules, Sts(world), Clock(world), out_of_time=lambda: world.now == START + SECOND)
    assert world.now == START + SECOND


def test_a_key_that_stays_unknown_is_not(world: World) -> None:
    with pytest.raises(NotVerified, match="N2 did not work within 3 s: AWS does not know the key yet"):
        proved(world, Verification(3, SECOND, 3 * SECOND), "N2")


def test_a_key_that_works_too_late_is_said_to_work_by_then(world: World) -> None:
    with pytest.raises(NotVerified, match=r"within 3 s: it worked only 2 times in a row, and 3 are required"):
        proved(world, Verification(3, SECOND, 3 * SECOND))


class Slow(Responses):
    """An STS that takes ten seconds for each response."""

    def __init__(self, world: World, *responses: tuple[str, str] | None) -> None:
        super().__init__(*responses)
        self.world = world

    def identity_of(self, credential: Credential, region: str | None = None) -> tuple[str, str] | None:
        self.world.now += 10 * SECOND
        return super().identity_of(credential, region)


def test_a_row_that_is_to_be_finished_is_however_long_the_requests_take(world: World) -> None:
    rules = Verification(3, SECOND, 3 * SECOND, finishes=True)
    asked(world, Slow(world, OURS), rules)
    assert world.now == START + 32 * SECOND


def test_a_row_that_breaks_after_the_time_is_not_begun_again(world: World) -> None:
    rules = Verification(3, SECOND, 3 * SECOND, finishes=True)
    with pytest.raises(NotVerified, match="within 3 s: AWS does not know the key yet"):
        asked(world, Slow(world, OURS, OURS, None), rules)
    assert world.now == START + 32 * SECOND


def asked(world: World, sts: Responses, rules: Verification, still_ours: Callable[[], None] = lambda: None) -> None:
    verify(Credential("N1", "x" * 40), USER, rules, sts, Clock(world), still_ours)


@pytest.mark.parametrize("response", [None, Unreachable("There is no route.")])
def test_a_server_that_does_not_know_the_key_or_does_not_respond_begins_the_row_again(
    world: World, response: ServiceError | None
) -> None:
    sts = Responses(OURS, OURS, response, OURS)
    asked(world, sts, Verification(3, SECOND, 60 * SECOND))
    assert len(sts.asked) == 6


def test_servers_that_never_respond_are_the_reason(world: World) -> None:
    with pytest.raises(NotVerified, match=r"did not work within 5 s: There is no route\."):
        asked(world, Responses(Unreachable("There is no route.")), Verification(3, SECOND, 5 * SECOND))


@pytest.mark.parametrize(
    "other", [(USER.account, f"{USER.arn}-2"), ("999999999999", USER.arn), ("999999999999", "arn:aws:iam::9:user/ci")]
)
def test_a_key_of_another_user_or_account_is_refused_however_often_it_works(
    world: World, other: tuple[str, str]
) -> None:
    with pytest.raises(NotVerified, match=f"authenticates as {other[1]}, not as {USER.arn}"):
        asked(world, Responses(other), Verification(3, SECOND, 5 * SECOND))


def test_every_region_is_asked_each_time(world: World) -> None:
    sts = Responses(OURS)
    asked(world, sts, Verification(2, SECOND, 60 * SECOND, ("eu-west-1", "us-east-1")))
    assert sts.asked == ["eu-west-1", "us-east-1"] * 2


def test_one_region_that_does_not_know_the_key_is_enough_to_refuse_it(world: World) -> None:
    with pytest.raises(NotVerified, match="does not know the key yet in us-east-1"):
        asked(world, Responses(*[OURS, None] * 9), Verification(1, SECOND, 3 * SECOND, ("eu-west-1", "us-east-1")))


def test_the_lease_is_looked_after_before_each_round(world: World) -> None:
    sts, looks = Responses(OURS), []
    asked(world, sts, Verification(3, SECOND, 60 * SECOND), lambda: looks.append(len(sts.asked)))
    assert looks == [0, 1, 2]
