"""Inline policies have a size in total, and AWS's own roles cannot be changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support.roles import policy
from twokey.emulator import KeyPair

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.emulator import Emulator

ALLOW = {"Effect": "Allow", "Action": "*", "Resource": "*"}
TRUST = policy({"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"})


def of_size(characters: int) -> str:
    """A policy document of so many characters, without those that IAM does not count."""
    document: dict[str, Any] = {"Version": "2012-10-17", "Statement": {**ALLOW, "Sid": ""}}
    document["Statement"]["Sid"] = "a" * (characters - len(json.dumps(document, separators=(",", ":"))))
    return json.dumps(document, indent=2)


@pytest.mark.parametrize(("kind", "limit"), [("user", 2048), ("role", 10240)])
def test_all_inline_policies_together_have_a_maximum_size(
    aws: Emulator, refused: Callable[..., Any], kind: str, limit: int
) -> None:
    iam = aws.client("iam")
    aws.make_user("ci", keys=0)
    iam.create_role(RoleName="ci", AssumeRolePolicyDocument=TRUST)
    put, name = getattr(iam, f"put_{kind}_policy"), {f"{kind.title()}Name": "ci"}
    put(**name, PolicyName="a", PolicyDocument=of_size(limit - 200))
    put(**name, PolicyName="b", PolicyDocument=of_size(200))
    error = refused(put, **name, PolicyName="c", PolicyDocument=of_size(120))
    assert (error.code, error.status) == ("LimitExceeded", 409)
    assert error.message == f"Maximum policy size of {limit} bytes exceeded for {kind} ci"
    put(**name, PolicyName="b", PolicyDocument=of_size(150))


@pytest.mark.parametrize("path", ["/aws-service-role/ecs.amazonaws.com/", "/aws-reserved/sso.amazonaws.com/"])
def test_roles_of_aws_cannot_be_changed(aws: Emulator, refused: Callable[..., Any], path: str) -> None:
    iam = aws.client("iam")
    iam.create_role(RoleName="theirs", Path=path, AssumeRolePolicyDocument=TRUST)
    for change in (
        lambda: iam.put_role_policy(RoleName="theirs", PolicyName="p", PolicyDocument=policy(ALLOW)),
        lambda: iam.delete_role_policy(RoleName="theirs", PolicyName="p"),
    ):
        error = refused(change)
        assert (error.code, error.status) == ("UnmodifiableEntity", 400)


def test_a_deny_on_a_user_ends_its_sessions_and_leaves_its_keys(aws: Emulator, refused: Callable[..., Any]) -> None:
    key, _ = aws.make_user("ci")
    iam, sts = aws.client("iam"), aws.client("sts", key)
    iam.put_user_policy(UserName="ci", PolicyName="all", PolicyDocument=policy(ALLOW))
    own = sts.get_session_token()["Credentials"]
    federated = sts.get_federation_token(Name="guest", Policy=policy(ALLOW))["Credentials"]
    sessions = [KeyPair(one["AccessKeyId"], one["SecretAccessKey"], one["SessionToken"]) for one in (own, federated)]
    asks = [aws.client("secretsmanager", session).list_secrets for session in sessions]
    for ask in asks:
        ask()
    aws.advance(2)
    before = {"DateLessThan": {"aws:TokenIssueTime": aws.now().strftime("%Y-%m-%dT%H:%M:%SZ")}}
    deny = policy({"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": before})
    iam.put_user_policy(UserName="ci", PolicyName="deny", PolicyDocument=deny)
    for ask in asks:
        assert "explicit deny" in refused(ask).message
    assert aws.client("secretsmanager", key).list_secrets()["SecretList"] == []
