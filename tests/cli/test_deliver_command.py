"""``twokey deliver``: who is meant, what is written, what it prints and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.commands import twokey
from support.ptys import in_terminal
from twokey.emulator import Rule

if TYPE_CHECKING:
    from support.rig import Rig

STORE = ("--store", "secretsmanager:machine-users/{user}")
CONFIG = """
version: 1
machine_users:
  - users: [build]
    store: secretsmanager:machine-users/{user}
    deliver: [ssm:/build, "ssm:/ci/{user}"]
  - users: [site]
    store: secretsmanager:machine-users/{user}
    deliver: ["ssm:/ci/{user}"]
"""


@pytest.fixture
def users(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """Two users with a configuration, rotated."""
    monkeypatch.chdir(tmp_path)
    for name in ("build", "site"):
        rig.aws.make_user(name, keys=0)
    Path("twokey.yaml").write_text(CONFIG)
    assert twokey("rotate").code == 0
    rig.aws.clear_requests()
    return rig


def parameter(rig: Rig, name: str) -> str:
    """Return the id of the key that a parameter holds."""
    value = rig.aws.client("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
    return str(json.loads(value)["AccessKeyId"])


def delete(rig: Rig, name: str) -> None:
    """Delete a parameter, as somebody might."""
    rig.aws.client("ssm").delete_parameter(Name=name)


def changes(rig: Rig) -> list[str]:
    """Name the requests that changed something besides the journal."""
    changing = ("ssm:PutParameter", "iam:CreateAccessKey", "iam:DeleteAccessKey", "iam:UpdateAccessKey")
    names = [f"{request.service}:{request.operation}" for request in rig.aws.requests]
    return [name for name in names if name in changing]


class TestWithAConfiguration:
    def test_writes_nothing_where_everything_is_in_its_place(self, users: Rig) -> None:
        ran = twokey("deliver", "--json")
        assert ran.code == 0
        assert [(one["outcome"], one["reason"]) for one in ran.document["results"]] == [("not_due", "held")] * 2
        assert [one.operation for one in users.aws.requests if one.operation.startswith(("Put", "Create"))] == []

    def test_brings_back_what_was_lost_and_makes_no_key(self, users: Rig) -> None:
        delete(users, "/ci/build")
        users.aws.clear_requests()
        ran = twokey("deliver", "--json")
        assert ran.code == 0
        build, site = ran.document["results"]
        assert (build["outcome"], build["reason"], site["outcome"]) == ("completed", "delivery_requested", "not_due")
        assert parameter(users, "/ci/build") == build["current"] == users.held("build")
        assert build["destinations"] == [
            {"destination": "secretsmanager:machine-users/build", "outcome": "held"},
            {"destination": "ssm:/build", "outcome": "held"},
            {"destination": "ssm:/ci/build", "outcome": "delivered"},
        ]
        assert changes(users) == ["ssm:PutParameter"]

    def test_picks_among_the_destinations_of_the_file_and_leaves_out_who_has_none_of_them(self, users: Rig) -> None:
        for name in ("/build", "/ci/build", "/ci/site"):
            delete(users, name)
        users.aws.clear_requests()
        ran = twokey("deliver", "--to", "ssm:/build", "--json")
        assert ran.outcomes == {"build": "completed"}
        assert changes(users) == ["ssm:PutParameter"]
        assert parameter(users, "/build") == users.held("build")

    @pytest.mark.parametrize("spelling", ["ssm:/build?format=pair", "ssm:/build?tag.team=a"])
    def test_picks_a_destination_that_is_spelled_otherwise(self, users: Rig, spelling: str) -> None:
        """Other options that reach the same thing make no other destination, and no other user gets it."""
        delete(users, "/build")
        ran = twokey("deliver", "--to", spelling, "--json")
        assert ran.code == 0, ran.err
        assert ran.outcomes == {"build": "completed"}
        (entry,) = json.loads(ran.out)["results"]
        delivered = [one["destination"] for one in entry["destinations"] if one["outcome"] == "delivered"]
        assert delivered == ["ssm:/build"]
        assert parameter(users, "/build") == entry["current"]

    def test_picks_by_a_template_for_every_user(self, users: Rig) -> None:
        for name in ("/build", "/ci/build", "/ci/site"):
            delete(users, name)
        assert twokey("deliver", "--to", "ssm:/ci/{user}", "--json").outcomes == {
            "build": "completed",
            "site": "completed",
        }
        assert parameter(users, "/ci/site") == users.held("site")

    @pytest.mark.parametrize("url", ["ssm:/nightly/{user}", "ssm:/nightly/site", "ssm:/ci/sit"])
    def test_does_not_deliver_where_no_later_run_would(self, users: Rig, url: str) -> None:
        ran = twokey("deliver", "site", "--to", "ssm:/ci/{user}", "--to", url)
        assert ran.code == 2
        message = " ".join(ran.err.split())
        assert f"{url} is a destination of no user in the configuration" in message
        assert "Add it to deliver: of the configuration, or add --unmanaged" in message
        assert changes(users) == []

    @pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 2), ("", 2)])
    def test_asks_the_operator_at_a_terminal(self, users: Rig, answer: str, code: int) -> None:
        with in_terminal("deliver", "site", "--to", "ssm:/nightly/{user}", columns=100) as terminal:
            terminal.read_until("Deliver there once? [y/N]")
            terminal.type(answer)
            assert terminal.read_all() == code
        assert bool(changes(users)) == (code == 0)

    def test_adds_a_destination_that_the_file_gives_to_nobody_where_the_operator_says_so(self, users: Rig) -> None:
        ran = twokey("deliver", "site", "--to", "ssm:/nightly/{user}", "--unmanaged")
        assert ran.code == 0
        assert "site: completed (delivery_requested)." in ran.out
        assert parameter(users, "/nightly/site") == users.held("site")

    def test_never_writes_one_users_key_into_anothers_destination(self, users: Rig) -> None:
        ran = twokey("deliver", "site", "--to", "ssm:/build")
        assert ran.code == 1
        assert "None of the selected users delivers to ssm:/build." in ran.err
        assert parameter(users, "/build") == users.held("build")

    def test_refuses_a_new_destination_that_two_users_would_write(self, users: Rig) -> None:
        ran = twokey("deliver", "--to", "ssm:/shared", "--unmanaged")
        assert ran.code == 2
        assert "would write to the same destination: ssm:/shared" in ran.err
        assert changes(users) == []

    def test_refuses_a_url_that_is_none_before_anything_is_called(self, users: Rig) -> None:
        ran = twokey("deliver", "--to", "nowhere:x")
        assert ran.code == 2
        assert "nowhere" in ran.err
        assert users.aws.requests == []

    def test_reports_what_fails_and_is_done_by_the_next_run(self, users: Rig) -> None:
        for name in ("/build", "/ci/build", "/ci/site"):
            delete(users, name)
        denied = users.aws.weather.add(
            Rule("ssm:PutParameter", times=1, effect="error_before", status=400, code="AccessDeniedException")
        )
        ran = twokey("deliver", "build", "--json")
        assert (ran.code, ran.outcomes) == (1, {"build": "failed"})
        (result,) = ran.document["results"]
        assert result["reason"] == "delivery_failed"
        assert [one["outcome"] for one in result["destinations"]] == ["held", "failed", "delivered"]
        users.aws.weather.remove(denied)
        assert twokey("rotate", "build", "--json").outcomes == {"build": "completed"}
        assert parameter(users, "/build") == users.held("build")

    def test_refuses_more_users_than_may_be_touched(self, users: Rig) -> None:
        ran = twokey("deliver", "--max-users", "1", "--json")
        assert (ran.code, ran.outcomes) == (3, {"build": "refused", "site": "refused"})

    def test_refuses_where_the_store_was_rolled_back(self, users: Rig) -> None:
        other = users.aws.make_user("other", keys=1)[0]
        users.fill(other, "build")
        ran = twokey("deliver", "build", "--json")
        assert (ran.code, ran.outcomes) == (3, {"build": "refused"})
        assert parameter(users, "/ci/build") != other.access_key_id

    def test_is_written_into_the_audit_log_which_is_in_order(self, users: Rig) -> None:
        delete(users, "/ci/build")
        ran = twokey("deliver", "build", "--audit-log", "audit.log")
        assert ran.code == 0
        assert twokey("audit-log", "verify", "audit.log").code == 0
        ended = json.loads(Path("audit.log").read_text().splitlines()[-1])
        assert (ended["what"], ended["outcome"], ended["reason"]) == ("ended", "completed", "delivery_requested")

    def test_to_some_destinations_only_is_in_order_too(self, users: Rig) -> None:
        for name in ("/build", "/ci/build"):
            delete(users, name)
        assert twokey("deliver", "build", "--to", "ssm:/build", "--audit-log", "audit.log").code == 0
        assert twokey("audit-log", "verify", "audit.log").code == 0


class TestWithOptions:
    def test_delivers_to_the_destinations_that_are_named(self, users: Rig) -> None:
        Path("twokey.yaml").unlink()
        ran = twokey("deliver", "build", *STORE, "--to", "ssm:/a/{user}", "--to", "ssm:/b/{user}", "-v")
        assert ran.code == 0
        assert parameter(users, "/a/build") == parameter(users, "/b/build") == users.held("build")
        assert "build: deliver to ssm:/a/build" in ran.err
        assert users.aws.count("iam:CreateAccessKey") == 0

    def test_asks_where_to_deliver(self, users: Rig) -> None:
        Path("twokey.yaml").unlink()
        ran = twokey("deliver", "build", *STORE)
        assert ran.code == 2
        assert "No destination is configured." in ran.err
        assert users.aws.requests == []

    @pytest.mark.parametrize("option", ["--force", "--ignore-last-use", "--retire"])
    def test_knows_nothing_of_what_only_a_rotation_does(self, option: str) -> None:
        assert twokey("deliver", "build", *STORE, option).code == 2
