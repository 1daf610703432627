"""A fleet whose keys the function rotates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.engines import Engine
from twokey.rotation import lease, rotate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.rig import Rig


@pytest.fixture
def engine(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """A fleet without accounts. What its functions do to this process when they die is undone at the end."""
    before = lease.take, rotate._give_back
    yield Engine(rig.aws, tmp_path, monkeypatch.setenv)
    assert (lease.take, rotate._give_back) == before
