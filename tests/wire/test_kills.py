"""The real command, killed with SIGKILL before or after each of its requests to AWS, and run again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from twokey.emulator import Rule
from wire.processes import STORES, end_lease, prepare, steps

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig

OF_TWO_KEYS = (
    "iam:ListUsers",
    "iam:ListAccessKeys",
    "secretsmanager:DescribeSecret",
    "secretsmanager:GetSecretValue",
    "iam:GetAccessKeyLastUsed",
    "secretsmanager:PutSecretValue",
    "secretsmanager:UpdateSecretVersionStage",
    "iam:ListAccessKeys",
    "secretsmanager:DescribeSecret",
    "sts:GetCallerIdentity",
    "iam:SimulatePrincipalPolicy",
    "iam:DeleteAccessKey",
    "secretsmanager:PutSecretValue",
    "secretsmanager:UpdateSecretVersionStage",
    "iam:CreateAccessKey",
    "sts:GetCallerIdentity",
    "sts:GetCallerIdentity",
    "secretsmanager:PutSecretValue",
    "secretsmanager:UpdateSecretVersionStage",
    "secretsmanager:DescribeSecret",
    "secretsmanager:PutSecretValue",
    "secretsmanager:UpdateSecretVersionStage",
)
READS = ("List", "Get", "Describe", "Simulate")


def _writes(name: str) -> bool:
    return not name.partition(":")[2].startswith(READS)


BOUNDARIES = [
    (number, name, effect)
    for number, name in enumerate(OF_TWO_KEYS, 1)
    for effect in ("hold_before", "hold_after")
    if effect == "hold_after" or _writes(name)
]


def test_the_boundaries_are_those_of_the_command(rig: Rig, tmp_path: Path) -> None:
    assert steps(prepare(rig, tmp_path)) == list(OF_TWO_KEYS)
    assert len(BOUNDARIES) >= 30


@pytest.mark.parametrize(("number", "name", "effect"), BOUNDARIES)
def test_a_run_killed_there_is_completed_by_the_next(
    rig: Rig, tmp_path: Path, number: int, name: str, effect: str
) -> None:
    workspace = prepare(rig, tmp_path)
    rule = rig.aws.weather.add(Rule("*", nth=number, effect=effect))
    process = workspace.begin("rotate")
    rig.aws.weather.wait_until_held(300)
    assert f"{rig.aws.requests[-1].service}:{rig.aws.requests[-1].operation}" == name
    process.kill()
    process.communicate()
    rig.aws.weather.remove(rule)
    rig.aws.weather.release()
    workspace.check_safe()
    rig.aws.clear_requests()
    outcome, _ = workspace.outcome(workspace.begin("rotate", "--json"))
    assert outcome in ("rotated", "completed", "not_due")
    assert rig.aws.count("iam:CreateAccessKey") <= 1
    workspace.check_in_order()


@pytest.mark.parametrize("store", STORES[1:])
@pytest.mark.parametrize("keys", [0, 1, 2])
def test_a_run_killed_with_an_unstored_key_is_completed_on_every_store(
    rig: Rig, tmp_path: Path, store: str, keys: int
) -> None:
    workspace = prepare(rig, tmp_path, store, keys)
    rule = rig.aws.weather.add(Rule("iam:CreateAccessKey", effect="hold_after"))
    process = workspace.begin("rotate")
    rig.aws.weather.wait_until_held(300)
    process.kill()
    process.communicate()
    rig.aws.weather.remove(rule)
    rig.aws.weather.release()
    workspace.check_safe()
    if store.startswith("ssm:"):
        # The last write of the dead run may still arrive: without conditional writes, its lease must expire.
        assert workspace.outcome(workspace.begin("rotate", "--json", "--no-wait")) == ("refused", "lease_held")
        end_lease(rig)
    assert workspace.outcome(workspace.begin("rotate", "--json"))[0] == "rotated"
    workspace.check_in_order()
