"""The loop over users, which every command shares: order, failures, the limit, an interruption."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from fleet.test_roster import ONE, OTHER, job
from twokey.config.settings import Settings
from twokey.core.errors import Refused
from twokey.core.events import Event
from twokey.core.model import MachineUser, UserKey
from twokey.core.reasons import Outcome, Reason
from twokey.fleet import pool
from twokey.fleet.roster import Roster
from twokey.fleet.run import Run, unobserved
from twokey.planning.plan import Overrides
from twokey.rotation import lease
from twokey.rotation.results import Result

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from twokey.core.events import Listener
    from twokey.fleet.roster import Job

MISSING = Result(MachineUser("nobody", "", "", "", ""), Outcome.FAILED, Reason.ERROR, "There is no IAM user nobody.")


class Seen:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.events: list[tuple[UserKey, str]] = []
        self.count = 0
        self.jobs: list[UserKey] = []

    @contextmanager
    def __call__(self, jobs: Sequence[Job]) -> Iterator[Seen]:
        self.jobs = [one.user.key for one in jobs]
        yield self

    def heard(self, user: MachineUser, event: Event) -> None:
        self.events.append((user.key, event.step))

    def ended(self, _result: object) -> None:
        self.count += 1


class Stoppable:
    """What the loop needs of a runtime."""

    def __init__(self) -> None:
        self.stop = threading.Event()


def run_of(*jobs: Job, failed: tuple[Result, ...] = (), max_users: int = 100, concurrency: int = 8) -> Run:
    settings = Settings((), max_users, concurrency, "test")
    return Run(cast("Any", Stoppable()), settings, Roster(jobs, failed), "")


def test_results_and_events_belong_to_their_users() -> None:
    seen = Seen()

    def work(one: Job, listener: Listener) -> str:
        listener(Event(cast("Any", None), one.user.name, f"create in {one.user.account}", "done"))
        return one.user.account

    ended = run_of(job(ONE), job(OTHER), failed=(MISSING,)).each(work, seen)
    assert ended.results == (ONE.account, OTHER.account, MISSING)
    assert sorted(seen.events) == [(key, f"create in {key.account}") for key in (ONE, OTHER)]
    assert (seen.jobs, seen.count, ended.interrupted) == ([ONE, OTHER], 2, None)


@pytest.mark.parametrize("error", [Refused(Reason.UNREADABLE, "It cannot be read."), LookupError("a secret")])
def test_a_failure_is_that_users_and_stops_no_other(error: Exception) -> None:
    def work(one: Job, _listener: Listener) -> str:
        if one.user.key == OTHER:
            raise error
        return "done"

    first, second = run_of(job(ONE), job(OTHER)).each(work, Seen()).results
    assert first == "done"
    assert isinstance(second, Result)
    assert (second.user.key, second.outcome) == (OTHER, Outcome.FAILED)
    assert "a secret" not in second.message


@pytest.mark.parametrize("function", ["", "keys"])
def test_a_lease_that_is_taken_on_lambda_ends_by_time_alone(monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    """Whichever program runs there: twokey's own function, one of the user that calls ``twokey.api``, the command."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", function)
    now = datetime(2026, 11, 29, tzinfo=UTC)
    [start] = run_of(job(ONE)).each(lambda *_: lease.take("run", now).start, Seen()).results
    assert (start == "") is bool(function)


def test_a_run_that_nothing_follows_has_the_same_results() -> None:
    def work(one: Job, listener: Listener) -> str:
        listener(Event(cast("Any", None), one.user.name, "lease", "begin"))
        return one.user.account

    assert run_of(job(ONE), job(OTHER)).each(work, unobserved).results == (ONE.account, OTHER.account)


def test_more_users_than_the_limit_are_refused_before_any_work() -> None:
    def work(one: Job, _listener: Listener) -> str:
        raise AssertionError(one)

    seen = Seen()
    ended = run_of(job(ONE), job(OTHER), failed=(MISSING,), max_users=1).each(work, seen)
    reasons = [(one.user.key, one.reason) for one in ended.results if isinstance(one, Result)]
    assert reasons == [(ONE, Reason.TOO_MANY_USERS), (OTHER, Reason.TOO_MANY_USERS), (MISSING.user.key, Reason.ERROR)]
    refused = ended.results[0]
    assert isinstance(refused, Result)
    assert (refused.outcome, "at most 1" in refused.message) == (Outcome.REFUSED, True)
    assert "add --max-users 2" in refused.message
    assert seen.jobs == []
    assert run_of(job(ONE), job(OTHER), max_users=2).each(lambda *_: "done", seen).results == ("done", "done")
    unlimited = run_of(job(ONE), job(OTHER), max_users=1).each(lambda *_: "done", seen, limited=False)
    assert unlimited.results == ("done", "done")


def test_users_of_more_accounts_than_the_limit_are_refused_before_any_work() -> None:
    def run(most: int | None, **options: Any) -> tuple[object, ...]:
        over = run_of(job(ONE), job(OTHER), failed=(MISSING,))
        accounts: Any = SimpleNamespace(max_accounts=most)
        return tuple(
            replace(over, settings=replace(over.settings, accounts=accounts)).each(work, Seen(), **options).results
        )

    def work(one: Job, _listener: Listener) -> str:
        return one.user.account

    message = (
        "Users of 2 accounts are selected; one run may change those of at most 1. Nothing was changed. To change all "
        "of them, add --max-accounts 2."
    )
    refused = [Result(one.user, Outcome.REFUSED, Reason.TOO_MANY_ACCOUNTS, message) for one in (job(ONE), job(OTHER))]
    assert run(1) == (*refused, MISSING)
    done = (ONE.account, OTHER.account, MISSING)
    assert run(2) == run(None) == run(1, limited=False) == done


def test_users_of_several_accounts_begin_in_turn_and_their_results_are_in_order() -> None:
    begun: list[str] = []

    def work(one: Job, _listener: Listener) -> str:
        begun.append(one.user.name)
        return one.user.name

    jobs = [job(UserKey(key.account, name)) for key, name in ((ONE, "a"), (ONE, "b"), (ONE, "c"), (OTHER, "d"))]
    assert run_of(*jobs, concurrency=1).each(work, Seen()).results == ("a", "b", "c", "d")
    assert begun == ["a", "d", "b", "c"]


def test_all_keys_to_retire_are_those_of_the_one_user_that_is_selected_and_found() -> None:
    requested = Overrides(retire=frozenset({"AKIAIOSFODNN7EXAMPLE"}))
    for run, theirs in (
        (run_of(job(ONE)), True),
        (run_of(job(ONE), job(OTHER)), False),
        (run_of(job(ONE), failed=(MISSING,)), False),
        (run_of(failed=(MISSING,)), False),
    ):
        assert run.overrides(requested) == replace(requested, all_theirs=theirs)


def test_an_interruption_lets_the_user_under_way_finish_and_begins_no_other() -> None:
    run = run_of(job(ONE), job(OTHER), concurrency=1)

    def work(one: Job, _listener: Listener) -> UserKey:
        os.kill(os.getpid(), signal.SIGINT)
        assert run.runtime.stop.wait(20)
        return one.user.key

    ended = run.each(work, Seen())
    first, second = ended.results
    assert first == ONE
    assert isinstance(second, Result)
    assert (second.user.key, second.reason) == (OTHER, Reason.STOPPED)
    assert isinstance(ended.interrupted, pool.Interrupted)


def test_the_loop_knows_nothing_of_the_terminal() -> None:
    folder = Path(pool.__file__).parent
    for module in folder.glob("*.py"):
        text = module.read_text(encoding="utf-8")
        assert "import click" not in text
        assert "rich" not in text
        assert "twokey.cli" not in text
