"""Policies decide what a caller may do, and a denial gives AWS's reason."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from twokey.emulator import KeyPair

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.emulator import Emulator

SELF_SERVICE = {
    "Effect": "Allow",
    "Action": ["iam:*AccessKey*", "iam:GetUser"],
    "Resource": "arn:aws:iam::*:user/*/${aws:username}",
}


def grant(aws: Emulator, *statements: Any, user: str = "ci") -> None:
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    aws.client("iam").put_user_policy(UserName=user, PolicyName="p", PolicyDocument=document)


@pytest.fixture
def ci(aws: Emulator) -> KeyPair:
    aws.make_user("other", keys=1)
    return aws.make_user("ci", keys=1)[0]


def test_without_a_policy_nothing_is_allowed(aws: Emulator, ci: KeyPair, refused: Callable[..., Any]) -> None:
    error = refused(aws.client("iam", ci).create_access_key, UserName="ci")
    assert (error.code, error.status) == ("AccessDenied", 403)
    assert error.message == (
        "User: arn:aws:iam::123456789012:user/machine-users/ci is not authorized to perform: iam:CreateAccessKey "
        "on resource: user ci because no identity-based policy allows the iam:CreateAccessKey action"
    )
    error = refused(aws.client("secretsmanager", ci).get_secret_value, SecretId="s")
    assert (error.code, error.status) == ("AccessDeniedException", 400)
    assert "on resource: s because no identity-based policy allows the secretsmanager:GetSecretValue" in error.message


def test_get_caller_identity_works_even_under_an_explicit_deny(aws: Emulator, ci: KeyPair) -> None:
    grant(aws, {"Effect": "Deny", "Action": "*", "Resource": "*"})
    assert aws.client("sts", ci).get_caller_identity()["Arn"].endswith("/ci")


def test_a_user_may_be_limited_to_itself(aws: Emulator, ci: KeyPair, refused: Callable[..., Any]) -> None:
    grant(aws, SELF_SERVICE)
    iam = aws.client("iam", ci)
    assert len(iam.list_access_keys()["AccessKeyMetadata"]) == 1
    assert iam.create_access_key()["AccessKey"]["UserName"] == "ci"
    assert iam.get_access_key_last_used(AccessKeyId=ci.access_key_id)["UserName"] == "ci"
    assert refused(iam.list_access_keys, UserName="other").code == "AccessDenied"


def test_a_permission_may_be_limited_to_a_path(aws: Emulator, ci: KeyPair, refused: Callable[..., Any]) -> None:
    aws.make_user("boss", path="/people/", keys=1)
    path = "arn:aws:iam::123456789012:user/machine-users/*"
    grant(aws, {"Effect": "Allow", "Action": "iam:ListAccessKeys", "Resource": path})
    iam = aws.client("iam", ci)
    assert iam.list_access_keys(UserName="other")["AccessKeyMetadata"]
    assert "resource: user boss" in refused(iam.list_access_keys, UserName="boss").message
    listing = refused(iam.list_users, PathPrefix="/machine-users/")
    assert "resource: arn:aws:iam::123456789012:user/machine-users/ because" in listing.message


def test_an_explicit_deny_wins_and_is_named(aws: Emulator, ci: KeyPair, refused: Callable[..., Any]) -> None:
    allow = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    grant(aws, allow, {"Effect": "Deny", "Action": "iam:DeleteUser", "Resource": "*"})
    error = refused(aws.client("iam", ci).delete_user, UserName="other")
    assert error.message.endswith("on resource: user other with an explicit deny in an identity-based policy")


def test_groups_and_attached_policies_count(aws: Emulator, ci: KeyPair) -> None:
    iam = aws.client("iam")
    document = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "iam:ListU*", "Resource": "*"}}
    arn = iam.create_policy(PolicyName="list", PolicyDocument=json.dumps(document))["Policy"]["Arn"]
    iam.create_group(GroupName="machines")
    iam.attach_group_policy(GroupName="machines", PolicyArn=arn)
    iam.add_user_to_group(GroupName="machines", UserName="ci")
    assert aws.client("iam", ci).list_users()["Users"]


def test_awss_own_managed_policies_can_be_attached(aws: Emulator, ci: KeyPair, refused: Callable[..., Any]) -> None:
    iam, mine = aws.client("iam"), aws.client("iam", ci)
    iam.attach_user_policy(UserName="ci", PolicyArn="arn:aws:iam::aws:policy/IAMFullAccess")
    assert mine.list_users()["Users"]
    quarantine = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV4"
    iam.attach_user_policy(UserName="ci", PolicyArn=quarantine)
    assert "explicit deny" in refused(mine.create_access_key, UserName="ci").message


def test_the_source_ip_can_be_required(aws: Emulator, ci: KeyPair, refused: Callable[..., Any]) -> None:
    grant(
        aws,
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {
            "Effect": "Deny",
            "Action": "*",
            "Resource": "*",
            "Condition": {
                "NotIpAddress": {"aws:SourceIp": ["203.0.113.0/24", "2001:db8::/32"]},
                "Bool": {"aws:ViaAWSService": "false"},
            },
        },
    )
    iam = aws.client("iam", ci)
    assert "explicit deny" in refused(iam.list_users).message
    for address in ("203.0.113.7", "2001:db8::1"):

        def from_there(request: Any, address: str = address, **_: Any) -> None:
            request.headers["X-Emulator-Source-Ip"] = address

        iam.meta.events.register("before-sign.iam.*", from_there, unique_id="ip")
        assert iam.list_users()["Users"]
        iam.meta.events.unregister("before-sign.iam.*", from_there, unique_id="ip")


def test_a_secret_is_named_by_name_by_arn_or_by_partial_arn(
    aws: Emulator, ci: KeyPair, refused: Callable[..., Any]
) -> None:
    admin, mine = aws.client("secretsmanager"), aws.client("secretsmanager", ci)
    arn = admin.create_secret(Name="machine-users/ci", SecretString="x")["ARN"]
    admin.create_secret(Name="machine-users/other", SecretString="x")
    suffix_open = "arn:aws:secretsmanager:*:123456789012:secret:machine-users/ci-??????"
    grant(aws, {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": suffix_open})
    assert mine.get_secret_value(SecretId="machine-users/ci")["SecretString"] == "x"
    assert mine.get_secret_value(SecretId=arn)["SecretString"] == "x"
    assert refused(mine.get_secret_value, SecretId="machine-users/other").code == "AccessDeniedException"
    assert refused(mine.get_secret_value, SecretId="missing").code == "AccessDeniedException"


def test_a_parameter_is_named_without_its_version(aws: Emulator, ci: KeyPair, refused: Callable[..., Any]) -> None:
    admin, mine = aws.client("ssm"), aws.client("ssm", ci)
    for name in ("/machine-users/ci", "/machine-users/other"):
        admin.put_parameter(Name=name, Value="x", Type="SecureString")
    arn = "arn:aws:ssm:*:*:parameter/machine-users/ci"
    grant(aws, {"Effect": "Allow", "Action": "ssm:GetParameter*", "Resource": arn})
    assert mine.get_parameter(Name="/machine-users/ci:1")["Parameter"]["Version"] == 1
    assert refused(mine.get_parameter, Name="/machine-users/other").code == "AccessDeniedException"
    both = ["/machine-users/ci", "/machine-users/other"]
    assert refused(mine.get_parameters, Names=both).code == "AccessDeniedException"


def test_an_s3_permission_may_be_limited_to_a_prefix(aws: Emulator, ci: KeyPair, refused: Callable[..., Any]) -> None:
    admin, mine = aws.client("s3"), aws.client("s3", ci)
    admin.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": aws.region})
    grant(aws, {"Effect": "Allow", "Action": "s3:*Object", "Resource": "arn:aws:s3:::bucket/ci/*"})
    mine.put_object(Bucket="bucket", Key="ci/a", Body=b"x")
    assert refused(mine.put_object, Bucket="bucket", Key="other/a", Body=b"x").code == "AccessDenied"
    assert refused(mine.list_objects_v2, Bucket="bucket").code == "AccessDenied"


def test_an_unsupported_condition_operator_never_allows_and_always_denies(
    aws: Emulator, ci: KeyPair, refused: Callable[..., Any]
) -> None:
    odd = {"Condition": {"BinaryEquals": {"x": "eA=="}}, "Action": "iam:ListUsers", "Resource": "*"}
    grant(aws, {"Effect": "Allow", **odd})
    iam = aws.client("iam", ci)
    assert "because no identity-based policy" in refused(iam.list_users).message
    grant(aws, {"Effect": "Allow", "Action": "*", "Resource": "*"}, {"Effect": "Deny", **odd})
    assert "explicit deny" in refused(iam.list_users).message


def test_a_roles_boundary_limits_it(aws: Emulator, refused: Callable[..., Any]) -> None:
    iam = aws.client("iam")
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    listing = {"Version": "2012-10-17", "Statement": [{**everything, "Action": "iam:List*"}]}
    boundary = iam.create_policy(PolicyName="b", PolicyDocument=json.dumps(listing))["Policy"]["Arn"]
    trust = {"Statement": {"Effect": "Allow", "Principal": {"AWS": aws.account_id}, "Action": "sts:AssumeRole"}}
    arn = iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(trust), PermissionsBoundary=boundary)[
        "Role"
    ]["Arn"]
    document = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    iam.put_role_policy(RoleName="r", PolicyName="all", PolicyDocument=document)
    credentials = aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="rr")["Credentials"]
    session = KeyPair(credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"])
    assert aws.client("iam", session).list_users()["Users"]
    error = refused(aws.client("iam", session).create_user, UserName="x")
    assert error.message.endswith("because no permissions boundary allows the iam:CreateUser action")


def test_the_policy_simulator_decides_as_the_services_do(aws: Emulator, ci: KeyPair) -> None:
    deny = {"Effect": "Deny", "Action": "iam:DeleteUser", "Resource": "*"}
    grant(aws, SELF_SERVICE, deny)
    arn = "arn:aws:iam::123456789012:user/machine-users/"
    results = aws.client("iam").simulate_principal_policy(
        PolicySourceArn=arn + "ci",
        ActionNames=["iam:CreateAccessKey", "iam:DeleteUser"],
        ResourceArns=[arn + "ci", arn + "other"],
    )["EvaluationResults"]
    found = {(r["EvalActionName"][4:], r["EvalResourceName"][-5:]): r["EvalDecision"] for r in results}
    assert found == {
        ("CreateAccessKey", "rs/ci"): "allowed",
        ("CreateAccessKey", "other"): "implicitDeny",
        ("DeleteUser", "rs/ci"): "explicitDeny",
        ("DeleteUser", "other"): "explicitDeny",
    }


def test_the_policy_simulator_takes_context(aws: Emulator, ci: KeyPair) -> None:
    here = {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}
    grant(aws, {"Effect": "Allow", "Action": "iam:ListUsers", "Resource": "*", "Condition": here})

    def decision(address: str) -> str:
        entry = {"ContextKeyName": "aws:SourceIp", "ContextKeyValues": [address], "ContextKeyType": "ip"}
        results = aws.client("iam").simulate_principal_policy(
            PolicySourceArn="arn:aws:iam::123456789012:user/machine-users/ci",
            ActionNames=["iam:ListUsers"],
            ContextEntries=[entry],
        )["EvaluationResults"]
        return str(results[0]["EvalDecision"])

    assert decision("203.0.113.9") == "allowed"
    assert decision("198.51.100.9") == "implicitDeny"
