"""Runs Terraform on the emulator, where it and a mirror of its AWS provider are installed.

No package brings Terraform or its AWS provider. A machine that has them needs the provider in a filesystem mirror (a
folder as ``terraform providers mirror`` makes it), because a test downloads nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

import pytest

from support import forked
from support.terraform import attached, mirror

if TYPE_CHECKING:
    from pathlib import Path

    from twokey.emulator import Emulator


needs_terraform = pytest.mark.skipif(
    shutil.which("terraform") is None or mirror() is None,
    reason="Terraform, or a mirror of its AWS provider, is not installed",
)


class Terraform:
    """Terraform in a folder, on an emulator.

    Used in a ``with`` statement: all commands use one process of the provider.
    """

    def __init__(self, folder: Path, aws: Emulator) -> None:
        self.folder = folder
        path = f"{forked.programs()}{os.pathsep}{os.environ['PATH']}"
        own = {"HOME": str(folder), "PATH": path, "TF_CLI_CONFIG_FILE": os.devnull, "TF_IN_AUTOMATION": "1"}
        # Each command reads the provider's schema; Go's garbage collector takes a third of that time if it may.
        go = {"GOGC": "800"}
        self._environment = {"LC_ALL": "C.UTF-8", "CHECKPOINT_DISABLE": "1", **go, **own, **aws.environment()}
        self._provider = ExitStack()

    def __enter__(self) -> Self:
        """Start the provider."""
        self._environment |= self._provider.enter_context(attached(self.folder, self._environment))
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._provider.close()

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run Terraform; return all that it prints."""
        return self.shell(" ".join(f"'{part}'" for part in ("terraform", *arguments)), code)

    def shell(self, block: str, code: int = 0) -> str:
        """Run commands as they stand on the page; return all that they print."""
        done = subprocess.run(
            ["sh", "-c", block],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=600,  # of a hang; a busy machine may take minutes
        )
        assert done.returncode == code, done.stdout
        return re.sub(r"\x1b\[\d*m", "", done.stdout)

    def init(self) -> None:
        """Get ready, without a network."""
        self.run("init", "-input=false", f"-plugin-dir={mirror()}")
