"""What ``status`` and ``plan`` show of each destination."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from support import commands
from support.commands import twokey
from twokey.cli import terminal
from twokey.emulator import Rule

if TYPE_CHECKING:
    from support.rig import Rig

CONFIG = """
version: 1
machine_users:
  - users: [build]
    store: secretsmanager:machine-users/{user}
    deliver: ["ssm:/one/{user}", "ssm:/two/{user}", "ssm:/three/{user}", "secretsmanager:four/{user}"]
"""
STORE = "secretsmanager:machine-users/build"


@pytest.fixture
def keys(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A user rotated twice: the first destination holds CURRENT, one LAST, one nothing, and one cannot be read."""
    monkeypatch.chdir(tmp_path)
    rig.aws.make_user("build", keys=0)
    Path("twokey.yaml").write_text(CONFIG)
    last = twokey("rotate", "--json").document["results"][0]["current"]
    ssm = rig.aws.client("ssm")
    old = ssm.get_parameter(Name="/two/build", WithDecryption=True)["Parameter"]["Value"]
    current = twokey("rotate", "--force", "--json").document["results"][0]["current"]
    ssm.put_parameter(Name="/two/build", Value=old, Type="SecureString", Overwrite=True)
    ssm.delete_parameter(Name="/three/build")
    rig.aws.weather.add(
        Rule(
            "secretsmanager:*",
            target="four/build",
            times=None,
            effect="error_before",
            status=400,
            code="AccessDeniedException",
            message="no",
        )
    )
    return {"current": current, "last": last}


def words(destinations: list[dict[str, Any]]) -> dict[str, str]:
    """Return each destination's word."""
    return {destination["destination"]: destination["outcome"] for destination in destinations}


EXPECTED = {
    STORE: "held",
    "ssm:/one/build": "held",
    "ssm:/two/build": "out_of_date",
    "ssm:/three/build": "empty",
    "secretsmanager:four/build": "unreachable",
}


class TestStatus:
    def test_tells_of_each_destination_in_json(self, keys: dict[str, str]) -> None:
        ran = twokey("status", "--json")
        (entry,) = ran.document["users"]
        assert ran.code == 1  # one of them is unreachable
        assert words(entry["destinations"]) == EXPECTED
        messages = {destination["destination"]: destination.get("message", "") for destination in entry["destinations"]}
        assert re.fullmatch(rf"{keys['current']} since \S+Z", messages["ssm:/one/build"])
        assert messages["ssm:/two/build"] == f"holds {keys['last']}"
        assert messages["secretsmanager:four/build"].startswith("Access denied: secretsmanager:")
        assert messages["secretsmanager:four/build"].endswith("on it for the principal that runs twokey.")

    def test_tells_of_each_destination_in_lines(self, keys: dict[str, str]) -> None:
        lines = twokey("status").out.splitlines()
        assert f"  build: ssm:/two/build: out of date, holds {keys['last']}" in lines
        assert "  build: ssm:/three/build: empty" in lines
        assert any(
            line.startswith("  build: secretsmanager:four/build: cannot be read: Access denied") for line in lines
        )
        assert not any(line.startswith(f"  build: {STORE}") for line in lines)

    def test_tells_of_each_destination_in_a_table(self, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "200")
        with mock.patch.object(terminal, "is_interactive", return_value=True):
            shown = commands.twokey("status").out
        rows = [line.split() for line in shown.splitlines()]
        assert ["ssm:/two/build", "out", "of", "date", "holds", keys["last"]] in rows
        assert ["ssm:/three/build", "empty", "-"] in rows

    def test_tells_of_a_delivery_that_was_not_finished(self, keys: dict[str, str], rig: Rig) -> None:
        _, world = rig.world("build")
        record = world.store.load()
        import msgspec

        world.store.save_journal(
            msgspec.structs.replace(record.journal, delivering=("ssm:/one/build",)), record.revision
        )
        (entry,) = twokey("status", "--json").document["users"]
        assert words(entry["destinations"])["ssm:/one/build"] == "out_of_date"


class TestPlan:
    def test_tells_of_each_destination_in_json(self, keys: dict[str, str]) -> None:
        (entry,) = twokey("plan", "--json").document["results"]
        assert words(entry["destinations"]) == EXPECTED
        assert entry["actions"][1] == "deliver to ssm:/two/build, ssm:/three/build"

    def test_tells_in_lines_what_does_not_hold_current(self, keys: dict[str, str]) -> None:
        lines = twokey("plan").out.splitlines()
        assert lines[1:3] == [
            f"  build: ssm:/two/build: out of date, holds {keys['last']}",
            "  build: ssm:/three/build: empty",
        ]
        assert lines[3].startswith("  build: secretsmanager:four/build: cannot be read: Access denied")
        assert lines[4] == f"  build: verify the stored key {keys['current']}"
        assert not any("ssm:/one/build" in line for line in lines)

    def test_tells_it_in_a_table(self, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "300")
        with mock.patch.object(terminal, "is_interactive", return_value=True):
            shown = commands.twokey("plan").out
        assert f"ssm:/two/build: out of date, holds {keys['last']}" in shown

    @pytest.mark.parametrize("columns", [80, 120])
    def test_tells_it_below_the_row_where_there_is_no_room_beside_it(
        self, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch, columns: int
    ) -> None:
        monkeypatch.setenv("COLUMNS", str(columns))
        with mock.patch.object(terminal, "is_interactive", return_value=True):
            lines = commands.twokey("plan").out.splitlines()
        assert lines[0].split() == ["user", "outcome", "CURRENT", "LAST"]
        assert f" {keys['current']} " in lines[1]
        assert f" ssm:/two/build: out of date, holds {keys['last']} " in " ".join(" ".join(lines).split())
        assert f"  → verify the stored key {keys['current']}" in lines
        assert max(map(len, lines)) <= columns
        assert len(lines) < 25

    def test_tells_it_in_a_block_in_a_narrow_terminal(
        self, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "60")
        with mock.patch.object(terminal, "is_interactive", return_value=True):
            shown = commands.twokey("plan").out
        lines = shown.splitlines()
        assert lines[0] == "build: will be completed (out_of_date)"
        assert f"  CURRENT      {keys['current']}" in lines
        assert f" destination ssm:/two/build: out of date, holds {keys['last']} " in " ".join(shown.split())
        assert f"  will         verify the stored key {keys['current']}" in lines
        assert max(map(len, lines)) <= 60
