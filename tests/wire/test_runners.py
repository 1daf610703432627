"""Two and three real processes on one machine user at once, and one that falls asleep with the lease in its hands."""

from __future__ import annotations

import signal
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from twokey.emulator import Rule
from wire.processes import SHORT_LEASE, STORES, found

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig

WRITES = {
    "secretsmanager": "secretsmanager:UpdateSecretVersionStage",
    "ssm": "ssm:PutParameter",
    "file": "iam:DeleteAccessKey",
}


@pytest.mark.parametrize("runners", [2, 3])
@pytest.mark.parametrize("keys", [0, 2])
@pytest.mark.parametrize("store", STORES)
def test_begun_at_once_rotate_once(rig: Rig, tmp_path: Path, store: str, keys: int, runners: int) -> None:
    town = found(rig, tmp_path, store, keys)
    processes = [town.begin("rotate", "--json") for _ in range(runners)]
    outcomes = Counter(town.outcome(process)[0] for process in processes)
    assert outcomes.pop("rotated") == 1
    if store.startswith("ssm:"):
        # Without conditional writes, two that take the lease at once are told apart afterwards, and one of them fails.
        assert outcomes.keys() <= {"not_due", "failed"}
    else:
        assert outcomes == {"not_due": runners - 1}
    assert rig.aws.count("iam:CreateAccessKey") == 1
    town.check_in_order()


@pytest.mark.parametrize("store", STORES)
def test_begun_while_another_creates_wait_for_it_or_refuse_if_they_may_not(
    rig: Rig, tmp_path: Path, store: str
) -> None:
    town = found(rig, tmp_path, store)
    rule = rig.aws.weather.add(Rule("iam:CreateAccessKey", effect="hold_after"))
    first = town.begin("rotate", "--json")
    rig.aws.weather.wait_until_held(30)
    hasty = town.begin("rotate", "--json", "--no-wait")
    patient = town.begin("rotate", "--json")
    assert town.outcome(hasty) == ("refused", "lease_held")
    town.check_safe()
    rig.aws.weather.remove(rule)
    rig.aws.weather.release()
    assert town.outcome(first)[0] == "rotated"
    assert town.outcome(patient)[0] == "not_due"
    assert rig.aws.count("iam:CreateAccessKey") == 1
    town.check_in_order()


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("asleep", ["after the creation", "after a write", "before the verification"])
def test_overtaken_in_its_sleep_wakes_up_and_harms_nothing(rig: Rig, tmp_path: Path, store: str, asleep: str) -> None:
    town = found(rig, tmp_path, store)
    at = {
        "after the creation": Rule("iam:CreateAccessKey", effect="hold_after"),
        "after a write": Rule(WRITES[store.partition(":")[0]], nth=1, effect="hold_after"),
        "before the verification": Rule("sts:GetCallerIdentity", nth=2, effect="hold_before"),
    }[asleep]
    rig.aws.weather.add(at)
    sleeper = town.begin("rotate", "--json", program=SHORT_LEASE)
    rig.aws.weather.wait_until_held(30)
    sleeper.send_signal(signal.SIGSTOP)
    try:
        rig.aws.weather.remove(at)
        rig.aws.weather.release()
        town.check_safe()
        assert town.outcome(town.begin("rotate", "--json", program=SHORT_LEASE))[0] == "rotated"
        town.check_in_order()
        published = rig.stored()
    finally:
        sleeper.send_signal(signal.SIGCONT)
    assert town.outcome(sleeper)[0] == "failed"
    assert rig.stored() == published
    town.check_in_order()
