"""The rules, and what they refuse to be."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twokey.core import durations
from twokey.core.errors import UsageError
from twokey.planning.policy import DAY, RotationPolicy, Verification, upwards, wide_enough

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def test_defaults_follow_from_a_window_of_thirty_days() -> None:
    policy = RotationPolicy()

    assert policy.period == 15 * DAY
    assert policy.slack == 15 * HOUR
    assert policy.grace == 15 * DAY - 15 * HOUR
    assert policy.idle == 1 * DAY
    assert policy.soak == timedelta(0)


def test_what_is_asked_for_wins() -> None:
    policy = RotationPolicy(window=20 * DAY, requested_grace=2 * DAY, requested_idle=timedelta(0))

    assert policy.grace == 2 * DAY
    assert policy.idle == timedelta(0)


def test_a_grace_that_leaves_no_room_is_refused_with_a_way_on() -> None:
    with pytest.raises(UsageError, match=r"^grace: 15d is longer than .* \(14d 9h\)") as refused:
        RotationPolicy(requested_grace=15 * DAY)

    assert "at most 14d 9h, or the window to at least 32d" in refused.value.remedy


@given(st.integers(1, 3_000))
def test_the_longest_grace_is_the_period_less_its_slack(days: int) -> None:
    window = days * DAY
    longest = RotationPolicy(window=window).grace

    assert RotationPolicy(window=window, requested_grace=longest).grace == longest
    with pytest.raises(UsageError):
        RotationPolicy(window=window, requested_grace=longest + SECOND)


@given(st.integers(1, 1_500))
def test_the_window_that_the_refusal_names_is_long_enough(days: int) -> None:
    grace = days * DAY

    assert RotationPolicy(window=grace * 48 / 23 + SECOND, requested_grace=grace).grace == grace


def test_a_soak_longer_than_the_period_less_its_slack_is_refused() -> None:
    assert RotationPolicy(window=2 * DAY, soak=23 * HOUR).soak == 23 * HOUR
    with pytest.raises(UsageError, match=r"^soak: 1d is longer than the period less its slack \(23h\)"):
        RotationPolicy(window=2 * DAY, soak=DAY)


def test_a_soak_takes_its_time_from_the_default_grace() -> None:
    assert RotationPolicy(window=2 * DAY, soak=3 * HOUR).grace == 20 * HOUR
    assert RotationPolicy(window=2 * DAY, soak=3 * HOUR, requested_grace=23 * HOUR).grace == 23 * HOUR


def test_a_whole_cycle_fits_into_seconds_but_not_into_less_than_its_verification() -> None:
    assert RotationPolicy(window=2 * SECOND).period == SECOND
    with pytest.raises(UsageError, match=r"^window: 1s is too short\. .* at least 2s"):
        RotationPolicy(window=SECOND)
    slow = Verification(successes=3, interval=10 * SECOND)
    with pytest.raises(UsageError, match="at least 40s"):
        RotationPolicy(window=39 * SECOND, verification=slow)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"successes": 0}, "verify.successes: at least one"),
        ({"interval": -SECOND}, "verify.interval: it cannot be negative"),
        ({"timeout": SECOND}, "verify.timeout: 1s is too short for 3 successes 0.5s apart"),
        ({"timeout": timedelta(0), "successes": 1}, "verify.timeout: 0s is too short"),
    ],
)
def test_a_verification_that_proves_nothing_or_never_ends_is_refused(
    asked: dict[str, int | timedelta], sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        Verification(**asked)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"successes": 0}, "verify.successes: at least one success is needed."),
        ({"interval": -SECOND}, "verify.interval: it cannot be negative."),
    ],
)
def test_a_verification_that_proves_nothing_is_refused(rules: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        Verification(**rules)  # type: ignore[arg-type]
    assert str(refused.value) == message


def test_the_shortest_verification_has_one_second_more_than_it_can_succeed_in_and_finishes_a_row() -> None:
    rules = Verification(successes=3, interval=10 * SECOND, regions=("eu-central-1",))
    assert rules.shortest == Verification(3, 10 * SECOND, 21 * SECOND, ("eu-central-1",), finishes=True)


def test_rounds_of_a_verification_may_follow_at_once() -> None:
    assert Verification(interval=timedelta(0)).least == timedelta(0)


def test_what_is_too_long_says_how_to_fix_it() -> None:
    with pytest.raises(UsageError) as soak:
        RotationPolicy(soak=15 * DAY)
    assert soak.value.remedy == "Set it to at most 14d 9h, or the window to at least 32d."
    with pytest.raises(UsageError) as grace:
        RotationPolicy(requested_grace=23 * DAY)
    assert grace.value.remedy == "Set it to at most 14d 9h, or the window to at least 48d."


@pytest.mark.parametrize(
    ("duration", "shown"),
    [
        (2 * DAY, "2d"),
        (2 * DAY - HOUR, "47h"),
        (2 * DAY + SECOND, "3d"),
        (2 * HOUR, "2h"),
        (2 * HOUR - SECOND, "120m"),
        (timedelta(minutes=5), "5m"),
        (timedelta(minutes=2), "2m"),
        (timedelta(minutes=2) - SECOND, "119s"),
        (2 * SECOND, "2s"),
        (timedelta(seconds=1.99), "2s"),
        (timedelta(seconds=1.41), "1.5s"),
        (timedelta(seconds=1.39), "1.4s"),
        (timedelta(seconds=0.01), "0.1s"),
    ],
)
def test_a_duration_is_rounded_up_to_whole_units_as_the_operator_would_write_it(
    duration: timedelta, shown: str
) -> None:
    assert upwards(duration) == durations.parse(shown)


def test_no_window_is_named_that_is_longer_than_any_may_be() -> None:
    longest = durations.LONGEST * 23 / 48
    assert wide_enough(longest) == f", or the window to at least {durations.exact(durations.LONGEST)}"
    assert not wide_enough(longest + SECOND)


def test_a_soak_leaves_the_room_that_an_explicit_grace_needs() -> None:
    with pytest.raises(UsageError) as soak:
        RotationPolicy(soak=15 * DAY, requested_grace=DAY)
    assert soak.value.remedy == "Set it to at most 13d 9h, or the window to at least 34d."
