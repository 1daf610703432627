"""Which users a run over several accounts finds, and what is said of an account, a name or an entry without any."""

from __future__ import annotations

import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from fleet.test_lookup import DENIED, THROTTLED, UNREACHABLE, Directory, at_line, entry, failed, names_of
from twokey.config.settings import Settings
from twokey.core.accounts import Account, AccountChoice
from twokey.core.errors import Failed, ServiceError, TwokeyError, UsageError
from twokey.core.model import MachineUser
from twokey.core.reasons import Outcome, Reason
from twokey.fleet.rosters import AT_A_TIME, select_in_accounts
from twokey.fleet.runtime import fill
from twokey.rotation.results import Result

if TYPE_CHECKING:
    from twokey.config.settings import Selection
    from twokey.fleet.roster import Roster

ONE, OTHER = Account("111111111111", "one"), Account("222222222222", "other")
STORE = "ssm:/{account}/{user}"


class Accounts:
    """Accounts with their users, and the errors of those that cannot be reached."""

    def __init__(self, *users: tuple[Account, str], **trouble: TwokeyError) -> None:
        self.known = self.selected = tuple(account for account, _ in users)
        self.trouble = trouble
        self.warnings: list[str] = []
        self.checked: list[tuple[str, bool]] = []
        self.of = {account.id: Directory(*(user(name, account) for name in names)) for account, names in users}

    def check_stores(self, selections: object) -> None:
        pass

    def check(self, account: Account, *, in_region: bool) -> None:
        self.checked.append((account.name, in_region))
        if account.name in self.trouble:
            raise self.trouble[account.name]

    def member(self, account: Account) -> Any:
        return SimpleNamespace(iam=self.of[account.id])


def user(name: str, account: Account) -> MachineUser:
    arn = f"arn:aws:iam::{account.id}:user/m/{name}"
    return MachineUser(name, "/m/", f"AIDA{name}", account.id, arn, account.name)


def below(path: str, *users: str, **more: Any) -> Selection:
    return replace(entry(path, *users, store=STORE), **more)


def found(
    accounts: Accounts, *entries: Selection, names: tuple[str, ...] = (), stop: threading.Event | None = None
) -> Roster:
    settings = Settings(entries, 100, 2, "test")
    return select_in_accounts(cast("Any", accounts), settings, names, fill, stop or threading.Event())


def keys(roster: Roster) -> list[str]:
    return [f"{job.user.account_name}/{job.user.name}" for job in roster.jobs]


def of_account(account: Account, name: str, message: str, path: str = "") -> Result:
    return Result(MachineUser(name, path, "", account.id, "", account.name), Outcome.FAILED, Reason.ERROR, message)


class TestUsers:
    def test_of_every_account_are_found_where_an_entry_is_about_it(self) -> None:
        accounts = Accounts((ONE, "ab"), (OTHER, "a"), (Account("333333333333", "third"), "c"))
        only = (AccountChoice.of("o*"),)
        roster = found(accounts, below("/m/", accounts=only))
        assert (keys(roster), roster.failed, roster.warnings) == (["one/a", "one/b", "other/a"], (), ())
        assert sorted(accounts.checked) == [("one", True), ("other", True)]

    @pytest.mark.parametrize(
        ("store", "central_store", "deliver", "central_others", "in_region"),
        [
            ("ssm:/{user}", False, (), False, True),
            ("ssm:/{account}/{user}", True, ("file:{account}/{user}",), False, False),
            ("ssm:/{account}/{user}", True, ("file:{account}/{user}", "ssm:/x/{user}"), False, True),
            ("file:{account}/{user}", False, ("ssm:/x/{account}/{user}",), True, False),
        ],
    )
    def test_of_an_account_need_its_region_where_it_has_stores_or_destinations(
        self, store: str, central_store: bool, deliver: tuple[str, ...], central_others: bool, in_region: bool
    ) -> None:
        where = {True: "central", False: "member"}
        accounts = Accounts((ONE, "a"))
        selection = below(
            "/m/",
            store=store,
            deliver=deliver,
            store_account=where[central_store],
            deliver_account=where[central_others],
        )
        assert keys(found(accounts, selection)) == ["one/a"]
        assert accounts.checked == [("one", in_region)]

    def test_of_an_account_need_its_region_where_one_of_its_entries_does(self) -> None:
        accounts = Accounts((ONE, "a"))
        found(accounts, below("/n/", store="file:{account}/{user}"), below("/m/"))
        assert accounts.checked == [("one", True)]

    def test_are_named_on_the_command_line_whichever_accounts_have_them(self) -> None:
        accounts = Accounts((ONE, "ab"), (OTHER, "b"))
        roster = found(accounts, below("/m/"), names=("a", "b"))
        assert (keys(roster), roster.failed) == (["one/a", "one/b", "other/b"], ())
        roster = found(accounts, below("/m/"), names=("a", "x"))
        assert (keys(roster), list(failed(roster))) == (["one/a"], ["x"])
        assert failed(roster)["x"].startswith("No entry of the configuration covers the user x.")

    def test_that_an_account_does_not_have_may_be_in_one_that_was_not_reached(self) -> None:
        accounts = Accounts((ONE, "a"), (OTHER, "b"), other=Failed("It is closed."))
        roster = found(accounts, below("/m/"), names=("a", "b"))
        assert (keys(roster), list(failed(roster))) == (["one/a"], [""])

    def test_that_an_entry_names_fail_in_each_account_that_does_not_have_them(self) -> None:
        accounts = Accounts((ONE, "a"), (OTHER, "b"))
        roster = found(accounts, below("/m/", "a"))
        assert keys(roster) == ["one/a"]
        message = "There is no IAM user a in this account. Check the name and the account: aws sts get-caller-identity."
        assert roster.failed == (of_account(OTHER, "a", message),)

    def test_whose_names_do_not_fit_fail_alone(self) -> None:
        accounts = Accounts((ONE, "a"))
        accounts.of[ONE.id].known = (user("a", ONE), user("b+c", ONE))
        roster = found(accounts, below("/m/"))
        [result] = roster.failed
        assert (keys(roster), result.user.key, result.user.account_name) == (["one/a"], user("b+c", ONE).key, "one")

    def test_that_are_selected_twice_are_an_error(self) -> None:
        with pytest.raises(UsageError, match="is selected twice"):
            found(Accounts((ONE, "a"), (OTHER, "b")), below("/m/"), below("/m/", "a"))

    def test_that_are_none_are_an_error(self) -> None:
        with pytest.raises(Failed, match=r"^None of the 2 accounts has an IAM user that is selected\."):
            found(Accounts((ONE, "a"), (OTHER, "b")), below("/none/"))
        with pytest.raises(Failed) as error:
            found(Accounts((ONE, "a")), below("/m/", accounts=(AccountChoice.of("nowhere"),)))
        assert "none of the accounts is chosen by nowhere" in (error.value.remedy or "")

    def test_come_with_what_has_no_effect_in_the_choice_of_accounts(self) -> None:
        accounts = Accounts((ONE, "a"))
        accounts.warnings.append("Nothing is left out.")
        assert found(accounts, below("/m/")).warnings == ("Nothing is left out.",)

    def test_that_are_none_because_no_account_was_reached_are_no_error_of_their_own(self) -> None:
        closed = Failed("It is closed.")
        roster = found(Accounts((ONE, "a"), (OTHER, "b"), one=closed, other=closed), below("/m/"))
        assert (keys(roster), [one.user.account for one in roster.failed]) == ([], [ONE.id, OTHER.id])

    def test_that_are_named_and_cannot_be_read_fail_in_their_account(self) -> None:
        accounts = Accounts((ONE, "ab"), (OTHER, "b"))
        accounts.of[ONE.id].trouble["b"] = DENIED
        roster = found(accounts, below("/m/"), names=("a", "b"))
        assert (keys(roster), [one.user.key for one in roster.failed]) == (["one/a", "other/b"], [user("b", ONE).key])

    def test_are_looked_for_no_further_once_the_run_is_stopped(self) -> None:
        accounts, stop = Accounts((ONE, "a")), threading.Event()
        stop.set()
        with pytest.raises(Failed, match="None of the 1 accounts"):
            found(accounts, below("/m/"), stop=stop)
        assert accounts.checked == []

    def test_of_many_accounts_are_looked_for_together_and_of_no_more_than_that(self) -> None:
        first = [Account(f"1111111111{number:02}", f"a{number}") for number in range(AT_A_TIME)]
        late = Account("222222222222", "late")
        together, begun, overtaken = threading.Barrier(AT_A_TIME), threading.Event(), list[str]()

        class Slow(Accounts):
            def check(self, account: Account, *, in_region: bool) -> None:
                if account == late:
                    begun.set()
                    return
                together.wait(20)
                if begun.wait(0.1):
                    overtaken.append(account.name)

        accounts = Slow(*((account, "a") for account in (*first, late)))
        assert keys(found(accounts, below("/m/"))) == [f"{account.name}/a" for account in (*first, late)]
        assert len(overtaken) < AT_A_TIME


class TestAnAccount:
    @pytest.mark.parametrize(
        ("error", "message"),
        [
            (Failed("It is closed.", remedy="Open it."), "It is closed. Nothing was changed in it. Open it."),
            (Failed("It is closed."), "It is closed. Nothing was changed in it."),
            (Failed("The role x of account 111111111111 is."), "The role x is. Nothing was changed in it."),
            (Failed("All in account 111111111111 is denied."), "All is denied. Nothing was changed in it."),
        ],
    )
    def test_that_cannot_be_reached_fails_alone(self, error: TwokeyError, message: str) -> None:
        roster = found(Accounts((ONE, "a"), (OTHER, "b"), one=error), below("/m/"))
        assert keys(roster) == ["other/b"]
        assert roster.failed == (of_account(ONE, "", f"The account one (111111111111) is left out: {message}"),)
        assert roster.warnings == ()

    @pytest.mark.parametrize("error", [DENIED, UNREACHABLE])
    def test_none_of_whose_paths_can_be_listed_fails_as_one(self, error: ServiceError) -> None:
        for entries in ((below("/m/"),), (below("/m/"), below("/n/"))):
            accounts = Accounts((ONE, ""), (OTHER, "b"))
            accounts.of[ONE.id].trouble |= {"m": error, "n": THROTTLED}
            roster = found(accounts, *entries)
            assert keys(roster) == ["other/b"]
            assert [one.user.name for one in roster.failed] == [""]
            assert error.message in roster.failed[0].message

    def test_to_which_there_is_no_connection_for_any_name_fails_as_one(self) -> None:
        accounts = Accounts((ONE, "a"), (OTHER, "a"))
        accounts.of[ONE.id].trouble["a"] = UNREACHABLE
        roster = found(accounts, below("/m/", "a"))
        assert (keys(roster), [one.user.name for one in roster.failed]) == (["other/a"], [""])

    def test_one_of_whose_paths_can_be_listed_fails_for_the_other_path(self) -> None:
        accounts = Accounts((ONE, ""), (OTHER, "b"))
        accounts.of[ONE.id].trouble["m"] = DENIED
        roster = found(accounts, below("/m/"), below("/n/"))
        message = f"The users below /m/ cannot be listed: {DENIED.message} Nothing was changed for it. Allow it."
        assert roster.failed == (of_account(ONE, "/m/", message, path="/m/"),)

    def test_that_was_listed_in_part_has_the_users_of_that_part(self) -> None:
        accounts = Accounts((ONE, "a"))
        accounts.of[ONE.id].trouble["m"] = DENIED
        roster = found(accounts, below("/m/"))
        assert (keys(roster), list(failed(roster))) == (["one/a"], ["/m/"])


class TestWhatMatchesNoUser:
    NONE = "`path`: there is no IAM user below /none/."

    def test_in_any_account_is_said_once(self) -> None:
        accounts = Accounts((ONE, "a"), (OTHER, "b"))
        assert found(accounts, below("/m/"), below("/none/")).warnings == (self.NONE,)
        roster = found(accounts, below("/m/"), below("/none/", on_empty="error"))
        assert (roster.warnings, list(failed(roster))) == ((), ["/none/"])

    def test_in_some_accounts_is_usual(self) -> None:
        accounts = Accounts((ONE, "a"), (OTHER, "b"))
        accounts.of[ONE.id].known = (*accounts.of[ONE.id].known, replace(user("c", ONE), path="/none/"))
        assert found(accounts, below("/m/"), below("/none/")).warnings == ()

    def test_in_the_accounts_that_it_is_about_is_said(self) -> None:
        accounts, only = Accounts((ONE, "a"), (OTHER, "b")), (AccountChoice.of("one"),)
        for others in (below("/m/"), below("/m/", accounts=only)):
            assert found(accounts, others, below("/none/", accounts=only)).warnings == (self.NONE,)

    def test_is_unknown_where_an_account_was_not_reached(self) -> None:
        accounts = Accounts((ONE, "a"), (OTHER, "b"), other=Failed("It is closed."))
        assert found(accounts, below("/m/"), below("/none/")).warnings == ()

    def test_is_a_choice_of_accounts_that_none_of_them_meets(self) -> None:
        choices = (AccountChoice.of("one"), AccountChoice.of("uno"))
        accounts = Accounts((ONE, "a"))
        for on_empty, warnings, names in (("warn", 1, []), ("error", 0, ["/m/"])):
            roster = found(accounts, below("/m/", accounts=choices, on_empty=on_empty, label=at_line(4)))
            message = "f line 6: `accounts`: none of the accounts is chosen by uno."
            assert keys(roster) == ["one/a"]
            assert (len(roster.warnings), list(failed(roster))) == (warnings, names)
            assert message in str((roster.warnings, roster.failed))


class TestNamesOfAccounts:
    TWINS = (Account("111111111111", "Site A"), Account("222222222222", "site-a"))

    @pytest.mark.parametrize(
        ("more", "key"),
        [
            ({"store": "ssm:/{account_name}/{user}"}, "store"),
            ({"lock": "s3:bucket/{account_name}/{user}"}, "lock"),
        ],
    )
    def test_that_would_share_a_store_are_an_error(self, more: dict[str, str], key: str) -> None:
        one, other = self.TWINS
        accounts = Accounts((one, "a"), (other, "b"))
        with pytest.raises(UsageError) as caught:
            found(accounts, below("/m/", **more))
        template = more[key]
        assert caught.value.message == f"`{key}`: the accounts {one} and {other} would share `{template}`."
        assert accounts.checked == []
        chosen = below("/m/", **more, accounts=(AccountChoice.of(one.id),))
        assert names_of(found(accounts, chosen)) == ["a"]

    def test_that_differ_keep_their_stores_apart(self) -> None:
        roster = found(Accounts((ONE, "a"), (OTHER, "a")), below("/m/", store="ssm:/{account_name}/{user}"))
        assert [job.store for job in roster.jobs] == ["ssm:/one/a", "ssm:/other/a"]

    def test_may_be_alike_where_the_ids_are_beside_them(self) -> None:
        one, other = self.TWINS
        accounts = Accounts((one, "a"), (other, "b"))
        roster = found(accounts, below("/m/", store="ssm:/{account_name}/{account}/{user}"))
        assert names_of(roster) == ["a", "b"]
