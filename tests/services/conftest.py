"""Commands against AWS and five services, in a folder of their own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from services.company import Company
from twokey.aws.clock import ServiceClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.rig import Rig

LONGEST_PAUSE = 0.01


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pauses before a request is repeated pass at once."""
    monkeypatch.setattr(ServiceClock, "sleep", lambda _, seconds: time.sleep(min(seconds, LONGEST_PAUSE)))


@pytest.fixture
def company(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    """A company with twenty pipelines."""
    monkeypatch.chdir(tmp_path)
    with Company(rig, tmp_path, monkeypatch) as made:
        yield made
