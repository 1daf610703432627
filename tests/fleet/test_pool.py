"""How many users are worked on at a time, who goes first, and how an interruption or a defect ends the run."""

from __future__ import annotations

import signal
import sys
import threading
import time
import traceback
from collections import deque
from contextlib import ExitStack
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


def begins(permits: Any) -> bool:
    """Say whether another user gets a permit at once."""
    thread = begun(permits.begin)

    def waits() -> bool:
        with permits._changed:
            return bool(permits._beginning)

    until(lambda: waits() or not thread.is_alive())
    return not thread.is_alive()


def doing(thread: threading.Thread | None = None) -> set[str]:
    """Return the names of the functions that a thread is in, by default the main one, and of their files."""
    frame = sys._current_frames().get((thread or threading.main_thread()).ident or 0)
    codes = [one.f_code for one, _ in traceback.walk_stack(frame)] if frame else []
    return {name for code in codes for name in (code.co_name, code.co_filename)}


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

    @pytest.mark.parametrize(("waits", "most"), [(False, 2), (True, 5)])
    def test_as_many_users_are_worked_on_or_wait_as_before_others_did(
        self, waits: bool, most: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pool, "MOST_WAITING", 3)
        permits = pool._Permits(2)
        for _ in range(3):
            permits.begin()
            with permits.begun(), permits.given_up():
                pass
        with ExitStack() as users:
            users.callback(permits.end)
            for _ in range(most):
                assert begins(permits)
                users.enter_context(permits.begun())
                if waits:
                    users.enter_context(permits.given_up())
            assert not begins(permits)
            permits.end()

    def test_a_user_that_waits_goes_on_at_the_end_without_the_permit_of_one_that_does_not_begin(self) -> None:
        permits, waits, go_on = pool._Permits(1), threading.Event(), threading.Event()

        def wait() -> None:
            with permits.begun(), permits.given_up():
                waits.set()
                go_on.wait(20)

        permits.begin()
        thread = begun(wait)
        assert waits.wait(20)
        permits.begin()
        go_on.set()
        until(lambda: permits._returning)
        permits.end()
        thread.join(20)
        assert not thread.is_alive()

    def test_nothing_about_them_changes_while_another_thread_may_change_it(self) -> None:
        permits = pool._Permits(1)
        permits._changed = Watched(permits)
        permits.begin()
        with permits.begun(), permits.given_up():
            pass
        permits.end()
        with permits._changed:
            pass


class Watched(threading.Condition):
    """A lock that is held whenever the permits change."""

    def __init__(self, permits: Any) -> None:
        super().__init__()
        self._permits = permits
        self._seen = self._state()

    def _state(self) -> dict[str, Any]:
        state = {name: value for name, value in vars(self._permits).items() if name != "_changed"}
        return {name: list(value) if isinstance(value, deque) else value for name, value in state.items()}

    def __enter__(self) -> bool:
        assert self._state() == self._seen
        return super().__enter__()

    def __exit__(self, *_: object) -> None:
        self._seen = self._state()
        super().__exit__(None, None, None)


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
        stop, ended, threads = threading.Event(), threading.Event(), list[threading.Thread]()

        def work(one: Job) -> str:
            if one.user.name == "a":
                with waiting.aside():
                    assert ended.wait(20)
                    until(lambda: pool.__file__ not in doing(threads[0]))  # the permit of the other user is free
            if one.user.name == "b":
                threads.append(threading.current_thread())
                until(lambda: {"begin", "wait"} <= doing())  # the next user waits for a permit
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                assert stop.wait(20)
            return one.user.name

        with pytest.raises(pool.Interrupted) as caught:
            pool.run(jobs("a", "b", "c"), work, 1, lambda result: ended.set() if result == "b" else None, stop)
        assert caught.value.results[:2] == ["a", "b"]
        assert caught.value.results[2].reason is Reason.STOPPED

    def test_by_a_signal_while_the_last_users_are_worked_on_waits_for_them(self) -> None:
        stop = threading.Event()

        def work(one: Job) -> str:
            until(lambda: "join" in doing())  # no user is left to begin
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            assert stop.wait(20)
            return one.user.name

        with pytest.raises(pool.Interrupted) as caught:
            pool.run(jobs("a"), work, 1, stop=stop)
        assert caught.value.results == ["a"]

    def test_by_a_signal_while_a_thread_is_being_started_waits_for_its_user(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The thread pool does not know of that thread."""
        stop, begun, over = threading.Event(), threading.Event(), threading.Event()
        start = threading.Thread.start

        def interrupted(thread: threading.Thread) -> None:
            start(thread)
            assert begun.wait(20)
            raise KeyboardInterrupt("SIGTERM")

        def work(one: Job) -> str:
            begun.set()
            assert stop.wait(20)
            until(lambda: "wait_for" in doing() or over.is_set())
            return one.user.name

        monkeypatch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(pool.Interrupted, match="SIGTERM") as caught:
            pool.run(jobs("a", "b"), work, 1, stop=stop)
        over.set()
        assert caught.value.results[0] == "a"
        assert caught.value.results[1].reason is Reason.STOPPED

    def test_by_an_error_of_the_machine_is_raised_once_no_user_is_under_way(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stop, ended, start = threading.Event(), list[str](), threading.Thread.start

        def no_second_thread(thread: threading.Thread) -> None:
            if threads:
                raise RuntimeError("can't start new thread")
            threads.append(thread)
            start(thread)

        def work(one: Job) -> None:
            assert stop.wait(20)
            ended.append(one.user.name)

        threads: list[threading.Thread] = []
        monkeypatch.setattr(threading.Thread, "start", no_second_thread)
        with pytest.raises(RuntimeError, match="new thread"):
            pool.run(jobs("a", "b"), work, 2, stop=stop)
        assert ended == ["a"]

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
            "A defect in twokey (LookupError). Completed changes remain; the next run continues from there.",
        ),
    ]


def test_after_a_defect_in_work_that_only_reads_nothing_was_changed() -> None:
    def work(one: Job, _listener: object) -> str:
        if one.user.name == "a":
            raise LookupError("a secret")
        if one.user.name == "b":
            raise Refused(Reason.UNREADABLE, "It is unreadable.")
        return "read"

    users, read = jobs("a", "b", "c"), pool.reading(work)
    assert pool.run(users, lambda one: read(one, None), 1) == [
        Result(users[0].user, Outcome.FAILED, Reason.ERROR, "A defect in twokey (LookupError). Nothing was changed."),
        Result(users[1].user, Outcome.FAILED, Reason.ERROR, "It is unreadable."),
        "read",
    ]


def test_work_that_only_reads_tells_its_listener_what_it_does() -> None:
    def work(one: Job, listener: Callable[[str], None]) -> None:
        listener(f"reads {one.user.name}")

    heard: list[str] = []
    for one in jobs("a", "b"):
        pool.reading(work)(one, heard.append)
    assert heard == ["reads a", "reads b"]


def test_no_user_is_no_result() -> None:
    assert pool.run([], lambda one: one, 1) == []
