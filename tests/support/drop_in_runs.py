"""How the tests run the command ``iam-credential-rotation`` against an emulator.

``run`` runs it in this process, which is much faster; ``start`` as a process of its own, for what signals do to it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from functools import partial
from io import StringIO
from typing import TYPE_CHECKING, Any
from unittest import mock

from twokey.cli.drop_in import NAME, command
from twokey.cli.main import guarded

if TYPE_CHECKING:
    from pathlib import Path

    from twokey.emulator import Emulator

COMMAND = [sys.executable, "-c", "from twokey.cli.drop_in import main; main()"]
PATH = "PSKServiceAccounts"


def environment(aws: Emulator, **more: str) -> dict[str, str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "GITHUB_"))}
    return {**clean, **aws.environment(), **more}


def start(aws: Emulator, tmp_path: Path, *arguments: str, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments],
        env=environment(aws, **more),
        cwd=tmp_path,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


class Answer:
    """What a run left: its exit code and what it printed where."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def made(self) -> dict[str, dict[str, str]]:
        made: dict[str, dict[str, str]] = json.loads(self.out)
        return made


def ended(process: subprocess.Popen[str]) -> Answer:
    """Wait for a process."""
    out, err = process.communicate(timeout=300)
    return Answer(process.returncode, out, err)


def run(aws: Emulator, tmp_path: Path, *arguments: str, **more: str) -> Answer:
    out, err = StringIO(), StringIO()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        with (
            mock.patch.dict(os.environ, environment(aws, **more), clear=True),
            chdir(tmp_path),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            code = guarded(partial(command.main, list(arguments), NAME))
    except SystemExit as exit_:
        code = int(exit_.code or 0)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return Answer(code, out.getvalue(), err.getvalue())


def make(aws: Emulator, *names: str, keys: int = 2, **more: Any) -> None:
    for name in names:
        aws.make_user(name, path=f"/{PATH}/", keys=keys, **more)


def ids(aws: Emulator, user: str) -> list[str]:
    return [key_id for key_id, _, _ in aws.keys(user)]


def changes(aws: Emulator) -> int:
    return sum(aws.count(f"iam:{operation}AccessKey") for operation in ("Create", "Delete", "Update"))
