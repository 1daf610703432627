"""Environments of their own for the tools that twokey is compared with, installed on demand into ``build/``.

Their dependencies conflict with twokey's. ``requirements/NAME.txt`` names versions and hashes (``make lock``).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.children import MeasurementFailed, clean_environment

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT = 900


@dataclass(frozen=True, slots=True)
class Environment:
    """The environment of one tool."""

    name: str

    @property
    def requirements(self) -> Path:
        """The file that names what is installed."""
        return ROOT / "requirements" / f"{self.name}.txt"

    @property
    def folder(self) -> Path:
        """Where it is."""
        return ROOT / "build" / "benchmarks" / self.name

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def script(self, name: str) -> str:
        """Return the path of a command in it, and install it on demand; raises ``MeasurementFailed``."""
        self.install()
        return str(self.folder / "bin" / name)

    def install(self) -> None:
        """Make the environment if there is none, or if other requirements were installed into it.

        Raises ``MeasurementFailed`` if something cannot be installed.
        """
        installed = self.folder / "installed.txt"
        if installed.exists() and installed.read_bytes() == self.requirements.read_bytes():
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        # pip takes a quarter of an hour for the largest of them, uv a minute.
        uv = str(Path(sys.executable).with_name("uv"))
        _run("creating its environment", [uv, "venv", "--quiet", "--python", sys.executable, str(self.folder)])
        # Compiled, so that all tools start from compiled modules.
        arguments = ["install", "--quiet", "--require-hashes", "--compile-bytecode", "--python", str(self.python)]
        _run("installing it", [uv, "pip", *arguments, "--requirement", str(self.requirements)])
        installed.write_bytes(self.requirements.read_bytes())


def _run(step: str, arguments: list[str]) -> None:
    try:
        subprocess.run(arguments, check=True, capture_output=True, text=True, env=clean_environment(), timeout=TIMEOUT)
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or error.stdout).strip().splitlines() or [str(error)]
        raise MeasurementFailed(f"{step} failed: {lines[-1]}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MeasurementFailed(f"{step} failed: {error}") from None
