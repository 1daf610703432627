"""Who is in a run, and that no two users of it overwrite each other: users of one name in two accounts are two."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from twokey.core.errors import Failed, UsageError
from twokey.core.model import MachineUser, UserKey
from twokey.fleet import packed
from twokey.fleet import roster as roster_module
from twokey.fleet.lookup import no_result
from twokey.fleet.names import Names
from twokey.fleet.roster import (
    Job,
    Roster,
    check_apart,
    check_distinct,
    located,
    select_destinations,
    too_many_accounts,
)
from twokey.planning.policy import RotationPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.fleet.roster import Targets

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

    def test_a_user_selected_twice_is_named_with_the_name_of_its_account(self) -> None:
        twice = [replace(one, user=replace(one.user, account_name="prod")) for one in (job(ONE, "ssm:/a"), job(ONE))]
        with pytest.raises(UsageError, match=r"^The user ci of the account prod \(123456789012\) is selected twice: "):
            check_distinct(twice)

    def test_the_users_of_two_accounts_make_one_roster(self) -> None:
        both = Roster.of_accounts([Roster((job(ONE),)), Roster((job(OTHER),))])
        assert [one.user.key for one in both.jobs] == [ONE, OTHER]
        assert isinstance(both.jobs, packed.Packed)

    def test_what_was_not_found_and_each_warning_once_are_those_of_all_accounts(self) -> None:
        missing = [no_result(name, "There is no such user.") for name in ("a", "b")]
        both = Roster.of_accounts(Roster((), (one,), ("The path is empty.",)) for one in missing)
        assert (both.failed, both.warnings) == (tuple(missing), ("The path is empty.",))

    def test_the_same_account_twice_makes_none(self) -> None:
        with pytest.raises(UsageError, match="is selected twice"):
            Roster.of_accounts([Roster((job(ONE),)), Roster((job(ONE),))])


def check_all_apart(users: Mapping[UserKey, Targets], *known: Job) -> None:
    by_key = {one.user.key: one for one in known}
    check_apart([by_key.get(key) or job(key) for key in users], lambda one: users[one.user.key])


class TestApart:
    def test_both_users_are_checked(self) -> None:
        check_all_apart({ONE: [("ssm:/a", frozenset({"a"}))], OTHER: [("ssm:/b", frozenset({"b"}))]})
        with pytest.raises(UsageError) as caught:
            check_all_apart({ONE: [("github:o/r", frozenset({"r"}))], OTHER: [("github:o/R", frozenset({"r"}))]})
        assert caught.value.message == (
            "123456789012/ci and 210987654321/ci would write to the same destination: github:o/R (as github:o/r)."
        )
        assert "{account} and {user}" in caught.value.remedy

    def test_two_users_of_one_account_need_the_user_in_the_url(self) -> None:
        with pytest.raises(UsageError) as caught:
            check_all_apart(
                {ONE: [("ssm:/a", frozenset({"a"}))], UserKey(ONE.account, "cd"): [("ssm:/a", frozenset("a"))]}
            )
        assert caught.value.message == "ci and cd would write to the same destination: ssm:/a."
        assert "{account}" not in caught.value.remedy
        assert "{user}" in caught.value.remedy

    def test_two_destinations_of_one_hash_are_two(self) -> None:
        class Alike(str):
            __slots__ = ()

            def __hash__(self) -> int:
                return 7

        check_all_apart({key: [(name, frozenset({Alike(name)}))] for key, name in ((ONE, "ssm:/a"), (OTHER, "ssm:/b"))})

    def test_one_user_twice(self) -> None:
        with pytest.raises(UsageError, match=r"^ci, twice, would write to the same destination: ssm:/a\.") as caught:
            check_all_apart({ONE: [("ssm:/a", frozenset({"a"})), ("ssm:/a", frozenset({"a"}))]})
        assert caught.value.remedy.startswith("Remove one of the two, or, where it holds variables, ")

    def test_the_remedy_is_one_that_tells_the_two_users_apart(self) -> None:
        for one, other, remedy in (
            (ONE, OTHER, "Put {account} and {user} into its URL, "),
            (ONE, UserKey(ONE.account, "cd"), "Put {user} into its URL, "),
            (UserKey(ONE.account, "a-b"), UserKey(ONE.account, "a_b"), "{USER} is A_B for both. Put {user} into "),
        ):
            with pytest.raises(UsageError) as caught:
                check_all_apart({key: [("github:o/r", frozenset({"r"}))] for key in (one, other)})
            assert caught.value.remedy.startswith(remedy)

    def test_the_error_begins_with_where_the_file_names_the_second_of_them(self) -> None:
        second = replace(job(OTHER, "ssm:/a", ("ssm:/b",)), positions=("line 4: ", "line 5: "))
        for both, at in (("ssm:/a", "line 4: "), ("ssm:/b", "line 5: ")):
            users = {
                ONE: [(both, frozenset({both}))],
                OTHER: [(url, frozenset({url})) for url in (second.store, *second.deliver)],
            }
            with pytest.raises(UsageError, match=rf"^{at}123456789012/ci and 210987654321/ci would write "):
                check_all_apart(users, second)


@pytest.mark.parametrize(
    ("at", "message", "expected"),
    [
        ("f.yaml line 3: ", "No: it is wrong.", "f.yaml line 3: No: it is wrong."),
        ("f.yaml line 3: ", "f.yaml line 9: wrong.", "f.yaml line 9: wrong."),
        ("", "No: it is wrong.", "No: it is wrong."),
    ],
)
def test_an_error_begins_with_the_nearest_position(at: str, message: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught, located(at):
        raise UsageError(message)
    assert caught.value.message == expected


class TestSelectedDestinations:
    ROSTER = Roster((job(ONE, "ssm:/s", ("ssm:/a",)), job(OTHER, "ssm:/t", ("ssm:/b",))))
    ELSEWHERE = cast("Any", SimpleNamespace(store="ssm:/u", deliver=("ssm:/c",)))
    """An entry of the configuration whose users are not selected."""

    def selected(
        self, *urls: str, roster: Roster = ROSTER, accepted: str = "", known: dict[str, str] | None = None
    ) -> dict[UserKey, tuple[tuple[str, ...], tuple[str, ...] | None]]:
        found = select_destinations(
            roster,
            [self.ELSEWHERE],
            urls,
            lambda url, _user: url,
            lambda url: url == accepted,
            lambda url, one: (known or {}).get(url, url) if one.user.key == ONE else url,
        )
        return {one.user.key: (one.deliver, one.targets) for one in found.jobs}

    def test_are_all_where_none_is_named(self) -> None:
        assert self.selected() == {ONE: (("ssm:/a",), None), OTHER: (("ssm:/b",), None)}

    def test_leave_out_the_users_that_have_none_of_them(self) -> None:
        assert self.selected("ssm:/a", "ssm:/c") == {ONE: (("ssm:/a",), ("ssm:/a",))}

    def test_may_be_named_by_another_url_of_the_same_thing(self) -> None:
        assert self.selected("ssm:/A", known={"ssm:/A": "ssm:/a"}) == {ONE: (("ssm:/a",), ("ssm:/a",))}

    def test_are_every_users_where_the_configuration_has_them_not_and_the_operator_accepts(self) -> None:
        new = "ssm:/x"
        assert self.selected(new, accepted=new) == {ONE: (("ssm:/a", new), (new,)), OTHER: (("ssm:/b", new), (new,))}
        with pytest.raises(UsageError, match=r"^ssm:/x is a destination of no user in the configuration: "):
            self.selected(new)

    def test_of_no_selected_user_are_an_error_unless_a_user_was_not_found(self) -> None:
        with pytest.raises(Failed, match=r"^None of the selected users delivers to ssm:/c\."):
            self.selected("ssm:/c")
        missing = no_result("ci", "There is no such user.")
        assert self.selected("ssm:/c", roster=replace(self.ROSTER, failed=(missing,))) == {}


def test_a_destination_is_selected_for_each_user_by_its_own_account() -> None:
    def fill(url: str, user: MachineUser) -> str:
        return url.format(account=user.account, user=user.name)

    roster = Roster((job(ONE, deliver=("ssm:/123456789012/ci",)), job(OTHER, deliver=("ssm:/other",))))
    selected = select_destinations(roster, [], ["ssm:/{account}/{user}"], fill, lambda _: False)
    assert [(one.user.key, one.targets) for one in selected.jobs] == [
        (ONE, ("ssm:/123456789012/ci",)),
        (OTHER, ("ssm:/210987654321/ci",)),
    ]


def test_users_of_as_many_accounts_as_are_allowed_are_not_refused() -> None:
    assert too_many_accounts([job(ONE), job(OTHER)], 2) == []


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


@pytest.mark.parametrize(
    ("hashes", "twice"), [((), False), ((3,), False), ((5, 1, 3, 2, 4), False), ((5, 1, 3, 2, 5), True), ((1, 1), True)]
)
def test_two_that_are_the_same_are_found_wherever_they_are(
    monkeypatch: pytest.MonkeyPatch, hashes: tuple[int, ...], twice: bool
) -> None:
    monkeypatch.setattr(roster_module, "_SORTED", 2)
    assert roster_module._any_twice(hashes) is twice
