"""Runs Terraform on the emulator, where it and a mirror of its AWS provider are installed.

No package brings Terraform or its AWS provider. A machine that has them needs the provider in a filesystem mirror (a
folder as ``terraform providers mirror`` makes it), because a test downloads nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Self

import pytest

from docs import consoles
from support.terraform import mirror

if TYPE_CHECKING:
    from pathlib import Path

    from twokey.emulator import Emulator


needs_terraform = pytest.mark.skipif(
    shutil.which("terraform") is None or mirror() is None,
    reason="Terraform, or a mirror of its AWS provider, is not installed",
)


class Terraform:
    """Terraform in a folder, on an emulator.

    In a ``with`` statement, all commands after ``init`` use one process of the provider: starting it is half of what a
    command costs ("Running and attaching Terraform" in the page about debugging providers, Terraform's documentation).
    Without an unpacked provider, each command starts its own all the same.
    """

    def __init__(self, folder: Path, aws: Emulator) -> None:
        self.folder = folder
        path = f"{consoles.BIN}{os.pathsep}{os.environ['PATH']}"
        own = {"HOME": str(folder), "PATH": path, "TF_CLI_CONFIG_FILE": os.devnull, "TF_IN_AUTOMATION": "1"}
        # Each command reads the provider's schema; Go's garbage collector takes a third of that time if it may.
        go = {"GOGC": "800"}
        self._environment = {"LC_ALL": "C.UTF-8", "CHECKPOINT_DISABLE": "1", **go, **own, **aws.environment()}
        self._provider: subprocess.Popen[bytes] | None = None
        self._printed = folder / "provider.txt"

    def __enter__(self) -> Self:
        """Start the provider."""
        program = next((mirror() or self.folder).glob("*/hashicorp/aws/*/*/terraform-provider-aws*"), None)
        if program is not None:
            with self._printed.open("wb") as file:
                self._provider = subprocess.Popen(
                    [program, "-debug"], cwd=self.folder, env=self._environment, stdout=file, stderr=subprocess.STDOUT
                )
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        if self._provider is not None:
            self._provider.terminate()
            self._provider.wait()

    def _attach(self) -> None:
        """Wait until the provider says how it is reached."""
        while self._provider is not None:
            printed = self._printed.read_text(encoding="utf-8")
            address = re.search(r"TF_REATTACH_PROVIDERS='(.*)'", printed)
            if address:
                self._environment["TF_REATTACH_PROVIDERS"] = address[1]
                return
            assert self._provider.poll() is None, printed
            time.sleep(0.05)

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
            timeout=120,
        )
        assert done.returncode == code, done.stdout
        return re.sub(r"\x1b\[\d*m", "", done.stdout)

    def init(self) -> None:
        """Get ready, without a network."""
        self.run("init", "-input=false", f"-plugin-dir={mirror()}")
        self._attach()
