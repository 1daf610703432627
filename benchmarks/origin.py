"""The original tool, iam-credential-rotation 0.2.2 from PyPI, in an environment of its own.

It refuses more than 20 users, by a constant, and reads only the first page of users, which holds 100. A wrapper raises
the constant and requests a larger page; it changes nothing else.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.children import MeasurementFailed, clean_environment

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "requirements" / "origin.txt"
ENVIRONMENT = ROOT / "build" / "benchmarks" / "origin"
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
    """Return the command that runs it, and install it on demand; raises ``MeasurementFailed`` if that fails."""
    wrapper, locked = ENVIRONMENT / "unlimited.py", ENVIRONMENT / "installed.txt"
    if not locked.exists() or locked.read_bytes() != REQUIREMENTS.read_bytes():
        _install()
        locked.write_bytes(REQUIREMENTS.read_bytes())
    wrapper.write_text(WRAPPER)
    return [str(_python()), str(wrapper)]


def _install() -> None:
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    _run("creating its environment", [sys.executable, "-m", "venv", str(ENVIRONMENT)])
    arguments = ["install", "--quiet", "--require-hashes", "--requirement", str(REQUIREMENTS)]
    _run("installing it", [str(_python()), "-m", "pip", "--disable-pip-version-check", *arguments])
    # So that both tools start from compiled modules.
    _run("compiling it", [str(_python()), "-m", "compileall", "-q", str(ENVIRONMENT / "lib")])


def _python() -> Path:
    return ENVIRONMENT / "bin" / "python"


def _run(step: str, arguments: list[str]) -> None:
    try:
        subprocess.run(arguments, check=True, capture_output=True, text=True, env=clean_environment(), timeout=600)
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or error.stdout).strip().splitlines() or [str(error)]
        raise MeasurementFailed(f"{step} failed: {lines[-1]}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MeasurementFailed(f"{step} failed: {error}") from None
