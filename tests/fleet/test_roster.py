"""Who is in a run, and that no two users of it overwrite each other: users of one name in two accounts are two."""

from __future__ import annotations

import pytest

from twokey.core.errors import UsageError
from twokey.core.model import MachineUser, UserKey
from twokey.fleet.names import Names
from twokey.fleet.roster import Job, Roster, check_apart, check_distinct, select_destinations
from twokey.planning.policy import RotationPolicy

ONE, OTHER = UserKey("123456789012", "ci"), UserKey("210987654321", "ci")


def job(key: UserKey, store: str = "secretsmanager:machine-users/ci", deliver: tuple[str, ...] = ()) -> Job:
    arn = f"arn:aws:iam::{key.account}:user/machine-users/{key.name}"
    user = MachineUser(key.name, "/machine-users/", f"AIDA{key.account}", key.account, arn)
    return Job(user, RotationPolicy(), store, deliver)


class TestDistinct:
    def test_users_of_one_name_in_two_accounts_are_distinct(self) -> None:
        check_distinct([job(ONE), job(OTHER)])

    def test_a_user_selected_twice_is_refused_with_its_account_where_there_are_several(self) -> None:
        with pytest.raises(UsageError, match=r"^The user 123456789012/ci is selected twice: for ssm:/a and for ssm:/b"):
            check_distinct([job(ONE, "ssm:/a"), job(OTHER), job(ONE, "ssm:/b")])

    def test_a_user_selected_twice_is_named_alone_in_one_account(self) -> None:
        with pytest.raises(UsageError, match=r"^The user ci is selected twice: "):
            check_distinct([job(ONE, "ssm:/a"), job(ONE, "ssm:/b")])

    def test_the_users_of_two_accounts_make_one_roster(self) -> None:
        both = Roster.of_accounts([Roster((job(ONE),)), Roster((job(OTHER),))])
        assert [one.user.key for one in both.jobs] == [ONE, OTHER]

    def test_the_same_account_twice_makes_none(self) -> None:
        with pytest.raises(UsageError, match="is selected twice"):
            Roster.of_accounts([Roster((job(ONE),)), Roster((job(ONE),))])


class TestApart:
    def test_both_users_are_checked(self) -> None:
        check_apart({ONE: [("ssm:/a", frozenset({"a"}))], OTHER: [("ssm:/b", frozenset({"b"}))]})
        with pytest.raises(UsageError) as caught:
            check_apart({ONE: [("github:o/r", frozenset({"r"}))], OTHER: [("github:o/R", frozenset({"r"}))]})
        assert caught.value.message == (
            "123456789012/ci and 210987654321/ci would write to the same destination: github:o/R (as github:o/r)."
        )
        assert "{account} and {user}" in caught.value.remedy

    def test_two_users_of_one_account_need_the_user_in_the_url(self) -> None:
        with pytest.raises(UsageError) as caught:
            check_apart({ONE: [("ssm:/a", frozenset({"a"}))], UserKey(ONE.account, "cd"): [("ssm:/a", frozenset("a"))]})
        assert caught.value.message == "ci and cd would write to the same destination: ssm:/a."
        assert "{account}" not in caught.value.remedy
        assert "{user}" in caught.value.remedy

    def test_one_user_twice(self) -> None:
        with pytest.raises(UsageError, match=r"^ci, twice, would write to the same destination: ssm:/a\.$|ci, twice"):
            check_apart({ONE: [("ssm:/a", frozenset({"a"})), ("ssm:/a", frozenset({"a"}))]})


def test_a_destination_is_selected_for_each_user_by_its_own_account() -> None:
    def fill(url: str, user: MachineUser) -> str:
        return url.format(account=user.account, user=user.name)

    roster = Roster((job(ONE, deliver=("ssm:/123456789012/ci",)), job(OTHER, deliver=("ssm:/other",))))
    selected = select_destinations(roster, [], ["ssm:/{account}/{user}"], fill, lambda _: False)
    assert [(one.user.key, one.targets) for one in selected.jobs] == [
        (ONE, ("ssm:/123456789012/ci",)),
        (OTHER, ("ssm:/210987654321/ci",)),
    ]


def test_text_names_the_account_only_where_there_are_several() -> None:
    cd = UserKey(ONE.account, "cd")
    assert [*map(Names([ONE, cd]), [ONE, cd])] == ["ci", "cd"]
    unknown = UserKey("", "nobody")
    assert [*map(Names([ONE, unknown]), [ONE, unknown])] == ["ci", "nobody"]
    assert [*map(Names([ONE, OTHER, unknown]), [ONE, OTHER, unknown])] == [
        "123456789012/ci",
        "210987654321/ci",
        "nobody",
    ]
