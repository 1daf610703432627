"""The partitions of AWS other than the first: every ARN is theirs, and twokey works in each as in any other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from support.rig import Rig
from twokey.aws.clients import Clients, signing_as
from twokey.aws.iam import Iam
from twokey.core.errors import AccessDenied
from twokey.emulator import Emulator, KeyPair

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTITIONS = {"aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1", "aws-eusc": "eusc-de-east-1"}
ACCOUNT = "123456789012"


@pytest.fixture(params=PARTITIONS)
def partition(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def aws(partition: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    with Emulator(region=PARTITIONS[partition]) as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        yield running


def allow(aws: Emulator, user: str, *actions: str) -> KeyPair:
    """Make a user with these permissions; return its key."""
    (key,) = aws.make_user(user, path="/people/", keys=1)
    statement = {"Effect": "Allow", "Action": actions, "Resource": f"arn:{PARTITION_OF[aws.region]}:*"}
    aws.client("iam").put_user_policy(
        UserName=user, PolicyName="some", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )
    return key


PARTITION_OF = {region: name for name, region in PARTITIONS.items()}


def test_a_rotation_ends_as_everywhere(aws: Emulator, partition: str) -> None:
    rig = Rig(aws)
    rig.deliver = ("ssm:/jobs/{user}",)
    rig.settled()
    assert rig.rotate().outcome == "rotated"
    assert rig.rotate().outcome == "not_due"
    (secret,) = aws.client("secretsmanager").list_secrets()["SecretList"]
    assert secret["ARN"].startswith(f"arn:{partition}:secretsmanager:{PARTITIONS[partition]}:{ACCOUNT}:secret:")
    rig.store_url = f"secretsmanager:{secret['ARN']}"
    assert rig.rotate().outcome == "not_due"
    stored = rig.stored()
    assert stored
    assert aws.client("sts", key=stored).get_caller_identity()["Arn"] == (
        f"arn:{partition}:iam::{ACCOUNT}:user/machine-users/ci"
    )


def test_a_denial_names_the_resource_of_the_partition(aws: Emulator, partition: str) -> None:
    aws.make_user("ci", keys=0)
    denied = allow(aws, "rotator", "iam:Get*")
    iam = Iam(Clients("run"))
    with signing_as(denied.access_key_id, denied.secret_access_key):
        assert iam.user("ci").arn == f"arn:{partition}:iam::{ACCOUNT}:user/machine-users/ci"
        with pytest.raises(AccessDenied, match="iam:ListAccessKeys on user ci"):
            iam.keys("ci")


def test_roles_and_their_sessions_are_of_the_partition(aws: Emulator, partition: str) -> None:
    iam = aws.client("iam")
    principal: Any = {"AWS": f"arn:{partition}:iam::{ACCOUNT}:root"}
    trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}]}
    role = iam.create_role(RoleName="rotator", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", **trust}))
    arn = role["Role"]["Arn"]
    assert arn == f"arn:{partition}:iam::{ACCOUNT}:role/rotator"
    policy = f"arn:{partition}:iam::aws:policy/AdministratorAccess"
    iam.attach_role_policy(RoleName="rotator", PolicyArn=policy)
    made = aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="run")["Credentials"]
    session = KeyPair(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])
    identity = aws.client("sts", key=session).get_caller_identity()["Arn"]
    assert identity == f"arn:{partition}:sts::{ACCOUNT}:assumed-role/rotator/run"
    assert aws.client("iam", key=session).list_users()["Users"]


def test_no_region_of_another_partition_knows_the_keys(aws: Emulator) -> None:
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        aws.client("sts", region="eu-central-1").get_caller_identity()
