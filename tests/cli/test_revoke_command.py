"""``twokey revoke``: the leaked key is Inactive first, whatever follows; then another key is everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.commands import Ran, twokey
from twokey.emulator import Rule

if TYPE_CHECKING:
    from support.rig import Rig

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


def test_a_user_without_a_store_is_contained_and_what_is_left_is_named(rig: Rig) -> None:
    (key,) = rig.aws.make_user("other", keys=1)
    ran = revoke(key.access_key_id, selected=())
    found = result(ran)
    assert (ran.code, found["outcome"], found["user"]) == (1, "contained", "other"), found
    assert status_of(rig, "other") == {key.access_key_id: "Inactive"}
    assert "No key was created in its place" in found["message"]


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
    assert f"1. make {one_key} Inactive" in ran.out
    assert "create a key, verify it, store it" in ran.out
    assert status_of(rig) == {one_key: "Active"}


def test_a_lost_response_is_asked_again_until_the_key_is_known_to_be_inactive(rig: Rig, one_key: str) -> None:
    rig.aws.weather.add(Rule("iam:UpdateAccessKey", nth=1, effect="lost_response"))
    found = result(revoke(one_key))
    assert found["outcome"] == "revoked", found
    assert status_of(rig)[one_key] == "Inactive"
