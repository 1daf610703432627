"""``--fail-on``: a finding that is severe enough decides the exit code."""

from __future__ import annotations

import pytest

from twokey.cli.fail_on import exit_code
from twokey.core.errors import ExitCode


@pytest.mark.parametrize("complete", [True, False])
def test_a_finding_of_this_severity_or_worse_decides_whether_all_could_be_read_or_not(complete: bool) -> None:
    assert exit_code(["low", "high"], "high", complete=complete) == ExitCode.FOUND
    assert exit_code(["critical"], "high", complete=complete) == ExitCode.FOUND


@pytest.mark.parametrize("fail_on", ["high", None])
def test_milder_findings_and_any_without_the_option_do_not(fail_on: str | None) -> None:
    assert exit_code(["low", "medium"], fail_on) == ExitCode.DONE  # type: ignore[arg-type]
    assert exit_code(["low", "medium"], fail_on, complete=False) == ExitCode.FAILED  # type: ignore[arg-type]
