"""Moments are shown in UTC, with whole seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from twokey.core import timestamps

ONE = datetime(2026, 12, 5, 1, 0, 0, 999_999, UTC)


def test_a_moment_of_another_time_zone_is_shown_in_utc() -> None:
    there = ONE.astimezone(timezone(timedelta(hours=2)))
    assert timestamps.utc(there) == timestamps.utc(ONE) == "2026-12-05T01:00:00Z"


def test_a_moment_without_a_time_zone_is_in_utc_and_another_stays() -> None:
    there = ONE.astimezone(timezone(timedelta(hours=2)))
    assert timestamps.zoned(ONE.replace(tzinfo=None)) == ONE
    assert timestamps.zoned(there).utcoffset() == timedelta(hours=2)
