"""Temporary credentials: who gets them, what they allow, when they expire."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from twokey.emulator import KeyPair

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.emulator import Emulator

ALLOW_ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}
OTHER = "210987654321"


def policy(*statements: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trusting(principal: str, **extra: Any) -> str:
    return policy({"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole", **extra})


def pair(response: Any) -> KeyPair:
    credentials = response["Credentials"]
    return KeyPair(credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"])


def make_role(aws: Emulator, trust: str, name: str = "rotator", key: KeyPair | None = None, **extra: Any) -> str:
    iam = aws.client("iam", key)
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, **extra)["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=policy(ALLOW_ALL))
    return arn


def assume(aws: Emulator, arn: str, key: KeyPair | None = None, **extra: Any) -> KeyPair:
    return pair(aws.client("sts", key).assume_role(RoleArn=arn, RoleSessionName="run-1", **extra))


def test_a_session_has_an_identity_of_its_own(aws: Emulator) -> None:
    session = assume(aws, make_role(aws, trusting(aws.account_id)))
    who = aws.client("sts", session).get_caller_identity()
    assert who["Arn"] == f"arn:aws:sts::{aws.account_id}:assumed-role/rotator/run-1"
    assert who["UserId"].endswith(":run-1")
    assert aws.client("iam", session).list_users()["Users"]


@pytest.mark.parametrize("token", [None, "another"])
def test_a_session_without_its_token_is_refused(aws: Emulator, refused: Callable[..., Any], token: str | None) -> None:
    session = assume(aws, make_role(aws, trusting(aws.account_id)))
    invalid = KeyPair(session.access_key_id, session.secret_access_key, token)
    assert refused(aws.client("sts", invalid).get_caller_identity).code == "InvalidClientTokenId"
    assert not aws.authenticates(invalid)


@pytest.mark.parametrize(
    ("service", "operation", "code", "status"),
    [
        ("sts", "get_caller_identity", "ExpiredToken", 403),
        ("secretsmanager", "list_secrets", "ExpiredTokenException", 400),
        ("s3", "list_buckets", "ExpiredToken", 400),
    ],
)
def test_a_session_ends_at_its_expiry(
    aws: Emulator, refused: Callable[..., Any], service: str, operation: str, code: str, status: int
) -> None:
    session = assume(aws, make_role(aws, trusting(aws.account_id)), DurationSeconds=900)
    ask = getattr(aws.client(service, session), operation)
    aws.advance(890)
    ask()
    aws.advance(10)
    error = refused(ask)
    assert (error.code, error.status) == (code, status)


def test_a_session_outlives_the_key_that_requested_it(aws: Emulator) -> None:
    key, _ = aws.make_user("ci")
    aws.client("iam").put_user_policy(UserName="ci", PolicyName="all", PolicyDocument=policy(ALLOW_ALL))
    session = assume(aws, make_role(aws, trusting(aws.account_id)), key)
    aws.client("iam").delete_access_key(UserName="ci", AccessKeyId=key.access_key_id)
    assert aws.client("sts", session).get_caller_identity()["Account"] == aws.account_id


def test_a_deny_on_the_token_issue_time_ends_sessions(aws: Emulator, refused: Callable[..., Any]) -> None:
    arn = make_role(aws, trusting(aws.account_id))
    session = assume(aws, arn)
    aws.advance(60)
    when = {"DateLessThan": {"aws:TokenIssueTime": aws.now().isoformat()}}
    deny = policy({"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": when})
    aws.client("iam").put_role_policy(RoleName="rotator", PolicyName="revoke", PolicyDocument=deny)
    assert "explicit deny" in refused(aws.client("iam", session).list_users).message
    aws.advance(1)
    assert aws.client("iam", assume(aws, arn)).list_users()["Users"]


def test_a_role_that_does_not_exist_cannot_be_assumed(aws: Emulator, refused: Callable[..., Any]) -> None:
    arn = f"arn:aws:iam::{aws.account_id}:role/nobody"
    error = refused(lambda: assume(aws, arn))
    assert (error.code, error.status) == ("AccessDenied", 403)
    assert error.message == (
        f"User: arn:aws:iam::{aws.account_id}:user/admin/administrator is not authorized to perform: "
        f"sts:AssumeRole on resource: {arn}"
    )


def test_a_role_with_a_path_is_known_by_its_whole_arn_only(aws: Emulator, refused: Callable[..., Any]) -> None:
    arn = make_role(aws, trusting(aws.account_id), Path="/automation/")
    assert arn.endswith(":role/automation/rotator")
    assume(aws, arn)
    assert refused(lambda: assume(aws, arn.replace("automation/", ""))).code == "AccessDenied"


def test_the_trust_policy_names_users_by_their_arn_with_its_path(aws: Emulator, refused: Callable[..., Any]) -> None:
    ci, _ = aws.make_user("ci")
    other, _ = aws.make_user("other")
    arn = make_role(aws, trusting(f"arn:aws:iam::{aws.account_id}:user/machine-users/ci"))
    assert assume(aws, arn, ci).session_token
    assert refused(lambda: assume(aws, arn, other)).code == "AccessDenied"


def test_a_trusted_account_leaves_it_to_the_callers_own_policies(aws: Emulator, refused: Callable[..., Any]) -> None:
    ci, _ = aws.make_user("ci")
    arn = make_role(aws, trusting(f"arn:aws:iam::{aws.account_id}:root"))
    assert refused(lambda: assume(aws, arn, ci)).code == "AccessDenied"
    may = policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": arn})
    aws.client("iam").put_user_policy(UserName="ci", PolicyName="assume", PolicyDocument=may)
    assert assume(aws, arn, ci).session_token


def test_another_account_needs_the_trust_and_its_own_permission(aws: Emulator, refused: Callable[..., Any]) -> None:
    theirs = aws.admin_of(OTHER)
    arn = make_role(aws, trusting(aws.account_id), key=theirs)
    assert arn.startswith(f"arn:aws:iam::{OTHER}:")
    session = assume(aws, arn)
    assert aws.client("sts", session).get_caller_identity()["Account"] == OTHER
    names = [user["UserName"] for user in aws.client("iam", session).list_users()["Users"]]
    assert names == ["administrator"]
    closed = make_role(aws, trusting("111111111111"), name="closed", key=theirs)
    assert refused(lambda: assume(aws, closed)).code == "AccessDenied"


def test_an_external_id_must_match(aws: Emulator, refused: Callable[..., Any]) -> None:
    agreed = {"Condition": {"StringEquals": {"sts:ExternalId": "agreed"}}}
    arn = make_role(aws, trusting(aws.account_id, **agreed))
    assert refused(lambda: assume(aws, arn)).code == "AccessDenied"
    assert refused(lambda: assume(aws, arn, ExternalId="guessed")).code == "AccessDenied"
    assert assume(aws, arn, ExternalId="agreed").session_token


def test_the_roles_maximum_and_the_limits_of_sts_bound_a_session(
    aws: Emulator, one_try: Any, refused: Callable[..., Any]
) -> None:
    arn = make_role(aws, trusting(aws.account_id), MaxSessionDuration=7200)
    assert assume(aws, arn, DurationSeconds=7200).session_token
    error = refused(lambda: assume(aws, arn, DurationSeconds=7201))
    assert error.code == "ValidationError"
    assert "MaxSessionDuration" in error.message
    sts = one_try(aws, "sts", parameter_validation=False)
    for seconds in (899, 43201):
        error = refused(sts.assume_role, RoleArn=arn, RoleSessionName="run-1", DurationSeconds=seconds)
        assert error.code == "ValidationError"


def test_a_chained_session_lasts_an_hour_at_most(aws: Emulator, refused: Callable[..., Any]) -> None:
    arn = make_role(aws, trusting(aws.account_id), MaxSessionDuration=43200)
    first = assume(aws, arn)
    assert assume(aws, arn, first, DurationSeconds=3600).session_token
    assert "chaining" in refused(lambda: assume(aws, arn, first, DurationSeconds=3601)).message


def test_a_session_policy_narrows_what_the_role_may_do(aws: Emulator, refused: Callable[..., Any]) -> None:
    arn = make_role(aws, trusting(aws.account_id))
    narrow = policy({"Effect": "Allow", "Action": "iam:ListUsers", "Resource": "*"})
    iam = aws.client("iam", assume(aws, arn, Policy=narrow))
    assert iam.list_users()["Users"]
    assert "because no session policy allows the iam:ListRoles action" in refused(iam.list_roles).message


def test_get_session_token_gives_the_users_own_permissions_without_iam(
    aws: Emulator, refused: Callable[..., Any]
) -> None:
    key, _ = aws.make_user("ci")
    aws.client("iam").put_user_policy(UserName="ci", PolicyName="all", PolicyDocument=policy(ALLOW_ALL))
    session = pair(aws.client("sts", key).get_session_token(DurationSeconds=900))
    assert aws.client("sts", session).get_caller_identity()["Arn"].endswith("user/machine-users/ci")
    assert aws.client("secretsmanager", session).list_secrets()["SecretList"] == []
    assert refused(aws.client("iam", session).get_user).code == "InvalidClientTokenId"
    assert refused(aws.client("sts", session).get_session_token).code == "AccessDenied"
    aws.advance(900)
    assert refused(aws.client("sts", session).get_caller_identity).code == "ExpiredToken"


def test_a_federated_user_may_do_what_the_user_and_the_policy_allow(aws: Emulator, refused: Callable[..., Any]) -> None:
    narrow = policy({"Effect": "Allow", "Action": "secretsmanager:ListSecrets", "Resource": "*"})
    response = aws.client("sts").get_federation_token(Name="guest", Policy=narrow)
    assert response["FederatedUser"]["Arn"].endswith(":federated-user/guest")
    session = pair(response)
    assert aws.client("secretsmanager", session).list_secrets()["SecretList"] == []
    assert refused(aws.client("ssm", session).describe_parameters).code == "AccessDeniedException"


def test_sessions_by_saml_are_not_implemented(aws: Emulator, refused: Callable[..., Any]) -> None:
    error = refused(
        aws.client("sts").assume_role_with_saml,
        RoleArn=f"arn:aws:iam::{aws.account_id}:role/x",
        PrincipalArn=f"arn:aws:iam::{aws.account_id}:saml-provider/x",
        SAMLAssertion="assertion",
    )
    assert (error.code, error.status) == ("NotImplemented", 501)
