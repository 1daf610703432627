"""Every emulator issues canaries here, and every logger logs at DEBUG."""

from __future__ import annotations

import logging
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest

from secrecy.outcomes import OF_THE_STAGE
from support.canaries import Canaries, leaks, suspicious
from support.commands import Ran
from twokey.cli.main import cli, guarded

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def canaries(monkeypatch: pytest.MonkeyPatch) -> Canaries:
    """Recognizable secrets, in every emulator of the test."""
    issued = Canaries()
    issued.issue(monkeypatch)
    return issued


@pytest.fixture
def log() -> Iterator[list[str]]:
    """Everything that any logger logs at DEBUG, with all members of its records."""
    logged: list[str] = []
    handler = _Listener(logged)
    root = logging.getLogger()
    before = {logger: logger.level for logger in _with_a_level_of_their_own(root)}
    disabled = root.manager.disable
    logging.disable(logging.NOTSET)
    for logger in before:
        logger.setLevel(logging.DEBUG)
    root.addHandler(handler)
    try:
        yield logged
    finally:
        root.removeHandler(handler)
        for logger in _with_a_level_of_their_own(root):
            logger.setLevel(before.get(logger, logging.NOTSET))
        logging.disable(disabled)


def _with_a_level_of_their_own(root: logging.Logger) -> list[logging.Logger]:
    """Return the root and those that do not take its level: each level that is set costs a look at all loggers."""
    known = root.manager.loggerDict.values()
    return [root, *(logger for logger in known if isinstance(logger, logging.Logger) and logger.level)]


class _Listener(logging.Handler):
    def __init__(self, logged: list[str]) -> None:
        super().__init__(logging.DEBUG)
        self._logged = logged

    def emit(self, record: logging.LogRecord) -> None:
        if record.threadName != OF_THE_STAGE:
            self._logged.append(f"{self.format(record)}\n{vars(record)}\n")


class Commands:
    """Runs commands in this process and collects everything that they show: output, log lines, events."""

    def __init__(self, canaries: Canaries, log: list[str]) -> None:
        self._canaries = canaries
        self._log = log
        self.shown = ""

    def run(self, *arguments: str, terminal: bool = False, command: Any = cli) -> Ran:
        """Run ``twokey``, or another command, as a shell would, with ``terminal`` in a terminal."""
        out, err = (_Terminal() if terminal else StringIO() for _ in range(2))
        logging.disable(logging.NOTSET)
        with redirect_stdout(out), redirect_stderr(err):
            code = guarded(lambda standalone_mode: command.main(list(arguments), standalone_mode=standalone_mode))
        ran = Ran(code, out.getvalue(), err.getvalue())
        self.shown += f"{ran.out}\n{ran.err}\n{''.join(self._log)}\n"
        self._log.clear()
        logging.disable()  # the log of the stage's own clients is not a command's
        return ran

    def assert_silent(self) -> None:
        """No secret in any form, and nothing that a scanner would take for one."""
        assert self.shown.strip()
        assert leaks(self.shown, self._canaries.secrets) == []
        assert suspicious(self.shown) == []


class _Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def commands(canaries: Canaries, log: list[str], monkeypatch: pytest.MonkeyPatch) -> Commands:
    """Runs commands and collects what they show."""
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("TERM", "xterm")
    for name in ("CI", "GITHUB_ACTIONS", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    logging.disable()
    return Commands(canaries, log)
