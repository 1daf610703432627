"""How many users are worked on at a time, who goes first, and how an interruption or a defect ends the run."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from fleet.test_roster import ONE, job
from twokey.core import waiting
from twokey.core.errors import Refused, Stopped
from twokey.core.model import UserKey
from twokey.core.reasons import Outcome, Reason
from twokey.fleet import pool
from twokey.rotation.results import Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.fleet.roster import Job


def jobs(*names: str) -> list[Job]:
    return [job(UserKey(ONE.account, name)) for name in names]


def begun(act: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


def until(true: Callable[[], object]) -> None:
    while not true():
        time.sleep(0.001)


class TestPermits:
    def test_a_user_begins_as_soon_as_one_before_it_has_ended(self) -> None:
        permits, second = pool._Permits(1), threading.Event()
        permits.begin()

        def begin() -> None:
            permits.begin()
            second.set()

        begun(begin)
        until(lambda: permits._beginning)
        assert not second.is_set()
        with permits.begun():
            assert not second.is_set()
        assert second.wait(20)

    def test_a_user_that_has_waited_goes_on_before_another_begins(self) -> None:
        permits, go_on, end, order = pool._Permits(1), threading.Event(), threading.Event(), list[str]()

        def wait() -> None:
            with permits.begun():
                with permits.given_up():
                    go_on.wait(20)
                order.append("waited")

        def work() -> None:
            with permits.begun():
                go_on.set()
                end.wait(20)
                order.append("worked")

        def begin() -> None:
            permits.begin()
            with permits.begun():
                order.append("begun")

        permits.begin()
        threads = [begun(wait)]
        permits.begin()
        threads += [begun(work), begun(begin)]
        until(lambda: permits._returning and permits._beginning)
        assert order == []
        end.set()
        for thread in threads:
            thread.join(20)
        assert order == ["worked", "waited", "begun"]


def test_a_user_that_has_not_begun_has_no_thread() -> None:
    seen: list[int] = []

    def work(_one: Job) -> None:
        seen.append(sum(one.name.startswith("user") for one in threading.enumerate()))

    pool.run(jobs(*(f"u{number}" for number in range(30))), work, 2)
    assert max(seen) <= 3


def test_no_more_users_wait_at_a_time_than_the_threads_that_they_need_are_worth(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool, "MOST_WAITING", 1)
    third, overtaken = threading.Event(), []

    def work(one: Job) -> None:
        if one.user.name == "c":
            third.set()
            return
        with waiting.aside():
            if third.wait(0.02):
                overtaken.append(one.user.name)

    pool.run(jobs("a", "b", "c"), work, 1)
    assert len(overtaken) < 2


class TestAnEnd:
    """``work`` ends in a way that ends the whole run, as if a signal had arrived in the main thread."""

    def test_by_a_signal_is_named_with_the_results_of_all(self) -> None:
        seen: list[object] = []

        def work(one: Job) -> str:
            if one.user.name == "b":
                raise KeyboardInterrupt("SIGTERM")
            return one.user.name

        stop = threading.Event()
        with pytest.raises(pool.Interrupted) as caught:
            pool.run(jobs("a", "b"), work, 1, seen.append, stop)
        assert (str(caught.value), stop.is_set(), seen) == ("SIGTERM", True, ["a"])
        first, second = caught.value.results
        [stopped] = [Result(one.user, Outcome.FAILED, Reason.STOPPED, str(Stopped())) for one in jobs("b")]
        assert (first, second) == ("a", stopped)

    def test_by_a_signal_holds_up_no_user_that_waits(self) -> None:
        """A permit was meant for the user that does not begin."""
        stop, ended = threading.Event(), threading.Event()

        def work(one: Job) -> str:
            if one.user.name == "a":
                with waiting.aside():
                    assert ended.wait(20)
                    time.sleep(0.02)  # until its permit is free
            if one.user.name == "b":
                time.sleep(0.02)  # until the next user waits for a permit
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                assert stop.wait(20)
            return one.user.name

        with pytest.raises(pool.Interrupted) as caught:
            pool.run(jobs("a", "b", "c"), work, 1, lambda result: ended.set() if result == "b" else None, stop)
        assert caught.value.results[:2] == ["a", "b"]
        assert caught.value.results[2].reason is Reason.STOPPED

    def test_while_one_waits_holds_it_up_no_longer(self) -> None:
        stop = threading.Event()

        def work(one: Job) -> str:
            stop.set()
            with waiting.aside():
                time.sleep(0.02)  # until the next user would begin
            return one.user.name

        first, second = pool.run(jobs("a", "b"), work, 1, stop=stop)
        assert (first, getattr(second, "reason", "")) == ("a", Reason.STOPPED)

    def test_before_the_first_user_leaves_them_all_as_they_are(self) -> None:
        stop, users = threading.Event(), jobs("a", "b")
        stop.set()
        results = pool.run(users, lambda one: one, 1, lambda _result: pytest.fail("counted"), stop)
        assert results == [Result(one.user, Outcome.FAILED, Reason.STOPPED, str(Stopped())) for one in users]

    def test_by_a_defect_of_what_counts_the_users_is_raised(self) -> None:
        def progress(_result: object) -> None:
            raise BrokenPipeError

        begun: list[str] = []
        with pytest.raises(BrokenPipeError):
            pool.run(jobs("a", "b"), lambda one: begun.append(one.user.name), 1, progress)
        assert begun == ["a"]


def test_a_failure_counts_as_an_end_and_says_what_happened_but_no_text_of_a_defect() -> None:
    counted: list[Any] = []
    errors = {"a": Refused(Reason.UNREADABLE, "It is unreadable.", remedy="Look."), "b": LookupError("a secret")}

    def work(one: Job) -> None:
        raise errors[one.user.name]

    users = jobs("a", "b")
    results = pool.run(users, work, 1, counted.append)
    assert counted == results
    assert results == [
        Result(users[0].user, Outcome.FAILED, Reason.ERROR, "It is unreadable. Look."),
        Result(
            users[1].user,
            Outcome.FAILED,
            Reason.ERROR,
            "A defect in twokey (LookupError). What was done stands; the next run goes on from there.",
        ),
    ]


def test_no_user_is_no_result() -> None:
    assert pool.run([], lambda one: one, 1) == []
