"""Only an Active key works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.emulator import Emulator


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("sts", "get_caller_identity", "InvalidClientTokenId"),
        ("iam", "get_user", "InvalidClientTokenId"),
        ("secretsmanager", "list_secrets", "UnrecognizedClientException"),
        ("s3", "list_buckets", "InvalidAccessKeyId"),
    ],
)
def test_an_inactive_key_is_refused_until_it_is_active_again(
    aws: Emulator, refused: Callable[..., Any], service: str, operation: str, code: str
) -> None:
    key, _ = aws.make_user("ci")
    ask = getattr(aws.client(service, key), operation)
    iam = aws.client("iam")
    iam.update_access_key(UserName="ci", AccessKeyId=key.access_key_id, Status="Inactive")
    assert refused(ask).code == code
    assert not aws.authenticates(key)
    iam.update_access_key(UserName="ci", AccessKeyId=key.access_key_id, Status="Active")
    assert aws.authenticates(key)


def test_a_deleted_key_is_refused(aws: Emulator, refused: Callable[..., Any]) -> None:
    key, other = aws.make_user("ci")
    aws.client("iam").delete_access_key(UserName="ci", AccessKeyId=key.access_key_id)
    assert refused(aws.client("sts", key).get_caller_identity).code == "InvalidClientTokenId"
    assert aws.client("sts", other).get_caller_identity()["Arn"].endswith(":user/machine-users/ci")


def test_a_new_key_works_at_once_without_faults(aws: Emulator) -> None:
    from twokey.emulator import KeyPair

    aws.make_user("ci", keys=1)
    made = aws.client("iam").create_access_key(UserName="ci")["AccessKey"]
    key = KeyPair(made["AccessKeyId"], made["SecretAccessKey"])
    assert aws.client("sts", key).get_caller_identity()["Account"] == aws.account_id


def test_a_secret_that_is_not_the_keys_does_not_authenticate(aws: Emulator) -> None:
    from twokey.emulator import KeyPair

    first, second = aws.make_user("ci")
    assert not aws.authenticates(KeyPair(first.access_key_id, second.secret_access_key))
