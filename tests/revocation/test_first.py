"""A key that is named by its id is made Inactive before anything that may be wrong is even looked at."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from support.commands import Ran, twokey

if TYPE_CHECKING:
    import pytest

    from support.rig import Rig

HEAVY = ("twokey.destinations", "twokey.rotation", "twokey.planning", "twokey.config", "twokey.reports", "rich", "yaml")


def revoke(*arguments: str) -> Ran:
    return twokey("revoke", *arguments, "--yes", "--json")


def test_a_mistake_in_the_configuration_keeps_no_leaked_key_active(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("twokey.yaml").write_text("version: 1\nmachine_userz: []\n")
    [key] = rig.aws.make_user("ci", keys=1)
    ran = revoke(key.access_key_id)
    [result] = ran.document["results"]
    assert (ran.code, result["outcome"], result["user"]) == (1, "contained", "ci")
    assert [status for _, status, _ in rig.aws.keys("ci")] == ["Inactive"]
    assert "machine_userz" in result["message"]
    assert rig.aws.count("iam:UpdateAccessKey") == 1


def test_a_name_needs_the_configuration_so_a_mistake_in_it_is_told_before_anything_is_called(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("twokey.yaml").write_text("version: 1\nmachine_userz: []\n")
    assert revoke("ci").code == 2
    assert rig.aws.requests == []


def test_its_evidence_begins_with_the_request_that_made_it_inactive(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    [key] = rig.aws.make_user("ci", keys=1)
    assert revoke(key.access_key_id, "--evidence", "missing/evidence").code == 2
    assert rig.aws.requests == []
    revoke(key.access_key_id, "--evidence", "evidence")
    [file] = Path("evidence").glob("*.json")
    document = json.loads(file.read_text())
    [leaked] = document["users"][0]["leaked"]
    first = document["changes"][0]
    assert (first["action"], first["request_id"]) == ("iam:UpdateAccessKey", leaked["request_id"])
    assert leaked["key_id"] == key.access_key_id
    assert document["left"][0]["command"] == f"twokey revoke {key.access_key_id}"


def test_what_makes_a_key_inactive_imports_nothing_else() -> None:
    program = "import sys; import twokey.cli.revoke, twokey.fleet.first; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert [name for name in loaded if name.startswith(HEAVY)] == []
