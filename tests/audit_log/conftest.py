"""The log of a whole life, once for all tests that doctor it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from audit_log.doctor import Log
from audit_log.life import Life, LoggedRig, live
from audit_log.simulated import logged
from simulation.play import play
from twokey.emulator import Emulator

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    """Return a whole life, with its log."""
    file = tmp_path_factory.mktemp("life") / "audit.log"
    with Emulator() as aws, pytest.MonkeyPatch.context() as patch:
        for name, value in aws.environment().items():
            patch.setenv(name, value)
        rig = LoggedRig(aws, file)
        return Life(live(rig), file, rig.stored())


@pytest.fixture
def log(life: Life, tmp_path: Path) -> Log:
    """Return a log without violations."""
    return Log(tmp_path / "audit.log", life.log.read_bytes().splitlines(keepends=True))


@pytest.fixture
def restored(tmp_path: Path) -> Log:
    """Return the log of a run that finds a store from a backup; the orphaned key of that store becomes LAST."""
    file = tmp_path / "restored.log"
    with pytest.MonkeyPatch.context() as patch, logged(file, patch):
        play("store from a backup", 3, {})
    return Log(file, file.read_bytes().splitlines(keepends=True))
