"""The demo is the first thing that a newcomer sees: it must hold what it says."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def test_the_demo_shows_the_whole_cycle_and_every_statement_holds(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "twokey", "demo"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NOT SO" not in done.stdout
    assert done.stdout.count("  ok  ") >= 11
    for part in ("ci-new", "killed with SIGKILL", "interrupted", "in_use", "Summary"):
        assert part in done.stdout
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
