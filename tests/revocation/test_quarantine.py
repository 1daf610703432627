"""AWS's quarantine of a user is recognised by the beginning of its name, and its limits are explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from twokey.aws.iam import Iam
from twokey.core.errors import ExitCode
from twokey.inventory import collect
from twokey.permissions.account import Attached, Principal
from twokey.revocation import quarantine

if TYPE_CHECKING:
    from support.rig import Rig

ARN = "arn:aws:iam::aws:policy/"


def user(*policies: Attached) -> Principal:
    return Principal(kind="user", name="ci", path="/", arn="arn:aws:iam::123456789012:user/ci", policies=policies)


@pytest.mark.parametrize(
    ("name", "not_denied"),
    [("", "sts:AssumeRole, sts:GetSessionToken, sts:GetFederationToken"), ("V2", "sts:AssumeRole")],
)
def test_what_a_quarantine_denies_is_read_from_the_policy_that_aws_attached(
    rig: Rig, name: str, not_denied: str
) -> None:
    rig.aws.make_user("ci", keys=0)
    arn = f"{ARN}AWSCompromisedKeyQuarantine{name}"
    rig.aws.client("iam").attach_user_policy(UserName="ci", PolicyArn=arn)
    [ci] = [one for one in collect.details(Iam(rig.clients())).users if one.name == "ci"]
    text = quarantine.explanation(ci)
    assert f"AWS has attached AWSCompromisedKeyQuarantine{name} to ci" in text
    assert "It denies ci iam:CreateAccessKey, iam:UpdateAccessKey, " in text
    assert f", and more, but not {not_denied}: an intruder" in text
    assert f"aws iam detach-user-policy --user-name ci --policy-arn {arn}" in text


def test_a_version_that_is_not_known_yet_is_recognised_and_another_policy_is_not() -> None:
    v9 = Attached("attached policy", "AWSCompromisedKeyQuarantineV9", {}, arn=f"{ARN}AWSCompromisedKeyQuarantineV9")
    inline = Attached("inline policy", "AWSCompromisedKeyQuarantineV9", {})
    other = Attached("attached policy", "ReadOnlyAccess", {}, arn=f"{ARN}ReadOnlyAccess")
    own = Attached("attached policy", v9.name, {}, arn=f"arn:aws:iam::123456789012:policy/{v9.name}")
    assert quarantine.of(user(v9, inline, other, own)) == (v9,)
    assert "It denies ci some actions" in quarantine.explanation(user(v9))
    assert quarantine.explanation(user(inline, other)) == ""


def test_the_quarantined_user_itself_is_refused_and_any_other_principal_is_not() -> None:
    v3 = Attached("attached policy", "AWSCompromisedKeyQuarantineV3", {}, arn=f"{ARN}AWSCompromisedKeyQuarantineV3")
    refused = quarantine.refusal(user(v3), "arn:aws:iam::123456789012:user/ci")
    assert refused is not None
    assert refused.exit_code == ExitCode.REFUSED
    assert "credentials of another principal" in refused.remedy
    assert quarantine.refusal(user(v3), "arn:aws:iam::123456789012:user/admin") is None
    assert quarantine.refusal(user(), "arn:aws:iam::123456789012:user/ci") is None
