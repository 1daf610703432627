"""What a run in waves begins, waits for and asks, by what the users of each wave ended as: without a service."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from fleet.test_lookup import DENIED
from fleet.test_roster import job as job_of
from fleet.test_run import Seen
from twokey.aws.clock import ServiceClock
from twokey.config.settings import Settings
from twokey.config.wave_settings import StopSettings, WaveSettings
from twokey.core.accounts import Account, AccountChoice
from twokey.core.errors import Failed
from twokey.core.hooks import Hook
from twokey.core.model import MachineUser, UserKey
from twokey.core.reasons import Outcome, Reason
from twokey.fleet import waves
from twokey.fleet.lookup import no_result
from twokey.fleet.pool import stopped
from twokey.fleet.roster import Job, Roster
from twokey.fleet.rosters import account_failed
from twokey.fleet.run import Ended, Run
from twokey.rotation.results import Result

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
A, B, C = (Account(f"{number}" * 12, name) for number, name in enumerate(("a", "b", "c"), 1))
AGAIN = "Nothing was changed there. Look at that wave, then run again: a run continues where this one stopped."


def job(account: Account, name: str = "ci") -> Job:
    found = job_of(UserKey(account.id, name))
    return replace(found, user=replace(found.user, account_name=account.name))


def ended(one: Job, outcome: Outcome = Outcome.ROTATED, committed: datetime = NOW) -> Result:
    due = committed + one.policy.period - one.policy.slack
    return Result(one.user, outcome, Reason.DUE, "It ended.", next_due=due)


def wave(*accounts: Account, **more: Any) -> WaveSettings:
    choices = tuple(AccountChoice.of(one.name) for one in accounts)
    return WaveSettings(accounts=choices, **{"status": False, **more})


class InWaves:
    """A run over three accounts, wave after wave; the clock moves by its pauses only."""

    def __init__(self, *jobs: Job, failed: tuple[Result, ...] = (), accounts: bool = True) -> None:
        self.jobs = jobs or (job(A), job(B), job(C))
        self.failed = failed
        self.now = NOW
        self.pauses: list[float] = []
        self.on_pause: Callable[[], object] = lambda: None
        self.begun: list[str] = []
        self.told: list[str] = []
        self.outcome: Callable[[Job], Result] = ended
        self.stop = threading.Event()
        clock = ServiceClock(wall=self._time, sleep=self._sleep)
        known = SimpleNamespace(known=(A, B, C)) if accounts else None
        self.runtime: Any = SimpleNamespace(clients=SimpleNamespace(clock=clock), stop=self.stop, accounts=known)

    def _time(self) -> float:
        return self.now.timestamp()

    def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.on_pause()

    def run(self, *settings: WaveSettings, limit: StopSettings | None = None, in_waves: bool = True) -> Ended[Result]:
        def work(one: Job, _listener: object) -> Result:
            self.begun.append(one.user.account_name if one.user.name == "ci" else one.user.name)
            return self.outcome(one)

        configured = Settings((), 100, 1, "test", waves=settings, stop_after=limit)
        run = Run(self.runtime, configured, Roster(self.jobs, self.failed), "")
        return run.each(work, cast("Any", Seen()), in_waves=in_waves, announce=self.told.append)


def refused(one: Job) -> Result:
    return ended(one, Outcome.REFUSED)


def not_begun(one: Job, why: str) -> Result:
    """Return the result of a user; the name in the message would be that of users of several accounts."""
    text = f"This user was not begun: after {why}. {AGAIN}"
    return Result(one.user, Outcome.REFUSED, Reason.WAVE_STOPPED, text)


def left_out(account: Account, why: str, count: str = "one user") -> Result:
    user = MachineUser("", "", "", account.id, "", account.name)
    text = f"The account {account}, with {count}, was not begun: after {why}. {AGAIN}"
    return Result(user, Outcome.REFUSED, Reason.WAVE_STOPPED, text)


class TestOrder:
    def test_is_that_of_the_waves_and_what_is_in_none_comes_last(self) -> None:
        run = InWaves()
        found = run.run(wave(C), wave(A))
        assert run.begun == ["c", "a", "b"]
        assert found == Ended(tuple(map(ended, (job(C), job(A), job(B)))))
        assert (run.pauses, run.told) == ([], [])
        both = InWaves()
        both.run(wave(C, B))
        assert both.begun == ["b", "c", "a"]

    def test_is_that_of_the_users_where_no_waves_are_wanted(self) -> None:
        run = InWaves()
        run.outcome = refused
        run.run(wave(C), limit=StopSettings(0), in_waves=False)
        assert run.begun == ["a", "b", "c"]

    def test_without_accounts_is_one_of_users(self) -> None:
        run = InWaves(*(job(A, name) for name in "wxyz"), accounts=False)
        run.outcome = refused
        first, *others = run.run(WaveSettings(percent=25), limit=StopSettings(0)).results
        assert len(run.begun) == 1
        assert first.outcome is Outcome.REFUSED
        why = "wave 1 of 2, more of its users failed or were refused than stop_after allows (0 of 1; so far 1)"
        assert sorted(one.user.name for one in others) == sorted(set("wxyz") - {first.user.name})
        assert {one.message for one in others} == {f"This user was not begun: after {why}. {AGAIN}"}


class TestALimit:
    def test_holds_without_waves_as_well(self) -> None:
        run = InWaves()
        run.outcome = refused
        run.run(limit=StopSettings(0))
        assert run.begun == ["a"]

    def test_may_be_a_share_of_the_users_of_the_wave(self) -> None:
        run = InWaves(*(job(A, name) for name in "wxyz"), job(B))
        run.outcome = refused
        run.run(wave(A), limit=StopSettings(percent=50))
        assert run.begun == ["w", "x", "y"]

    def test_lets_no_further_user_of_the_wave_and_no_later_account_begin(self) -> None:
        missing = no_result("nobody", "There is no IAM user nobody.")
        users = (job(A, "x"), job(A, "y"), job(A, "z"), job(B), job(C), job(C, "d"))
        run = InWaves(*users, failed=(missing,))
        run.outcome = refused
        found = run.run(wave(A), wave(B), limit=StopSettings(1))
        assert run.begun == ["x", "y"]
        why = "wave 1 of 3, more of its users failed or were refused than stop_after allows (1 of 3; so far 2)"
        z = not_begun(users[2], why)
        assert found.results == (
            refused(users[0]),
            refused(users[1]),
            z,
            left_out(B, why),
            left_out(C, why, "2 users"),
            missing,
        )

    def test_is_reached_without_one_where_no_user_of_the_wave_ended_well(self) -> None:
        why = "wave 1 of 2, none of its users ended well"
        broken = account_failed(A, Failed("It is closed."))
        for run in (InWaves(), InWaves(job(B), job(C), failed=(broken,))):
            run.outcome = refused
            found = run.run(wave(A, status=True), limit=StopSettings(5))
            assert run.begun == (["a"] if len(run.jobs) == 3 else [])
            assert found.results[-2 - len(run.failed) :][:2] == (left_out(B, why), left_out(C, why))

    def test_counts_the_users_of_one_wave_only_and_none_that_ended_well(self) -> None:
        run = InWaves(job(A), job(A, "x"), job(B), job(C))
        run.outcome = lambda one: ended(one, Outcome.ROTATED if one.user.name == "x" else Outcome.FAILED)
        run.run(wave(A), wave(B), limit=StopSettings(1))
        assert run.begun == ["a", "x", "b", "c"]

    def test_counts_an_account_that_was_not_reached_as_a_user_of_its_wave(self) -> None:
        broken = left_out(B, "nothing")
        others = (no_result("x", "There is no IAM user x."),)
        run = InWaves(job(A), job(C), failed=(broken, *others))
        found = run.run(wave(A), wave(B), limit=StopSettings(0))
        assert run.begun == ["a"]
        why = "wave 2 of 3, more of its users failed or were refused than stop_after allows (0 of 0; so far 1)"
        assert found.results == (ended(job(A)), not_begun(job(C), why), broken, *others)

    def test_does_not_count_a_user_that_was_not_found(self) -> None:
        run = InWaves(failed=(no_result("x", "There is no IAM user x."),))
        run.run(wave(A), limit=StopSettings(0))
        assert run.begun == ["a", "b", "c"]


class TestAnInterruption:
    def interrupt(self, one: Job) -> Result:
        raise KeyboardInterrupt("SIGTERM")

    def test_of_a_wave_begins_no_other_and_asks_nothing(self) -> None:
        run = InWaves()
        run.outcome = self.interrupt
        found = run.run(wave(A, pause=timedelta(hours=1)), wave(B))
        assert (run.begun, run.pauses, str(found.interrupted)) == (["a"], [], "SIGTERM")
        assert found.results == tuple(map(stopped, (job(A), job(B), job(C))))

    def test_of_a_pause_does_the_same(self) -> None:
        run = InWaves()
        run.on_pause = lambda: self.interrupt(job(A))
        missing = no_result("x", "There is no IAM user x.")
        run.failed = (missing,)
        found = run.run(wave(A, pause=timedelta(hours=1)))
        assert (run.begun, run.stop.is_set(), str(found.interrupted)) == (["a"], True, "SIGTERM")
        assert found.results == (ended(job(A)), *map(stopped, (job(B), job(C))), missing)

    def test_from_elsewhere_during_a_pause_ends_it(self) -> None:
        run = InWaves()
        run.on_pause = run.stop.set
        found = run.run(wave(A, pause=timedelta(hours=1)))
        assert (run.begun, len(run.pauses), found.interrupted) == (["a"], 1, None)
        why = "wave 1 of 2, the run was stopped"
        assert found.results[1:] == (left_out(B, why), left_out(C, why))


class TestAPause:
    @pytest.mark.parametrize(
        ("hours", "pause", "waited"),
        [
            ((0, 0), timedelta(seconds=90), 90),
            ((0, 0), timedelta(seconds=1), 1),
            ((3, 1), timedelta(hours=2), 3600),
            ((30, 25), timedelta(hours=26), 3600),
            ((24, 24), timedelta(hours=2), 0),
            ((50, 49), timedelta(hours=26), 0),
            ((3, 2), timedelta(0), 0),
        ],
    )
    def test_counts_from_the_latest_commit_of_the_wave(
        self, hours: tuple[int, int], pause: timedelta, waited: float
    ) -> None:
        run = InWaves(job(A, "x"), job(A, "y"), job(B))
        ages = dict(zip("xy", hours, strict=True))
        run.outcome = lambda one: ended(one, committed=NOW - timedelta(hours=ages.get(one.user.name, 0)))
        run.run(wave(A, pause=pause))
        assert sum(run.pauses) == waited
        assert 0 not in run.pauses
        assert [text[:24] for text in run.told] == ["The next wave begins in "] * bool(waited)
        assert run.begun[:2] == ["x", "y"]
        assert run.begun[2:] == ["b"]

    @pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.REFUSED])
    def test_is_none_after_a_wave_in_which_nothing_was_committed(self, outcome: Outcome) -> None:
        run = InWaves()
        run.outcome = lambda one: ended(one, outcome)
        run.run(wave(A, pause=timedelta(hours=1)))
        assert (run.begun, run.pauses) == (["a", "b", "c"], [])

    def test_is_none_before_a_wave_without_users(self) -> None:
        run = InWaves(job(A))
        run.run(wave(A, pause=timedelta(hours=1)), wave(B))
        assert run.pauses == []

    def test_is_none_after_a_wave_without_users_and_the_next_begins(self) -> None:
        run = InWaves(job(A))
        run.run(wave(B, status=True, pause=timedelta(hours=1)))
        assert (run.begun, run.pauses) == (["a"], [])

    def test_is_none_once_the_limit_is_reached(self) -> None:
        run = InWaves(job(A), job(A, "x"), job(B))
        run.outcome = lambda one: ended(one, Outcome.FAILED if one.user.name == "x" else Outcome.ROTATED)
        run.run(wave(A, pause=timedelta(hours=1)), limit=StopSettings(0))
        assert (run.begun, run.pauses) == (["a", "x"], [])


class TestAProgram:
    def program(self, folder: Path, status: int) -> Hook:
        file = folder / "check"
        file.write_text(f'#!/bin/sh\ncat > {folder}/told\necho "$TWOKEY_HOOK" > {folder}/hook\nexit {status}\n')
        file.chmod(0o755)
        return Hook((str(file),), 30.0)

    def test_is_told_how_the_wave_ended(self, tmp_path: Path) -> None:
        run = InWaves(job(A), job(A, "x"), job(A, "y"), job(B))
        run.outcome = lambda one: ended(one, Outcome.FAILED if one.user.name == "x" else Outcome.ROTATED)
        run.run(wave(A, check=self.program(tmp_path, 0)))
        assert (run.begun, run.told) == (["a", "x", "y", "b"], [])
        assert json.loads((tmp_path / "told").read_text()) == {
            "version": 1,
            "hook": "check",
            "wave": 1,
            "waves": 2,
            "accounts": [A.id],
            "summary": {"rotated": 2, "failed": 1},
        }
        assert (tmp_path / "hook").read_text() == "check\n"

    @pytest.mark.parametrize(("age", "asked"), [(timedelta(hours=24), False), (timedelta(hours=23), True)])
    def test_is_not_asked_about_a_wave_of_an_earlier_day(self, tmp_path: Path, age: timedelta, asked: bool) -> None:
        run = InWaves()
        run.outcome = lambda one: ended(one, committed=NOW - age)
        run.run(wave(A, check=self.program(tmp_path, 0)))
        assert (tmp_path / "told").exists() == asked

    def test_that_fails_ends_the_run_or_is_a_warning(self, tmp_path: Path) -> None:
        check = self.program(tmp_path, 7)
        run = InWaves()
        [_, second, _] = run.run(wave(A, check=check)).results
        assert run.begun == ["a"]
        assert "after wave 1 of 2, the check of the wave failed: " in second.message
        assert ".. " not in second.message
        run = InWaves()
        run.run(wave(A, check=replace(check, on_error="warn")))
        [warning] = run.told
        assert (run.begun, warning[:43]) == (
            ["a", "b", "c"],
            "Warning: the check of wave 1 of 2 failed: "[:43] + warning[42],
        )


class TestWhatStatusFinds:
    def test_of_the_users_that_ended_well_ends_the_run(self) -> None:
        run, looked = InWaves(job(A), job(A, "x"), job(B)), list[str]()

        def world(one: Job, _own_key: str, _listener: object, *, wait: bool) -> Any:
            looked.append(one.user.name)
            raise DENIED

        run.runtime.world = world
        run.outcome = lambda one: ended(one, Outcome.FAILED if one.user.name == "x" else Outcome.ROTATED)
        *_, left = run.run(wave(A, status=True)).results
        assert (run.begun, looked) == (["a", "x"], ["ci"])
        assert f"after wave 1 of 2, twokey status finds {A.id}/ci (unreadable). " in left.message

    def entry(self, account: str, *findings: str) -> Any:
        return SimpleNamespace(account=account, user="ci", findings=list(findings))

    @pytest.mark.parametrize("looks", [1, 2])
    def test_is_looked_up_no_further_once_the_run_ends(self, looks: int) -> None:
        run, looked = InWaves(job(A, "x"), job(A, "y"), job(A, "z"), job(B), job(C)), list[str]()

        def world(one: Job, _own_key: str, _listener: object, *, wait: bool) -> Any:
            looked.append(one.user.name)
            if len(looked) == 1 < looks:
                raise DENIED
            run.stop.set()
            raise DENIED if looks == 1 else KeyboardInterrupt("SIGTERM")

        run.runtime.world = world
        found = run.run(wave(A, status=True))
        assert run.begun == ["x", "y", "z"]
        assert len(looked) == looks
        assert found.results[:3] == tuple(map(ended, run.jobs[:3]))
        assert (found.interrupted is None) == (looks == 1)
        if found.interrupted:
            assert found.results[3:] == tuple(map(stopped, run.jobs[3:]))

    def test_is_named_unless_an_earlier_run_is_its_cause(self) -> None:
        assert waves.unwell([self.entry("1"), self.entry("2", "window_broken", "window_breaks")]) == ""
        unreadable = Result(job(A).user, Outcome.FAILED, Reason.ERROR, "It cannot be read.")
        found = waves.unwell([self.entry("1", "contested", "window_broken"), unreadable])
        assert found == f"twokey status finds 1/ci (contested), {A.id}/ci (unreadable)"

    @pytest.mark.parametrize(("count", "more"), [(waves.MOST_NAMES, ""), (waves.MOST_NAMES + 2, " and 2 more")])
    def test_is_named_of_a_few_users(self, count: int, more: str) -> None:
        entries = [self.entry(str(number), "contested") for number in range(count)]
        shown = ", ".join(f"{number}/ci (contested)" for number in range(waves.MOST_NAMES))
        assert waves.unwell(entries) == f"twokey status finds {shown}{more}"


def test_the_first_reason_to_stop_is_the_one_that_is_told() -> None:
    tally = waves.Tally(1, 2, 3, StopSettings(0))
    tally.stop("the first")
    tally.count_bad(2)
    tally.stop("the last")
    assert (tally.bad, tally.stopped, tally.name) == (2, "the first", "wave 1 of 2")


def test_without_a_limit_nothing_stops_a_wave() -> None:
    tally = waves.Tally(1, 1, 1, None)
    tally.count(refused(job(A)))
    tally.count("no result")
    assert (tally.bad, tally.stopped) == (1, "")


def test_a_program_is_told_of_results_alone() -> None:
    told = json.loads(bytes(waves.message(waves.Tally(1, 1, 1, None), ["no result", ended(job(A))])))
    assert (told["accounts"], told["summary"]) == ([A.id], {"rotated": 1})


def test_a_user_without_a_next_rotation_shows_no_commit() -> None:
    assert waves.committed(job(A), replace(ended(job(A)), next_due=None)) is None
    assert waves.committed(job(A), "no result") is None


def test_an_account_without_a_name_is_told_by_its_id() -> None:
    one, other = (job_of(UserKey(account.id, "ci")) for account in (A, B))
    found = waves.accounts_not_begun([one, other], waves.Tally(1, 2, 1, None))
    assert [result.message.partition(", with")[0] for result in found] == [f"The account {A.id}", f"The account {B.id}"]
