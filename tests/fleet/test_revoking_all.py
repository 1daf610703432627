"""Which key of each user has leaked, by what its store says, and in which order they are made Inactive."""

from __future__ import annotations

import threading
from concurrent.futures import wait
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from fleet.leaked import ENTRY, NOW, Iam, key, runtime, store
from fleet.test_lookup import DENIED, user
from twokey.config.settings import Selection
from twokey.core.errors import BadCredentials, Failed, UsageError
from twokey.core.model import MachineUser
from twokey.core.reasons import Reason, Revocation
from twokey.destinations.local.file import File
from twokey.fleet import revoking_all
from twokey.fleet.first import Request
from twokey.fleet.revoking import Leaks
from twokey.fleet.revoking_all import NOTHING, SHOWN, AllUsers, find_all, interrupted
from twokey.planning.policy import RotationPolicy
from twokey.revocation.contain import Contained
from twokey.revocation.results import RevokeResult

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def found(iam: Iam, *entries: Selection, path: str | None = None, both: bool = False, most: int = 100) -> AllUsers:
    return find_all(Request((), both=both), path, *runtime(iam, *entries, most=most))


def ended(all_found: AllUsers) -> dict[str, tuple[Revocation, Reason, str]]:
    return {one.user.name: (one.outcome, one.reason, one.message) for one in all_found.leaks.ended}


pytestmark = pytest.mark.usefixtures("folder")
ALLOW_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
NOT_READ = (
    "The account cannot be read, so the keys are made Inactive in the order of the users' names, not in that of what "
    f"they can do: {DENIED.message}"
)


class TestTheLeakedKey:
    def test_is_the_one_that_the_store_holds_and_no_other_is_looked_up(self) -> None:
        store("a", 2)
        iam = Iam({"a": 2})
        all_found = found(iam, ENTRY)
        assert all_found.leaks.keys == {"a": [key("a", 2)]}
        assert [job.store for job in all_found.leaks.jobs.values()] == ["file:a"]
        assert (iam.listed, all_found.leaks.ended, all_found.warnings) == ([], [], [NOT_READ])

    def test_is_the_only_one_where_no_store_says_it_and_of_two_the_operator_names_it(self) -> None:
        for name in ("one", "two", "none"):
            store(name, 0)
        Path("bad.twokey-journal").write_text("no journal")
        all_found = found(Iam({"one": 1, "two": 2, "none": 0, "nil": 0, "bad": 2}), ENTRY)
        assert all_found.leaks.keys == {"one": [key("one", 1)]}
        assert list(all_found.leaks.jobs) == ["one"]
        assert all_found.warnings[1:] == ["2 users (none, nil) without an access key: nothing to revoke."]
        commands = {name: f"twokey revoke {key(name, 1)}, or twokey revoke {key(name, 2)}" for name in ("two", "bad")}
        results = ended(all_found)
        assert results["two"] == (
            Revocation.REFUSED,
            Reason.CANNOT_ATTRIBUTE,
            f"two has 2 keys, and its store holds no key. {NOTHING} Name the key: {commands['two']}. Or add --both.",
        )
        outcome, _, message = results["bad"]
        assert outcome is Revocation.REFUSED
        assert message.startswith("bad has 2 keys, and its store cannot be read: The journal")
        assert f". Nothing was changed. Name the key: {commands['bad']}. " in message
        assert ".. " not in message

    def test_is_each_of_a_users_keys_where_the_operator_says_so(self) -> None:
        store("a", 2)
        store("b", 2, n1=timedelta(hours=1))
        store("c", 2, n2=timedelta(hours=1))
        all_found = found(Iam({"a": 2, "b": 2, "c": 2}), ENTRY, both=True)
        assert all_found.leaks.keys == {
            "a": [key("a", 1), key("a", 2)],
            "b": [key("b", 1)],
            "c": [key("c", 1), key("c", 2)],
        }

    def test_is_the_revoked_one_where_another_replaced_it_in_the_same_incident(self) -> None:
        store("a", 2, n1=timedelta(hours=23))
        store("b", 2, n1=timedelta(hours=25))
        store("c", 2, n2=timedelta(hours=1), n1=timedelta(hours=2))
        store("d", 0, n1=timedelta(hours=1))
        iam = Iam({"a": 2, "b": 2, "c": 2, "d": 2})
        all_found = found(iam, ENTRY)
        assert all_found.leaks.keys == {
            name: [key(name, number)] for name, number in zip("abcd", (1, 2, 2, 1), strict=True)
        }
        [_, warning] = all_found.warnings
        assert warning == (
            "a had a key revoked in the last 24 hours. What the store holds instead counts as not leaked and stays "
            f"Active. If it has leaked since, name it: twokey revoke {key('a', 2)}."
        )

    @pytest.mark.parametrize(("count", "more"), [(SHOWN, False), (SHOWN + 1, True)])
    def test_is_named_of_a_few_users_whose_keys_were_replaced(self, count: int, more: bool) -> None:
        names = "abcdefgh"[:count]
        for name in names:
            store(name, 2, n1=timedelta(hours=1))
        [_, warning] = found(Iam(dict.fromkeys(names, 2)), ENTRY).warnings
        shown = " ".join(key(name, 2) for name in names[:SHOWN])
        end = " ..., as twokey status shows them." if more else "."
        assert warning.endswith(f" name it: twokey revoke {shown}{end}")

    @pytest.mark.parametrize("both", [True, False])
    def test_is_left_alone_where_twokey_itself_runs_with_it(self, both: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        store("a", 2)
        own = key("a", 2)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", own)
        all_found = found(Iam({"a": 2}), ENTRY, both=both)
        [result] = all_found.leaks.ended
        assert (all_found.leaks.keys, result.user) == ({}, user("a"))
        assert (result.outcome, result.reason) == (Revocation.REFUSED, Reason.OWN_KEY)
        assert result.message.startswith(f"twokey itself runs with {own}: once it is Inactive, ")
        assert len(all_found.warnings) == 1

    def test_is_unknown_where_the_keys_cannot_be_listed_which_stops_no_other_user(self) -> None:
        all_found = found(Iam({"a": DENIED, "b": 1}), ENTRY)
        assert all_found.leaks.keys == {"b": [key("b", 1)]}
        [result] = all_found.leaks.ended
        assert result.user == user("a")
        assert ended(all_found)["a"] == (
            Revocation.FAILED,
            Reason.ERROR,
            f"The keys of a cannot be listed: {DENIED}",
        )
        with pytest.raises(BadCredentials):
            found(Iam({"a": BadCredentials("Expired."), "b": 1}), ENTRY)


class TestTheUsers:
    def test_are_those_of_the_configuration_below_the_path(self) -> None:
        iam = Iam({"a": 1, "b": 1, "c": 1})
        iam.known = (user("a"), user("b", "/m/x/"), user("c", "/n/"))
        assert list(found(iam, ENTRY).leaks.keys) == ["a", "b"]
        assert list(found(iam, ENTRY, path="/m/x/").leaks.keys) == ["b"]
        assert list(found(iam, path="/m/").leaks.keys) == ["a", "b"]
        assert list(found(iam, path="/").leaks.keys) == ["a", "b", "c"]

    def test_without_a_configuration_need_a_path(self) -> None:
        with pytest.raises(UsageError, match=r"^--all without a configuration needs --path\."):
            found(Iam({"a": 1}))

    def test_without_a_configuration_have_no_store_that_could_say_which_key_leaked(self) -> None:
        all_found = found(Iam({"a": 1, "b": 2}), path="/m/")
        assert (all_found.leaks.keys, all_found.leaks.jobs) == ({"a": [key("a", 1)]}, {})
        assert "b has 2 keys, and no store names the one in use. " in ended(all_found)["b"][2]

    def test_that_are_none_are_an_error_unless_some_could_not_be_read(self) -> None:
        for entries, path in (((ENTRY,), "/none/"), ((), "/none/")):
            with pytest.raises(Failed, match=r"^The account has no IAM user below /none/ that is selected\."):
                found(Iam({"a": 1}), *entries, path=path)
        named = Selection(None, ("x",), (), "file:{user}", (), RotationPolicy())
        all_found = found(Iam({"a": 1}), named)
        [result] = all_found.leaks.ended
        assert (result.user.name, result.outcome, result.reason) == ("x", Revocation.FAILED, Reason.ERROR)
        assert result.message.startswith("There is no IAM user x in this account.")

    def test_that_could_not_be_read_stop_no_other(self) -> None:
        named = Selection(None, ("x",), (), "file:{user}", (), RotationPolicy())
        all_found = found(Iam({"a": 1}), named, ENTRY)
        assert (list(all_found.leaks.keys), list(ended(all_found))) == (["a"], ["x"])

    def test_that_are_more_than_allowed_are_refused_and_no_store_is_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        iam = Iam({"a": 1, "b": 1})
        assert list(found(iam, ENTRY, most=2).leaks.keys) == ["a", "b"]
        assert list(found(iam, path="/m/", most=2).leaks.keys) == ["a", "b"]
        iam.listed.clear()
        monkeypatch.setattr(File, "load", lambda _self: pytest.fail("read"))
        all_found = found(iam, ENTRY, most=1)
        assert (all_found.leaks.keys, iam.listed) == ({}, [])
        assert [one.user for one in all_found.leaks.ended] == [user("a"), user("b")]
        assert {(one.outcome, one.reason) for one in all_found.leaks.ended} == {
            (Revocation.REFUSED, Reason.TOO_MANY_USERS)
        }
        assert "at most 1" in all_found.leaks.ended[0].message
        with pytest.raises(UsageError, match="2 users are selected; one run may change at most 1"):
            found(iam, path="/m/", most=1)

    def test_with_whose_keys_the_most_can_be_done_come_first_after_those_that_are_not_known_yet(self) -> None:
        nothing = {"Version": "2012-10-17", "Statement": []}
        policies = {"a": nothing, "b": ALLOW_ALL, "c": nothing}
        iam = Iam({"a": 1, "b": 1, "c": 1, "new": 1}, policies)
        all_found = found(iam, Selection(None, ("a", "b", "c"), (), "file:{user}", (), RotationPolicy()))
        assert list(all_found.leaks.keys) == ["b", "a", "c"]
        assert {name: power.everything for name, power in all_found.powers.items()} == {
            "a": False,
            "b": True,
            "c": False,
        }
        assert all_found.picture
        assert (iam.read, all_found.warnings) == ([], [])
        assert list(found(Iam({"a": 1, "b": 1, "c": 1}), ENTRY).leaks.keys) == ["a", "b", "c"]

    def test_are_not_read_with_credentials_that_do_not_work(self) -> None:
        iam = Iam({"a": 1})

        def expired() -> Iterator[Any]:
            raise BadCredentials("Expired.")

        iam.authorization_details = expired  # type: ignore[method-assign]
        with pytest.raises(BadCredentials):
            found(iam, ENTRY)


class TestStores:
    def test_that_do_not_respond_hold_up_no_user_and_are_not_asked_for_ever(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(3):
            store(f"u{number}", 1)
        monkeypatch.setattr(revoking_all, "STORES", 1)
        monkeypatch.setattr(revoking_all, "PATIENCE", 0.05)
        load, go_on, asked = File.load, threading.Event(), []

        def until_the_first_responds(waiting: set[Any], seconds: float, when: str) -> Any:
            return wait(waiting, 60 if len(waiting) == 3 else seconds, when)

        def silent(self: File) -> object:
            asked.append(self.name)
            if self.name != "file:u0":
                go_on.wait()
            return load(self)

        monkeypatch.setattr(revoking_all, "wait", until_the_first_responds)
        monkeypatch.setattr(File, "load", silent)
        all_found = found(Iam({"u0": 2, "u1": 2, "u2": 2}), ENTRY)
        assert not go_on.is_set()
        assert all_found.leaks.keys == {"u0": [key("u0", 1)]}
        for name in ("u1", "u2"):
            message = f"{name} has 2 keys, and its store cannot be read: no store responded for 0.05 s. Nothing was "
            assert ended(all_found)[name][2].startswith(message)
        go_on.set()
        for thread in threading.enumerate():
            if thread.name.startswith("store"):
                thread.join(20)
        assert asked == ["file:u0", "file:u1"]

    def test_are_read_many_at_a_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        names = [f"u{number}" for number in range(40)]
        together, load = threading.Barrier(len(names)), File.load

        def once_all_are_asked(self: File) -> object:
            together.wait(10)
            return load(self)

        monkeypatch.setattr(revoking_all, "STORES", len(names))
        monkeypatch.setattr(File, "load", once_all_are_asked)
        found(Iam(dict.fromkeys(names, 1)), ENTRY)
        assert not together.broken

    def test_with_a_defect_count_as_not_readable_and_its_text_is_not_shown(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(_self: File) -> object:
            raise LookupError("a secret")

        monkeypatch.setattr(File, "load", broken)
        message = ended(found(Iam({"a": 2}), ENTRY))["a"][2]
        assert (
            "its store cannot be read: file:a: the code that reads or writes it has a bug, or received what" in message
        )
        assert "(LookupError at broken, line " in message
        assert "a secret" not in message
        assert "anything was written" not in message


class TestAnInterruption:
    def contained(self, *keys: str) -> list[Contained]:
        return [Contained(one, NOW) for one in keys]

    def leaks(self, keys: dict[str, list[str]], contained: dict[str, Sequence[str]]) -> Leaks:
        done = {name: self.contained(*some) for name, some in contained.items()}
        job: Any = SimpleNamespace(user=user("a"))
        return Leaks(Request(()), keys, done, {"a": job})

    def test_names_the_keys_that_may_still_be_active_and_those_that_nothing_replaces(self) -> None:
        leaks = self.leaks({"a": ["A1"], "b": ["B1", "B2"], "c": ["C1"]}, {"a": ["A1"], "b": ["B1"]})
        at = f"has been Inactive since at least {NOW:%Y-%m-%dT%H:%M:%SZ}."
        again = "Run the same command again: it continues."
        assert interrupted(leaks, "it ended.") == [
            RevokeResult(
                user("a"),
                Revocation.CONTAINED,
                Reason.STOPPED,
                f"A1 {at} Nothing replaces it yet: it ended. {again}",
                tuple(self.contained("A1")),
            ),
            RevokeResult(
                MachineUser("b", "", "", "", ""),
                Revocation.FAILED,
                Reason.STOPPED,
                f"B2 may still be Active: it ended. B1 {at} {again}",
                tuple(self.contained("B1")),
                active=("B2",),
            ),
            RevokeResult(
                MachineUser("c", "", "", "", ""),
                Revocation.FAILED,
                Reason.STOPPED,
                f"C1 may still be Active: it ended. {again}",
                active=("C1",),
            ),
        ]
