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
    assert repeats.references(NAMES, ["new", *texts[1:]]) == ["", "", *["as for ci-2"] * 4]


def test_a_text_with_other_keys_and_times_says_the_same_and_names_them() -> None:
    keys = [f"AKIAIOSFODNN7EXAMPL{number}" for number in range(1, 7)]
    texts = [
        f"{key} of {name} is 3d old. Remove it by 2026-12-0{name[-1]}T01:00:00Z."
        for name, key in zip(NAMES, keys, strict=True)
    ]
    before = repeats.references(NAMES, texts)
    assert before[:2] == ["", f"as for ci-1, with {keys[1]}, 2026-12-02T01:00:00Z"]
    assert repeats.groups(NAMES, texts) == [[0], [1], [2], [3], [4], [5]]
    assert repeats.groups(NAMES, texts, values=True) == [[0, 1, 2, 3, 4, 5]]


def test_what_a_text_is_about_stays() -> None:
    texts = [f"The window is broken: {name} has an old key." for name in NAMES]
    assert repeats.references(NAMES, texts)[1] == "The window is broken: as for ci-1"


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


@pytest.mark.parametrize("columns", [40, 80, 200])
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


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_failed_delivery_of_many_users_is_explained_once_and_each_key_shown(
    rig: Rig, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed = [rig.settled(name)[0].access_key_id for name in NAMES]
    denied = Rule("ssm:PutParameter", times=None, effect="error_before", status=400, code="AccessDeniedException")
    rig.aws.weather.add(denied)
    monkeypatch.setenv("COLUMNS", str(columns))
    with mock.patch.object(terminal, "is_interactive", return_value=True):
        ran = twokey("rotate", *NAMES, "--store", STORE, "--to", "ssm:/m/{user}")
    text = " ".join(ran.out.split())
    assert text.count("could not be delivered to") == 1
    assert text.count("As for ci-1, with AKIA") == len(NAMES) - 1
    assert all(key in text for key in (*removed, *(rig.held(name) for name in NAMES)))
    assert text.count("delivery_failed") == len(NAMES)


def test_what_is_nothing_to_worry_about_is_said_once_at_a_terminal_and_on_each_line_of_a_log(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES:
        rig.settled(name)
    log = twokey("plan", *NAMES, "--store", STORE)
    assert log.out.count("CURRENT has reached the end of its period.") == len(NAMES)
    for columns in ("40", "80", "200"):
        monkeypatch.setenv("COLUMNS", columns)
        with mock.patch.object(terminal, "is_interactive", return_value=True):
            text = " ".join(twokey("plan", *NAMES, "--store", STORE).out.split())
        assert text.count("CURRENT has reached the end of its period.") == 1
        assert text.count("create a key, verify it, store it") == 1
        assert all(key in text for name in NAMES for key in rig.ids(name))


def test_warnings_about_the_keys_of_many_users_are_one_that_names_them(rig: Rig) -> None:
    for name in NAMES:
        rig.settled(name)
    err = twokey("plan", *NAMES, "--store", STORE).err
    assert err.count("The window is broken: ") == 1
    oldest = [rig.ids(name)[0] for name in NAMES]
    others = ", ".join(f"{name} with {key}" for name, key in zip(NAMES[1:], oldest[1:], strict=True))
    assert f"Warning: the same for 5 more users ({others})." in err


def test_one_error_of_many_destinations_is_said_once(rig: Rig) -> None:
    rig.settled()
    denied = Rule("ssm:PutParameter", times=None, effect="error_before", status=400, code="AccessDeniedException")
    rig.aws.weather.add(denied)
    deliver = [part for number in range(1, 7) for part in ("--to", f"ssm:/m/{number}/{{user}}")]
    ran = twokey("rotate", "ci", "--store", STORE, *deliver)
    assert "could not be delivered to 6 of 6 destinations: ssm:/m/1/ci: Access denied" in ran.out
    assert ran.out.count("If a policy requires tags") == 2
    assert "  ci: ssm:/m/6/ci: failed, Access denied: as for ssm:/m/2/ci" in ran.out.splitlines()


@pytest.mark.parametrize("columns", [40, 80])
def test_lint_explains_a_finding_of_many_users_once_at_a_terminal(
    rig: Rig, columns: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    everything = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
    for name in NAMES:
        rig.aws.make_user(name, path="/machine-users/", keys=0)
        rig.aws.client("iam").put_user_policy(UserName=name, PolicyName="all", PolicyDocument=everything)
    monkeypatch.setenv("COLUMNS", str(columns))
    with mock.patch.object(terminal, "is_interactive", return_value=True):
        out = twokey("lint", "--path", "/machine-users/").out
    text = " ".join(out.split())
    assert text.count("The inline policy all allows everything.") == 1
    assert text.count("critical TK104 ci-") == len(NAMES)
    assert out.count("\n  As for ci-1.\n") >= len(NAMES) - 1
    assert all(len(line) <= columns for line in out.splitlines())
    log = twokey("lint", "--path", "/machine-users/").out
    assert log.count("The inline policy all allows everything.") == len(NAMES)


@pytest.mark.parametrize("command", ["adopt", "plan", "status"])
@pytest.mark.parametrize("columns", ["200", "60", ""])
def test_why_many_destinations_cannot_be_read_is_said_once(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, columns: str
) -> None:
    for name in NAMES:
        rig.settled(name)
        (tmp_path / f"{name}.json").mkdir()
    if columns:
        monkeypatch.setattr(terminal, "is_interactive", lambda _: True)
        monkeypatch.setenv("COLUMNS", columns)
    ran = twokey(command, *PATH, "--to", f"file:{tmp_path}/{{user}}.json")
    said = " ".join(ran.out.split())
    assert said.count("is not a regular file") <= 2
    assert said.count("as for file:") == len(NAMES) - 1
