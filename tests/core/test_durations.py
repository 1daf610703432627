"""Durations as the configuration writes them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twokey.core import durations
from twokey.core.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30d", 30 * 86_400),
        ("12h", 43_200),
        ("90s", 90),
        ("5m", 300),
        ("2w", 14 * 86_400),
        ("1d12h", 129_600),
        ("1d 12h", 129_600),
        (" 90s ", 90),
        ("0.5s", 0.5),
        ("0s", 0),
        ("3650d", 3_650 * 86_400),
    ],
)
def test_reads_what_people_write(text: str, seconds: float) -> None:
    assert durations.parse(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", " ", "30", "d", "-1d", "3 0d", "P30D", "1d\n2x", "٣d", "1d-2h", "1..5d", "1e3s", "30 days", "∞d"]
)
def test_refuses_what_is_no_duration(text: str) -> None:
    with pytest.raises(UsageError, match=r"is not a duration. Write it like 30d"):
        durations.parse(text)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("1M", "Write the days: 30d. A minute is m: 1m."),
        ("3M", "Write the days: 90d. A minute is m: 3m."),
        ("1mo", "Write the days: 30d."),
        ("2 months", "Write the days: 60d."),
        ("1y", "Write the days: 365d."),
        ("1Y", "Write the days: 365d."),
        ("2 years", "Write the days: 730d."),
        ("0.5y", "Write the days: 182.5d."),
    ],
)
def test_refuses_months_and_years_with_the_days_to_write(text: str, remedy: str) -> None:
    with pytest.raises(UsageError, match=r"is not a duration. Months and years differ in length.") as refused:
        durations.parse(text)
    assert refused.value.remedy.endswith(remedy)


@pytest.mark.parametrize(("text", "lower"), [("30D", "30d"), ("12H", "12h"), (" 90S ", "90s"), ("1d12H", "1d12h")])
def test_units_are_case_sensitive(text: str, lower: str) -> None:
    with pytest.raises(UsageError, match=r"is not a duration") as refused:
        durations.parse(text)
    assert refused.value.remedy == f"Units are lowercase: {lower}."


def test_a_mixture_with_a_month_is_no_sum_of_minutes() -> None:
    with pytest.raises(UsageError, match="is not a duration"):
        durations.parse("1M2d")


@pytest.mark.parametrize("text", ["9" * 400 + "d", "1" * 20 + "s"])
def test_refuses_more_than_any_number_holds(text: str) -> None:
    with pytest.raises(UsageError, match="more than ten years"):
        durations.parse(text)


def test_names_what_it_reads() -> None:
    with pytest.raises(UsageError, match=r"^--grace: 'soon' is not a duration"):
        durations.parse("soon", "--grace")


def test_refuses_more_than_ten_years() -> None:
    with pytest.raises(UsageError, match="more than ten years"):
        durations.parse("3651d")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (0.5, "0.5s"),
        (45, "45s"),
        (59.9, "59.9s"),
        (60, "1m"),
        (61, "1m 1s"),
        (3_600, "1h"),
        (14 * 86_400 + 9 * 3_600 + 59, "14d 9h"),
        (86_400 + 60, "1d"),
        (-90, "-1m 30s"),
    ],
)
def test_shows_the_two_largest_units(seconds: float, shown: str) -> None:
    assert durations.show(timedelta(seconds=seconds)) == shown


ANY = st.timedeltas(timedelta(0), durations.LONGEST)


@given(ANY)
def test_what_is_shown_is_never_longer_than_it_is_and_loses_less_than_one_of_the_smaller_unit(
    duration: timedelta,
) -> None:
    shown = durations.parse(durations.show(duration))

    assert shown <= duration
    assert duration - shown < max(timedelta(seconds=0.1), min(duration / 24, timedelta(hours=1)))


@given(ANY)
def test_what_is_left_is_never_shown_shorter_than_it_is(duration: timedelta) -> None:
    shown = durations.parse(durations.left(duration))

    assert shown >= duration
    assert shown - duration < max(timedelta(seconds=0.1), min(duration / 24, timedelta(hours=1)))


@given(ANY)
def test_what_is_shown_exactly_is_read_again_as_the_same(duration: timedelta) -> None:
    assert durations.parse(durations.exact(duration)) == duration


@pytest.mark.parametrize(
    ("seconds", "shown", "left", "exact"),
    [
        (14 * 86_400 + 8 * 3_600 + 59 * 60, "14d 8h", "14d 9h", "14d 8h 59m"),
        (14 * 86_400 + 23 * 3_600 + 1, "14d 23h", "15d", "14d 23h 1s"),
        (86_400, "1d", "1d", "1d"),
        (86_399, "23h 59m", "1d", "23h 59m 59s"),
        (119.5, "1m 59s", "2m", "1m 59.5s"),
        (59.96, "59.9s", "1m", "59.96s"),
        (0.02, "0s", "0.1s", "0.02s"),
        (-90, "-1m 30s", "-1m 30s", "-1m 30s"),
    ],
)
def test_the_last_unit_is_rounded_down_for_an_age_and_up_for_a_wait(
    seconds: float, shown: str, left: str, exact: str
) -> None:
    duration = timedelta(seconds=seconds)

    assert (durations.show(duration), durations.left(duration), durations.exact(duration)) == (shown, left, exact)
