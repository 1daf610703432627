"""The jobs of a rehearsal: what is worked out is what counting them one by one gives."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twokey.core.errors import UsageError
from twokey.rehearsal import options
from twokey.rehearsal.jobs import Holding, Jobs
from twokey.rehearsal.options import JobKind

HOUR = 3_600.0


def one_by_one(jobs: Jobs, every: float, held: Holding, end: float) -> list[float]:
    """Return when each job starts that reads the key of a holding."""
    starts = (every / 2 + number * every for number in range(int(end / every) + 2))
    return [start for start in starts if held.since <= start < min(held.until, end)]


@given(
    every=st.integers(1, 30),
    length=st.integers(1, 90),
    since=st.integers(0, 60),
    lasts=st.integers(0, 60),
    ended=st.integers(0, 200),
    now=st.integers(0, 200),
)
def test_jobs_are_those_that_one_counts_one_by_one(
    *, every: int, length: int, since: int, lasts: int, ended: int, now: int
) -> None:
    jobs = Jobs(JobKind(timedelta(seconds=length), timedelta(seconds=every)))
    held, end = Holding("K", since, since + lasts), 150.0
    starts = one_by_one(jobs, every, held, end)
    assert jobs.started([held], end) == len(starts)
    uses = [use for start in starts for use in (start, start + length) if start <= now and use <= now]
    assert jobs.last_use("K", [held], min(now, end)) == max((use for use in uses if use <= min(now, end)), default=None)
    failed = [start for start in starts if ended <= start + length]
    [*found] = jobs.failed([held], {"K": float(ended)}, end)
    expected = failed if ended <= end else []
    assert [one.count for one in found] == ([len(expected)] if expected else [])
    assert [one.started for one in found] == expected[:1]


def test_a_job_is_named_as_the_option_names_it() -> None:
    for text in ("6h", "8h/1d", "1d12h/2d"):
        assert options.job(text).name == text
    assert options.job("6h/1h").name == "6h"


@pytest.mark.parametrize("text", ["", "0h", "30s", "6", "6h/", "6h/0s", "/1d", "6h/1d/1d"])
def test_what_is_no_job_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--job"):
        options.job(text)
