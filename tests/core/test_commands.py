"""The commands that messages name can be typed as they are shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from twokey.core.commands import command, ignoring_last_use, rotate_command

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


@pytest.mark.parametrize(
    ("force", "retire", "shown"),
    [
        (False, (), "twokey rotate ci --ignore-last-use"),
        (True, (), "twokey rotate ci --force --ignore-last-use"),
        (True, ("K9", "K8"), "twokey rotate ci --force --ignore-last-use --retire K8 --retire K9"),
    ],
)
def test_the_command_that_ignores_the_last_use_repeats_what_the_operator_requested(
    force: bool, retire: tuple[str, ...], shown: str
) -> None:
    assert ignoring_last_use("ci", force=force, retire=retire) == shown


def test_no_other_module_puts_a_user_into_a_command() -> None:
    found = [
        f"{file.name}: {match[0]}" for file in SOURCES for match in BUILT_BY_HAND.finditer(file.read_text("utf-8"))
    ]
    assert [one for one in found if not one.startswith("commands.py")] == []
