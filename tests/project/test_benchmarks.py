"""The arithmetic of the benchmarks and their table. Nothing is timed here."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import __main__ as benchmarks
from benchmarks import audit, calls, children, figures, limit, lint, origin, revoke
from benchmarks.cloud import RecordedRequest
from benchmarks.figures import Figure, at_least, at_most

if TYPE_CHECKING:
    from benchmarks.environments import Environment

START = datetime(2026, 11, 20, tzinfo=UTC)


def seen(seconds: float, *, throttled: bool = False) -> RecordedRequest:
    return RecordedRequest(
        "iam:ListAccessKeys", START + timedelta(seconds=seconds), 400 if throttled else 200, throttled
    )


def test_a_ratio_compares_medians_so_that_one_slow_run_changes_nothing() -> None:
    assert figures.ratio_of_medians([3.0, 99.0, 3.0], [2.0, 2.0, 50.0]) == 1.5


def test_a_ratio_to_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="zero"):
        figures.ratio_of_medians([1.0], [0.0])


@pytest.mark.parametrize(("total", "parts", "share"), [(50, 10, 5.0), (11, 2, 5.5)])
def test_a_total_is_shared_out(total: float, parts: int, share: float) -> None:
    assert figures.per(total, parts) == share


def test_a_share_of_no_parts_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        figures.per(5, 0)


def test_the_time_until_all_are_inactive_ends_with_the_last_key_and_not_with_what_follows() -> None:
    contained = [RecordedRequest(revoke.CONTAINMENT, START + timedelta(seconds=n), 200, False) for n in range(1, 201)]
    requests = [seen(0), *contained, seen(300), RecordedRequest(revoke.CONTAINMENT, START, 400, True)]
    assert revoke.until_all_inactive(requests) == 200
    with pytest.raises(children.MeasurementFailed):
        revoke.until_all_inactive(requests[:-3])


def test_the_burst_does_not_count_as_rate() -> None:
    assert figures.share_of_rate(let_through=240, burst=40, seconds=10, rate=20) == 1.0
    assert figures.share_of_rate(let_through=220, burst=40, seconds=10, rate=20) == 0.9
    with pytest.raises(ValueError, match="time"):
        figures.share_of_rate(1, 0, 0, 20)


def test_a_throttled_run_is_counted_from_its_first_request_to_its_last() -> None:
    requests = [seen(1), seen(2), seen(2, throttled=True), seen(11)]

    found = limit.outcome(requests, wall=12.5)

    assert found == limit.Outcome(let_through=3, throttled=1, seconds=10.0, wall=12.5)


def test_a_run_that_never_asked_iam_is_no_measurement() -> None:
    with pytest.raises(children.MeasurementFailed):
        limit.outcome([], wall=1.0)


def test_requests_of_a_path_are_told_apart_from_those_of_a_user() -> None:
    counted = Counter({"iam:ListUsers": 1, "iam:SimulatePrincipalPolicy": 1, "iam:ListAccessKeys": 4})

    due, not_due, shared = calls._figures("by path", 2, counted, Counter({"iam:ListAccessKeys": 2}))

    assert (due.value, due.against) == (2.0, "4 ListAccessKeys")
    assert not_due.value == 1.0
    assert (shared.value, shared.against) == (2, "1 ListUsers, 1 SimulatePrincipalPolicy")


def test_only_what_grows_with_each_user_is_scaled() -> None:
    cost = children.Cost(wall=3.0, cpu=1.0, requests=750, memory=50)

    assert audit.scaled(cost) == children.Cost(wall=60.0, cpu=1.0, requests=15_000, memory=50)


def test_a_tool_that_finds_other_users_is_not_compared() -> None:
    faulty = {f"machine-{number:04d}" for number in range(10)}

    audit._same("Custodian", {"TK701": faulty | {"admin"}}, {"TK701": sorted(faulty)})
    with pytest.raises(children.MeasurementFailed, match="TK701: twokey found 10 users, Prowler 9; 10 are there"):
        audit._same("Prowler", {"TK701": faulty}, {"TK701": sorted(faulty)[1:]})


@pytest.mark.parametrize(
    ("value", "goal", "met"),
    [
        (1.5, at_most(1.5), True),
        (1.51, at_most(1.5), False),
        (0.9, at_least(0.9), True),
        (0.89, at_least(0.9), False),
        (None, at_most(1), False),
        (7.0, None, None),
    ],
)
def test_a_goal_is_met_or_not(value: float | None, goal: figures.Goal | None, met: bool | None) -> None:
    assert Figure("a", value, "b", goal).met is met


@pytest.mark.parametrize(
    ("value", "text"), [(5.0, "5"), (1.0789, "1.08"), (0.93412, "0.934"), (24.61, "24.6"), (9123.4, "9,123")]
)
def test_numbers_show_the_digits_that_mean_something(value: float, text: str) -> None:
    assert figures.number(value) == text


def test_the_table_says_what_is_compared_with_what() -> None:
    table = figures.table(
        [
            ("startup", [Figure("--help", 1.1, "an empty program", at_most(1.5)), Figure("more", 2.0, "x")]),
            ("limit", [Figure("share", 0.5, "20/s", at_least(0.9)), Figure("lost", None, "no emulator", at_most(1))]),
        ]
    )

    assert [re.split(r"  +", line) for line in table.splitlines()[:1] + table.splitlines()[2:]] == [
        ["benchmark", "figure", "value", "compared with", "goal", "met"],
        ["startup", "--help", "1.10", "an empty program", "at most 1.50", "yes"],
        ["", "more", "2", "x"],
        ["limit", "share", "0.500", "20/s", "at least 0.900", "NO"],
        ["", "lost", "not measured", "no emulator", "at most 1", "NO"],
    ]


def test_json_carries_the_same_figures() -> None:
    document = json.loads(figures.document([("limit", [Figure("share", 0.95, "20/s", at_least(0.9))])]))

    assert document["machine"]["cores"] >= 1
    assert document["figures"] == [
        {
            "benchmark": "limit",
            "name": "share",
            "value": 0.95,
            "against": "20/s",
            "goal": {"limit": 0.9, "at_least": True},
            "met": True,
        }
    ]


def test_contenders_run_in_turn() -> None:
    order: list[str] = []

    def contender(name: str) -> children.Cost:
        order.append(name)
        return children.Cost(1.0, 0.5)

    costs = children.alternate(2, lambda: contender("ours"), lambda: contender("theirs"))

    assert order == ["ours", "theirs", "ours", "theirs"]
    assert [children.walls(one) for one in costs] == [[1.0, 1.0], [1.0, 1.0]]
    assert children.medians(costs[0]) == "1.0 s wall, 500 ms CPU"


def test_a_program_that_fails_is_no_measurement() -> None:
    with pytest.raises(children.MeasurementFailed, match="exit code 3: broken"):
        children.measure([sys.executable, "-c", "import sys; sys.stderr.write('broken'); sys.exit(3)"])


def test_the_memory_of_a_program_is_its_own_however_large_the_process_that_measures_it() -> None:
    held = b"x" * (200 << 20)
    assert children.measure([sys.executable, "-IS", "-c", "pass"]).memory < len(held) / 2


def test_a_measured_program_is_led_to_no_real_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")

    environment = children.clean_environment({"AWS_REGION": "eu-central-1"})

    assert {name for name in environment if name.startswith("AWS_")} == {"AWS_REGION"}


def test_what_cannot_be_measured_is_said_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_runs: int) -> list[Figure]:
        raise children.MeasurementFailed("the emulator did not start")

    monkeypatch.setattr(limit, "run", fail)
    monkeypatch.setattr(calls, "run", lambda _runs: [Figure("requests", 5.0, "x", at_most(5))])

    code = benchmarks.main(["limit", "calls"])

    assert code == 1
    shown = capsys.readouterr().out
    assert "not measured  the emulator did not start" in shown
    assert re.search(r"requests +5 +x +at most 5 +yes", shown)


def test_an_unknown_benchmark_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        benchmarks.main(["speed"])
    assert "startup, calls, many, accounts, limit" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("environment", "package"),
    [
        (origin.ENVIRONMENT, "iam-credential-rotation==0.2.2"),
        (lint.CUSTODIAN, "c7n=="),
        (audit.PROWLER, "prowler=="),
    ],
)
def test_a_tool_that_is_compared_with_is_locked_by_hashes_and_names_no_registry(
    environment: Environment, package: str
) -> None:
    locked = environment.requirements.read_text()

    assert package in locked
    assert locked.count("==") <= locked.count("--hash=sha256:")
    assert "://" not in locked
