"""Two and three real processes on one machine user at once, and one that is suspended while it holds the lease."""

from __future__ import annotations

import signal
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from twokey.emulator import Rule
from wire.processes import LOCKED, STOPPED_CLOCK, STORES, SUSPENDED, prepare, sleep, suspend

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
@pytest.mark.parametrize("store", [*STORES, LOCKED])
def test_begun_at_once_rotate_once(rig: Rig, tmp_path: Path, store: str, keys: int, runners: int) -> None:
    workspace = prepare(rig, tmp_path, store, keys)
    processes = [workspace.begin("rotate", "--json") for _ in range(runners)]
    outcomes = Counter(workspace.outcome(process)[0] for process in processes)
    assert outcomes.pop("rotated") == 1
    if store == STORES[1]:
        # Without conditional writes, two runs may take the lease at once. The read-back detects it, and one of them
        # fails.
        assert outcomes.keys() <= {"not_due", "failed"}
    else:
        assert outcomes == {"not_due": runners - 1}
    assert rig.aws.count("iam:CreateAccessKey") == 1
    workspace.check_in_order()


@pytest.mark.parametrize("store", [*STORES, LOCKED])
def test_begun_while_another_creates_wait_for_it_or_refuse_if_they_may_not(
    rig: Rig, tmp_path: Path, store: str
) -> None:
    workspace = prepare(rig, tmp_path, store)
    rule = rig.aws.weather.add(Rule("iam:CreateAccessKey", effect="hold_after"))
    first = workspace.begin("rotate", "--json")
    rig.aws.weather.wait_until_held(300)
    hasty = workspace.begin("rotate", "--json", "--no-wait")
    patient = workspace.begin("rotate", "--json")
    assert workspace.outcome(hasty) == ("refused", "lease_held")
    workspace.check_safe()
    rig.aws.weather.remove(rule)
    rig.aws.weather.release()
    assert workspace.outcome(first)[0] == "rotated"
    assert workspace.outcome(patient)[0] == "not_due"
    assert rig.aws.count("iam:CreateAccessKey") == 1
    workspace.check_in_order()


@pytest.mark.first
@pytest.mark.parametrize("store", [*STORES, LOCKED])
@pytest.mark.parametrize("suspended", ["after the creation", "after a write", "during the verification"])
def test_overtaken_while_suspended_harms_nothing_afterwards(
    rig: Rig, tmp_path: Path, store: str, suspended: str
) -> None:
    workspace = prepare(rig, tmp_path, store)
    at = {
        "after the creation": Rule("iam:CreateAccessKey", effect="hold_after"),
        "after a write": Rule(WRITES[store.partition(":")[0]], nth=1, effect="hold_after"),
        "during the verification": Rule("sts:GetCallerIdentity", nth=2, effect="hold_after"),
    }[suspended]
    rig.aws.weather.add(at)
    stopped = workspace.begin("rotate", "--json", program=SUSPENDED)
    rig.aws.weather.wait_until_held(300)
    suspend(stopped)
    try:
        rig.aws.weather.remove(at)
        rig.aws.weather.release()
        workspace.check_safe()
        sleep(workspace)
        outcome, reason = workspace.outcome(workspace.begin("rotate", "--json", program=SUSPENDED))
        assert outcome == "rotated", reason
        workspace.check_in_order()
        published = rig.stored()
    finally:
        stopped.send_signal(signal.SIGCONT)
    assert workspace.outcome(stopped)[0] == "failed"
    assert rig.stored() == published
    workspace.check_in_order()


def test_suspended_between_its_check_and_its_write_is_fenced_by_the_lock_alone(rig: Rig, tmp_path: Path) -> None:
    """The parameters are read for the fifth time right before the pair is written."""
    workspace = prepare(rig, tmp_path, LOCKED)
    at = rig.aws.weather.add(Rule("ssm:GetParameters", nth=5, effect="hold_after"))
    stopped = workspace.begin("rotate", "--json", program=STOPPED_CLOCK)
    rig.aws.weather.wait_until_held(300)
    suspend(stopped)
    try:
        rig.aws.weather.remove(at)
        rig.aws.weather.release()
        sleep(workspace)
        outcome, reason = workspace.outcome(workspace.begin("rotate", "--json", program=SUSPENDED))
        assert outcome == "rotated", reason
        workspace.check_in_order()
        published, writes = rig.stored(), rig.aws.count("ssm:PutParameter")
    finally:
        stopped.send_signal(signal.SIGCONT)
    assert workspace.outcome(stopped) == ("failed", "lease_lost")
    assert (rig.stored(), rig.aws.count("ssm:PutParameter")) == (published, writes)
    workspace.check_in_order()
