"""Trouble with one user, or with one of several paths, is that user's or that path's: it stops no other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support.commands import twokey
from twokey.aws import iam as iam_calls
from twokey.emulator import Rule

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig

STORE = "secretsmanager:keys/{user}"
TROUBLE: dict[str, dict[str, Any]] = {
    "denied": {"effect": "error_before", "status": 403, "code": "AccessDenied"},
    "throttled": {"effect": "error_before", "status": 400, "code": "Throttling"},
    "missing": {"effect": "error_before", "status": 404, "code": "NoSuchEntity"},
    "an error of the service": {"effect": "error_before", "status": 500, "code": "ServiceFailure"},
    "unavailable": {"effect": "error_before", "status": 503, "code": "ServiceUnavailable"},
    "rejected": {"effect": "error_before", "status": 400, "code": "ValidationError"},
    "a lost response": {"effect": "lost_response"},
    "a page of a proxy": {"effect": "html", "status": 502},
}
COMMANDS = {"rotate": "results", "plan": "results", "deliver": "results", "adopt": "results", "status": "users"}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iam_calls, "PATIENCE", 0.05)
    monkeypatch.setattr(iam_calls, "PAUSES", (0.01,))


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configure:
    monkeypatch.chdir(tmp_path)
    return Configure(tmp_path / "twokey.yaml")


class Configure:
    """Writes twokey.yaml."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __call__(self, *entries: dict[str, object]) -> None:
        users = [{"store": STORE, **entry} for entry in entries]
        self._file.write_text(json.dumps({"version": 1, "machine_users": users}))


def users(rig: Rig, *names: str, path: str = "/machine-users/") -> None:
    for name in names:
        rig.aws.make_user(name, path=path, keys=1)


def happens(rig: Rig, trouble: str, call: str, target: str) -> None:
    rig.aws.weather.add(Rule(f"iam:{call}", target=target, times=None, **TROUBLE[trouble]))


def test_a_user_that_cannot_be_read_fails_alone(rig: Rig, configure: Configure) -> None:
    """As docs/how-to/many-users.md says, for each command and each kind of trouble."""
    users(rig, "build", "legacy", "deploy")
    configure({"users": ["build"]}, {"users": ["legacy"]}, {"users": ["deploy"]})
    for trouble in TROUBLE:
        rig.aws.weather.rules.clear()
        happens(rig, trouble, "GetUser", "legacy")
        if trouble == "missing":
            happens(rig, trouble, "ListUsers", "*")
        ran = twokey("rotate", "--json")
        assert ran.code == 1, trouble
        outcomes = ran.outcomes
        assert outcomes.pop("legacy") == "failed", trouble
        assert set(outcomes) == {"build", "deploy"}
        assert set(outcomes.values()) <= {"rotated", "not_due"}
        (result,) = [one for one in ran.document["results"] if one["user"] == "legacy"]
        assert "legacy" in result["message"]
        assert len(rig.ids("legacy")) == 1
    assert [len(rig.ids(user)) for user in ("build", "deploy")] == [2, 2]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_goes_on_with_the_others(rig: Rig, configure: Configure, command: str) -> None:
    users(rig, "build", "legacy")
    users(rig, "deploy", path="/open/")
    users(rig, "closed", path="/closed/")
    to = {"deliver": ["ssm:/{user}"]}
    configure({"users": ["build"], **to}, {"users": ["legacy"]}, {"path": "/closed/"}, {"path": "/open/", **to})
    assert twokey("rotate", "build", "deploy").code == 0
    happens(rig, "denied", "GetUser", "legacy")
    for nth in (1, 3):  # of the paths, only the first is denied, in each of two runs
        rig.aws.weather.add(Rule("iam:ListUsers", nth=nth, times=1, **TROUBLE["denied"]))
    ran = twokey(command, "--json")
    assert ran.code == 1
    entries = {entry["user"]: entry for entry in ran.document[COMMANDS[command]]}
    assert set(entries) == {"build", "legacy", "deploy", "/closed/"}
    for failed in ("legacy", "/closed/"):
        assert "Access denied" in str(entries[failed])
        assert "Access denied" not in str([entries["build"], entries["deploy"]])
    text = twokey(command)
    assert text.code == 1
    assert "legacy: " in text.out
    assert "/closed/: " in text.out


class TestPaths:
    def test_one_that_cannot_be_listed_fails_as_a_path(self, rig: Rig, configure: Configure) -> None:
        users(rig, "a", path="/one/")
        users(rig, "b", path="/two/")
        configure({"path": "/one/"}, {"path": "/two/"})
        rig.aws.weather.add(Rule("iam:ListUsers", times=1, **TROUBLE["denied"]))
        ran = twokey("rotate", "--json")
        failed = next(one for one in ran.document["results"] if one["outcome"] == "failed")
        assert ran.code == 1
        assert ran.outcomes == {"b": "rotated", "/one/": "failed"}
        assert (failed["path"], failed["account"]) == ("/one/", "")
        assert failed["message"].startswith("The users below /one/ cannot be listed: Access denied: iam:ListUsers")
        assert ran.document["summary"]["failed"] == 1

    def test_the_users_of_the_pages_that_were_read_are_rotated(self, configure: Configure) -> None:
        from twokey.emulator import Emulator

        with Emulator(page_size=2) as aws, pytest.MonkeyPatch.context() as patch:
            for name, value in aws.environment().items():
                patch.setenv(name, value)
            for number in range(5):
                aws.make_user(f"ci-{number}", path="/one/", keys=0)
            configure({"path": "/one/"})
            aws.weather.add(Rule("iam:ListUsers", nth=2, times=None, **TROUBLE["denied"]))
            ran = twokey("rotate", "--json")
        assert ran.code == 1
        assert ran.outcomes == {"ci-0": "rotated", "ci-1": "rotated", "/one/": "failed"}

    def test_one_that_cannot_be_listed_selects_its_users_all_the_same(self, rig: Rig, configure: Configure) -> None:
        users(rig, "a", "b")
        configure({"path": "/machine-users/", "except": ["b"]}, {"users": ["a"], "store": "ssm:/{user}"})
        rig.aws.weather.add(Rule("iam:ListUsers", times=1, **TROUBLE["denied"]))
        ran = twokey("rotate")
        assert ran.code == 2
        assert "The user a is selected twice" in ran.err
        configure({"path": "/machine-users/", "except": ["a"]}, {"users": ["a"], "store": "ssm:/{user}"})
        rig.aws.weather.add(Rule("iam:ListUsers", times=1, **TROUBLE["denied"]))
        assert twokey("rotate", "--json").outcomes == {"a": "rotated", "/machine-users/": "failed"}


class TestTroubleOfAll:
    """What is wrong with the run itself is one error, before anything is done."""

    def test_credentials(self, rig: Rig, configure: Configure) -> None:
        users(rig, "a", "b")
        configure({"users": ["a", "b"]})
        rig.aws.weather.add(
            Rule("iam:GetUser", times=None, effect="error_before", status=403, code="InvalidClientTokenId")
        )
        ran = twokey("rotate")
        assert (ran.code, ran.out) == (1, "")
        assert "does not know the credentials" in ran.err

    def test_no_connection(self, rig: Rig, configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
        configure({"users": ["a", "b"]})
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        ran = twokey("rotate")
        assert (ran.code, ran.out) == (1, "")
        assert "no connection" in ran.err


class TestNamesInAnotherCase:
    """IAM tells no user names apart by case."""

    def test_in_the_configuration(self, rig: Rig, configure: Configure) -> None:
        users(rig, "ci", "cd")
        configure({"users": ["CI"]}, {"path": "/machine-users/", "except": ["Ci"]})
        assert twokey("rotate", "--json").outcomes == {"ci": "rotated", "cd": "rotated"}
        assert rig.aws.client("secretsmanager").describe_secret(SecretId="keys/ci")

    @pytest.mark.parametrize("typed", [("CI",), ("ci", "CI"), ("Ci", "cI")])
    def test_on_the_command_line(self, rig: Rig, configure: Configure, typed: tuple[str, ...]) -> None:
        users(rig, "ci", "cd")
        configure({"users": ["Ci"]}, {"users": ["cd"]})
        assert twokey("rotate", *typed, "--json").outcomes == {"ci": "rotated"}

    def test_below_a_path(self, rig: Rig, configure: Configure) -> None:
        users(rig, "ci", "cd")
        configure({"path": "/machine-users/", "users": ["CI"], "except": ["CD"]})
        assert twokey("rotate", "--json").outcomes == {"ci": "rotated"}

    def test_where_nothing_may_be_listed_the_name_is_not_found(self, rig: Rig, configure: Configure) -> None:
        users(rig, "ci", "cd")
        configure({"users": ["CI", "cd"]})
        happens(rig, "denied", "ListUsers", "*")
        assert twokey("rotate", "--json").outcomes == {"CI": "failed", "cd": "rotated"}

    def test_of_two_entries_are_one_user(self, rig: Rig, configure: Configure) -> None:
        users(rig, "ci")
        configure({"path": "/machine-users/"}, {"users": ["CI"], "store": "ssm:/{user}"})
        ran = twokey("rotate")
        assert ran.code == 2
        assert "The user ci is selected twice" in ran.err


class TestMatchesNobody:
    """A path or a pattern that matches no user is probably a typing error: it must not pass in silence."""

    def test_a_path_warns(self, rig: Rig, configure: Configure) -> None:
        users(rig, "a")
        configure({"path": "/machine-users/"}, {"path": "/machine_users/"})
        ran = twokey("rotate", "--json")
        assert (ran.code, ran.outcomes) == (0, {"a": "rotated"})
        assert "Warning: twokey.yaml line 1: `path`: there is no IAM user below /machine_users/.\n" in ran.err
        assert twokey("rotate", "--quiet").err == ""
        assert twokey("rotate", "a").err.count("Warning") == 0

    def test_a_pattern_warns(self, rig: Rig, configure: Configure) -> None:
        users(rig, "a", "legacy-1")
        configure({"path": "/machine-users/", "except": ["legacy-*", "lagacy-*"]})
        ran = twokey("status")
        assert ran.code == 0
        assert ran.err.count("Warning") == 1
        assert "`except`: `lagacy-*` matches no user below /machine-users/." in ran.err

    def test_patterns_that_leave_nobody_warn(self, rig: Rig, configure: Configure) -> None:
        users(rig, "a")
        users(rig, "b", path="/other/")
        configure({"path": "/machine-users/", "except": ["*"]}, {"path": "/other/"})
        assert "every user below /machine-users/ is left out" in twokey("plan").err

    def test_a_named_user_that_is_elsewhere_warns(self, rig: Rig, configure: Configure) -> None:
        users(rig, "a")
        users(rig, "b", path="/other/")
        configure({"path": "/machine-users/", "users": ["a", "b"]})
        ran = twokey("rotate", "--json")
        assert ran.outcomes == {"a": "rotated"}
        assert "`users`: b is not below /machine-users/, but below /other/." in ran.err

    def test_with_on_empty_error_it_fails_and_stops_no_other(self, rig: Rig, configure: Configure) -> None:
        users(rig, "a", "b")
        strict = {"on_empty": "error"}
        configure({"path": "/nowhere/", **strict}, {"users": ["a"], "path": "/machine-users/"}, {"users": ["b"]})
        ran = twokey("rotate", "--json")
        assert ran.code == 1
        assert ran.outcomes == {"/nowhere/": "failed", "a": "rotated", "b": "rotated"}
        assert "Warning" not in ran.err
        configure({"path": "/machine-users/", "except": ["c-*"], **strict})
        ran = twokey("rotate", "--json")
        assert ran.code == 1
        assert ran.outcomes == {"a": "not_due", "b": "not_due", "/machine-users/": "failed"}
        configure({"path": "/nowhere/", **strict})
        assert twokey("rotate", "--json").outcomes == {"/nowhere/": "failed"}

    def test_a_path_that_cannot_be_listed_is_not_empty(self, rig: Rig, configure: Configure) -> None:
        users(rig, "a")
        configure({"path": "/machine-users/", "except": ["x"]}, {"users": ["a"]})
        happens(rig, "denied", "ListUsers", "*")
        assert "Warning" not in twokey("status").err


class TestRetire:
    """A key that is none of the selected users' is an error, whatever else is due."""

    WRONG = "AKIAAAAAAAAAAAAAAAAA"

    @pytest.mark.parametrize("command", ["rotate", "plan"])
    @pytest.mark.parametrize("names", [("a",), ("a", "b"), ("a", "b", "c", "d")])
    def test_of_nobodys_key(self, rig: Rig, configure: Configure, command: str, names: tuple[str, ...]) -> None:
        users(rig, *names)
        configure({"users": list(names)})
        for _ in range(2):  # with a rotation that is due, and without one
            ran = twokey(command, "--retire", self.WRONG, "--json")
            assert ran.code == 3
            assert {one["reason"] for one in ran.document["results"]} == {"retire_unknown"}
            assert all(self.WRONG in one["message"] for one in ran.document["results"])
            assert all(len(rig.ids(name)) <= 2 for name in names)
            assert twokey("rotate", "--json").code == 0

    def test_of_a_key_of_a_user_that_is_not_selected(self, rig: Rig, configure: Configure) -> None:
        users(rig, "a", "b", "c")
        configure({"users": ["a", "b"]})
        ran = twokey("rotate", "--retire", rig.ids("c")[0], "--json")
        assert (ran.code, set(ran.outcomes.values())) == (3, {"refused"})

    def test_of_a_key_whose_user_may_be_the_one_that_cannot_be_read(self, rig: Rig, configure: Configure) -> None:
        users(rig, "a", "b")
        configure({"users": ["a", "b"]})
        happens(rig, "denied", "GetUser", "b")
        ran = twokey("rotate", "--retire", rig.ids("b")[0], "--json")
        assert ran.outcomes == {"a": "refused", "b": "failed"}
        assert "The keys of b could not be read." in ran.document["results"][0]["message"]

    def test_of_the_key_of_one_of_several_users_also_when_it_is_gone(self, rig: Rig, configure: Configure) -> None:
        users(rig, "a", "b")
        configure({"users": ["a", "b"]})
        (key, _), _ = rig.ids("a") * 2, twokey("rotate")
        for _ in range(2):
            ran = twokey("rotate", "--retire", key, "--json")
            assert ran.code == 0, ran.out
            assert key not in rig.ids("a")
