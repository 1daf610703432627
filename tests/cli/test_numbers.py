"""A number that an option does not accept is refused with what is expected, in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.commands import twokey
from twokey import cli


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("rotate", "--concurrency", "x"), "'--concurrency': expected a whole number from 1 to 64, got 'x'."),
        (("rotate", "--concurrency", "100"), "'--concurrency': expected a whole number from 1 to 64, got '100'."),
        (("rotate", "--max-users", "0"), "'--max-users': expected a whole number of at least 1, got '0'."),
        (("rotate", "--max-accounts", "1.5"), "'--max-accounts': expected a whole number of at least 1, got '1.5'."),
        (("rehearse", "--seed", "x"), "'--seed': expected a whole number, got 'x'."),
        (("rehearse", "--days", "1001"), "'--days': expected a whole number from 1 to 1,000, got '1001'."),
        (("emulator", "--propagation", "x"), "'--propagation': expected a number of at least 0, got 'x'."),
        (("emulator", "--port", "70000"), "'--port': expected a whole number from 0 to 65,535, got '70000'."),
    ],
)
def test_says_what_is_expected(arguments: tuple[str, ...], expected: str) -> None:
    ran = twokey(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert f"Error: Invalid value for {expected}\n" in ran.err


def test_no_command_takes_click_s_own_numbers() -> None:
    folder = Path(next(iter(cli.__path__)))
    used = [one.name for one in sorted(folder.glob("*.py")) if one.name != "numbers.py" and _click_s(one)]
    assert used == []


def _click_s(file: Path) -> bool:
    text = file.read_text(encoding="utf-8")
    return any(word in text for word in ("click.IntRange", "click.FloatRange", "type=int", "type=float"))


@pytest.mark.parametrize(("command", "shown"), [("rehearse", "1 to 1000"), ("rotate", "1 to 64")])
def test_help_shows_the_bounds(command: str, shown: str) -> None:
    assert shown in " ".join(twokey(command, "--help").out.split())
