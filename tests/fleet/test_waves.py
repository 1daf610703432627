"""Waves: a few accounts first, a check between, and nothing begun once too many users failed."""

from __future__ import annotations

import json
import signal
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.commands import twokey
from support.fleets import ROLE, Fleet
from twokey.aws.clock import ServiceClock
from twokey.config.wave_settings import StopSettings, WaveSettings
from twokey.core.accounts import Account, AccountChoice
from twokey.fleet import waves

if TYPE_CHECKING:
    from pathlib import Path

    from support.commands import Ran
    from support.rig import Rig

ACCOUNTS = {f"{number}" * 12: name for number, name in enumerate(("canary", "one", "two", "three"), 2)}
CANARY = next(iter(ACCOUNTS))
WAVES = "waves: [{accounts: [canary]%s}, {percent: 100}]\n"


@pytest.fixture
def fleet(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    monkeypatch.chdir(tmp_path)
    made = Fleet(rig.aws, tmp_path)
    for account in ACCOUNTS:
        made.role(account)
        made.user(account, "ci")
    return made


def configure(fleet: Fleet, more: str) -> None:
    listed = ", ".join(f'{{id: "{account}", name: {name}, role: {ROLE}}}' for account, name in ACCOUNTS.items())
    fleet.configure(f"{{list: [{listed}]}}", more=more)


def created(fleet: Fleet) -> list[str]:
    """Return the accounts in which a key was created, in that order."""
    asked = [one for one in fleet.aws.requests if one.operation == "CreateAccessKey"]
    return list(dict.fromkeys(ACCOUNTS[str(one.account)] for one in asked))


def outcomes(ran: Ran) -> dict[tuple[str, str], tuple[str, str]]:
    return {(ACCOUNTS[one["account"]], one["user"]): (one["outcome"], one["reason"]) for one in ran.document["results"]}


class TestOrder:
    accounts = [Account(f"{number:012d}", f"a{number}") for number in range(40)]

    def parts(self, *percents: int, accounts: list[Account] | None = None) -> list[set[str]]:
        known = self.accounts if accounts is None else accounts
        ids = [one.id for one in known]
        found = waves.divide(ids, [WaveSettings(percent=one) for one in percents], known)
        return [{ids[index] for index in part} for part in found]

    def test_percentages_include_earlier_waves_and_leave_the_others_for_the_end(self) -> None:
        first, second, last = self.parts(10, 50)
        assert [len(first), len(second), len(last)] == [4, 16, 20]
        assert self.parts(50)[0] == first | second
        assert self.parts(10, accounts=self.accounts[::-1])[0] == first

    def test_accounts_that_are_named_come_in_their_wave_and_in_no_other(self) -> None:
        ids = [one.id for one in self.accounts]
        named = WaveSettings(accounts=(AccountChoice(name="a7"),))
        parts = waves.divide(ids, [named, WaveSettings(percent=100)], self.accounts)
        assert [len(part) for part in parts] == [1, 39, 0]

    def test_percentages_are_of_all_accounts_in_an_order_that_is_not_that_of_their_ids(self) -> None:
        ids = [one.id for one in self.accounts]
        assert self.parts(10)[0] != set(sorted(ids)[:4])
        _, (late,) = self.parts(97)
        assert waves.divide([late], [WaveSettings(percent=97)], self.accounts) == [[], [0]]
        many = [Account(f"{number:012d}") for number in range(200)]
        assert len(self.parts(100, accounts=many)[0]) == 200

    def test_one_percent_of_few_is_one(self) -> None:
        assert len(self.parts(1, accounts=self.accounts[:3])[0]) == 1


@pytest.mark.parametrize(
    ("limit", "bad", "users", "allowed"),
    [
        (StopSettings(5), 5, 6, True),
        (StopSettings(5), 6, 600, False),
        (StopSettings(percent=10), 1, 10, True),
        (StopSettings(percent=10), 2, 19, False),
        (StopSettings(0), 1, 1, False),
    ],
)
def test_a_limit_is_a_number_or_a_share(limit: StopSettings, bad: int, users: int, *, allowed: bool) -> None:
    assert limit.allows(bad, users) is allowed


class TestRotate:
    def test_begins_with_the_canary_and_goes_on_with_all_others(self, fleet: Fleet) -> None:
        configure(fleet, WAVES % "" + "stop_after: {failed: 0}\n")
        ran = twokey("rotate", "--json")
        assert ran.code == 0, ran.out
        assert created(fleet)[0] == "canary"
        assert len(created(fleet)) == 4

    def test_begins_no_account_after_a_wave_with_too_many_failures_and_continues_later(self, fleet: Fleet) -> None:
        fleet.user(CANARY, "broken", store=None)
        configure(fleet, WAVES % "" + "stop_after: {failed: 0}\n")
        ran = twokey("rotate", "--json")
        assert ran.code == 3
        found = outcomes(ran)
        assert found["canary", "broken"] == ("refused", "cannot_attribute")
        assert {found[name, ""] for name in ("one", "two", "three")} == {("refused", "wave_stopped")}
        assert set(created(fleet)) <= {"canary"}
        messages = [one["message"] for one in ran.document["results"] if not one["user"]]
        assert all("was not begun: after wave 1 of 3" in one and "0 of 2; so far 1" in one for one in messages)
        configure(fleet, WAVES % "" + 'stop_after: {failed: "50 %"}\n')
        again = outcomes(twokey("rotate", "--json"))
        assert {again[name, "ci"][0] for name in ("one", "two", "three")} == {"rotated"}

    def test_stops_where_an_account_of_the_wave_cannot_be_reached(self, fleet: Fleet) -> None:
        fleet.aws.weather.disabled_regions = {f"{CANARY}/eu-central-1"}
        configure(fleet, WAVES % "" + "stop_after: {failed: 0}\n")
        found = outcomes(twokey("rotate", "--json"))
        assert found["canary", ""] == ("failed", "error")
        assert found["one", ""] == ("refused", "wave_stopped")
        assert created(fleet) == []

    def test_begins_nothing_where_a_wave_has_none_of_the_accounts(self, fleet: Fleet) -> None:
        configure(fleet, WAVES.replace("canary", "canery") % "")
        ran = twokey("rotate")
        assert ran.code == 2
        assert "twokey.yaml line 4: this wave has no account: none is chosen by canery." in ran.err
        assert not created(fleet)
        warned = twokey("plan")
        assert warned.code == 0
        assert "none of the accounts is chosen by canery" in warned.err

    def test_stops_within_a_wave_that_is_the_whole_run(self, fleet: Fleet) -> None:
        for number in range(3):
            fleet.user(CANARY, f"broken-{number}", store=None)
        configure(fleet, "stop_after: {failed: 1}\nconcurrency: 1\n")
        found = outcomes(twokey("rotate", "--account", "canary", "--json"))
        reasons = [reason for _, reason in found.values()]
        assert reasons.count("cannot_attribute") == 2
        assert "wave_stopped" in reasons


class TestBetween:
    def test_a_program_decides_and_is_told_how_the_wave_ended(self, fleet: Fleet, tmp_path: Path) -> None:
        program = tmp_path / "check"
        program.write_text(f"#!/bin/sh\ncat > {tmp_path}/told\nexit 1\n")
        program.chmod(0o755)
        configure(fleet, WAVES % f", check: {{run: [{program}]}}")
        found = outcomes(twokey("rotate", "--json"))
        assert found["canary", "ci"] == ("rotated", "due")
        assert found["two", ""] == ("refused", "wave_stopped")
        told = json.loads((tmp_path / "told").read_text())
        assert told["accounts"] == [CANARY]
        assert told["summary"] == {"rotated": 1}
        # The next run finds the canary rotated, and asks again before it goes on.
        program.write_text("#!/bin/sh\nexit 0\n")
        found = outcomes(twokey("rotate", "--json"))
        assert found["canary", "ci"] == ("not_due", "not_due")
        assert found["two", "ci"] == ("rotated", "due")

    def test_status_must_find_nothing_wrong(self, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
        # The rotation is right; then another program puts LAST back into the store.
        def restore(*_: Any) -> None:
            current = fleet.secrets(CANARY).get_secret_value(SecretId="machine-users/ci", VersionStage="AWSPREVIOUS")
            fleet.secrets(CANARY).put_secret_value(SecretId="machine-users/ci", SecretString=current["SecretString"])

        monkeypatch.setattr(waves, "wait", restore)
        configure(fleet, WAVES % "")
        ran = twokey("rotate", "--json")
        assert outcomes(ran)["one", ""] == ("refused", "wave_stopped")
        assert f"twokey status finds {CANARY}/ci (" in ran.out
        assert created(fleet) == ["canary"]

    def test_the_pause_counts_from_the_latest_commit(self) -> None:
        told: list[str] = []
        slept: list[float] = []
        now = datetime(2026, 11, 29, 12, tzinfo=UTC)
        clock = ServiceClock(wall=now.timestamp, monotonic=lambda: 0.0, sleep=slept.append)
        stop: Any = type("Stop", (), {"is_set": lambda _self: False})()
        waves.wait(timedelta(minutes=10), now - timedelta(minutes=9), clock, stop, told.append)
        assert sum(slept) == 60
        assert told == ["The next wave begins in 1m."]
        waves.wait(timedelta(minutes=10), now - timedelta(minutes=11), clock, stop, told.append)
        assert sum(slept) == 60

    def test_ctrl_c_in_the_pause_begins_no_wave_and_the_next_run_continues(
        self, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slept: list[float] = []

        def sleep(_clock: ServiceClock, seconds: float) -> None:
            if threading.current_thread() is not threading.main_thread():
                return  # a user's rotation
            slept.append(seconds)
            if len(slept) == 1:
                signal.raise_signal(signal.SIGINT)

        configure(fleet, WAVES % ", pause: 1h")
        monkeypatch.setattr(ServiceClock, "sleep", sleep)
        ran = twokey("rotate", "--json")
        assert ran.code == 130
        assert ran.err.index("The next wave begins in ") < ran.err.index("Interrupted. Completed changes remain")
        others = dict.fromkeys(("one", "two", "three"), ("failed", "stopped"))
        assert {account: found for (account, _), found in outcomes(ran).items()} == {
            "canary": ("rotated", "due"),
            **others,
        }
        assert created(fleet) == ["canary"]
        # The next run waits for what is left of the pause, once, and goes on with the second wave.
        ran = twokey("rotate", "--json")
        assert ran.code == 0, ran.out
        assert len(slept) > 3000
        found = {account: outcome for (account, _), (outcome, _) in outcomes(ran).items()}
        assert found == {"canary": "not_due", **dict.fromkeys(others, "rotated")}

    def test_an_old_wave_is_not_checked_again(
        self, fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        configure(fleet, "")
        twokey("rotate")
        configure(fleet, WAVES % f", check: {{run: [{tmp_path}/missing]}}")
        assert "was not begun" in twokey("rotate").out
        monkeypatch.setattr(waves, "committed", lambda *_: datetime.now(UTC) - timedelta(days=1, minutes=1))
        assert {reason for _, reason in outcomes(twokey("rotate", "--json")).values()} == {"not_due"}


def test_without_accounts_waves_are_of_users(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(4):
        rig.aws.make_user(f"broken-{number}")
    (tmp_path / "twokey.yaml").write_text(
        "version: 1\nwaves: [{percent: 25}]\nstop_after: {failed: 0}\n"
        "machine_users: [{path: /machine-users/, store: 'secretsmanager:machine-users/{user}'}]\n"
    )
    results = twokey("rotate", "--json").document["results"]
    assert sorted(one["reason"] for one in results) == ["cannot_attribute", *["wave_stopped"] * 3]
    assert all(one["user"] for one in results)
