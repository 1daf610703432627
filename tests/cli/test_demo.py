"""The demo is the first thing that a newcomer sees: it must hold what it says."""

from __future__ import annotations

import sys
import tempfile
from typing import TYPE_CHECKING

import pytest

from support import forked
from support.canaries import Canaries, leaks, suspicious
from support.commands import twokey

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.first
def test_the_demo_shows_the_whole_cycle_and_every_statement_holds_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = Canaries()
    issued.issue(monkeypatch)
    monkeypatch.setattr(sys, "executable", str(forked.programs() / "interpreter"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    done = twokey("demo")
    assert done.code == 0, done.out + done.err
    assert len(issued.secrets) > 6
    assert leaks(done.out + done.err, issued.secrets) == []
    assert suspicious(done.out + done.err) == []
    assert "FAILED" not in done.out
    assert done.out.count("  ok  ") >= 11
    for part in ("ci-new", "killed with SIGKILL", "interrupted", "in_use", "Summary"):
        assert part in done.out
    assert "with twokey rehearse;" in " ".join(done.out.split())
    assert "Traceback" not in done.err
    assert list(tmp_path.iterdir()) == []
