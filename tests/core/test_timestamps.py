"""Moments are shown in UTC, with whole seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from twokey.core import timestamps

ONE = datetime(2026, 12, 5, 1, 0, 0, 999_999, UTC)


def test_a_moment_of_another_time_zone_is_shown_in_utc() -> None:
    there = ONE.astimezone(timezone(timedelta(hours=2)))
    assert timestamps.utc(there) == timestamps.utc(ONE) == "2026-12-05T01:00:00Z"


def test_the_compact_form_is_in_utc_and_is_read_as_the_same_moment() -> None:
    there = ONE.astimezone(timezone(timedelta(hours=2)))
    assert timestamps.compact(there) == "20261205T010000Z"
    assert timestamps.of_compact("20261205T010000Z") == ONE.replace(microsecond=0)


@pytest.mark.parametrize("text", ["", "2026125T10000Z", "20261305T010000Z", "20261205T010000", "2026-12-05T01:00:00Z"])
def test_what_is_not_in_the_compact_form_is_no_moment(text: str) -> None:
    assert timestamps.of_compact(text) is None


def test_the_next_second_is_the_first_whole_one_that_is_not_before_a_moment() -> None:
    whole = datetime(2026, 12, 5, 1, 0, 1, 0, UTC)
    assert timestamps.next_second(ONE) == timestamps.next_second(whole) == whole


def test_a_moment_without_a_time_zone_is_in_utc_and_another_stays() -> None:
    there = ONE.astimezone(timezone(timedelta(hours=2)))
    assert timestamps.zoned(ONE.replace(tzinfo=None)) == ONE
    assert timestamps.zoned(there).utcoffset() == timedelta(hours=2)
