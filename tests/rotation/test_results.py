"""The exit status of a whole run."""

from __future__ import annotations

import pytest

from simulation.world import USER
from twokey.core.errors import ExitCode
from twokey.core.reasons import Outcome, Reason
from twokey.rotation.results import Result, exit_code


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ((), ExitCode.DONE),
        ((Outcome.ROTATED, Outcome.NOT_DUE), ExitCode.DONE),
        ((Outcome.ROTATED, Outcome.REFUSED), ExitCode.REFUSED),
        ((Outcome.REFUSED, Outcome.FAILED), ExitCode.FAILED),
    ],
)
def test_failed_beats_refused_and_refused_beats_done(outcomes: tuple[Outcome, ...], code: ExitCode) -> None:
    assert exit_code(Result(USER, outcome, Reason.ERROR, "") for outcome in outcomes) is code
