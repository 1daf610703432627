"""The demo is the first thing that a newcomer sees: it must hold what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from secrecy.processes import ISSUED, Tree
from support.canaries import leaks, suspicious
from twokey.emulator import Emulator

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.first
def test_the_demo_shows_the_whole_cycle_and_every_statement_holds_and_no_secret(tmp_path: Path) -> None:
    with Emulator() as aws:
        tree = Tree(tmp_path / "tree", aws, (ISSUED,))
        done = tree.run("demo")
    assert done.code == 0, done.out + done.err
    issued = [line.rpartition(" ")[2] for line in tree.notes("secret")]
    assert len(issued) > 6
    assert leaks(done.out + done.err, issued) == []
    assert suspicious(done.out + done.err) == []
    assert "FAILED" not in done.out
    assert done.out.count("  ok  ") >= 11
    for part in ("ci-new", "killed with SIGKILL", "interrupted", "in_use", "Summary"):
        assert part in done.out
    assert "Traceback" not in done.err
    assert tree.files() == {}
