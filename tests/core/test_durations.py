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


@given(st.integers(0, 3_650 * 86_400))
def test_what_is_shown_is_read_again_and_never_longer(seconds: int) -> None:
    shown = durations.parse(durations.show(timedelta(seconds=seconds)))

    assert shown <= timedelta(seconds=seconds)
    assert timedelta(seconds=seconds) - shown < timedelta(days=1)
