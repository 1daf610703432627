"""Rules that each are fine and together are not: refused, with the arithmetic, and with values that are accepted."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
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
            "or the window to at least 11d.",
        ),
        (
            {"grace": "13d", "soak": "2d"},
            "grace: 13d, and then a soak of 2d, make 15d: longer than the period less its slack (14d 9h).",
            "Set grace to at most 12d 9h, or the window to at least 32d, or shorten the soak.",
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


TIMES = st.timedeltas(timedelta(0), 60 * DAY) | st.timedeltas(timedelta(0), timedelta(minutes=5))
"""Rules in days, and in the seconds of a rehearsal."""
LIMIT = re.compile(
    r"(?:(grace|soak|idle|it) to at (?:most|least)|the (window) to at least|a (window) of at least|Run (every)) "
)
VALUE = re.compile(r"(?:[0-9.]+[dhms] ?)+(?<!\.)")


def suggested(error: UsageError) -> dict[str, str]:
    """Return the values that a refusal names, each by the rule that it is for, as the operator types them."""
    found = {}
    for match in LIMIT.finditer(error.remedy):
        value = VALUE.match(error.remedy, match.end())
        assert value, error.remedy
        rule = next(filter(None, match.groups())).replace("every", "schedule")
        found[error.message.partition(":")[0] if rule == "it" else rule] = value[0].strip().rstrip(".")
    return found


def refusal_of(rules: dict[str, timedelta]) -> UsageError | None:
    own = {"window": rules.get("window", 30 * DAY), "soak": rules.get("soak", timedelta(0))}
    own |= {f"requested_{name}": rules[name] for name in ("grace", "idle") if name in rules}
    try:
        arithmetic.check(RotationPolicy(**own), rules.get("schedule"))  # type: ignore[arg-type]
    except UsageError as error:
        return error
    return None


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from(["window", "grace", "soak", "idle", "schedule"]), TIMES))
def test_every_value_that_a_refusal_names_ends_that_refusal_as_it_is_typed(rules: dict[str, timedelta]) -> None:
    rules = {name: value for name, value in rules.items() if value or name not in ("window", "schedule")}
    error = refusal_of(rules)
    if error is None:
        return
    rule = error.message.partition(":")[0]
    values = suggested(error)
    assert values
    for name, typed in values.items():
        then = refusal_of({**rules, name: durations.parse(typed)})
        assert then is None or not then.message.startswith(f"{rule}:"), (str(error), name, typed, str(then))


@settings(max_examples=300)
@given(st.sampled_from(["window", "grace", "soak", "idle", "schedule"]), TIMES.filter(bool))
def test_every_value_that_a_refusal_of_one_rule_names_is_accepted(name: str, value: timedelta) -> None:
    error = refusal_of({name: value})
    for rule, typed in suggested(error).items() if error else ():
        assert refusal_of({name: value, rule: durations.parse(typed)}) is None, (str(error), rule, typed)


def test_no_window_is_suggested_that_would_be_refused_as_too_long() -> None:
    error = refusal_of({"grace": 3_000 * DAY})
    assert error
    assert suggested(error) == {"grace": "14d 9h"}


def test_a_lease_is_long_enough_for_the_default_verification() -> None:
    arithmetic.check(RotationPolicy(verification=Verification()))
