"""Every report can be read in a narrow terminal: no line is too long, no word, key id or time is broken."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from support.commands import twokey
from support.rig import DAY
from twokey.cli import terminal

if TYPE_CHECKING:
    from support.rig import Rig

NAME = "build-and-deploy-the-public-website"
DESTINATIONS = (
    *("--store", "secretsmanager:machine-users/{account}/{user}"),
    *("--to", "ssm:/a/long/name/of/a/parameter/{user}"),
)
WHOLE = re.compile(r"AKIA\w*|\d{4}-\d\d-\d\dT\S*|--[a-z-]+|[a-z]+_[a-z_]+")
WIDTHS = (40, 60, 80, 100, 132, 200)


@pytest.fixture
def user(rig: Rig) -> str:
    last, current = rig.aws.make_user(NAME, path="/machine-users/", keys=2, ages=(31 * DAY, 16 * DAY))
    pair = {"AccessKeyId": current.access_key_id, "SecretAccessKey": current.secret_access_key}
    rig.aws.client("secretsmanager").create_secret(
        Name=f"machine-users/{rig.aws.account_id}/{NAME}", SecretString=json.dumps(pair)
    )
    return last.access_key_id


def shown(monkeypatch: pytest.MonkeyPatch, columns: int, *arguments: str) -> tuple[list[str], str]:
    """Return the lines at a terminal of so many columns, and the words in their order."""
    monkeypatch.setenv("COLUMNS", str(columns))
    with mock.patch.object(terminal, "is_interactive", return_value=True):
        ran = twokey(*arguments, NAME, *DESTINATIONS)
    lines = (ran.out + ran.err).splitlines()
    return lines, " ".join(ran.out.split())


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("command", ["plan", "status", "adopt"])
def test_no_line_is_too_long_and_no_word_is_broken(
    user: str, command: str, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines, _ = shown(monkeypatch, columns, command)
    assert max(map(len, lines)) <= columns
    widest, _ = shown(monkeypatch, 500, command)
    known = {found for line in widest for found in WHOLE.findall(line)}
    found = {found for line in lines for found in WHOLE.findall(line)}
    without_times = {word for word in found - known if not word.startswith("20")}
    assert not without_times
    assert user in found


@pytest.mark.parametrize("columns", WIDTHS)
def test_rotate_shows_the_reason_and_what_was_removed(user: str, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lines, text = shown(monkeypatch, columns, "rotate")
    assert max(map(len, lines)) <= columns
    assert "rotated (due)" in text
    assert re.search(rf"\[?removed +{user}", text)


def test_a_wide_terminal_gets_the_reasons_beside_each_user(user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lines, _ = shown(monkeypatch, 200, "plan")
    assert lines[0].split() == ["user", "outcome", "CURRENT", "LAST", "due", "what", "and", "why"]


def test_a_terminal_of_80_columns_gets_a_table_with_the_reasons_below_each_user(
    user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines, text = shown(monkeypatch, 80, "rotate")
    assert lines[0].split() == ["user", "outcome", "CURRENT", "LAST"]
    assert lines[1].startswith("build-and-deploy-")
    assert "rotated (due)" in lines[1]
    assert lines[3].startswith("  CURRENT has reached the end of its period. [removed ")
    assert f"[removed {user}, next due 20" in text
    assert shown(monkeypatch, 80, "status")[0][0].split() == ["user", "key", "role", "age", "last", "use"]


@pytest.mark.parametrize("command", ["status", "adopt"])
def test_a_use_that_iam_does_not_know_is_not_said_to_be_none(
    user: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines, text = shown(monkeypatch, 200, command)
    assert user in text
    assert "none known" in text
    assert "never" not in text, lines


def test_a_narrower_terminal_gets_a_block_for_each_user(user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lines, _ = shown(monkeypatch, 60, "plan")
    assert lines[:2] == [
        f"{NAME}: will be rotated (due)",
        "  why          CURRENT has reached the end of its period.",
    ]


def test_deliver_that_has_nothing_to_do_says_that_all_is_up_to_date(user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    twokey("rotate", NAME, *DESTINATIONS)
    ran = twokey("deliver", NAME, *DESTINATIONS)
    assert ran.out.startswith(f"{NAME}: up to date (held). ")
    assert ran.err == "1 up to date.\n"
