"""Faults in single requests between a client and AWS."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError, ReadTimeoutError
from botocore.parsers import ResponseParserError

from twokey.emulator import Emulator, Rule

if TYPE_CHECKING:
    from collections.abc import Callable

CREATE = "iam:CreateAccessKey"


def test_a_lost_response_leaves_the_effect(aws: Emulator, one_try: Any) -> None:
    aws.make_user("ci", keys=0)
    rule = aws.weather.add(Rule(CREATE, effect="lost_response"))
    with pytest.raises(ConnectionClosedError):
        one_try(aws, "iam").create_access_key(UserName="ci")
    assert len(aws.keys("ci")) == 1
    assert rule.hits == 1
    assert (aws.requests[-1].status, aws.requests[-1].effect) == (200, "lost_response")


def test_an_ordinary_client_repeats_a_lost_create_and_leaves_two_keys(aws: Emulator) -> None:
    aws.make_user("ci", keys=0)
    aws.weather.add(Rule(CREATE, effect="lost_response"))
    aws.client("iam").create_access_key(UserName="ci")
    assert len(aws.keys("ci")) == 2
    assert aws.count(CREATE) == 2


def test_a_reset_connection_has_no_effect(aws: Emulator, one_try: Any) -> None:
    aws.make_user("ci", keys=0)
    aws.weather.add(Rule(CREATE, effect="reset"))
    with pytest.raises(BotoCoreError):
        one_try(aws, "iam").create_access_key(UserName="ci")
    assert aws.keys("ci") == []
    assert aws.requests[-1].status == 0


@pytest.mark.parametrize(("effect", "keys"), [("error_before", 0), ("error_after", 1)])
def test_an_error_comes_before_or_after_the_effect(
    aws: Emulator, one_try: Any, refused: Callable[..., Any], effect: str, keys: int
) -> None:
    aws.make_user("ci", keys=0)
    aws.weather.add(Rule(CREATE, effect=effect, status=503, code="ServiceUnavailable", message="Later."))
    error = refused(one_try(aws, "iam").create_access_key, UserName="ci")
    assert (error.code, error.status, error.message) == ("ServiceUnavailable", 503, "Later.")
    assert len(aws.keys("ci")) == keys
    assert aws.requests[-1].error_code == "ServiceUnavailable"


def test_a_truncated_response_has_its_effect_and_botocore_quotes_it(aws: Emulator, one_try: Any) -> None:
    aws.make_user("ci", keys=0)
    aws.weather.add(Rule(CREATE, effect="truncated"))
    with pytest.raises(ResponseParserError, match="<SecretAccessKey>"):
        one_try(aws, "iam").create_access_key(UserName="ci")
    assert len(aws.keys("ci")) == 1


@pytest.mark.parametrize("status", [502, 503])
def test_a_proxys_page_is_not_a_response_of_aws(aws: Emulator, one_try: Any, status: int) -> None:
    aws.make_user("ci", keys=0)
    aws.weather.add(Rule("iam:*", effect="html", status=status, times=None))
    with pytest.raises((BotoCoreError, ClientError)):
        one_try(aws, "iam").create_access_key(UserName="ci")
    assert aws.keys("ci") == []
    assert (aws.requests[-1].status, aws.requests[-1].error_code) == (status, "html")


@pytest.mark.parametrize(("effect", "meanwhile"), [("hold_before", 0), ("hold_after", 1)])
def test_a_held_request_waits_until_it_is_released(aws: Emulator, one_try: Any, effect: str, meanwhile: int) -> None:
    aws.make_user("ci", keys=0)
    aws.weather.add(Rule(CREATE, effect=effect))
    client = one_try(aws, "iam")
    thread = threading.Thread(target=client.create_access_key, kwargs={"UserName": "ci"})
    thread.start()
    aws.weather.wait_until_held(300)
    assert len(aws.keys("ci")) == meanwhile
    assert thread.is_alive()
    aws.weather.release()
    thread.join(5)
    assert not thread.is_alive()
    assert len(aws.keys("ci")) == 1


@pytest.mark.parametrize(("effect", "keys"), [("hold_before", 0), ("hold_after", 1)])
def test_a_held_request_ends_when_its_client_disconnects(aws: Emulator, one_try: Any, effect: str, keys: int) -> None:
    aws.make_user("ci", keys=0)
    aws.weather.add(Rule(CREATE, effect=effect))
    with pytest.raises(ReadTimeoutError):
        one_try(aws, "iam", read_timeout=0.2).create_access_key(UserName="ci")
    time.sleep(0.1)
    aws.weather.release()
    assert len(aws.keys("ci")) == keys


def test_waiting_for_a_held_request_that_never_comes_is_an_error(aws: Emulator) -> None:
    with pytest.raises(TimeoutError, match="0 of 1"):
        aws.weather.wait_until_held(0.05)


def test_a_delay_and_a_latency_take_their_time(aws: Emulator) -> None:
    aws.weather.add(Rule("sts:*", effect="delay", seconds=0.1))
    sts, iam = aws.client("sts"), aws.client("iam")
    start = time.monotonic()
    sts.get_caller_identity()
    assert time.monotonic() - start >= 0.1
    aws.weather.latency = 0.1
    start = time.monotonic()
    iam.list_users()
    assert time.monotonic() - start >= 0.1


def test_a_rule_applies_to_the_nth_request_and_so_many_times(aws: Emulator, one_try: Any) -> None:
    rule = aws.weather.add(Rule("sts:Get*", nth=2, times=2, effect="error_before", status=500, code="X"))
    sts = one_try(aws, "sts")
    outcomes = []
    for _ in range(5):
        try:
            sts.get_caller_identity()
            outcomes.append("ok")
        except ClientError as error:
            outcomes.append(error.response["Error"]["Code"])
    assert outcomes == ["ok", "X", "X", "ok", "ok"]
    assert (rule.hits, rule.seen) == (2, 5)


def test_a_rule_may_be_for_one_user_only(aws: Emulator, one_try: Any, refused: Callable[..., Any]) -> None:
    aws.make_user("ci", keys=0)
    aws.make_user("cd", keys=0)
    aws.weather.add(Rule(CREATE, target="cd", effect="error_before", code="ServiceFailure"))
    iam = one_try(aws, "iam")
    iam.create_access_key(UserName="ci")
    assert refused(iam.create_access_key, UserName="cd").code == "ServiceFailure"


def test_a_rule_by_chance_is_the_same_for_the_same_seed() -> None:
    def outcomes(seed: int) -> list[int]:
        with Emulator(seed=seed) as aws:
            aws.weather.add(Rule("sts:*", probability=0.5, times=None, effect="error_before", status=400))
            sts = aws.client("sts")
            for _ in range(20):
                with contextlib.suppress(ClientError):
                    sts.get_caller_identity()
            return [request.status for request in aws.requests]

    assert outcomes(1) == outcomes(1)
    assert outcomes(1) != outcomes(2)
    assert {200, 400} == set(outcomes(1))


def test_an_effect_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown effect 'rain'"):
        Rule("*", effect="rain")


def test_a_removed_rule_applies_to_nothing(aws: Emulator) -> None:
    rule = aws.weather.add(Rule("*", effect="reset", times=None))
    aws.weather.remove(rule)
    aws.client("iam").list_users()
    assert rule.hits == 0
