"""``twokey revoke``: the leaked key is Inactive first, whatever follows; then another key is everywhere."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from support.commands import Ran, twokey
from support.store_faults import denied
from twokey.emulator import Rule

if TYPE_CHECKING:
    from support.rig import Rig

SCHEMAS = Path(__file__).parents[2] / "src/twokey/schemas"
SELECTED = ("--store", "secretsmanager:machine-users/{user}", "--to", "ssm:/m/{user}")


def revoke(*arguments: str, selected: tuple[str, ...] = SELECTED) -> Ran:
    return twokey("revoke", *arguments, *selected, "--yes", "--json")


def result(ran: Ran) -> Any:
    (found,) = ran.document["results"]
    return found


def status_of(rig: Rig, user: str = "ci") -> dict[str, str]:
    return {key_id: status for key_id, status, _ in rig.aws.keys(user)}


def calls(rig: Rig) -> list[str]:
    return [request.name for request in rig.aws.requests]


@pytest.fixture
def one_key(rig: Rig) -> str:
    """Return CURRENT of a user that has no other key."""
    rig.aws.make_user("ci", path="/machine-users/", keys=0)
    assert twokey("rotate", "ci", *SELECTED).code == 0
    current = rig.held()
    rig.aws.clear_requests()
    return current


@pytest.fixture
def settled(rig: Rig) -> tuple[str, str]:
    """Return LAST and CURRENT of a user whose grace is not over."""
    rig.settled()
    assert twokey("rotate", "ci", *SELECTED).code == 0
    last, current = rig.ids()
    rig.aws.clear_requests()
    return last, current


def test_a_leaked_key_is_inactive_after_two_requests_and_then_replaced_everywhere(rig: Rig, one_key: str) -> None:
    ran = revoke(one_key)
    found = result(ran)
    assert (ran.code, found["outcome"], found["reason"]) == (0, "revoked", "leaked"), found
    assert calls(rig)[:2] == ["iam:GetAccessKeyLastUsed", "iam:UpdateAccessKey"]
    assert status_of(rig) == {one_key: "Inactive", rig.held(): "Active"}
    assert rig.held() == found["current"] != one_key
    assert found["last"] == one_key
    assert [one["outcome"] for one in found["destinations"]] == ["delivered", "delivered"]
    assert found["contained_at"]


def test_a_user_s_key_is_the_one_that_its_store_holds(rig: Rig, one_key: str) -> None:
    found = result(revoke("ci"))
    assert found["outcome"] == "revoked"
    assert status_of(rig)[one_key] == "Inactive"


def test_where_last_has_leaked_current_stays(rig: Rig, settled: tuple[str, str]) -> None:
    last, current = settled
    ran = revoke(last)
    found = result(ran)
    assert (ran.code, found["outcome"], found["current"]) == (0, "revoked", current), found
    assert status_of(rig) == {last: "Inactive", current: "Active"}
    assert f"CURRENT ({current}) has not leaked" in found["message"]


def test_where_last_may_not_go_yet_the_leaked_key_is_contained_and_the_ways_on_are_named(
    rig: Rig, settled: tuple[str, str]
) -> None:
    last, current = settled
    ran = revoke(current)
    found = result(ran)
    assert (ran.code, found["outcome"], found["reason"]) == (1, "contained", "leaked"), found
    assert status_of(rig) == {last: "Active", current: "Inactive"}
    assert f"twokey revoke {current} --delete" in found["message"]
    ran = revoke(current, "--delete")
    found = result(ran)
    assert (ran.code, found["outcome"], found["removed"]) == (0, "revoked", [current]), found
    assert status_of(rig) == {last: "Active", rig.held(): "Active"}


def test_with_delete_the_leaked_key_is_gone_at_the_end(rig: Rig, one_key: str) -> None:
    found = result(revoke(one_key, "--delete"))
    assert (found["outcome"], found["removed"]) == ("revoked", [one_key]), found
    assert status_of(rig) == {rig.held(): "Active"}


def test_both_keys_are_inactive_and_one_makes_room_where_the_operator_allows_it(
    rig: Rig, settled: tuple[str, str]
) -> None:
    last, current = settled
    found = result(revoke("ci", "--both"))
    assert found["outcome"] == "contained"
    assert status_of(rig) == {last: "Inactive", current: "Inactive"}
    found = result(revoke("ci", "--both", "--delete"))
    assert found["outcome"] == "revoked", found
    assert status_of(rig) == {rig.held(): "Active"}


def test_a_user_without_a_store_is_contained_and_what_is_left_is_named(rig: Rig, tmp_path: Path) -> None:
    configuration = tmp_path / "twokey.yaml"
    configuration.write_text("version: 1\nmachine_users: [{users: [ci], store: 'secretsmanager:{user}'}]\n")
    (key,) = rig.aws.make_user("other", keys=1)
    ran = revoke(key.access_key_id, selected=())
    found = result(ran)
    assert (ran.code, found["outcome"], found["user"]) == (1, "contained", "other"), found
    assert status_of(rig, "other") == {key.access_key_id: "Inactive"}
    assert "No key was created in its place" in found["message"]
    ran = revoke(key.access_key_id, selected=("--config", str(configuration)))
    assert "No entry of the configuration covers the user other. Give them another" in result(ran)["message"]


def test_twokey_s_own_key_is_refused_and_nothing_is_changed(rig: Rig) -> None:
    own = rig.aws.admin.access_key_id
    ran = revoke(own)
    assert (ran.code, result(ran)["reason"]) == (3, "own_key")
    assert "iam:UpdateAccessKey" not in calls(rig)


def test_an_unknown_key_id_is_a_failure_that_says_in_which_account_to_look(rig: Rig) -> None:
    ran = revoke("AKIAIOSFODNN7EXAMPLE")
    assert (ran.code, result(ran)["outcome"]) == (1, "failed")
    assert "aws sts get-caller-identity" in result(ran)["message"]


def test_without_a_terminal_the_plan_has_to_be_confirmed_by_an_option(rig: Rig, one_key: str) -> None:
    ran = twokey("revoke", one_key, *SELECTED)
    assert ran.code == 2
    assert "--yes" in ran.err
    assert calls(rig) == []


def test_plan_shows_the_steps_and_changes_nothing(rig: Rig, one_key: str) -> None:
    ran = twokey("revoke", one_key, *SELECTED, "--plan")
    assert ran.code == 0, ran.err
    steps, then = ran.out.index(f"1. make {one_key} Inactive"), ran.out.index(f"After step 1: {one_key} has leaked")
    assert ran.out.index("ci: nothing has been changed yet.\n") < steps < then
    assert f"1. make {one_key} Inactive" in ran.out
    assert "create a key, verify it, store it" in ran.out
    assert status_of(rig) == {one_key: "Active"}


def test_plan_shows_each_deletion_also_the_one_at_the_end(rig: Rig, settled: tuple[str, str]) -> None:
    last, current = settled
    for options, deleted in (((current,), [current]), ((last,), [last]), (("ci", "--both"), [last, current])):
        ran = twokey("revoke", *options, *SELECTED, "--delete", "--plan", "--json")
        [entry] = ran.document["results"]
        assert [action for action in entry["actions"] if action.startswith("delete ")] == [
            f"delete {key_id}" for key_id in deleted
        ]


def test_what_is_printed_keeps_to_the_published_schemas(rig: Rig, one_key: str) -> None:
    schema = json.loads((SCHEMAS / "revoke.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(revoke(one_key, "--both").document)
    planned = twokey("revoke", "ci", *SELECTED, "--plan", "--json")
    schema = json.loads((SCHEMAS / "revoke-plan.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(planned.document)


def test_a_lost_response_is_asked_again_until_the_key_is_known_to_be_inactive(rig: Rig, one_key: str) -> None:
    rig.aws.weather.add(Rule("iam:UpdateAccessKey", nth=1, effect="lost_response"))
    found = result(revoke(one_key))
    assert found["outcome"] == "revoked", found
    assert status_of(rig)[one_key] == "Inactive"


def test_a_destination_that_fails_keeps_no_other_from_the_new_key_and_the_outage_is_named(
    rig: Rig, one_key: str
) -> None:
    rig.aws.weather.add(denied("ssm:PutParameter"))
    ran = revoke(one_key)
    found = result(ran)
    assert (ran.code, found["outcome"], found["reason"]) == (1, "contained", "delivery_failed"), found
    assert status_of(rig) == {one_key: "Inactive", rig.held(): "Active"}
    assert rig.held() != one_key
    assert f"{one_key} was revoked, so jobs that read it elsewhere fail" in found["message"]
    assert [one["outcome"] for one in found["destinations"]] == ["delivered", "failed"]
    rig.aws.weather.clear()
    rig.later(minutes=1)  # until the list is sure to show what was created
    assert twokey("rotate", "ci", *SELECTED, "--json").outcomes == {"ci": "completed"}
    assert rig.held() == found["current"]


def test_a_destination_that_never_got_a_key_is_not_said_to_have_a_previous_one_that_works(rig: Rig) -> None:
    rig.settled()
    rig.aws.weather.add(replace(denied("ssm:PutParameter"), times=None))
    assert twokey("rotate", "ci", *SELECTED).code == 1
    last, _ = rig.ids()
    rig.later(minutes=1)  # until the list is sure to show what was created
    found = result(revoke(last))
    assert (found["outcome"], found["reason"]) == ("contained", "delivery_failed")
    assert f"{last} was revoked, so jobs that read it elsewhere fail" in found["message"]


def test_a_store_that_cannot_be_read_keeps_no_key_active(rig: Rig, one_key: str) -> None:
    rig.aws.weather.add(denied("secretsmanager:*"))
    ran = revoke(one_key)
    assert (ran.code, result(ran)["outcome"], result(ran)["reason"]) == (1, "contained", "unreadable")
    assert status_of(rig) == {one_key: "Inactive"}


def test_the_same_user_again_is_refused_with_the_two_commands_that_may_be_meant(rig: Rig, one_key: str) -> None:
    assert revoke("ci").code == 0
    new = rig.held()
    ran = revoke("ci")
    found = result(ran)
    assert (ran.code, found["outcome"]) == (3, "refused")
    assert f"twokey revoke {one_key}. If {new} has leaked, too: twokey revoke {new}." in found["message"]
    assert status_of(rig)[new] == "Active"
    again = revoke(one_key)
    assert (again.code, result(again)["outcome"], rig.held()) == (0, "revoked", new)


def test_a_key_that_is_kept_for_some_time_is_named_and_then_deleted_by_a_rotation(rig: Rig, one_key: str) -> None:
    assert revoke(one_key, "--keep", "7d").code == 0
    for command in ("plan", "status"):
        ran = twokey(command, "ci", *SELECTED)
        assert f"{one_key} has leaked, and is kept Inactive until" in ran.out
    rig.later(days=7, hours=1)
    rig.deliver = ("ssm:/m/{user}",)
    done = rig.rotate()
    assert (done.outcome.value, done.reason.value, done.removed) == ("retired", "revoked", (one_key,))
    assert not rig.record().journal.revoked


def test_a_key_that_is_made_active_again_outside_twokey_is_named(rig: Rig, one_key: str) -> None:
    assert revoke(one_key).code == 0
    rig.aws.client("iam").update_access_key(UserName="ci", AccessKeyId=one_key, Status="Active")
    rig.later(minutes=1)
    ran = twokey("status", "ci", *SELECTED)
    assert f"{one_key} has leaked, and was made Active again outside twokey. To stop it: twokey revoke" in ran.out


def test_a_user_with_two_keys_and_no_store_is_refused_with_a_command_for_each(rig: Rig) -> None:
    first, second = rig.aws.make_user("other", keys=2)
    ran = revoke("other", selected=())
    found = result(ran)
    assert (ran.code, found["outcome"]) == (3, "refused")
    for key in (first, second):
        assert f"twokey revoke {key.access_key_id}" in found["message"]
    assert set(status_of(rig, "other").values()) == {"Active"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "No key is named."),
        (("ci", "--delete", "--keep", "7d"), "--delete and --keep exclude each other."),
        (("ASIAIOSFODNN7EXAMPLE",), "the key of a session"),
        (("a b",), "Expected an access key ID or the name of a user"),
        (("ci", "--keep", "soon"), "--keep"),
    ],
)
def test_bad_input_is_named_before_anything_is_called(rig: Rig, arguments: tuple[str, ...], message: str) -> None:
    ran = revoke(*arguments, selected=())
    assert ran.code == 2
    assert message in " ".join(ran.err.split())
    assert calls(rig) == []


@pytest.mark.parametrize("option", ["--yes", "--both"])
def test_a_user_that_does_not_exist_is_named_with_what_to_check(rig: Rig, option: str) -> None:
    ran = revoke("nosuch", option)
    assert (ran.code, result(ran)["outcome"]) == (1, "failed")
    assert "There is no IAM user nosuch in this account. Nothing was changed. Check the name" in result(ran)["message"]


def test_a_run_that_ended_after_the_leaked_key_made_room_is_continued_by_the_user_s_name(
    rig: Rig, settled: tuple[str, str]
) -> None:
    last, current = settled
    rig.aws.weather.add(Rule("iam:CreateAccessKey", effect="error_before"))
    ran = revoke(current, "--delete")
    found = result(ran)
    assert (ran.code, found["outcome"], found["current"], found["last"]) == (1, "contained", None, last)
    assert f"now that {current} is deleted: twokey rotate ci" in found["message"]
    assert status_of(rig) == {last: "Active"}
    rig.later(minutes=1)  # until the list is sure to show what was created
    ran = revoke(current, "--delete")
    assert (ran.code, result(ran)["outcome"]) == (1, "failed")
    assert "name its user: twokey revoke USER continues" in result(ran)["message"]
    ran = revoke("ci", "--delete")
    assert (ran.code, result(ran)["outcome"]) == (0, "revoked"), result(ran)
    assert status_of(rig) == {last: "Active", rig.held(): "Active"}


def test_a_run_that_ended_after_the_new_key_was_stored_is_continued_by_a_rotation(
    rig: Rig, settled: tuple[str, str]
) -> None:
    last, current = settled
    rig.aws.weather.add(denied("ssm:PutParameter"))
    found = result(revoke(current, "--delete"))
    new = rig.held()
    assert (found["outcome"], found["current"], found["last"]) == ("contained", new, last)
    assert f"now that {current} is deleted: twokey rotate ci" in found["message"]
    rig.aws.weather.clear()
    rig.later(minutes=1)  # until the list is sure to show what was created
    ran = revoke("ci", "--delete")
    assert (ran.code, result(ran)["outcome"]) == (3, "refused")
    assert "To continue that revocation: twokey rotate ci." in result(ran)["message"]
    assert twokey("rotate", "ci", *SELECTED, "--json").outcomes == {"ci": "completed"}
    assert status_of(rig) == {last: "Active", new: "Active"}


def test_the_evidence_names_a_key_that_may_still_be_active(rig: Rig, one_key: str, tmp_path: Path) -> None:
    rig.aws.weather.add(replace(denied("iam:UpdateAccessKey"), times=None))
    ran = revoke(one_key, "--evidence", str(tmp_path / "incident"))
    assert (ran.code, result(ran)["outcome"]) == (1, "failed")
    assert status_of(rig) == {one_key: "Active"}
    [file] = (tmp_path / "incident").glob("*.json")
    document = json.loads(file.read_text(encoding="utf-8"))
    [leaked] = document["users"][0]["leaked"]
    assert (leaked["key_id"], leaked["inactive_since"]) == (one_key, None)
    assert [left["command"] for left in document["left"]] == [f"twokey revoke {one_key}"]


def test_a_user_without_keys_has_none_to_revoke(rig: Rig) -> None:
    rig.aws.make_user("empty", keys=0)
    for options in ((), ("--both",)):
        ran = revoke("empty", *options, selected=())
        assert (ran.code, result(ran)["outcome"], result(ran)["reason"]) == (3, "refused", "no_key")
