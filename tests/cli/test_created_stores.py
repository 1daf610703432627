"""A company that requires tags or a KMS key of each new secret: what the commands say, and that they go on."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from support import commands
from twokey.emulator import Rule

if TYPE_CHECKING:
    from support.rig import Rig


@pytest.mark.parametrize(
    ("store", "call"), [("secretsmanager:keys/ci", "CreateSecret"), ("ssm:/keys/ci", "PutParameter")]
)
def test_a_denied_creation_says_what_to_add_and_what_to_create_beforehand(rig: Rig, store: str, call: str) -> None:
    """A service control policy that asks for tags denies a creation without them, before LAST goes."""
    rig.aws.make_user("ci", keys=2, ages=(40 * 86_400.0, 20 * 86_400.0))
    service = store.partition(":")[0]
    message = (
        f"User: arn:aws:sts::123456789012:assumed-role/rotator/run is not authorized to perform: {service}:{call} on "
        "resource: keys/ci with an explicit deny in a service control policy"
    )
    denial = Rule(f"{service}:{call}", times=None, effect="error_before", status=400, code="AccessDeniedException")
    rig.aws.weather.add(replace(denial, message=message))
    before = rig.aws.keys("ci")
    ran = commands.twokey("rotate", "ci", "--store", store, "--retire", min(before, key=lambda key: key[2])[0])
    text = ran.out + ran.err
    assert ran.code == 3, text
    assert rig.aws.keys("ci") == before
    assert "tag.NAME=VALUE, kms=alias/NAME" in text
    assert "create it beforehand" in text


def test_a_secret_that_was_created_beforehand_without_a_value_is_used(rig: Rig) -> None:
    rig.aws.make_user("ci", keys=1)
    secrets = rig.aws.client("secretsmanager")
    secrets.create_secret(Name="keys/ci", Tags=[{"Key": "team", "Value": "platform"}])
    ran = commands.twokey("rotate", "ci", "--store", "secretsmanager:keys/ci")
    assert ran.code == 0, ran.out + ran.err
    assert json.loads(secrets.get_secret_value(SecretId="keys/ci")["SecretString"]).keys() == {
        "AccessKeyId",
        "SecretAccessKey",
    }


def test_parameters_that_were_created_beforehand_are_used(rig: Rig) -> None:
    """With the commands that the message names."""
    rig.aws.make_user("ci", keys=1)
    parameters = rig.aws.client("ssm")
    parameters.put_parameter(Name="/keys/ci", Type="SecureString", Value='{"twokey-journal":{}}')
    parameters.put_parameter(Name="/keys/ci.twokey-journal", Type="String", Value='{"twokey-journal":{}}')
    ran = commands.twokey("rotate", "ci", "--store", "ssm:/keys/ci")
    assert ran.code == 0, ran.out + ran.err
