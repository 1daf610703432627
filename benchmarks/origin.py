"""The tool of origin, iam-credential-rotation 0.2.2 from PyPI, in an environment of its own.

It refuses more than 20 users, by a constant, and sees only the first page of users, which holds 100. A wrapper raises
the constant and asks for a larger page; it changes nothing else.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.children import MeasurementFailed, clean_environment

HOUSE = Path(__file__).resolve().parents[1]
REQUIREMENTS = HOUSE / "requirements" / "origin.txt"
PLACE = HOUSE / "build" / "benchmarks" / "origin"
WRAPPER = """\
import boto3
import utils
from iam_credential_rotation import cli

utils.MAX_SVC_ACCOUNTS = 1000
boto3.setup_default_session()
boto3.DEFAULT_SESSION.events.register(
    "before-parameter-build.iam.ListUsers", lambda params, **_: params.setdefault("MaxItems", 1000)
)
cli(prog_name="iam-credential-rotation")
"""


def command() -> list[str]:
    """Return the command that runs it, installing it at need; raises ``MeasurementFailed`` where that fails."""
    wrapper, locked = PLACE / "unlimited.py", PLACE / "installed.txt"
    if not locked.exists() or locked.read_bytes() != REQUIREMENTS.read_bytes():
        _install()
        locked.write_bytes(REQUIREMENTS.read_bytes())
    wrapper.write_text(WRAPPER)
    return [str(_python()), str(wrapper)]


def _install() -> None:
    shutil.rmtree(PLACE, ignore_errors=True)
    _do("making its environment", [sys.executable, "-m", "venv", str(PLACE)])
    arguments = ["install", "--quiet", "--require-hashes", "--requirement", str(REQUIREMENTS)]
    _do("installing it", [str(_python()), "-m", "pip", "--disable-pip-version-check", *arguments])
    # Both tools start from compiled modules then, whoever runs first.
    _do("compiling it", [str(_python()), "-m", "compileall", "-q", str(PLACE / "lib")])


def _python() -> Path:
    return PLACE / "bin" / "python"


def _do(what: str, arguments: list[str]) -> None:
    try:
        subprocess.run(arguments, check=True, capture_output=True, text=True, env=clean_environment(), timeout=600)
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip().splitlines() or [str(error)]
        raise MeasurementFailed(f"{what} failed: {said[-1]}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MeasurementFailed(f"{what} failed: {error}") from None
