"""The tutorial does what it says, from the first command to the last."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from docs import consoles

if TYPE_CHECKING:
    from pathlib import Path

PAGE = consoles.ROOT / "docs" / "tutorial" / "first-rotation.md"
KILLED = {
    "twokey rotate deploy --force -v 2> steps.log & run=$!; "
    "until grep -qs 'create done' steps.log; do sleep 0.1; done; kill -9 $run": "create done"
}


@pytest.mark.first
def test_every_command_prints_what_is_shown(tmp_path: Path) -> None:
    """The tutorial's commands, in order, in one shell, with an emulator of their own."""
    consoles.check(PAGE, tmp_path, {}, timeout=600, stopped=KILLED)
