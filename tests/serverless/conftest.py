"""A fleet whose keys the function rotates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.engines import Engine

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig


@pytest.fixture
def engine(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Return a fleet without accounts."""
    return Engine(rig.aws, tmp_path, monkeypatch.setenv)
