"""Every fault in every write of Parameter Store: it has no conditional write, so each is read back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from twokey.aws import clients
from twokey.emulator import Rule
from wire.processes import STORES, end_lease, prepare

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig

FAULTS = ("lost_response", "reset", "error_before", "error_after", "delay", "throttle", "truncated", "html")
WRITES = {0: 4, 1: 4, 2: 5}
"""How many times a rotation writes a parameter, by the number of keys that it finds."""


LATE = ("rolled_back", "unmanaged_key")
"""The reasons for a refusal if the lease is written again, late, with the earlier journal: everything was done
by then, or a key was created and not stored yet. Which of the two applies depends on how fast the run is."""


@pytest.mark.parametrize("keys", WRITES)
def test_the_writes_are_those_of_a_rotation(rig: Rig, tmp_path: Path, keys: int) -> None:
    prepare(rig, tmp_path, STORES[1], keys)
    assert rig.rotate().outcome == "rotated"
    assert rig.aws.count("ssm:PutParameter") == WRITES[keys]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("keys", "nth"), [(keys, nth) for keys, last in WRITES.items() for nth in range(1, last + 1)])
def test_break_no_key_and_the_next_run_finishes(
    rig: Rig, tmp_path: Path, keys: int, nth: int, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = prepare(rig, tmp_path, STORES[1], keys)
    if fault == "delay":
        monkeypatch.setattr(clients, "READ_TIMEOUT", 0.8)
    rule = rig.aws.weather.add(Rule("ssm:PutParameter", nth=nth, effect=fault, seconds=1.2))
    rig.rotate(run="disturbed")
    assert rule.hits == 1
    workspace.check_safe()
    if fault == "delay":
        rig.wait_until_delayed_arrived()
    if rig.record().journal.lease:
        end_lease(rig)  # an ambiguous write keeps the lease: no other run may begin before it has arrived
    result = rig.rotate(run="undisturbed")
    if (fault, nth) == ("delay", 1) and result.reason in LATE:
        workspace.check_safe()
        assert rig.aws.count("iam:CreateAccessKey") == 1
        return
    assert result.outcome in ("rotated", "completed", "not_due"), result.message
    assert rig.aws.count("iam:CreateAccessKey") <= 2
    workspace.check_in_order()
