"""How the tests run the command ``iam-credential-rotation``: as a process of its own, against an emulator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

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

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.out, self.err = process.communicate(timeout=90)
        self.code = process.returncode

    @property
    def made(self) -> dict[str, dict[str, str]]:
        made: dict[str, dict[str, str]] = json.loads(self.out)
        return made


def run(aws: Emulator, tmp_path: Path, *arguments: str, **more: str) -> Answer:
    return Answer(start(aws, tmp_path, *arguments, **more))


def make(aws: Emulator, *names: str, keys: int = 2, **more: Any) -> None:
    for name in names:
        aws.make_user(name, path=f"/{PATH}/", keys=keys, **more)


def ids(aws: Emulator, user: str) -> list[str]:
    return [key_id for key_id, _, _ in aws.keys(user)]


def changes(aws: Emulator) -> int:
    return sum(aws.count(f"iam:{operation}AccessKey") for operation in ("Create", "Delete", "Update"))
