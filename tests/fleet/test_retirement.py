"""A key that ``--retire`` names has to be one of the selected users', before anything is done for any of them."""

from __future__ import annotations

import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from fleet.test_roster import ONE, OTHER, job
from twokey.core import accounts
from twokey.core.errors import AccessDenied, BadCredentials, Failed, ServiceError
from twokey.core.journal import Journal
from twokey.core.model import UserKey
from twokey.core.reasons import Outcome, Reason
from twokey.fleet.lookup import no_result
from twokey.fleet.retirement import AT_A_TIME, FEW, refuse_unknown
from twokey.fleet.roster import Job, Roster
from twokey.fleet.rosters import account_failed
from twokey.fleet.run import Run
from twokey.rotation.results import Result
from twokey.testing.stores import AT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.rotation.world import World

WRONG = "AKIAIOSFODNN7EXAMPLE"
DENIED = AccessDenied("iam:ListAccessKeys", "user")
REMEDY = "Check the ID, select its user, or leave --retire out. Nothing was changed."


class Account:
    """The keys and journals of users by name, or the error that reading them raises."""

    def __init__(
        self, keys: dict[str, Sequence[str] | ServiceError], journals: dict[str, Journal | ServiceError] | None = None
    ) -> None:
        self.of = keys
        self.journals = journals or {}
        self.loaded: list[str] = []

    def keys(self, name: str) -> list[Any]:
        found = self.of[name]
        if isinstance(found, ServiceError):
            raise found
        return [SimpleNamespace(id=key_id) for key_id in found]

    def load(self, name: str) -> Any:
        self.loaded.append(name)
        found = self.journals.get(name, Journal())
        if isinstance(found, ServiceError):
            raise found
        return SimpleNamespace(journal=found)

    def world(self, one: Job) -> World:
        store = SimpleNamespace(load=lambda: self.load(one.user.name))
        return cast("World", SimpleNamespace(iam=self, store=store))


def users(*names: str) -> list[Job]:
    return [job(UserKey(ONE.account, name)) for name in names]


def refused(account: Account, roster: Roster, *key_ids: str) -> list[Result]:
    return refuse_unknown(roster, account.world, frozenset(key_ids))


def why(account: Account, roster: Roster, *key_ids: str) -> str:
    """Return the one message with which every user is refused."""
    results = refused(account, roster, *key_ids)
    assert [(one.user, one.outcome, one.reason) for one in results] == [
        (one.user, Outcome.REFUSED, Reason.RETIRE_UNKNOWN) for one in roster.jobs
    ]
    [message] = {one.message for one in results}
    return message


def test_without_a_key_or_a_user_nothing_is_read() -> None:
    account = Account({})
    assert refused(account, Roster(tuple(users("a")))) == []
    assert refused(account, Roster(()), WRONG) == []


def test_keys_that_the_users_have_are_theirs_and_no_store_is_read() -> None:
    account = Account({"a": ["A1", "A2"], "b": ["B1"]})
    assert refused(account, Roster(tuple(users("a", "b"))), "A2", "B1") == []
    assert account.loaded == []


@pytest.mark.parametrize("journal", [Journal(current=WRONG), Journal(last=WRONG), Journal(removed={WRONG: AT})])
def test_a_key_that_a_journal_names_is_theirs_although_it_is_gone(journal: Journal) -> None:
    account = Account({"a": [], "b": DENIED, "c": []}, {"a": DENIED, "b": journal})
    assert refused(account, Roster(tuple(users("a", "b", "c"))), WRONG) == []
    assert account.loaded == ["a", "b"]


def test_every_key_that_is_none_of_theirs_is_named_with_the_keys_that_they_have() -> None:
    account = Account({"a": ["A1", "A2"], "b": []})
    assert why(account, Roster(tuple(users("a", "b"))), WRONG, "A1", "AKIAA") == (
        f"--retire names AKIAA, {WRONG}, but a has A1, A2, b has no key. {REMEDY}"
    )
    both = Roster((job(ONE), job(OTHER)))
    assert why(Account({"ci": ["A1"]}), both, WRONG).startswith(
        f"--retire names {WRONG}, but {ONE.account}/ci has A1, {OTHER.account}/ci has A1. "
    )


def test_users_whose_keys_are_not_known_are_named() -> None:
    missing = no_result("x", "There is no IAM user x.")
    roster = Roster(tuple(users("a", "b")), failed=(missing,))
    assert why(Account({"a": ["A1"], "b": DENIED}), roster, WRONG) == (
        f"--retire names {WRONG}, but a has A1. The keys of b, x could not be read. {REMEDY}"
    )
    assert why(Account({"a": DENIED, "b": DENIED}), replace(roster, failed=()), WRONG) == (
        f"--retire names {WRONG}, but no key could be listed. The keys of a, b could not be read. {REMEDY}"
    )


def test_users_of_several_accounts_whose_keys_are_not_known_are_named_with_their_accounts() -> None:
    gone = Result(job(OTHER).user, Outcome.FAILED, Reason.ERROR, "The name of the user does not fit the service.")
    closed = account_failed(accounts.Account("3" * 12, "site"), Failed("It is closed."))
    missing = no_result("x", "There is no IAM user x.")
    roster = Roster((job(ONE),), failed=(gone, closed, missing))
    assert f" The keys of {ONE}, {OTHER}, {'3' * 12}, x could not be read. " in why(
        Account({"ci": DENIED}), roster, WRONG
    )


@pytest.mark.parametrize(("count", "named"), [(FEW, True), (FEW + 1, False)])
def test_the_keys_of_more_than_a_few_users_are_not_listed(count: int, named: bool) -> None:
    names = [f"ci-{number}" for number in range(count)]
    message = why(Account({name: ["A1"] for name in names}), Roster(tuple(users(*names))), WRONG)
    assert ("ci-0 has A1, ci-1 has A1" in message) == named
    assert (f"none of the {count} selected users has such a key" in message) != named


@pytest.mark.parametrize("where", ["keys", "journal"])
def test_credentials_that_do_not_work_are_no_single_users_trouble(where: str) -> None:
    expired = BadCredentials("Expired.")
    account = Account({"a": expired}) if where == "keys" else Account({"a": []}, {"a": expired})
    with pytest.raises(BadCredentials):
        refused(account, Roster(tuple(users("a"))), WRONG)


def test_many_users_are_looked_at_together_and_no_more_than_that() -> None:
    first = [f"ci-{number:02}" for number in range(AT_A_TIME)]
    together, late = threading.Barrier(AT_A_TIME), threading.Event()
    overtaken: list[str] = []

    class Slow(Account):
        def keys(self, name: str) -> list[Any]:
            if name == "late":
                late.set()
            else:
                together.wait(20)
                if late.wait(0.02):
                    overtaken.append(name)
            return super().keys(name)

    account = Slow({name: ["A1"] for name in (*first, "late")})
    assert refused(account, Roster(tuple(users(*first, "late"))), "A1") == []
    assert len(overtaken) < AT_A_TIME


class TestARun:
    """Checks the keys with the worlds of its own runtime, as the key that it runs with sees them."""

    class Runtime:
        def __init__(self, account: Account) -> None:
            self.clients = SimpleNamespace(own_key=lambda: "AKIAOWN")
            self.stop = threading.Event()
            self.account = account
            self.checked: list[Roster] = []
            self.worlds: list[tuple[str, str, bool]] = []
            self.listeners: list[object] = []

        def check(self, roster: Roster) -> Roster:
            self.checked.append(roster)
            return roster

        def world(self, one: Job, own_key: str, listener: object, *, wait: bool) -> World:
            self.worlds.append((one.user.name, own_key, wait))
            self.listeners.append(listener)
            return self.account.world(one)

    def test_and_refuses_all_before_any_work(self) -> None:
        runtime: Any = self.Runtime(Account({"a": ["A1"]}))
        missing = no_result("x", "There is no IAM user x.")
        roster = Roster(tuple(users("a")), failed=(missing,))
        settings: Any = SimpleNamespace(max_users=9, concurrency=1, accounts=None)
        run = Run.over(runtime, settings, lambda given: roster if given is runtime else Roster(()))
        assert (run.runtime, run.settings, runtime.checked) == (runtime, settings, [roster])
        ended = run.each(cast("Any", None), cast("Any", None), retire=frozenset({WRONG}))
        assert [(one.user.name, one.reason) for one in ended.results] == [
            ("a", Reason.RETIRE_UNKNOWN),
            ("x", Reason.ERROR),
        ]
        assert set(runtime.worlds) == {("a", "AKIAOWN", True)}

    def test_gives_each_users_world_its_listener_and_whether_it_may_wait(self) -> None:
        runtime: Any = self.Runtime(Account({}))
        run = Run(runtime, cast("Any", None), Roster(()), "AKIAOWN")

        def listener(_event: object) -> None: ...

        [one] = users("a")
        assert run.world(one, listener, wait=False)
        assert (runtime.worlds, runtime.listeners) == ([("a", "AKIAOWN", False)], [listener])
