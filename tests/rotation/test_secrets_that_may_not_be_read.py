"""Secrets Manager without secretsmanager:GetSecretValue: the version of AWSCURRENT shows who wrote last."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from twokey.core.reasons import Outcome, Reason
from twokey.emulator import Rule

if TYPE_CHECKING:
    from support.rig import Rig

COPY = "copies/ci"
DENIED: Any = {
    "times": None,
    "effect": "error_before",
    "status": 400,
    "code": "AccessDeniedException",
    "message": "User: arn:aws:iam::123456789012:user/r is not authorized to perform: secretsmanager:GetSecretValue",
}


@pytest.fixture
def last(rig: Rig) -> str:
    """Rotate twice with a copy that twokey may write and not read; return LAST."""
    rig.deliver = ("secretsmanager:copies/{user}",)
    rig.aws.weather.add(Rule("secretsmanager:GetSecretValue", target=COPY, **DENIED))
    rig.aws.make_user("ci", keys=0)
    for _ in range(2):
        result = rig.rotate()
        assert (result.outcome, [one.outcome for one in result.destinations]) == (Outcome.ROTATED, ["delivered"] * 2)
        rig.later(days=15)
    return result.last


def stages(rig: Rig) -> dict[str, list[str]]:
    found: dict[str, list[str]] = rig.aws.client("secretsmanager").describe_secret(SecretId=COPY)["VersionIdsToStages"]
    return found


def roll_back(rig: Rig) -> None:
    """Move AWSCURRENT back, as an operator does: the copy holds LAST now."""
    labels = {label: version for version, found in stages(rig).items() for label in found}
    rig.aws.client("secretsmanager").update_secret_version_stage(
        SecretId=COPY,
        VersionStage="AWSCURRENT",
        MoveToVersionId=labels["AWSPREVIOUS"],
        RemoveFromVersionId=labels["AWSCURRENT"],
    )


def copied(rig: Rig) -> str:
    rig.aws.weather.clear()
    value = rig.aws.client("secretsmanager").get_secret_value(SecretId=COPY)["SecretString"]
    return str(json.loads(value)["AccessKeyId"])


@pytest.mark.usefixtures("last")
def test_a_copy_that_only_twokey_wrote_is_believed(rig: Rig) -> None:
    assert rig.rotate().outcome is Outcome.ROTATED


def test_a_copy_that_was_rolled_back_is_delivered_to_again_and_keeps_last(rig: Rig, last: str) -> None:
    roll_back(rig)
    result = rig.rotate()
    assert (result.outcome, result.reason) == (Outcome.COMPLETED, Reason.OUT_OF_DATE)
    assert "It is unknown whether secretsmanager:copies/ci held" in result.message
    assert last in rig.ids()
    refused = rig.rotate(force=True)
    assert (refused.outcome, refused.reason) == (Outcome.REFUSED, Reason.GRACE)
    assert copied(rig) == rig.held()


def test_a_copy_that_another_program_wrote_is_not_overwritten_unread_and_keeps_last(rig: Rig, last: str) -> None:
    rig.aws.client("secretsmanager").put_secret_value(SecretId=COPY, SecretString='{"AccessKeyId": "theirs"}')
    failed = rig.rotate()
    assert (failed.outcome, failed.reason) == (Outcome.FAILED, Reason.DELIVERY_FAILED)
    assert "allow secretsmanager:GetSecretValue" in failed.destinations[-1].message
    assert last in rig.ids()
    rig.deliver = ()
    left_out = rig.rotate()
    assert (left_out.outcome, left_out.reason) == (Outcome.ROTATED, Reason.DUE)


def test_a_rotation_beside_a_copy_that_was_rolled_back_between_its_two_looks_keeps_last(rig: Rig, last: str) -> None:
    rig.at[("lease", "done")] = lambda: roll_back(rig)
    result = rig.rotate()
    assert (result.outcome, result.reason) == (Outcome.COMPLETED, Reason.OUT_OF_DATE)
    assert last in rig.ids()


@pytest.mark.usefixtures("last")
def test_a_store_that_may_not_be_read_is_refused_and_nothing_is_changed(rig: Rig) -> None:
    before = rig.ids()
    rig.aws.weather.add(Rule("secretsmanager:GetSecretValue", target="machine-users/ci", **DENIED))
    refused = rig.rotate()
    assert (refused.outcome, refused.reason) == (Outcome.REFUSED, Reason.UNREADABLE)
    assert "secretsmanager:GetSecretValue" in refused.message
    assert rig.ids() == before


def test_a_store_whose_present_version_may_not_be_read_is_refused_where_it_is_not_ours(rig: Rig, last: str) -> None:
    """The journal may be read, and says which versions are twokey's; the value that another program wrote may not."""
    rig.deliver = ()
    client = rig.aws.client("secretsmanager")
    theirs = client.put_secret_value(SecretId="machine-users/ci", SecretString="{}")["VersionId"]
    before = rig.ids()
    values = replace(Rule("secretsmanager:GetSecretValue", target="machine-users/ci", **DENIED), nth=2)
    rig.aws.weather.add(values)
    refused = rig.rotate()
    assert (refused.outcome, refused.reason) == (Outcome.REFUSED, Reason.UNREADABLE)
    assert rig.ids() == before
    assert last in before
    labels = client.describe_secret(SecretId="machine-users/ci")["VersionIdsToStages"]
    assert "AWSCURRENT" in labels[theirs]
