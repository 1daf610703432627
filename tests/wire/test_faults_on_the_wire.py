"""Every mutating request of a rotation, with every fault of a network and a service; then another run.

Real botocore against the strict emulator: what the simulation proves in memory must also be true of the bytes.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.rig import DAY, Rig
from twokey.aws import clients
from twokey.emulator import Rule

if TYPE_CHECKING:
    from twokey.emulator import KeyPair

MUTATING = {
    0: (
        "secretsmanager:CreateSecret",
        "secretsmanager:PutSecretValue",
        "secretsmanager:UpdateSecretVersionStage",
        "iam:CreateAccessKey",
    ),
    1: ("secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage", "iam:CreateAccessKey"),
    2: (
        "secretsmanager:PutSecretValue",
        "secretsmanager:UpdateSecretVersionStage",
        "iam:DeleteAccessKey",
        "iam:CreateAccessKey",
    ),
}
FAULTS = (
    "lost_response",
    "reset",
    "error_before",
    "error_after",
    "time-out",
    "throttle",
    "truncated",
    "html",
    "portal",
    "proxy",
)
ONCE = ("iam:CreateAccessKey", "iam:DeleteAccessKey", "secretsmanager:CreateSecret")
CASES = [
    (keys, operation, nth, fault)
    for keys, operations in MUTATING.items()
    for operation in operations
    for nth in ((1,) if operation in ONCE else (1, 3))
    for fault in FAULTS
]


def _user(rig: Rig, keys: int) -> list[KeyPair]:
    """Create a user that is due, with the newest of its keys in the store; return the keys that jobs may use."""
    if keys == 2:
        return [rig.settled()[1]]
    made = rig.aws.make_user("ci", path="/machine-users/", keys=keys, ages=(16 * DAY,)[:keys])
    for key in made:
        rig.fill(key)
    return made


def _rule(operation: str, nth: int, fault: str) -> Rule:
    if fault in ("portal", "proxy"):
        # For botocore, the one is a successful response without content, the other an error of the service.
        return Rule(operation, nth=nth, effect="html", status=200 if fault == "portal" else 403)
    return Rule(operation, nth=nth, effect=fault if fault != "time-out" else "delay", seconds=1.2)


@pytest.mark.parametrize(("keys", "operation", "nth", "fault"), CASES)
def test_breaks_no_key_and_the_next_run_finishes(
    rig: Rig, keys: int, operation: str, nth: int, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_use = _user(rig, keys)
    rule = _rule(operation, nth, fault)
    if fault == "time-out":
        # The request takes effect after its client stopped waiting: the reason for the wait before a list is trusted.
        monkeypatch.setattr(clients, "READ_TIMEOUT", 0.8)
        rig.policy = replace(rig.policy, settle=timedelta(seconds=20))
    rig.aws.weather.add(rule)
    rig.rotate(run="disturbed")
    if fault == "time-out":
        if operation == "iam:CreateAccessKey":
            rig.before_pause = rig.wait_until_delayed_arrived
        else:
            rig.wait_until_delayed_arrived()
    assert rule.hits == 1
    assert rig.aws.count("iam:CreateAccessKey") <= (2 if fault == "throttle" else 1)
    assert all(rig.aws.authenticates(key) for key in in_use)
    result = rig.rotate(run="undisturbed")
    assert result.outcome in ("rotated", "completed", "not_due"), result.message
    stored = rig.stored()
    assert stored
    assert rig.aws.authenticates(stored)
    assert all(rig.aws.authenticates(key) for key in in_use)
    assert rig.ids() == [*(key.access_key_id for key in in_use), stored.access_key_id]
    journal = rig.record().journal
    assert (journal.intent, journal.lease, journal.current) == (None, None, stored.access_key_id)


@pytest.mark.parametrize("setting", ["legacy", "standard", "adaptive"])
def test_no_retry_setting_of_a_profile_sends_the_creation_twice(
    rig: Rig, setting: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    config = f"{tmp_path}/config"
    with open(config, "w", encoding="ascii") as file:  # noqa: PTH123
        file.write(f"[default]\nretry_mode = {setting}\nmax_attempts = 7\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", config)
    _user(rig, 2)
    rig.aws.weather.add(Rule("iam:CreateAccessKey", effect="lost_response", times=None))
    assert rig.rotate().outcome == "failed"
    assert rig.aws.count("iam:CreateAccessKey") == 1
