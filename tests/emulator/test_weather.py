"""Weather: keys and lists that propagate late, and accounts that exceed their request rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from twokey.emulator import Emulator, KeyPair, Rule

if TYPE_CHECKING:
    from collections.abc import Callable

CREATE = "iam:CreateAccessKey"


def create(aws: Emulator, user: str = "ci") -> KeyPair:
    made = aws.client("iam").create_access_key(UserName=user)["AccessKey"]
    return KeyPair(made["AccessKeyId"], made["SecretAccessKey"])


def listed(aws: Emulator) -> list[str]:
    found = aws.client("iam").list_access_keys(UserName="ci")["AccessKeyMetadata"]
    return [key["AccessKeyId"] for key in found]


def test_a_new_key_works_only_after_it_has_propagated(aws: Emulator, refused: Callable[..., Any]) -> None:
    aws.make_user("ci", keys=1)
    aws.weather.propagation = 5
    key = create(aws)
    sts = aws.client("sts", key)
    assert refused(sts.get_caller_identity).code == "InvalidClientTokenId"
    aws.advance(4)
    assert refused(sts.get_caller_identity).code == "InvalidClientTokenId"
    aws.advance(1.1)
    assert sts.get_caller_identity()["Account"] == aws.account_id


def test_a_reactivated_key_has_to_propagate_again(aws: Emulator) -> None:
    key = aws.make_user("ci", keys=1)[0]
    aws.weather.propagation = 5
    assert aws.authenticates(key)
    iam = aws.client("iam")
    for status in ("Inactive", "Active"):
        iam.update_access_key(UserName="ci", AccessKeyId=key.access_key_id, Status=status)
    assert not aws.authenticates(key)
    aws.advance(5)
    assert aws.authenticates(key)


@pytest.mark.parametrize("service", ["sts", "secretsmanager"])
def test_no_key_works_in_a_region_that_is_not_enabled(aws: Emulator, refused: Callable[..., Any], service: str) -> None:
    (key,) = aws.make_user("ci", keys=1)
    aws.weather.disabled_regions = {"me-south-1"}
    call = {"sts": "get_caller_identity", "secretsmanager": "list_secrets"}[service]
    code = refused(getattr(aws.client(service, key, region="me-south-1"), call)).code
    assert code == {"sts": "InvalidClientTokenId", "secretsmanager": "UnrecognizedClientException"}[service]
    assert aws.client("sts", key, region="eu-central-1").get_caller_identity()


def test_a_key_may_take_longer_in_one_region(aws: Emulator, refused: Callable[..., Any]) -> None:
    aws.make_user("ci", keys=1)
    aws.weather.propagation = 1
    aws.weather.region_lag = {"us-west-2": 10}
    key = create(aws)
    aws.advance(2)
    assert aws.client("sts", key, region="eu-central-1").get_caller_identity()
    far = aws.client("sts", key, region="us-west-2")
    assert refused(far.get_caller_identity).code == "InvalidClientTokenId"
    aws.advance(9)
    assert far.get_caller_identity()


def test_one_success_proves_nothing_while_a_key_flickers(aws: Emulator) -> None:
    aws.make_user("ci", keys=1)
    aws.weather.propagation = 5
    aws.weather.flicker = 0.5
    key = create(aws)
    aws.advance(5.1)
    seen = [aws.authenticates(key) for _ in range(60)]
    assert {True, False} == set(seen)
    first_success = seen.index(True)
    assert False in seen[first_success:]
    aws.advance(5)
    assert all(aws.authenticates(key) for _ in range(20))


def test_the_same_seed_flickers_the_same_way() -> None:
    def flickering(seed: int) -> list[bool]:
        with Emulator(seed=seed) as aws:
            aws.make_user("ci", keys=1)
            aws.weather.propagation = 5
            aws.weather.flicker = 0.5
            key = create(aws)
            aws.advance(5.1)
            return [aws.authenticates(key) for _ in range(30)]

    assert flickering(1) == flickering(1)
    assert flickering(1) != flickering(2)


@pytest.mark.parametrize("how", ["deleted", "deactivated"])
def test_a_removed_key_works_a_little_longer(aws: Emulator, refused: Callable[..., Any], how: str) -> None:
    key = aws.make_user("ci", keys=1)[0]
    aws.weather.deletion_lag = 4
    iam = aws.client("iam")
    if how == "deleted":
        iam.delete_access_key(UserName="ci", AccessKeyId=key.access_key_id)
    else:
        iam.update_access_key(UserName="ci", AccessKeyId=key.access_key_id, Status="Inactive")
    sts = aws.client("sts", key)
    assert sts.get_caller_identity()["Account"] == aws.account_id
    aws.advance(4)
    assert refused(sts.get_caller_identity).code == "InvalidClientTokenId"


def test_lists_show_new_and_deleted_keys_late(aws: Emulator) -> None:
    old = aws.make_user("ci", keys=1)[0]
    aws.weather.list_lag = 10
    new = create(aws)
    aws.client("iam").delete_access_key(UserName="ci", AccessKeyId=old.access_key_id)
    assert listed(aws) == [old.access_key_id]
    assert [row[0] for row in aws.keys("ci")] == [new.access_key_id]
    aws.advance(10)
    assert listed(aws) == [new.access_key_id]


def test_the_quota_counts_the_actual_keys_although_the_list_lags(aws: Emulator, refused: Callable[..., Any]) -> None:
    aws.make_user("ci", keys=1)
    aws.weather.list_lag = 10
    create(aws)
    assert len(listed(aws)) == 1
    assert refused(create, aws=aws).code == "LimitExceeded"


def test_the_last_use_can_lag(aws: Emulator) -> None:
    key = aws.make_user("ci", keys=1)[0]
    aws.weather.last_used_lag = 60
    aws.client("sts", key).get_caller_identity()

    def last_use() -> Any:
        response = aws.client("iam").get_access_key_last_used(AccessKeyId=key.access_key_id)
        return response["AccessKeyLastUsed"].get("LastUsedDate")

    assert last_use() is None
    aws.advance(60)
    assert last_use() is not None


def test_clearing_the_weather_propagates_everything(aws: Emulator) -> None:
    aws.make_user("ci", keys=1)
    aws.weather.propagation = 5
    aws.weather.list_lag = 5
    rule = aws.weather.add(Rule("*", effect="reset", nth=100))
    key = create(aws)
    assert not aws.authenticates(key)
    aws.weather.clear()
    assert aws.authenticates(key)
    assert len(listed(aws)) == 2
    assert aws.weather.rules == []
    assert rule.hits == 0


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("iam", "list_users", "Throttling"),
        ("secretsmanager", "list_secrets", "ThrottlingException"),
        ("ssm", "describe_parameters", "ThrottlingException"),
    ],
)
def test_an_account_is_throttled_by_a_token_bucket(
    aws: Emulator, one_try: Any, refused: Callable[..., Any], service: str, operation: str, code: str
) -> None:
    aws.weather.throttle(service, rate=1, burst=3)
    ask = getattr(one_try(aws, service), operation)
    for _ in range(3):
        ask()
    error = refused(ask)
    assert (error.code, error.status, error.message) == (code, 400, "Rate exceeded")
    assert aws.requests[-1].effect == "throttle"
    getattr(one_try(aws, service, aws.admin_of("210987654321")), operation)()
    aws.advance(2)
    ask()


def test_a_throttled_request_has_no_effect(aws: Emulator, one_try: Any, refused: Callable[..., Any]) -> None:
    aws.make_user("ci", keys=0)
    aws.weather.add(Rule(CREATE, effect="throttle"))
    assert refused(one_try(aws, "iam").create_access_key, UserName="ci").code == "Throttling"
    assert aws.keys("ci") == []
