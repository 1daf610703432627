"""A plan of users in several accounts is performed account by account, and stops at no account that is not reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleet.test_accounts import LIST, NOBODY
from support.commands import twokey
from support.fleets import ONE, OTHER, ROLE, Fleet
from support.roles import policy

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig


def follow(*options: str) -> dict[tuple[str, str], tuple[str, str]]:
    document = twokey("rotate", "--plan", "plan.json", "--json", *options).document
    return {(one["account"], one["user"]): (one["outcome"], one["reason"]) for one in document["results"]}


@pytest.fixture
def fleet(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    """Two accounts, each with a user of the same name, and a plan of both."""
    monkeypatch.chdir(tmp_path)
    fleet = Fleet(rig.aws, tmp_path)
    for account in (ONE, OTHER):
        fleet.role(account)
        fleet.user(account, "ci")
    fleet.configure(LIST)
    assert twokey("plan", "--out", "plan.json").code == 0
    return fleet


def test_users_of_one_name_are_planned_and_rotated_in_their_own_accounts(fleet: Fleet) -> None:
    before = fleet.ids(OTHER)
    assert follow("--account", "one") == {(ONE, "ci"): ("rotated", "due")}
    assert fleet.ids(OTHER) == before
    assert follow() == {(ONE, "ci"): ("refused", "plan_changed"), (OTHER, "ci"): ("rotated", "due")}


def test_an_account_that_is_not_reached_is_told_in_one_line(fleet: Fleet) -> None:
    iam = fleet.aws.client("iam", fleet.aws.admin_of(OTHER))
    iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=policy(NOBODY))
    assert follow() == {(ONE, "ci"): ("rotated", "due"), (OTHER, ""): ("failed", "error")}


def test_a_user_that_is_gone_in_one_account_is_refused_there(fleet: Fleet) -> None:
    iam = fleet.aws.client("iam", fleet.aws.admin_of(OTHER))
    for key_id in fleet.ids(OTHER):
        iam.delete_access_key(UserName="ci", AccessKeyId=key_id)
    iam.delete_user(UserName="ci")
    assert follow() == {(OTHER, "ci"): ("refused", "plan_changed"), (ONE, "ci"): ("rotated", "due")}
    fleet.aws.make_user("late", path="/machine-users/", keys=0, account=OTHER)
    assert f"not in the plan, and not touched: {OTHER}/late." in twokey("rotate", "--plan", "plan.json").err
