"""What ``twokey adopt`` prints, what it takes, and its exit codes."""

from __future__ import annotations

import json
import sys
from io import BytesIO, TextIOWrapper
from typing import TYPE_CHECKING

import pytest

from support.commands import twokey
from support.rig import DAY

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig
    from twokey.emulator import KeyPair

STORE = "secretsmanager:machine-users/{user}"


@pytest.fixture
def destinations(tmp_path: Path) -> tuple[str, ...]:
    """The store, and a file as destination."""
    (tmp_path / "copies").mkdir()
    return ("--store", STORE, "--to", f"file:{tmp_path}/copies/{{user}}.json")


def pair_of(pair: KeyPair) -> str:
    return json.dumps({"AccessKeyId": pair.access_key_id, "SecretAccessKey": pair.secret_access_key})


def pipe(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(text.encode())))


def make(rig: Rig, tmp_path: Path, name: str = "ci") -> list[KeyPair]:
    """Make a user whose newer key lies in the destination."""
    pairs = rig.aws.make_user(name, path="/machine-users/", keys=2, ages=(40 * DAY, 16 * DAY))
    (tmp_path / "copies" / f"{name}.json").write_text(pair_of(pairs[1]))
    return pairs


class TestWithoutYes:
    def test_shows_keys_destinations_what_would_be_done_and_what_is_unknown(
        self, rig: Rig, destinations: tuple[str, ...], tmp_path: Path
    ) -> None:
        older, newer = make(rig, tmp_path)
        ran = twokey("adopt", "ci", *destinations)
        copy = f"file:{tmp_path}/copies/ci.json"
        assert ran.code == 0
        assert ran.out.splitlines()[0].startswith("ci: can be taken over (existing_key). ")
        for line in (
            f"  ci: LAST {older.access_key_id}, Active, age 40d, no use known",
            f"  ci: CURRENT {newer.access_key_id}, Active, age 16d, no use known, held by {copy}",
            "  ci: secretsmanager:machine-users/ci is empty",
            f"  ci: {copy} holds {newer.access_key_id}",
            f"  ci: unknown: which jobs use {older.access_key_id}; it stays as long as it is used.",
            "  ci: will put it into secretsmanager:machine-users/ci",
        ):
            assert line in ran.out.splitlines()
        assert ran.err == "1 can be taken over. Nothing was changed; add --yes to take over.\n"
        assert rig.held() == ""

    @pytest.mark.parametrize("width", ["", "200", "60"])
    def test_names_what_cannot_be_read_as_plan_and_status_do(
        self, rig: Rig, width: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rig.settled()
        broken = tmp_path / "ci.json"
        broken.mkdir()
        if width:
            monkeypatch.setattr("twokey.cli.terminal.is_interactive", lambda _: True)
            monkeypatch.setenv("COLUMNS", width)
        selected = ("ci", "--store", "secretsmanager:machine-users/{user}", "--to", f"file:{tmp_path}/{{user}}.json")
        for command in ("adopt", "plan", "status"):
            said = " ".join(twokey(command, *selected).out.split())
            assert "cannot be read" in said
            assert "does not tell" not in said
        found = twokey("adopt", *selected, "--json").document["results"][0]
        assert [one["holds"] for one in found["destinations"]] == ["key", "unreachable"]
        assert f"what file:{broken} holds, which could not be read; the next" in " ".join(found["unknown"])

    def test_is_refused_where_some_user_needs_a_person(
        self, rig: Rig, destinations: tuple[str, ...], tmp_path: Path
    ) -> None:
        make(rig, tmp_path)
        rig.aws.make_user("doubtful", path="/machine-users/")
        ran = twokey("adopt", "--path", "/machine-users/", *destinations, "--json")
        assert ran.code == 3
        assert ran.outcomes == {"ci": "adopted", "doubtful": "refused"}
        assert ran.document["performed"] is False
        assert ran.document["summary"] == {"adopted": 1, "nothing": 0, "refused": 1, "failed": 0}

    def test_tells_a_person_at_a_terminal_the_same(
        self, rig: Rig, destinations: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        older, newer = make(rig, tmp_path)
        monkeypatch.setattr("twokey.cli.terminal.is_interactive", lambda _: True)
        monkeypatch.setenv("COLUMNS", "200")
        ran = twokey("adopt", "ci", *destinations)
        for word in (
            "can be taken over",
            older.access_key_id,
            newer.access_key_id,
            "is empty",
            "  will     put it into",
        ):
            assert word in ran.out


class TestWithYes:
    def test_takes_over_whom_it_can_and_refuses_the_others(
        self, rig: Rig, destinations: tuple[str, ...], tmp_path: Path
    ) -> None:
        _, newer = make(rig, tmp_path)
        rig.aws.make_user("doubtful", path="/machine-users/")
        ran = twokey("adopt", "--path", "/machine-users/", *destinations, "--yes")
        assert ran.code == 3
        assert "ci: taken over (existing_key)." in ran.out
        assert f"  ci: secretsmanager:machine-users/ci holds {newer.access_key_id}" in ran.out.splitlines()
        assert "doubtful: refused (cannot_attribute)." in ran.out
        assert rig.held() == newer.access_key_id
        assert rig.held("doubtful") == ""

    def test_done_again_says_that_there_is_nothing_to_do(
        self, rig: Rig, destinations: tuple[str, ...], tmp_path: Path
    ) -> None:
        make(rig, tmp_path)
        assert twokey("adopt", "ci", *destinations, "--yes").code == 0
        ran = twokey("adopt", "ci", *destinations, "--yes")
        assert ran.code == 0
        assert "ci: already managed. " in ran.out

    def test_prints_only_what_is_wrong_if_quiet(self, rig: Rig, destinations: tuple[str, ...], tmp_path: Path) -> None:
        make(rig, tmp_path)
        rig.aws.make_user("doubtful", path="/machine-users/")
        ran = twokey("adopt", "ci", "doubtful", *destinations, "--yes", "--quiet")
        assert (ran.code, ran.out) == (3, "")
        assert ran.err.startswith("doubtful: refused (cannot_attribute).")

    def test_fails_for_a_user_that_is_not_there(self, rig: Rig, destinations: tuple[str, ...]) -> None:
        ran = twokey("adopt", "nobody", *destinations, "--yes", "--json")
        assert (ran.code, ran.outcomes) == (1, {"nobody": "failed"})

    def test_refuses_more_users_than_it_may_touch(
        self, rig: Rig, destinations: tuple[str, ...], tmp_path: Path
    ) -> None:
        make(rig, tmp_path)
        rig.aws.make_user("doubtful", path="/machine-users/")
        ran = twokey("adopt", "--path", "/machine-users/", *destinations, "--yes", "--max-users", "1")
        assert ran.code == 3
        assert rig.held() == ""

    def test_writes_an_audit_log_in_which_nothing_is_wrong(
        self, rig: Rig, destinations: tuple[str, ...], tmp_path: Path
    ) -> None:
        make(rig, tmp_path)
        log = str(tmp_path / "audit.log")
        assert twokey("adopt", "ci", *destinations, "--yes", "--audit-log", log).code == 0
        assert twokey("rotate", "ci", *destinations, "--audit-log", log).code == 0
        ran = twokey("audit-log", "verify", log, "--json")
        assert ran.document["findings"] == []
        assert ran.document["effects"] >= 4
        assert ran.document["interrupted"] == []


class TestAPlaceThatAPersonPointsAt:
    def test_is_where_the_credential_is_taken_from(self, rig: Rig, tmp_path: Path) -> None:
        _, newer = rig.aws.make_user("ci")
        (tmp_path / "ci.json").write_text(pair_of(newer))
        ran = twokey("adopt", "ci", "--store", STORE, "--from", f"file:{tmp_path}/{{user}}.json", "--yes")
        assert (ran.code, rig.stored()) == (0, newer)

    def test_may_be_standard_input_also_as_the_aws_cli_prints_it(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rig.aws.make_user("ci", keys=0)
        made = rig.aws.client("iam").create_access_key(UserName="ci")["AccessKey"]
        pipe(monkeypatch, json.dumps({"AccessKey": {**made, "CreateDate": "2026-01-01T00:00:00+00:00"}}))
        ran = twokey("adopt", "ci", "--store", STORE, "--stdin", "--yes", "--json")
        assert (ran.code, rig.held()) == (0, made["AccessKeyId"]), ran.out


class TestUsage:
    """Exit 2, and nothing is called."""

    @pytest.mark.parametrize(
        ("arguments", "hint"),
        [
            (("ci", "--stdin", "--from", "ssm:/a"), "exclude each other"),
            (("--path", "/m/", "--stdin"), "exactly one user"),
            (("ci", "cd", "--stdin"), "exactly one user"),
            (("ci", "--from", "sms:/a"), "--from"),
            (("ci", "--from", STORE), "the store itself"),
        ],
    )
    def test_of_options_that_do_not_fit(self, rig: Rig, arguments: tuple[str, ...], hint: str) -> None:
        ran = twokey("adopt", *arguments, "--store", STORE)
        assert (ran.code, ran.out) == (2, "")
        assert hint in ran.err
        assert rig.aws.requests == []

    def test_of_a_terminal_that_would_show_the_secret(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        pipe(monkeypatch, "")
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
        ran = twokey("adopt", "ci", "--store", STORE, "--stdin")
        assert ran.code == 2
        assert "a terminal would show it" in ran.err
