"""Runs the commands as real processes, in a home, a temporary folder and a working directory of their own.

A ``sitecustomize`` of the test's own comes first in each: what a user may install there, and what must be recorded. It
replaces parts of twokey with ``_patch``, which ends the process with 70 if there is no such part: a test whose defect
is never planted must not pass.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import twokey
from support import forked

if TYPE_CHECKING:
    from twokey.emulator import Emulator

TWOKEY = ("-m", "twokey")
RUN_TWOKEY = "import runpy; runpy.run_module('twokey', run_name='__main__', alter_sys=True)"
DROP_IN = ("-c", "from twokey.cli.drop_in import main; main()")
SOURCE = Path(twokey.__file__).parents[1]

NOTE = """
    import os, sys
    _notes = os.environ["TEST_NOTES"]
    def _note(line):
        descriptor = os.open(_notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(descriptor, (line + chr(10)).encode())
        os.close(descriptor)
    def _patch(owner, name, value):
        former = getattr(owner, name, None)
        if former is None:
            print(f"sitecustomize: there is no {name} in {owner}", file=sys.stderr, flush=True)
            os._exit(70)
        setattr(owner, name, value)
        return former
"""
CHILDREN_AND_FILES = """
    def _audit(event, arguments):
        if event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty"):
            _note(f"child {event}")
        elif event == "open" and str(arguments[0]) != _notes and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            _note(f"file {arguments[0]}")
        elif event in ("os.rename", "os.link", "os.symlink"):
            _note(f"file {arguments[1]}")
    sys.addaudithook(_audit)
"""
ISSUED = """
    from twokey.emulator.keyring import Keyring
    def _noted(self, account, user, key, *, at):
        _note(f"secret {user.name} {key.secret_access_key}")
        return _add(self, account, user, key, at=at)
    _add = _patch(Keyring, "add", _noted)
"""
CURIOUS = """
    import logging, rich.traceback
    logging.basicConfig(level=logging.DEBUG)
    rich.traceback.install(show_locals=True, locals_max_string=None, locals_max_length=20, width=400)
"""


@dataclass
class Tree:
    """A fresh home, temporary folder and working directory, and notes outside of them."""

    top: Path
    aws: Emulator
    site: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("home", "tmp", "here", "site"):
            (self.top / name).mkdir(parents=True)

    @property
    def here(self) -> Path:
        """The working directory."""
        return self.top / "here"

    def start(self, *arguments: str, program: tuple[str, ...] = TWOKEY) -> subprocess.Popen[str]:
        """Start a command."""
        (self.top / "site" / "sitecustomize.py").write_text(self._site(), encoding="utf-8")
        return subprocess.Popen(
            [sys.executable, *program, *arguments],
            cwd=self.here,
            env=self._variables(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, program: tuple[str, ...] = TWOKEY) -> Ended:
        """Run a command to its end."""
        with self.start(*arguments, program=program) as process:
            out, err = process.communicate(timeout=120)
        return Ended(process.returncode, out, err)

    def run_forked(self, *arguments: str, program: tuple[str, ...] = TWOKEY) -> Ended:
        """Do the same in a fork, where the start of the interpreter makes no difference."""
        code = RUN_TWOKEY if program == TWOKEY else program[1]
        text = f"{self._site()}\n{code}"
        with forked.start(*arguments, cwd=self.here, env=self._variables(), program=text) as process:
            out, err = process.communicate(timeout=120)
        return Ended(process.wait(), out, err)

    def _site(self) -> str:
        return "\n".join(textwrap.dedent(part) for part in (NOTE, *self.site))

    def _variables(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "GITHUB_", "CI"))}
        return {
            **clean,
            **self.aws.environment(),
            "HOME": str(self.top / "home"),
            "TMPDIR": str(self.top / "tmp"),
            "PYTHONPATH": os.pathsep.join((str(self.top / "site"), str(SOURCE))),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TEST_NOTES": str(self.top / "notes"),
            **self.environment,
        }

    def notes(self, kind: str) -> list[str]:
        """Return the notes, by kind."""
        file = self.top / "notes"
        lines = file.read_text("utf-8").splitlines() if file.exists() else []
        return [line.partition(" ")[2] for line in lines if line.startswith(f"{kind} ")]

    def files(self) -> dict[str, bytes]:
        """Return the content of every file in the tree, by its path below it."""
        found = (path for name in ("home", "tmp", "here") for path in (self.top / name).rglob("*"))
        return {str(path.relative_to(self.top)): path.read_bytes() for path in found if path.is_file()}


@dataclass(frozen=True)
class Ended:
    """How a process ended, and what it printed."""

    code: int
    out: str
    err: str
