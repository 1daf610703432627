"""The writes of Parameter Store, gone wrong in every way: it has no conditional write, so each is looked at again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from twokey.aws import clients
from twokey.emulator import Rule
from wire.processes import STORES, end_lease, found

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig

FAULTS = ("lost_response", "reset", "error_before", "error_after", "delay", "throttle", "truncated", "html")
WRITES = {0: 4, 1: 4, 2: 5}
"""How many times a rotation writes a parameter, by the number of keys that it finds."""


LATE = ("rolled_back", "unmanaged_key")
"""Why a person is asked where the lease is written once more, late, and the journal is as it was before: all was done
by then, or a key was created and not yet stored. Which of the two depends on how fast the run is."""


@pytest.mark.parametrize("keys", WRITES)
def test_the_writes_are_those_of_a_rotation(rig: Rig, tmp_path: Path, keys: int) -> None:
    found(rig, tmp_path, STORES[1], keys)
    assert rig.rotate().outcome == "rotated"
    assert rig.aws.count("ssm:PutParameter") == WRITES[keys]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("keys", "nth"), [(keys, nth) for keys, most in WRITES.items() for nth in range(1, most + 1)])
def test_cost_nobody_a_key_and_the_next_run_ends_it(
    rig: Rig, tmp_path: Path, keys: int, nth: int, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = found(rig, tmp_path, STORES[1], keys)
    if fault == "delay":
        monkeypatch.setattr(clients, "READ_TIMEOUT", 0.2)
    rule = rig.aws.weather.add(Rule("ssm:PutParameter", nth=nth, effect=fault, seconds=0.4))
    rig.rotate(run="disturbed")
    assert rule.hits == 1
    town.check_safe()
    if fault == "delay":
        time.sleep(0.4)
    if rig.record().journal.lease:
        end_lease(rig)  # a write in doubt leaves it: nobody else is to begin before it surely has arrived
    result = rig.rotate(run="undisturbed")
    if (fault, nth) == ("delay", 1) and result.reason in LATE:
        town.check_safe()
        assert rig.aws.count("iam:CreateAccessKey") == 1
        return
    assert result.outcome in ("rotated", "completed", "not_due"), result.message
    assert rig.aws.count("iam:CreateAccessKey") <= 2
    town.check_in_order()
