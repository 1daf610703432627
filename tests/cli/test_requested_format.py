"""What is printed or written is what the operator requested: no option is ignored, and no file has another format."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.commands import twokey

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig
    from twokey.emulator import Emulator

COMMANDS = {
    "audit": ("audit", "csv"),
    "trace": ("trace", "html"),
    "lint": ("lint", "sarif"),
    "watch": ("watch", "sarif"),
}
KEY_ID = {"trace": ("AKIAIOSFODNN7EXAMPLE",)}


@pytest.fixture(autouse=True)
def aws(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """Return an account with a user; the working directory is empty."""
    rig.settled()
    rig.aws.client("iam").generate_credential_report()
    rig.aws.clear_requests()
    monkeypatch.chdir(tmp_path)
    return rig.aws


@pytest.mark.parametrize(("name", "other"), COMMANDS.values(), ids=list(COMMANDS))
@pytest.mark.parametrize("first", ["--json", "--format"])
def test_json_and_another_format_exclude_each_other(aws: Emulator, name: str, other: str, first: str) -> None:
    two = ("--json", "--format", other) if first == "--json" else ("--format", other, "--json")
    ran = twokey(name, *KEY_ID.get(name, ()), *two)
    assert (ran.code, ran.out) == (2, "")
    assert f"--json and --format {other} exclude each other.\n" in ran.err
    assert "Leave one of them out." in ran.err
    assert aws.requests == []


@pytest.mark.parametrize("name", COMMANDS)
def test_json_and_the_table_exclude_each_other_only_where_the_table_is_requested(aws: Emulator, name: str) -> None:
    ran = twokey(name, *KEY_ID.get(name, ()), "--json", "--format", "table")
    assert (ran.code, ran.out) == (2, "")
    assert "--json and --format table exclude each other.\n" in ran.err
    assert aws.requests == []


def test_json_twice_is_json() -> None:
    assert twokey("lint", "--json", "--format", "json").document["findings"]


@pytest.mark.parametrize(
    ("arguments", "file", "needed"),
    [
        (("audit",), "keys.csv", "csv"),
        (("audit",), "keys.JSON", "json"),
        (("audit",), "keys.html", "html"),
        (("audit",), "keys.sarif", "sarif"),
        (("audit",), "keys.prom", "prometheus"),
        (("trace", "AKIAIOSFODNN7EXAMPLE"), "uses.html", "html"),
    ],
)
def test_a_file_that_is_named_as_another_format_is_not_filled_with_lines_of_text(
    aws: Emulator, tmp_path: Path, arguments: tuple[str, ...], file: str, needed: str
) -> None:
    ran = twokey(*arguments, "--output", file)
    assert (ran.code, ran.out) == (2, "")
    assert f"--output: {file} would hold text.\n" in ran.err
    assert f"Add --format {needed}, or --format table if you mean text." in " ".join(ran.err.split())
    assert not list(tmp_path.iterdir())
    assert aws.requests == []


@pytest.mark.parametrize("arguments", [("keys.txt",), ("keys",), ("keys.csv", "--format", "table")])
def test_text_is_written_where_that_is_what_the_operator_means(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    ran = twokey("audit", "--output", *arguments)
    assert (ran.code, ran.out) == (0, ""), ran.err
    assert (tmp_path / arguments[0]).exists()
