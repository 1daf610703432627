"""The checker against the simulation: every fault at every effect leaves a log without violations.

And if a rule of the engine is broken, the log reveals it. The checker shares no code with the engine.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import simulation.play
from audit_log.simulated import logged
from simulation.play import Found, play
from simulation.runners import schedule
from simulation.states import PIPELINES, STATES, THROTTLED, initial
from simulation.test_simulation import BROKEN
from simulation.world import DESTINATION_FAULTS, FAULTS, MORE_FAULTS, Pointless
from twokey.audit_log.verification import Report, verify

if TYPE_CHECKING:
    from pathlib import Path

    from simulation.world import World
    from twokey.planning.policy import RotationPolicy

SEEN = {rule: broken for rule, broken in BROKEN.items() if rule != "the creation is repeated after a lost response"}
"""A repetition below IAM's interface is seen by CloudTrail, not by the log: one effect, two requests."""


def logged_play(file: Path, name: str, destinations: int, faults: dict[int, str]) -> tuple[World | None, Report]:
    """Play a history with a log; return the world, None if an invariant was violated, and the report on the log."""
    with pytest.MonkeyPatch.context() as patch, logged(file, patch):
        try:
            world = play(name, destinations, faults)
        except Found:
            return None, verify(file)
    return world, verify(file)


@pytest.mark.parametrize("name", STATES)
def test_no_fault_makes_the_checker_accuse(name: str, tmp_path: Path) -> None:
    for destinations in (1, 3):
        world, report = logged_play(tmp_path / "log", name, destinations, {})
        assert (report.findings, report.elsewhere) == ((), ())
        assert world
        for number in range(world.effects):
            for fault in FAULTS:
                report = logged_play(tmp_path / "log", name, destinations, {number: fault})[1]
                assert (report.findings, report.elsewhere) == ((), ()), (number, fault)


@pytest.mark.parametrize("name", PIPELINES)
def test_no_fault_among_pipelines_makes_the_checker_accuse(name: str, tmp_path: Path) -> None:
    world, report = logged_play(tmp_path / "log", name, 5, {})
    assert (report.findings, report.elsewhere) == ((), ())
    assert world
    for number in range(world.effects):
        for fault in DESTINATION_FAULTS:
            try:
                report = logged_play(tmp_path / "log", name, 5, {number: fault})[1]
            except Pointless:
                continue
            assert (report.findings, report.elsewhere) == ((), ()), (number, fault)


def test_a_journal_that_is_written_while_a_delivery_waits_is_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def waiting(name: str, destinations: int) -> tuple[World, RotationPolicy]:
        world, policy = initial(name, destinations)
        world.waits = {"second": 200.0, "third": 200.0}
        return world, policy

    monkeypatch.setattr(simulation.play, "initial", waiting)
    world, report = logged_play(tmp_path / "log", "two keys", 3, {})
    assert world
    assert (report.findings, report.interrupted) == ((), ())
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    effects = [line.get("effect") for line in lines if line["what"] in ("begin", "done")]
    assert ["deliver", "journal", None, None] in [effects[at : at + 4] for at in range(len(effects))]
    for number in range(world.effects):
        for fault in FAULTS:
            report = logged_play(tmp_path / "log", "two keys", 3, {number: fault})[1]
            assert (report.findings, report.elsewhere) == ((), ()), (number, fault)


def test_an_intent_that_is_written_again_while_a_creation_waits_is_in_order(tmp_path: Path) -> None:
    """IAM throttles the creation for longer than the first intent allows."""
    name = f"two keys{THROTTLED}"
    world, report = logged_play(tmp_path / "log", name, 2, {})
    assert world
    assert report.findings == ()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    effects = [line.get("effect") for line in lines if line["what"] in ("begin", "done")]
    assert ["create", "journal", None, None] in [effects[at : at + 4] for at in range(len(effects))]
    for number in range(world.effects):
        for fault in MORE_FAULTS:
            report = logged_play(tmp_path / "log", name, 2, {number: fault})[1]
            assert (report.findings, report.elsewhere) == ((), ()), (number, fault)


def test_no_schedule_of_two_or_three_runners_makes_the_checker_accuse(tmp_path: Path) -> None:
    file = tmp_path / "log"
    for seed in range(100):
        with pytest.MonkeyPatch.context() as patch, logged(file, patch):
            schedule(list(STATES)[seed % len(STATES)], 1 + seed % 3, 2 + seed % 2, seed)
        report = verify(file)
        assert (report.findings, report.elsewhere) == ((), ()), seed


@pytest.mark.parametrize("rule", SEEN)
def test_a_broken_rule_shows_in_the_log(rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SEEN[rule](monkeypatch)
    for destinations in (1, 2, 3):
        for faults in ({}, *({number: fault} for number in range(10) for fault in FAULTS)):
            for name in STATES:
                _, report = logged_play(tmp_path / "log", name, destinations, faults)
                if any(one.rule.startswith("I") for one in report.findings):
                    return
    pytest.fail("the log reveals nothing although the rule is broken")
