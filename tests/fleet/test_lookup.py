"""Which users a run finds in IAM, with which requests, and what becomes of a name or a path that it cannot read."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from twokey.config.settings import Selection
from twokey.core.errors import (
    AccessDenied,
    BadCredentials,
    Failed,
    NotFound,
    ServiceError,
    Throttled,
    Unreachable,
    UsageError,
)
from twokey.core.hooks import Hook
from twokey.core.model import MachineUser
from twokey.core.reasons import Outcome, Reason
from twokey.fleet.lookup import AT_A_TIME, Lookup
from twokey.fleet.roster import Job, Roster, select
from twokey.fleet.runtime import fill
from twokey.planning.policy import RotationPolicy
from twokey.rotation.results import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from twokey.config.settings import Label
    from twokey.core.hooks import HookName

ACCOUNT = "123456789012"
STORE = "secretsmanager:keys/{user}"
DENIED = AccessDenied("iam:Any", "it", remedy="Allow it.")
THROTTLED = Throttled("Slow down.")
NOT_FOUND = NotFound("NoSuchEntity.")
UNREACHABLE = Unreachable("There was no connection.")


def user(name: str, path: str = "/m/") -> MachineUser:
    return MachineUser(name, path, f"AIDA{name}", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user{path}{name}")


class Directory:
    """The users of an account, and the errors about names and paths. ``read``: what was asked for, in order."""

    def __init__(self, *users: MachineUser, **trouble: ServiceError) -> None:
        self.known = users
        self.trouble = trouble
        self.read: list[str] = []
        self.meanwhile: Callable[[str], object] = lambda _name: None

    def users(self, path: str) -> Iterator[MachineUser]:
        """List the users before an error, which is known by the path without its slashes."""
        self.read.append(path)
        yield from (one for one in self.known if one.path.startswith(path))
        if path.strip("/") in self.trouble:
            raise self.trouble[path.strip("/")]

    def user(self, name: str) -> MachineUser:
        """Read a user; its name has to be spelt as IAM lists it."""
        self.read.append(name)
        self.meanwhile(name)
        if name in self.trouble:
            raise self.trouble[name]
        for one in self.known:
            if one.name == name:
                return one
        raise NOT_FOUND


def entry(
    path: str | None = None, *users: str, exclude: tuple[str, ...] = (), store: str = STORE, **more: Any
) -> Selection:
    return Selection(path, users, exclude, store, (), RotationPolicy(), **more)


class Unlisted(Directory):
    """One whose lists lack all users below a path with an error."""

    def users(self, path: str) -> Iterator[MachineUser]:
        """List none before the error."""
        if path.strip("/") in self.trouble:
            raise self.trouble[path.strip("/")]
        yield from super().users(path)


def at_line(line: int) -> Label:
    def label(key: str, item: int | None = None) -> str:
        return f"f line {line if item is None else line + 1 + item}: `{key}`"

    return label


def found(directory: Directory, *entries: Selection, names: tuple[str, ...] = ()) -> Roster:
    return select(entries, names, directory, fill)


def names_of(roster: Roster) -> list[str]:
    return [job.user.name for job in roster.jobs]


def failed(roster: Roster) -> dict[str, str]:
    return {result.user.name: result.message for result in roster.failed}


class TestNames:
    def test_are_read_once_each_and_nothing_is_listed(self) -> None:
        directory = Directory(user("a"), user("b"), user("c"))
        assert names_of(found(directory, entry(None, "a", "b"))) == ["a", "b"]
        assert sorted(directory.read) == ["a", "b"]

    def test_of_the_command_line_are_all_that_is_read_whatever_the_entries_name(self) -> None:
        directory = Directory(user("a"), user("b"), user("c", "/other/"))
        roster = found(directory, entry("/m/"), entry(None, "x", "c"), names=("a", "A", "c"))
        assert (names_of(roster), roster.failed, roster.warnings) == (["a", "c"], (), ())
        assert sorted(directory.read) == ["a", "c"]

    def test_that_no_entry_covers_fail_once_each_in_whichever_case(self) -> None:
        directory = Directory(user("a"), user("b", "/other/"), denied=DENIED)
        roster = found(directory, entry("/m/"), names=("a", "B", "b", "denied", "x"))
        assert names_of(roster) == ["a"]
        assert list(failed(roster)) == ["denied", "x", "b"]
        assert failed(roster)["b"] == ("No entry of the configuration covers the user b. Nothing was changed for it.")

    def test_that_exist_in_another_case_only_are_those_users(self) -> None:
        directory = Directory(user("Ci"), user("cd"), user("Denied"), denied=DENIED)
        roster = found(directory, entry(None, "cI", "cd", "denied", "none"))
        assert names_of(roster) == ["Ci", "cd"]
        assert list(failed(roster)) == ["denied", "none"]
        assert directory.read[-1] == "/"
        assert directory.read.count("/") == 1

    def test_stay_not_found_where_the_users_cannot_be_listed(self) -> None:
        nobody = Directory(user("Ci"), user("cd"))
        nobody.trouble[""] = DENIED
        roster = found(nobody, entry(None, "ci", "cd"))
        assert (names_of(roster), list(failed(roster))) == (["cd"], ["ci"])

    def test_that_iam_does_not_have_are_told_from_those_that_cannot_be_read(self) -> None:
        directory = Directory(user("Ci"), user("cd"), denied=DENIED)
        assert Lookup.of(["ci", "cd", "denied", "None", "NONE"], directory).absent == {"none"}

    def test_that_cannot_be_read_fail_with_the_error_and_what_to_do_about_it(self) -> None:
        directory = Directory(user("a"), denied=DENIED, slow=THROTTLED)
        roster = found(directory, entry(None, "a", "denied", "slow", "none"))
        assert names_of(roster) == ["a"]
        assert roster.failed == tuple(
            Result(MachineUser(name, "", "", "", ""), Outcome.FAILED, Reason.ERROR, message)
            for name, message in {
                "denied": f"The user denied cannot be read: {DENIED.message} Nothing was changed for it. Allow it.",
                "slow": "The user slow cannot be read: Slow down. Nothing was changed for it.",
                "none": "There is no IAM user none in this account. Check the name and the account: aws sts "
                "get-caller-identity.",
            }.items()
        )

    def test_are_read_many_at_a_time_and_no_more(self) -> None:
        first = [f"ci-{number:02}" for number in range(AT_A_TIME)]
        directory = Directory(*map(user, [*first, "late"]))
        together, late = threading.Barrier(AT_A_TIME), threading.Event()
        overtaken: list[str] = []

        def meanwhile(name: str) -> None:
            if name == "late":
                late.set()
                return
            together.wait(20)
            if late.wait(0.02):
                overtaken.append(name)

        directory.meanwhile = meanwhile
        assert names_of(found(directory, entry(None, *first, "late"))) == [*first, "late"]
        assert len(overtaken) < AT_A_TIME

    def test_that_are_two_do_not_wait_for_each_other(self) -> None:
        directory, together = Directory(user("a"), user("b")), threading.Barrier(2)
        directory.meanwhile = lambda _name: together.wait(20)
        assert names_of(found(directory, entry(None, "a", "b"))) == ["a", "b"]


class TestTroubleOfAll:
    """What is wrong with the run itself is raised, and is no user's result."""

    @pytest.mark.parametrize("names", [("a",), ("a", "b")])
    def test_credentials_that_nobody_knows(self, names: tuple[str, ...]) -> None:
        with pytest.raises(BadCredentials):
            found(Directory(a=BadCredentials("Unknown."), b=DENIED), entry(None, *names))

    def test_credentials_that_expire_before_the_users_are_listed(self) -> None:
        expired = BadCredentials("Expired.")
        directory = Directory(user("a"))
        directory.trouble |= {"": expired, "m": expired}
        for selection in (entry(None, "a", "A-in-another-case"), entry("/m/")):
            with pytest.raises(BadCredentials):
                found(directory, selection)

    @pytest.mark.parametrize("names", [("a",), ("a", "b")])
    def test_no_connection_for_any_name(self, names: tuple[str, ...]) -> None:
        with pytest.raises(Unreachable):
            found(Directory(a=UNREACHABLE, b=Unreachable("Nor for this one.")), entry(None, *names))

    def test_is_not_a_name_without_a_connection_where_another_user_is_found(self) -> None:
        for other in (entry(None, "b"), entry("/m/")):
            roster = found(Directory(user("b"), a=UNREACHABLE), entry(None, "a"), other)
            assert (names_of(roster), list(failed(roster))) == (["b"], ["a"])

    def test_the_only_entry_or_no_connection_for_any_path(self) -> None:
        with pytest.raises(AccessDenied):
            found(Directory(m=DENIED), entry("/m/"))
        with pytest.raises(Unreachable, match="no connection"):
            found(Directory(m=UNREACHABLE, n=Unreachable("Nor here.")), entry("/m/"), entry("/n/"))

    def test_is_not_one_path_of_several_that_have_no_user(self) -> None:
        for trouble in ({"m": DENIED}, {"m": UNREACHABLE, "n": DENIED}, {"m": DENIED, "n": THROTTLED}):
            roster = found(Directory(**trouble), entry("/m/"), entry("/n/"))
            assert (roster.jobs, list(failed(roster))) == ((), [f"/{path}/" for path in trouble])

    def test_is_not_a_name_that_cannot_be_read_and_stands_alone(self) -> None:
        assert list(failed(found(Directory(a=DENIED), entry(None, "a")))) == ["a"]

    def test_is_an_account_without_any_selected_user(self) -> None:
        with pytest.raises(Failed, match=r"^No IAM user is below /m/ in this account\."):
            found(Directory(), entry("/m/"))

    @pytest.mark.parametrize(
        ("paths", "named"),
        [
            ((None,), "/"),
            (("/m/", "/m/"), "/m/"),
            (("/m/", "/n/", "/o/"), "/m/ or /n/ or /o/"),
            ([f"/{n}/" for n in range(4)], "any of the 4 paths"),
        ],
    )
    def test_names_the_paths_that_have_no_user(self, paths: Sequence[str | None], named: str) -> None:
        with pytest.raises(Failed, match=rf"^No IAM user is below {named} in this account\."):
            found(Directory(), *map(entry, paths))

    def test_says_why_the_users_that_are_there_are_not_selected(self) -> None:
        with pytest.raises(Failed) as error:
            found(Directory(user("a")), entry("/m/", exclude=("*",)))
        assert (
            error.value.message
            == "No IAM user of this account is selected. `exclude`: every user below /m/ is left out."
        )
        with pytest.raises(Failed) as error:
            found(Directory(user("a")), entry("/n/", "a"))
        assert error.value.message.endswith("is selected. `users`: a is not below /n/, but below /m/.")

    def test_says_for_each_entry_why_it_selects_no_user_where_one_of_them_names_users(self) -> None:
        with pytest.raises(Failed) as error:
            found(Directory(user("a")), entry("/n/", "a"), entry("/none/"))
        assert error.value.message == (
            "No IAM user of this account is selected. `users`: a is not below /n/, but below /m/. "
            "`path`: there is no IAM user below /none/."
        )


class TestPaths:
    def test_select_the_users_below_them_and_an_entry_without_one_all_that_its_patterns_leave(self) -> None:
        directory = Directory(user("a"), user("b", "/m/x/"), user("c", "/other/"))
        assert names_of(found(directory, entry("/m/"))) == ["a", "b"]
        assert names_of(found(directory, entry(exclude=("a",)))) == ["b", "c"]
        assert directory.read == ["/m/", "/"]

    def test_with_names_select_those_of_them_that_are_below(self) -> None:
        directory = Directory(user("a"), user("b"), user("c", "/other/"))
        roster = found(directory, entry("/m/", "A", "c"))
        assert names_of(roster) == ["a"]
        assert roster.warnings == ("`users`: c is not below /m/, but below /other/.",)

    def test_that_cannot_be_listed_to_their_end_have_the_users_until_there(self) -> None:
        for selection, path in ((entry("/m/", exclude=("x",)), "/m/"), (entry(exclude=("x",)), "/")):
            directory = Directory(user("a"))
            directory.trouble[path.strip("/")] = DENIED
            roster = found(directory, selection, entry("/none/"))
            assert names_of(roster) == ["a"]
            message = f"The users below {path} cannot be listed: {DENIED.message} Nothing was changed for it. Allow it."
            assert roster.failed == (
                Result(MachineUser(path, path, "", "", ""), Outcome.FAILED, Reason.ERROR, message),
            )
            assert roster.warnings == ("`path`: there is no IAM user below /none/.",)

    def test_that_could_not_be_listed_select_a_user_of_another_entry_all_the_same(self) -> None:
        unlisted = {"m": DENIED}
        directory = Unlisted(user("a"), user("c", "/other/"), **unlisted)
        named = entry(None, "a", "c")
        with pytest.raises(UsageError) as caught:
            found(directory, replace(entry("/m/", store="ssm:/{user}"), label=at_line(4), deliver=("ssm:/x",)), named)
        assert caught.value.message == (
            "f line 4: `store`: The user a is selected twice: for secretsmanager:keys/a and for ssm:/{user}."
        )
        apart = entry("/m/", exclude=("a",), store="ssm:/{user}")
        assert names_of(found(directory, apart, named)) == ["a", "c"]
        assert names_of(found(directory, named)) == ["a", "c"]


class TestWhatMatchesNoUser:
    """A misspelt path or pattern must not pass in silence."""

    def test_is_a_warning_for_a_path_a_pattern_and_patterns_that_leave_no_user(self) -> None:
        directory = Directory(user("a"), user("b", "/n/"), user("c", "/n/"))
        for selection, expected in (
            (entry("/none/"), ["`path`: there is no IAM user below /none/."]),
            (
                entry("/n/", exclude=("B", "x-*", "y")),
                [
                    "`exclude`: `x-*` matches no user below /n/.",
                    "`exclude`: `y` matches no user below /n/.",
                ],
            ),
            (entry("/n/", exclude=("?",)), ["`exclude`: every user below /n/ is left out."]),
            (entry("/n/", exclude=("b",)), []),
        ):
            assert list(found(directory, selection, entry("/m/")).warnings) == expected
            assert found(directory, selection, entry("/m/"), names=("a",)).warnings == ()
        assert found(directory, entry(exclude=("x",))).warnings == ("`exclude`: `x` matches no user below /.",)
        everyone = entry(exclude=("?",))
        assert found(directory, everyone, entry("/m/")).warnings == ("`exclude`: every user below / is left out.",)

    def test_is_the_result_of_the_path_where_the_entry_wants_an_error(self) -> None:
        directory = Directory(user("a"))
        for selection, path, message in (
            (entry("/none/", on_empty="error"), "/none/", "`path`: there is no IAM user below /none/."),
            (entry(exclude=("x",), on_empty="error"), "/", "`exclude`: `x` matches no user below /."),
        ):
            roster = found(directory, selection)
            expected = f"{message} `on_empty: error` makes this a failure."
            assert roster.failed == (
                Result(MachineUser(path, path, "", "", ""), Outcome.FAILED, Reason.ERROR, expected),
            )
            assert roster.warnings == ()

    def test_is_a_named_user_that_is_not_below_the_path_of_its_entry(self) -> None:
        directory = Directory(user("a"), user("b", "/n/"), user("c", "/n/"))
        roster = found(directory, entry("/m/", "a", "B", label=at_line(4)), entry("/n/", "c"), entry(None, "x"))
        assert roster.warnings == ("f line 6: `users`: b is not below /m/, but below /n/.",)
        assert names_of(roster) == ["a", "c"]


class TestTheUsers:
    HOOKS: ClassVar[dict[HookName, Hook]] = {"before": Hook(("/bin/true",), 5.0)}

    def test_are_those_of_the_entries_with_their_urls_filled_in_and_their_positions(self) -> None:
        selection = Selection(
            "/m/",
            (),
            (),
            STORE,
            ("ssm:/{path}/{user}", "file:{account}.json"),
            RotationPolicy(),
            label=at_line(4),
            lock="s3:bucket/{account_name}/{account}/{path}/{user}",
            hooks=self.HOOKS,
            store_account="central",
            deliver_account="central",
        )
        named = replace(user("a"), account_name="site")
        [job] = found(Directory(named), selection).jobs
        assert job == Job(
            named,
            selection.policy,
            "secretsmanager:keys/a",
            ("ssm:/m/a", f"file:{ACCOUNT}.json"),
            lock=f"s3:bucket/site/{ACCOUNT}/m/a",
            hooks=self.HOOKS,
            store_account="central",
            deliver_account="central",
        )
        assert job.positions == ("f line 4: `store`: ", "f line 5: `deliver`: ", "f line 6: `deliver`: ")

    def test_whose_names_do_not_fit_a_service_fail_alone(self) -> None:
        directory = Directory(user("a+b"), user("c"))
        unfit = entry("/m/", store="ssm:/{user}")
        for roster in (found(directory, unfit), found(directory, unfit, names=("c", "a+b"))):
            assert names_of(roster) == ["c"]
            [result] = roster.failed
            assert (result.user, result.outcome, result.reason) == (user("a+b"), Outcome.FAILED, Reason.ERROR)
            assert "/a+b" in result.message
            assert result.message.endswith(" Nothing was changed for it.")
        assert len(found(Directory(user("a+b")), unfit).failed) == 1
        assert len(found(Directory(user("a+b"), m=DENIED), unfit).failed) == 2
