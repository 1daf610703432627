"""The log of a move to another store: no fault makes the checker accuse, and a broken rule of the move shows."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from audit_log.simulated import logged_moves
from simulation import moving
from simulation.judge import Violation
from simulation.world import FAULTS
from twokey.audit_log.verification import Report, verify
from twokey.moving.move import _Move
from twokey.rotation.leased_journal import LeasedJournal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from twokey.core.journal import Journal

EFFECTS = 7
PIPELINE = moving.before(due=True, conditional=True, pipeline=True)


def report_on(file: Path, faults: dict[int, str], between: str = "") -> Report:
    """Play a move until it is done, and the rotations after it; return the report on its log."""
    with pytest.MonkeyPatch.context() as patch, logged_moves(file, patch):
        try:
            moving.play(PIPELINE, faults, between=between)
        except Violation:
            return verify(file)
    return verify(file)


@pytest.mark.parametrize("between", ["", moving.FORMER])
def test_no_fault_makes_the_checker_accuse(tmp_path: Path, between: str) -> None:
    """``between``: a configuration that names the former store rotates after an interrupted move."""
    for number, fault in itertools.product(range(EFFECTS), FAULTS):
        report = report_on(tmp_path / "log", {number: fault}, between)
        assert (report.findings, report.elsewhere) == ((), ()), (number, fault)
        assert report.effects > EFFECTS


def left_out(*names: str) -> Callable[[pytest.MonkeyPatch], None]:
    """Let the copy of the journal lack what it has under these names."""

    def broken(patch: pytest.MonkeyPatch) -> None:
        whole = _Move._copied

        def copied(self: _Move, look: Any, journal: Journal) -> dict[str, Any]:
            fields = {one.name: one for one in msgspec.structs.fields(journal)}
            return whole(self, look, journal) | {name: fields[name].default for name in names if name in fields}

        patch.setattr(_Move, "_copied", copied)

    return broken


def forgets_the_deliveries(patch: pytest.MonkeyPatch) -> None:
    whole = _Move._copied
    patch.setattr(_Move, "_copied", lambda *given: whole(*given) | {"delivered": {}})


def forgets_the_graces(patch: pytest.MonkeyPatch) -> None:
    whole = _Move._copied
    patch.setattr(_Move, "_copied", lambda *given: whole(*given) | {"graces": {}})


def arrives_before_the_switch(patch: pytest.MonkeyPatch) -> None:
    write = LeasedJournal.write

    def early(self: LeasedJournal, **changes: Any) -> None:
        write(self, **(changes | {"arriving": ""} if "moved" in changes else changes))

    patch.setattr(LeasedJournal, "write", early)


def writes_the_pair_without_a_record(patch: pytest.MonkeyPatch) -> None:
    write = LeasedJournal.write
    patch.setattr(
        LeasedJournal,
        "write",
        lambda self, **changes: write(
            self, **{name: one for name, one in changes.items() if list(changes) != ["delivered"]}
        ),
    )


def does_not_prove_the_key(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_Move, "_prove", lambda *_given: None)


@pytest.mark.parametrize(
    ("broken", "rules"),
    [
        (left_out("last"), {"I3"}),
        (left_out("committed"), {"I2"}),
        (forgets_the_graces, {"I2"}),
        (forgets_the_deliveries, {"I3"}),
        (arrives_before_the_switch, {"lease"}),
        (writes_the_pair_without_a_record, {"order"}),
        (does_not_prove_the_key, {"I1"}),
    ],
)
def test_a_broken_rule_of_the_move_shows_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: Callable[[pytest.MonkeyPatch], None], rules: set[str]
) -> None:
    broken(monkeypatch)
    found = {one.rule for one in report_on(tmp_path / "log", {}).findings}
    assert rules <= found, found
