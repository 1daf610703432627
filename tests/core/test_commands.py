"""The commands that messages name can be typed as they are shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from twokey.core.commands import command, rotate_command

SOURCES = sorted(Path(command.__code__.co_filename).parents[1].rglob("*.py"))
BUILT_BY_HAND = re.compile(r"twokey [a-z-]+ (--[a-z-]+ )*\{")


@pytest.mark.parametrize(
    ("user", "shown"),
    [
        ("ci", "twokey rotate ci --force"),
        ("-rf", "twokey rotate --force -- -rf"),
        ("--", "twokey rotate --force -- --"),
    ],
)
def test_a_user_is_never_taken_for_an_option(user: str, shown: str) -> None:
    assert rotate_command(user, "--force") == shown


def test_no_other_module_puts_a_user_into_a_command() -> None:
    found = [
        f"{file.name}: {match[0]}" for file in SOURCES for match in BUILT_BY_HAND.finditer(file.read_text("utf-8"))
    ]
    assert [one for one in found if not one.startswith("commands.py")] == []
