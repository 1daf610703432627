"""A sentence that is the same for many users is printed once."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest import mock

import pytest

from support.commands import twokey
from twokey.cli import repeats, terminal
from twokey.emulator import Rule

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig

STORE = "secretsmanager:machine-users/{user}"
PATH = ("--path", "/machine-users/", "--store", STORE)
NAMES = [f"ci-{number}" for number in range(1, 7)]


@pytest.fixture
def users(rig: Rig) -> list[str]:
    for name in NAMES:
        rig.aws.make_user(name, path="/machine-users/", keys=0)
    return NAMES


def test_users_are_together_about_whom_many_texts_say_the_same() -> None:
    texts = [f"Access denied on {name}, see /keys/{name}." for name in NAMES]
    assert repeats.groups(NAMES, texts) == [[0, 1, 2, 3, 4, 5]]
    assert repeats.groups(NAMES, ["", *texts[1:]]) == [[0], [1, 2, 3, 4, 5]]
    assert repeats.groups(NAMES[:3], texts[:3]) == [[0], [1], [2]]
    assert repeats.said_of(NAMES, ["new", *texts[1:]]) == ["", "", *["ci-2"] * 4]


def test_a_name_within_another_name_is_not_the_user() -> None:
    names = ["a", "b", "c", "d"]
    assert repeats.groups(names, [f"see {name}-a and x.{name}" for name in names]) == [[0], [1], [2], [3]]


def test_a_refusal_of_many_users_says_its_reason_once_and_names_them_all(users: list[str]) -> None:
    ran = twokey("rotate", *PATH, "--max-users", "5")
    assert ran.code == 3
    assert ran.out.count("one run may change at most 5") == 1
    first, others = ran.out.splitlines()
    assert first.startswith("ci-1: refused (too_many_users). 6 users are selected;")
    assert others == (
        "5 more users (ci-2, ci-3, ci-4, ci-5, ci-6): refused (too_many_users), for the same reason as ci-1."
    )
    assert ran.err == "6 refused.\n"
    quiet = twokey("rotate", *PATH, "--max-users", "5", "--quiet")
    assert (quiet.out, quiet.err.splitlines()) == ("", ran.out.splitlines())


@pytest.mark.parametrize("columns", [80, 200])
def test_so_it_does_at_a_terminal(users: list[str], monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    with mock.patch.object(terminal, "is_interactive", return_value=True):
        ran = twokey("rotate", *PATH, "--max-users", "5")
    assert " ".join(ran.out.split()).count("users are selected;") == 1
    assert all(name in ran.out for name in NAMES)


@pytest.mark.parametrize("command", ["rotate", "plan", "status", "adopt"])
def test_an_error_that_many_users_share_says_its_remedy_once(users: list[str], rig: Rig, command: str) -> None:
    rule = Rule("secretsmanager:*", times=None, effect="error_before", status=400, code="AccessDeniedException")
    rig.aws.weather.add(rule)
    ran = twokey(command, *PATH)
    assert ran.code in (1, 3)
    assert ran.out.count("for the principal that runs twokey") == 1
    assert all(name in ran.out for name in NAMES)


def test_a_few_users_are_told_each(users: list[str]) -> None:
    ran = twokey("rotate", *NAMES[:3], "--store", STORE, "--max-users", "2")
    assert ran.out.count("one run may change at most 2") == 3


def test_json_says_it_for_each(users: list[str]) -> None:
    results = twokey("rotate", *PATH, "--max-users", "5", "--json").document["results"]
    assert len({one["message"] for one in results}) == 1
    assert len(results) == 6


def test_a_warning_that_many_users_share_is_printed_once(rig: Rig, tmp_path: Path) -> None:
    from twokey.cli import results_view

    lines: list[str] = []
    with mock.patch.object(terminal, "tell", lines.append):
        results_view.show_warnings([(name, f"{name} has no key of its own.") for name in NAMES])
    assert lines == [
        "Warning: ci-1: ci-1 has no key of its own.",
        "Warning: the same for 5 more users (ci-2, ci-3, ci-4, ci-5, ci-6).",
    ]
