"""What ``make`` prints without a target can be read in a terminal, and has every target that a developer may need."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
TARGETS = re.compile(r"^([a-z-]+):", re.MULTILINE)
LEFT_OUT = {"quick-tests"}
"""Parts of other targets."""


def test_each_line_fits_into_80_columns_and_every_target_has_one() -> None:
    shown = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    lines = shown.splitlines()
    assert [line for line in lines if len(line) > 80] == []
    targets = {*TARGETS.findall((ROOT / "Makefile").read_text(encoding="utf-8"))} - LEFT_OUT
    assert {line.split()[0] for line in lines} == targets
