"""The real command, killed with SIGKILL at every boundary of what it does to AWS, and run again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from twokey.emulator import Rule
from wire.processes import STORES, end_lease, found, steps

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
    "secretsmanager:GetSecretValue",
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
    assert steps(found(rig, tmp_path)) == list(OF_TWO_KEYS)
    assert len(BOUNDARIES) >= 30


@pytest.mark.parametrize(("number", "name", "effect"), BOUNDARIES)
def test_a_run_killed_there_is_made_good_by_the_next(
    rig: Rig, tmp_path: Path, number: int, name: str, effect: str
) -> None:
    town = found(rig, tmp_path)
    rule = rig.aws.weather.add(Rule("*", nth=number, effect=effect))
    process = town.begin("rotate")
    rig.aws.weather.wait_until_held(30)
    assert f"{rig.aws.requests[-1].service}:{rig.aws.requests[-1].operation}" == name
    process.kill()
    process.communicate()
    rig.aws.weather.remove(rule)
    rig.aws.weather.release()
    town.check_safe()
    rig.aws.clear_requests()
    outcome, _ = town.outcome(town.begin("rotate", "--json"))
    assert outcome in ("rotated", "completed", "not_due")
    assert rig.aws.count("iam:CreateAccessKey") <= 1
    town.check_in_order()


@pytest.mark.parametrize("store", STORES[1:])
@pytest.mark.parametrize("keys", [0, 1, 2])
def test_a_run_killed_with_an_unstored_key_is_made_good_on_every_store(
    rig: Rig, tmp_path: Path, store: str, keys: int
) -> None:
    town = found(rig, tmp_path, store, keys)
    rule = rig.aws.weather.add(Rule("iam:CreateAccessKey", effect="hold_after"))
    process = town.begin("rotate")
    rig.aws.weather.wait_until_held(30)
    process.kill()
    process.communicate()
    rig.aws.weather.remove(rule)
    rig.aws.weather.release()
    town.check_safe()
    if store.startswith("ssm:"):
        # What the dead run sent last may still come: without conditional writes its lease has to end by itself.
        assert town.outcome(town.begin("rotate", "--json", "--no-wait")) == ("refused", "lease_held")
        end_lease(rig)
    assert town.outcome(town.begin("rotate", "--json"))[0] == "rotated"
    town.check_in_order()
