"""Whether a window is broken, or is going to be however soon the next run comes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from support.commands import twokey
from support.rig import DAY as SECONDS
from support.rig import Rig
from twokey.core.model import AccessKey
from twokey.emulator import Rule
from twokey.planning import windows
from twokey.planning.policy import DAY, RotationPolicy

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
POLICY = RotationPolicy()
STORE = "secretsmanager:machine-users/{user}"


def keys(last: float, current: float, *, active: bool = True) -> tuple[AccessKey, ...]:
    """Return LAST and CURRENT, so many days old."""
    return (AccessKey("LAST", active, NOW - last * DAY), AccessKey("CURRENT", True, NOW - current * DAY))


def due(committed: float) -> datetime:
    """Return when a rotation is due, so many days after the commit of the latest."""
    return NOW - committed * DAY + POLICY.period - POLICY.slack


def warned(last: float, current: float, schedule: timedelta | None = None, *, active: bool = True) -> list[str]:
    found = keys(last, current, active=active)
    return [
        line.split(": ")[1].split()[0]
        for line in windows.about_to_break(found, "CURRENT", due(current), POLICY, NOW, schedule)
    ]


def test_a_key_older_than_the_window_breaks_it() -> None:
    (line,) = windows.broken(keys(30.5, 15.5), POLICY, NOW)
    assert line == "The window is broken: LAST is 30d 12h old, and no key may be older than 30d."
    assert not list(windows.broken(keys(30, 15), POLICY, NOW))
    assert not list(windows.broken(keys(40, 15, active=False), POLICY, NOW))


@pytest.mark.parametrize("schedule", [None, timedelta(hours=1), DAY, 3 * DAY, 5 * DAY, 15 * DAY])
@pytest.mark.parametrize("age", [0, 1, 7, 14, 14.9])
def test_rotations_in_time_never_warn(schedule: timedelta | None, age: float) -> None:
    assert warned(15 + age, age, schedule) == []


def test_last_that_reaches_the_window_before_a_rotation_is_due_warns() -> None:
    assert warned(25, 5) == ["LAST"]  # the rotation five days ago was five days late
    assert warned(25, 5, active=False) == []
    assert warned(20, 5) == []


def test_the_next_scheduled_run_may_come_too_late_although_a_rotation_is_due_before() -> None:
    """Every 14 days: the run at 14 days is nine hours too early, and the next comes at 28."""
    assert warned(28, 13) == []
    assert warned(28, 13, 14 * DAY) == ["LAST", "CURRENT"]


def test_current_that_will_break_it_as_last_warns() -> None:
    assert warned(30, 16) == ["CURRENT"]
    assert warned(30, 15.5) == []


def test_a_key_exactly_as_old_as_the_window_does_not_break_it_yet_and_is_going_to() -> None:
    assert warned(30, 13, 14 * DAY) == ["LAST", "CURRENT"]
    assert not list(windows.broken(keys(30, 13), POLICY, NOW))


def test_without_a_key_there_is_nothing_to_say() -> None:
    assert not list(windows.about_to_break((), "", None, POLICY, NOW))


class TestCommands:
    def test_status_and_plan_name_a_broken_window(self, rig: Rig) -> None:
        last, _ = rig.settled()
        for command in ("status", "plan"):
            ran = twokey(command, "ci", "--store", STORE)
            assert ran.code == 0
            assert f"The window is broken: {last.access_key_id} is 31d old" in ran.out + ran.err

    def test_plan_and_status_warn_of_one_that_will_be(self, rig: Rig) -> None:
        last, current = rig.aws.make_user("ci", path="/machine-users/", keys=2, ages=(25 * SECONDS, 5 * SECONDS))
        rig.fill(current)
        for command in ("status", "plan"):
            ran = twokey(command, "ci", "--store", STORE)
            assert ran.code == 0
            assert f"The window will be broken: {last.access_key_id} reaches 30d at " in ran.out + ran.err

    def test_status_fails_where_a_destination_cannot_be_read_as_its_page_says(self, rig: Rig) -> None:
        rig.settled()
        command = ("status", "ci", "--store", STORE, "--to", "ssm:/{user}")
        assert twokey(*command).code == 0
        rig.aws.weather.add(Rule("ssm:*", times=None, effect="error_before", status=400, code="AccessDeniedException"))
        ran = twokey(*command, "--json")
        (entry,) = ran.document["users"]
        assert [state["outcome"] for state in entry["destinations"]] == ["held", "unreachable"]
        assert (ran.code, entry["readable"]) == (1, True)
        assert twokey(*command, "--quiet").code == 1
