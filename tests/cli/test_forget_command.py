"""``twokey forget``: a destination that is no longer configured, from the first warning to the next rotation."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import forked
from support.commands import twokey

if TYPE_CHECKING:
    from support.rig import Rig

CONFIG = """
version: 1
machine_users:
  - users: [ci]
    store: secretsmanager:machine-users/{user}
    deliver: [%s]
"""
OLD, NEW = "file:old.json", "file:new.json"


def configure(*deliver: str) -> None:
    Path("twokey.yaml").write_text(CONFIG % ", ".join(deliver))


@pytest.fixture
def user(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """A user with two destinations, one of which has just been taken out of the configuration."""
    monkeypatch.chdir(tmp_path)
    rig.aws.make_user("ci", keys=0)
    configure(OLD, NEW)
    assert twokey("rotate").code == 0
    configure(NEW)
    return rig


def recorded(rig: Rig) -> list[str]:
    return list(rig.record().journal.delivered)


class TestADestinationThatIsTakenOutOfTheConfiguration:
    @pytest.mark.parametrize("command", ["plan", "rotate", "deliver"])
    def test_is_named_at_once_with_what_that_means(self, user: Rig, command: str) -> None:
        ran = twokey(command)
        assert ran.code == 0
        assert f"{OLD} is not a destination of this run, and holds AKIA" in ran.err
        assert "does not remove AKIA" in ran.err
        assert f"twokey forget ci --destination {OLD}" in ran.err

    def test_is_a_problem_that_status_names(self, user: Rig) -> None:
        assert f"twokey forget ci --destination {OLD}" in twokey("status").out

    def test_is_named_with_json_too(self, user: Rig) -> None:
        (result,) = json.loads(twokey("plan", "--json").out)["results"]
        assert [OLD in warning for warning in result["warnings"]] == [True]


class TestForget:
    def test_asks_for_a_confirmation_while_it_holds_a_key(self, user: Rig) -> None:
        ran = twokey("forget", "ci", "--destination", OLD)
        assert ran.code == 3
        assert f"{OLD} holds AKIA" in ran.err + ran.out
        assert "jobs that read it there then fail" in ran.err + ran.out
        assert OLD in recorded(user)

    def test_takes_the_operators_word_for_it(self, user: Rig) -> None:
        ran = twokey("forget", "ci", "--destination", OLD, "--yes", "--json")
        (result,) = json.loads(ran.out)["results"]
        assert (ran.code, result["outcome"], result["reason"]) == (0, "completed", "forget_requested")
        assert OLD not in recorded(user)
        assert user.record().journal.lease is None
        assert twokey("plan").err.count(OLD) == 0

    def test_needs_none_where_it_shows_that_it_holds_no_key(self, user: Rig) -> None:
        Path("old.json").unlink()
        assert twokey("forget", "ci", "--destination", OLD).code == 0
        assert OLD not in recorded(user)

    def test_changes_no_key_and_no_other_destination(self, user: Rig) -> None:
        before = user.record().journal
        user.aws.clear_requests()
        assert twokey("forget", "ci", "--destination", OLD, "--yes").code == 0
        after = user.record().journal
        assert (after.current, after.last, after.committed, after.graces) == (
            before.current,
            before.last,
            before.committed,
            before.graces,
        )
        assert after.delivered == {NEW: before.delivered[NEW]}
        assert not [one for one in user.aws.requests if one.operation.endswith("AccessKey")]

    def test_of_what_the_url_meant_elsewhere_names_it_as_the_messages_do(
        self, user: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "elsewhere").mkdir()
        configuration = Path("twokey.yaml").read_text()
        monkeypatch.chdir(tmp_path / "elsewhere")
        Path("twokey.yaml").write_text(configuration)
        assert twokey("rotate").code == 0
        (name,) = [name for name in recorded(user) if name.startswith(f"{NEW} (")]
        assert twokey("forget", "ci", "--destination", name).code == 3
        assert twokey("forget", "ci", "--destination", name, "--yes").code == 0
        assert name not in recorded(user)
        assert NEW in recorded(user)

    @pytest.mark.parametrize(("url", "reason"), [(NEW, "still_configured"), ("file:typo.json", "not_recorded")])
    def test_refuses_what_is_configured_or_not_recorded(self, user: Rig, url: str, reason: str) -> None:
        ran = twokey("forget", "ci", "--destination", url, "--yes", "--json")
        (result,) = json.loads(ran.out)["results"]
        assert (ran.code, result["reason"]) == (3, reason)

    @pytest.mark.parametrize("users", [(), ("ci", "build")])
    def test_wants_exactly_one_user(self, user: Rig, users: tuple[str, ...]) -> None:
        ran = twokey("forget", *users, "--destination", OLD)
        assert ran.code == 2
        assert "exactly one user" in ran.err

    def test_wants_a_destination_and_says_how_it_is_named(self, user: Rig) -> None:
        ran = twokey("forget", "ci")
        assert ran.code == 2
        assert ran.err.splitlines() == [
            "Error: No destination is named.",
            "  Name it with --destination, as twokey plan and twokey status name it.",
        ]

    def test_leaves_a_log_without_violations(self, user: Rig) -> None:
        assert twokey("forget", "ci", "--destination", OLD, "--yes", "--audit-log", "audit.log").code == 0
        assert twokey("audit-log", "verify", "audit.log").code == 0

    @pytest.mark.parametrize(("answer", "code"), [(b"y\n", 0), (b"n\n", 3)])
    def test_asks_at_a_terminal(self, user: Rig, answer: bytes, code: int) -> None:
        main, other = pty.openpty()
        os.write(main, answer)
        ran = subprocess.run(
            [forked.programs() / "twokey", "forget", "ci", "--destination", OLD],
            stdin=other,
            stdout=subprocess.DEVNULL,
            stderr=other,
            env={name: value for name, value in os.environ.items() if name != "CI"} | {"TERM": "xterm"},
            check=False,
        )
        os.close(other)
        os.close(main)
        assert ran.returncode == code
        assert (OLD in recorded(user)) == (code == 3)
