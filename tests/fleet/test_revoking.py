"""Which keys of which users have leaked, how they are made Inactive, and what becomes of users without a store."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from fleet.leaked import ENTRY, NOW, OWN, Iam, key, runtime, store
from fleet.test_lookup import DENIED, user
from twokey.core.errors import BadCredentials, UsageError
from twokey.core.model import MachineUser
from twokey.core.reasons import Reason, Revocation
from twokey.destinations.local.file import File
from twokey.fleet.first import First, Request
from twokey.fleet.revoking import Leaks, contain_all, find, previewed, replace_keys, select
from twokey.planning.plan import RecordRevoked
from twokey.revocation.contain import Contained, contain
from twokey.revocation.decision import Leak
from twokey.revocation.results import RevokeResult

if TYPE_CHECKING:
    from support.rig import Rig
    from twokey.config.settings import Selection
    from twokey.core.errors import TwokeyError
    from twokey.fleet.runtime import Runtime

pytestmark = pytest.mark.usefixtures("folder")
KEY_OF_ANOTHER_ACCOUNT = "AKIAY34FZKBOKMUTVV7A"
EXPIRED = BadCredentials("Expired.")


class Run:
    """A run with a configuration; None stands for one that has none, and an error for one that is wrong."""

    def __init__(self, iam: Iam, configuration: Selection | TwokeyError | None = None) -> None:
        self.iam = iam
        self.configuration = configuration
        entries = () if configuration is None or isinstance(configuration, Exception) else (configuration,)
        self.runtime, self.settings = runtime(iam, *entries)
        self.requested: list[tuple[str, ...]] = []
        """The names for which the settings were read."""

    def settings_of(self, names: tuple[str, ...]) -> Any:
        self.requested.append(names)
        if isinstance(self.configuration, Exception):
            raise self.configuration
        return self.configuration and self.settings

    def found(self, *targets: str, both: bool = False, first: First | None = None) -> Leaks:
        return find(Request(targets, both=both), self.runtime, self.settings_of, first)

    def selected(self, leaks: Leaks) -> list[str]:
        return [job.user.name for job in select(leaks, self.runtime, self.settings_of).jobs]


def ended(leaks: Leaks) -> RevokeResult:
    [result] = leaks.ended
    return result


def unnamed(name: str) -> MachineUser:
    return MachineUser(name, "", "", "", "")


class TestAKeyId:
    def test_takes_one_request_and_no_configuration(self) -> None:
        run = Run(Iam({"a": 2, "b": 2}), UsageError("Wrong."))
        leaks = run.found(key("b", 2), key("a", 1), key("a", 2), key("a", 1))
        assert leaks.keys == {"b": [key("b", 2)], "a": [key("a", 1), key("a", 2)]}
        assert (leaks.ended, run.requested, run.iam.listed, run.iam.read) == ([], [], [], [])
        assert run.iam.asked == [key("b", 2), key("a", 1), key("a", 2)]

    def test_whose_user_is_known_already_takes_none(self) -> None:
        run = Run(Iam({"a": 2}))
        first = replace_owners(run.runtime, {key("a", 1): "a"})
        assert run.found(key("a", 1), key("a", 2), first=first).keys == {"a": [key("a", 1), key("a", 2)]}
        assert run.iam.asked == [key("a", 2)]

    def test_that_no_user_has_is_a_failure_that_says_where_to_look(self) -> None:
        result = ended(Run(Iam({"a": 2})).found(KEY_OF_ANOTHER_ACCOUNT))
        assert (result.user, result.outcome, result.reason) == (unnamed(""), Revocation.FAILED, Reason.ERROR)
        assert result.message.startswith(
            f"No user of this account has the key {KEY_OF_ANOTHER_ACCOUNT}. Nothing was changed. IAM denies this for a "
            "key that the account in use does not have. By its ID, the key belongs to account 609629065308. Check the "
        )
        assert result.message.endswith("name its user: twokey revoke USER continues.")

    def test_whose_user_cannot_be_found_out_is_a_failure(self) -> None:
        run = Run(Iam({"a": 2}))
        run.iam.errors[key("b", 1)] = DENIED
        leaks = run.found(key("b", 1), key("a", 1))
        assert ended(leaks).message.startswith(
            f"The user of {key('b', 1)} cannot be found: {DENIED.message} Nothing was changed. IAM denies this for a "
            "key that the account in use does not have. Check the ID, "
        )
        assert leaks.keys == {"a": [key("a", 1)]}

    @pytest.mark.parametrize("both", [True, False])
    def test_that_twokey_itself_runs_with_is_refused(self, both: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        own = key("a", 2)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", own)
        leaks = Run(Iam({"a": 2})).found(own, both=both)
        assert (ended(leaks).outcome, ended(leaks).reason, leaks.keys) == (Revocation.REFUSED, Reason.OWN_KEY, {})
        assert ended(leaks).message.startswith(f"twokey itself runs with {own}: ")
        assert ended(leaks).message.endswith(" Nothing was changed.")

    def test_is_looked_up_only_with_credentials_that_work(self) -> None:
        run = Run(Iam({"a": 2}))
        run.iam.errors[key("a", 1)] = EXPIRED
        with pytest.raises(BadCredentials):
            run.found(key("a", 1))


class TestAName:
    def test_means_the_key_that_the_store_holds(self) -> None:
        store("a", 2)
        store("b", 1)
        run = Run(Iam({"a": 2, "b": 2}), ENTRY)
        leaks = run.found("a", "b", key("a", 1), key("a", 2))
        assert leaks.keys == {"a": [key("a", 2), key("a", 1)], "b": [key("b", 1)]}
        assert run.requested == [("a", "b")]

    def test_may_be_typed_in_another_case(self) -> None:
        store("a", 2)
        store("b", 1)
        run = Run(Iam({"a": 2, "b": 2}), ENTRY)
        leaks = run.found("B", "A")
        assert leaks.keys == {"b": [key("b", 1)], "a": [key("a", 2)]}
        assert run.selected(leaks) == ["b", "a"]

    def test_of_a_user_without_a_store_means_its_only_key(self) -> None:
        unclear = "twokey does not manage this user, so which of its keys has leaked is unclear."
        run = Run(Iam({"one": 1, "two": 2, "none": 0}))
        leaks = run.found("one", "two", "none", "gone")
        assert leaks.keys == {"one": [key("one", 1)]}
        assert [(one.user, one.outcome, one.reason, one.message) for one in leaks.ended] == [
            (unnamed(name), outcome, reason, f"{message} Nothing was changed.{remedy}")
            for name, outcome, reason, message, remedy in (
                (
                    "two",
                    Revocation.REFUSED,
                    Reason.CANNOT_ATTRIBUTE,
                    f"{unclear} Name the key: twokey revoke {key('two', 1)}, or twokey revoke {key('two', 2)}.",
                    "",
                ),
                ("none", Revocation.REFUSED, Reason.NO_KEY, "The user has no access key.", ""),
                (
                    "gone",
                    Revocation.FAILED,
                    Reason.ERROR,
                    "There is no IAM user gone in this account.",
                    " Check the name and the account: aws sts get-caller-identity.",
                ),
            )
        ]

    def test_whose_store_could_not_be_found_is_refused_with_the_reason(self) -> None:
        covered = replace(ENTRY, path="/none/")
        for configuration, why in (
            (UsageError("The file is wrong.", remedy="Correct it."), "The file is wrong. Correct it. So which"),
            (covered, "No entry of the configuration covers the user a. Nothing was changed for it. No entry of "),
        ):
            leaks = Run(Iam({"a": 2, "b": 2}), configuration).found("a", "b")
            assert leaks.ended[0].message.startswith(why)

    def test_whose_store_holds_no_key_is_refused(self) -> None:
        store("a", 0)
        assert ended(Run(Iam({"a": 1}), ENTRY).found("a")).message == (
            "file:a holds no key, so which one has leaked is unclear. Name the key: twokey revoke "
            f"{key('a', 1)}. Nothing was changed."
        )

    @pytest.mark.parametrize(
        ("count", "done", "command"), [(2, "before", "revoke {first}"), (0, "before and deleted", "rotate a")]
    )
    def test_whose_key_replaced_a_revoked_one_is_refused_with_both_ways_on(
        self, count: int, done: str, command: str
    ) -> None:
        store("a", 2, n3=timedelta(hours=9), n1=timedelta(hours=1), n2=timedelta(0))
        result = ended(Run(Iam({"a": count}), ENTRY).found("a"))
        first, held = key("a", 1), key("a", 2)
        assert (result.outcome, result.reason) == (Revocation.REFUSED, Reason.CANNOT_ATTRIBUTE)
        assert result.message == (
            f"{first} of a was revoked {done}, and {held} replaces it. To continue that revocation: "
            f"twokey {command.format(first=first)}. If {held} has leaked, too: twokey revoke {held}. Nothing was "
            "changed."
        )

    def test_is_looked_up_only_with_credentials_that_work(self) -> None:
        with pytest.raises(BadCredentials):
            Run(Iam({"a": 2}), EXPIRED).found("a")


class TestBothKeys:
    def test_are_all_of_the_users_whatever_the_stores_hold(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(File, "load", lambda _self: pytest.fail("read"))
        run = Run(Iam({"a": 2, "b": 2}), ENTRY)
        assert run.found("a", key("b", 2), both=True).keys == {
            name: [key(name, 1), key(name, 2)] for name in ("a", "b")
        }
        assert run.requested == []

    def test_of_a_user_without_any_are_refused(self) -> None:
        result = ended(Run(Iam({"a": 0})).found("a", both=True))
        assert (result.outcome, result.reason) == (Revocation.REFUSED, Reason.NO_KEY)
        assert result.message == "a has no access key. Nothing was changed."


def replace_owners(own: Runtime, owners: dict[str, str], **contained: Contained) -> First:
    return First(own.clients, own.iam, owners, {one.key_id: one for one in contained.values()})


def leaked(keys: dict[str, list[str]], first: First | None = None) -> Leaks:
    return Leaks(Request((), delete=True, keep=timedelta(hours=1)), keys, first=first)


class TestContainment:
    def test_makes_each_key_inactive_in_order_and_counts_its_user(self) -> None:
        run, counted = Run(Iam({"a": 2, "b": 2})), list[str]()
        leaks = leaked({"b": [key("b", 2), key("b", 1)], "a": [key("a", 1)]})
        contain_all(leaks, run.runtime, 1, counted.append)
        assert run.iam.deactivated == [key("b", 2), key("b", 1), key("a", 1)]
        assert counted == ["b", "a"]
        assert leaks.contained == {
            name: [Contained(one, NOW, f"request for {one}") for one in keys] for name, keys in leaks.keys.items()
        }
        assert leaks.leak("b") == Leak({key("b", 2): NOW, key("b", 1): NOW}, delete=True, keep=timedelta(hours=1))

    def test_sends_no_request_for_what_is_inactive_already(self) -> None:
        run = Run(Iam({"a": 2}))
        before = Contained(key("a", 1), NOW - timedelta(minutes=1))
        leaks = leaked({"a": [key("a", 1), key("a", 2)]}, replace_owners(run.runtime, {}, a=before))
        contain_all(leaks, run.runtime)
        assert run.iam.deactivated == [key("a", 2)]
        assert leaks.contained["a"][0] == before

    def test_that_fails_ends_what_is_done_for_this_user_alone(self) -> None:
        store("b", 2)
        run = Run(Iam({"a": 2, "b": 2, "c": 2}), ENTRY)
        leaks = run.found("b")
        leaks.keys |= {"a": [key("a", 1), key("a", 2)], "c": [key("c", 1)]}
        run.iam.errors |= {key("a", 2): DENIED, key("b", 2): DENIED}
        contain_all(leaks, run.runtime)
        assert leaks.keys == {"c": [key("c", 1)]}
        at = f"has been Inactive since at least {NOW:%Y-%m-%dT%H:%M:%SZ}."
        done = Contained(key("a", 1), NOW, f"request for {key('a', 1)}")
        assert leaks.ended == [
            RevokeResult(
                user("b"),
                Revocation.FAILED,
                Reason.ERROR,
                f"{key('b', 2)} of b may still be Active: {DENIED}",
                active=(key("b", 2),),
            ),
            RevokeResult(
                unnamed("a"),
                Revocation.FAILED,
                Reason.ERROR,
                f"{key('a', 2)} of a may still be Active: {DENIED} {key('a', 1)} {at}",
                (done,),
                active=(key("a", 2),),
            ),
        ]

    def test_of_many_users_happens_together_and_of_no_more_than_that(self) -> None:
        run = Run(Iam(dict.fromkeys("abc", 2)))
        together, late, overtaken = threading.Barrier(2), threading.Event(), list[str]()

        def meanwhile(key_id: str) -> None:
            if key_id == key("c", 1):
                late.set()
                return
            together.wait(20)
            if late.wait(0.1):
                overtaken.append(key_id)

        run.iam.meanwhile = meanwhile
        contain_all(leaked({name: [key(name, 1)] for name in "abc"}), run.runtime, 2)
        assert len(overtaken) < 2
        contain_all(leaked({name: [key(name, 1)] for name in "ab"}), run.runtime, 9)
        contain_all(leaked({}), run.runtime, 9)

    @pytest.mark.parametrize("names", ["a", "ab"])
    def test_does_not_begin_once_the_run_is_stopped(self, names: str) -> None:
        run = Run(Iam(dict.fromkeys(names, 1)))
        run.runtime.stop.set()
        leaks = leaked({name: [key(name, 1)] for name in names})
        contain_all(leaks, run.runtime, 2, lambda _user: pytest.fail("counted"))
        assert (run.iam.deactivated, leaks.contained) == ([], {})

    def test_that_is_interrupted_begins_no_further_user(self) -> None:
        run = Run(Iam(dict.fromkeys("abc", 1)))

        def ended(name: str) -> None:
            if name == "a":
                raise KeyboardInterrupt("SIGTERM")

        def meanwhile(key_id: str) -> None:
            if key_id == key("b", 1):
                assert run.runtime.stop.wait(20)

        run.iam.meanwhile = meanwhile
        with pytest.raises(KeyboardInterrupt, match="SIGTERM"):
            contain_all(leaked({name: [key(name, 1)] for name in "abc"}), run.runtime, 1, ended)
        assert key("c", 1) not in run.iam.deactivated


class TestUsersWithoutAStore:
    def contained(self, run: Run, *names: str) -> Leaks:
        leaks = run.found(*(key(name, 1) for name in names))
        contain_all(leaks, run.runtime)
        return leaks

    def test_are_contained_and_the_others_are_replaced(self) -> None:
        run = Run(Iam({"a": 1, "b": 1, "c": 1}), replace(ENTRY, exclude=("b",)))
        leaks = self.contained(run, "c", "b", "a")
        assert run.selected(leaks) == ["c", "a"]
        assert run.requested == [("c", "b", "a")]
        assert list(leaks.keys) == ["c", "a"]
        result = ended(leaks)
        assert (result.user, result.outcome, result.reason) == (user("b"), Revocation.CONTAINED, Reason.LEAKED)
        assert [one.key_id for one in result.contained] == [key("b", 1)]
        assert result.message.startswith(
            f"{key('b', 1)} has been Inactive since at least {NOW:%Y-%m-%dT%H:%M:%SZ}. No key was created in its "
            "place, so the programs that used it fail: No entry of the configuration covers the user b. Give them "
        )

    @pytest.mark.parametrize(
        ("configuration", "why"),
        [
            (None, "twokey does not manage a: no configuration names its store. Give"),
            (UsageError("The file is wrong"), "The file is wrong. Give"),
            (UsageError("Did you mean this?"), "Did you mean this? Give"),
        ],
    )
    def test_are_told_why_they_have_none(self, configuration: TwokeyError | None, why: str) -> None:
        run = Run(Iam({"a": 1}), configuration)
        leaks = self.contained(run, "a")
        assert run.selected(leaks) == []
        assert f"so the programs that used it fail: {why} them another credential, " in ended(leaks).message

    def test_are_named_even_if_they_cannot_be_read_any_more(self) -> None:
        run = Run(Iam({"a": 1}))
        leaks = self.contained(run, "a")
        run.iam.known = ()
        run.selected(leaks)
        assert ended(leaks).user == unnamed("a")

    def test_are_not_looked_up_where_each_has_one_already(self) -> None:
        store("a", 1)
        run = Run(Iam({"a": 1}), ENTRY)
        leaks = run.found("a")
        assert run.selected(leaks) == ["a"]
        assert run.requested == [("a",)]


class TestAReplacement:
    @pytest.mark.parametrize(
        ("request_", "lives_on"),
        [
            (Request(()), None),
            (Request((), delete=True), timedelta(0)),
            (Request((), keep=timedelta(days=1)), timedelta(days=1)),
        ],
    )
    def test_is_planned_with_what_becomes_of_the_leaked_key(
        self, rig: Rig, request_: Request, lives_on: timedelta | None
    ) -> None:
        _, current = rig.settled()
        named, world = rig.world()
        found = previewed(Leaks(request_, {"ci": [current.access_key_id]}), job_of(rig, named), world)
        assert (found.result.user, found.result.reason) == (named, Reason.LEAKED)
        assert found.plan
        [record] = [action for action in found.plan.actions if isinstance(action, RecordRevoked)]
        assert record.key_id == current.access_key_id
        assert (record.until and record.until - record.at) == lives_on

    def test_is_made_once_the_leaked_key_is_inactive(self, rig: Rig) -> None:
        _, current = rig.settled()
        named, world = rig.world()
        done = contain("ci", current.access_key_id, world.iam, world.clock)
        leaks = Leaks(Request((), delete=True), {"ci": [done.key_id]}, {"ci": [done]})
        result = replace_keys(leaks, job_of(rig, named), world)
        assert (result.user, result.outcome, result.contained) == (named, Revocation.REVOKED, (done,))
        assert result.rotation
        assert done.key_id in result.rotation.removed
        assert rig.ids() == [rig.held()]


def job_of(rig: Rig, named: MachineUser) -> Any:
    return SimpleNamespace(user=named, policy=rig.policy)


def test_the_runs_own_key_is_another_one() -> None:
    assert Run(Iam({"a": 1})).runtime.clients.own_key() == OWN
