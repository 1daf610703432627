"""Rules that each are fine and together are not: refused, with the arithmetic, and with values that are accepted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twokey.config import arithmetic
from twokey.config.load import from_flags, load
from twokey.core import durations
from twokey.core.errors import UsageError
from twokey.planning.policy import DAY, RotationPolicy, Verification

STORE = "secretsmanager:machine-users/{user}"


def written(**rules: str) -> str:
    """Return the refusal of these rules, written into a file."""
    lines = "".join(f"{key}: {value}\n" for key, value in rules.items())
    file = Path("twokey.yaml")
    file.write_text(f"version: 1\n{lines}machine_users:\n  - path: a\n    store: {STORE}\n")
    try:
        load(file)
    except UsageError as error:
        return str(error)
    return ""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("rules", "sentence", "remedy"),
    [
        (
            {"idle": "20d"},
            "idle: 20d is longer than the period (15d, half of the window of 30d)",
            "Set idle to at most 15d, or the window to at least 40d.",
        ),
        (
            {"window": "10d", "idle": "5d1h"},
            "idle: 5d 1h is longer than the period (5d, half of the window of 10d)",
            "or the window to at least 10d 2h.",
        ),
        (
            {"grace": "13d", "soak": "2d"},
            "grace: 13d, and then a soak of 2d, make 15d: longer than the period less its slack (14d 9h).",
            "Set grace to at most 12d 9h, shorten the soak, or set a window of at least 32d.",
        ),
        (
            {"verify": "{timeout: 4m}"},
            "verify.timeout: 4m is longer than a lease (3m)",
            "Set it to at most 3m.",
        ),
        (
            {"schedule": "7d"},
            "with a run every 7d, a rotation that is due after 14d 9h comes after 21d, and a key lives for 42d: longer",
            "Run every 5d, or set a window of at least 42d.",
        ),
        (
            {"schedule": "30d"},
            "comes after 30d, and a key lives for 60d: longer than the window of 30d.",
            "Run every 15d, or set a window of at least 60d.",
        ),
    ],
)
def test_is_refused_with_line_arithmetic_and_remedy(rules: dict[str, str], sentence: str, remedy: str) -> None:
    refused = written(**rules)
    assert refused.startswith("twokey.yaml line ")
    assert sentence in refused
    assert remedy in refused


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"idle": "15d"},
        {"grace": "12d", "soak": "2d"},
        {"verify": "{timeout: 3m}"},
        *({"schedule": schedule} for schedule in ("1h", "12h", "1d", "3d", "5d", "15d")),
        {"window": "42d", "schedule": "7d"},
        {"window": "6s", "idle": "3s"},
    ],
)
def test_what_fits_is_accepted(rules: dict[str, str]) -> None:
    assert written(**rules) == ""


@pytest.mark.parametrize("flags", [{"idle": "20d"}, {"grace": "13d", "soak": "2d"}])
def test_the_flags_are_held_against_each_other_too(flags: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="longer than the period"):
        from_flags(store=STORE, path="a", **flags)


@pytest.mark.parametrize("value", ["0s", "1M", "daily"])
def test_a_schedule_is_a_time_between_two_runs(value: str) -> None:
    assert written(schedule=value).startswith("twokey.yaml line 2: `schedule`: ")


@given(st.integers(1, 90), st.integers(1, 2_400))
def test_the_schedule_that_the_refusal_names_keeps_the_window(days: int, hours: int) -> None:
    policy, schedule = RotationPolicy(window=days * DAY), hours * DAY / 24
    try:
        arithmetic.check(policy, schedule)
    except UsageError as error:
        named = re.search(r"Run every ([\dwdhms .]+), or set a window of at least ([\dwdhms .]+)\.$", error.remedy)
        assert named
        arithmetic.check(policy, durations.parse(named[1]))
        arithmetic.check(RotationPolicy(window=durations.parse(named[2])), schedule)


@given(st.integers(1, 60), st.integers(0, 60))
def test_the_values_that_a_refusal_names_are_accepted(grace: int, soak: int) -> None:
    try:
        arithmetic.check(RotationPolicy(requested_grace=grace * DAY, soak=soak * DAY))
    except UsageError as error:
        window = re.search(r"a window of at least ([\dwdhms .]+)\.$", error.remedy)
        if window and "and then a soak" in error.message:
            longer = RotationPolicy(window=durations.parse(window[1]), requested_grace=grace * DAY, soak=soak * DAY)
            arithmetic.check(longer)


def test_a_lease_is_long_enough_for_the_default_verification() -> None:
    arithmetic.check(RotationPolicy(verification=Verification()))
