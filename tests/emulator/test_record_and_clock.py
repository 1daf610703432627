"""The record of requests, and the emulator's time."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest

from twokey.emulator import Emulator, Rule
from twokey.emulator.clock import StillClock

if TYPE_CHECKING:
    from collections.abc import Callable


def test_requests_are_recorded_in_order_with_their_targets(aws: Emulator, refused: Callable[..., Any]) -> None:
    aws.make_user("ci", keys=0)
    aws.client("iam").create_access_key(UserName="ci")
    refused(aws.client("secretsmanager").get_secret_value, SecretId="machine-users/ci")
    first, second = aws.requests
    assert (first.number, first.name, first.target, first.status) == (1, "iam:CreateAccessKey", "ci", 200)
    assert (first.access_key_id, first.account) == (aws.admin.access_key_id, aws.account_id)
    assert first.user_agent.startswith("Botocore/")
    assert (second.number, second.name, second.target) == (
        2,
        "secretsmanager:GetSecretValue",
        "machine-users/ci",
    )
    assert (second.status, second.error_code, second.effect) == (400, "ResourceNotFoundException", "")


def test_a_recorded_request_cannot_be_changed_and_holds_no_secret(aws: Emulator) -> None:
    aws.make_user("ci", keys=0)
    secret = aws.client("iam").create_access_key(UserName="ci")["AccessKey"]["SecretAccessKey"]
    aws.client("ssm").put_parameter(Name="/x", Value="hush-hush", Type="SecureString")
    shown = repr(aws.requests)
    for hidden in (secret, "hush-hush", aws.admin.secret_access_key):
        assert hidden not in shown
    with pytest.raises(dataclasses.FrozenInstanceError):
        aws.requests[0].status = 1  # type: ignore[misc]


def test_a_key_pairs_secret_stays_out_of_its_repr(aws: Emulator) -> None:
    assert aws.admin.secret_access_key not in repr(aws.admin)
    assert aws.admin.secret_access_key not in str(aws.admin)


def test_requests_can_be_counted_by_pattern_and_cleared(aws: Emulator) -> None:
    iam = aws.client("iam")
    iam.list_users()
    iam.list_roles()
    aws.client("sts").get_caller_identity()
    assert (aws.count("iam:*"), aws.count("iam:ListUsers"), aws.count("*")) == (2, 1, 3)
    aws.clear_requests()
    assert (aws.requests, aws.count()) == ([], 0)
    iam.list_users()
    assert aws.requests[0].number == 4


def test_reading_the_state_is_not_recorded(aws: Emulator) -> None:
    key = aws.make_user("ci")[0]
    aws.authenticates(key)
    aws.keys("ci")
    assert aws.requests == []


def test_every_response_has_the_emulators_date(aws: Emulator, refused: Callable[..., Any]) -> None:
    responses = []
    for service, operation in (("iam", "list_users"), ("s3", "list_buckets"), ("ssm", "describe_parameters")):
        responses.append(getattr(aws.client(service), operation)())
        aws.advance(86400)
    dates = [parsedate_to_datetime(response["ResponseMetadata"]["HTTPHeaders"]["date"]) for response in responses]
    today = datetime.now(UTC)
    for days, date in enumerate(dates):
        assert abs(date - today - timedelta(days=days)) < timedelta(seconds=5)


def test_advancing_makes_later_keys_younger(aws: Emulator) -> None:
    aws.make_user("ci", keys=0)
    iam = aws.client("iam")
    first = iam.create_access_key(UserName="ci")["AccessKey"]["CreateDate"]
    aws.advance(15 * 86400)
    second = iam.create_access_key(UserName="ci")["AccessKey"]["CreateDate"]
    assert timedelta(days=15) <= second - first < timedelta(days=15, seconds=5)
    assert abs((aws.now() - datetime.now(UTC)) - timedelta(days=15)) < timedelta(seconds=1)


def test_time_does_not_go_back(aws: Emulator) -> None:
    with pytest.raises(ValueError, match="forward"):
        aws.advance(-1)


def test_a_skew_moves_the_date_and_all_that_aws_dates(aws: Emulator) -> None:
    aws.make_user("ci", keys=0)
    aws.weather.skew = 120
    response = aws.client("iam").create_access_key(UserName="ci")
    date = parsedate_to_datetime(response["ResponseMetadata"]["HTTPHeaders"]["date"])
    ahead = timedelta(seconds=120)
    assert abs(date - datetime.now(UTC) - ahead) < timedelta(seconds=3)
    assert abs(response["AccessKey"]["CreateDate"] - datetime.now(UTC) - ahead) < timedelta(seconds=3)


def test_users_have_keys_of_the_requested_ages(aws: Emulator) -> None:
    made = aws.make_user("ci", keys=3, ages=(100, 40 * 86400))
    rows = aws.keys("ci")
    assert [row[0] for row in rows] == [key.access_key_id for key in made]
    ages = [round((aws.now() - row[2]).total_seconds(), -1) for row in rows]
    assert ages == [40 * 86400, 100, 0]
    assert all(aws.authenticates(key) for key in made)


def test_a_key_can_be_aged_and_given_a_last_use(aws: Emulator) -> None:
    key = aws.make_user("ci", keys=1)[0]
    aws.age_key(key.access_key_id, 100 * 86400)
    assert (aws.now() - aws.keys("ci")[0][2]).days == 100
    aws.set_last_used(key.access_key_id, 3600, service="s3", region="us-west-2")
    response = aws.client("iam").get_access_key_last_used(AccessKeyId=key.access_key_id)["AccessKeyLastUsed"]
    assert (response["ServiceName"], response["Region"]) == ("s3", "us-west-2")
    assert 3598 < (aws.now() - response["LastUsedDate"]).total_seconds() < 3605
    aws.set_last_used(key.access_key_id, None)
    response = aws.client("iam").get_access_key_last_used(AccessKeyId=key.access_key_id)["AccessKeyLastUsed"]
    assert "LastUsedDate" not in response


def test_a_still_clock_passes_only_when_it_is_advanced() -> None:
    clock = StillClock(datetime(2030, 1, 1, tzinfo=UTC))
    with Emulator(clock=clock) as aws:
        assert aws.now() == datetime(2030, 1, 1, tzinfo=UTC)
        aws.make_user("ci", keys=1, ages=(3600,))
        aws.advance(60)
        assert aws.now() == datetime(2030, 1, 1, 0, 1, tzinfo=UTC)
        [(_, _, created)] = aws.keys("ci")
        assert created == datetime(2029, 12, 31, 23, tzinfo=UTC)


def test_a_request_without_a_connection_gets_what_the_weather_leaves_of_the_response(aws: Emulator) -> None:
    fields = [("Host", "iam.amazonaws.com"), ("Content-Type", "application/x-www-form-urlencoded")]
    body = b"Action=ListUsers&Version=2010-05-08"
    found = aws.respond("POST", "/", fields, body)
    assert found is not None
    status, headers, content = found
    assert (status, b"MissingAuthenticationToken" in content) == (403, True)
    assert {"Date", "Content-Length", "x-amzn-RequestId"} <= {name for name, _ in headers}
    aws.weather.add(Rule("*", effect="lost_response"))
    assert aws.respond("POST", "/", fields, body) is None
