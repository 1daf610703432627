"""Runs the console examples of a page in one shell, in order, and compares what they print with what is shown.

An example is a fenced block marked ``console``: a line that begins with ``$ `` is typed, lines that begin with ``> ``
continue it, all other lines are what it prints. A block below the comment ``<!-- not run: why -->`` is passed over.
A block marked ``python`` or ``yaml`` whose first line is a comment with a file's name is that file, saved there.

Key ids, times, durations, hashes, ports and paths differ from run to run. Key ids are numbered in the order in which
they appear on the page, so that ``AKIA…1`` is the same key everywhere; the rest is replaced by a word on both sides.

``UPDATE_DOCS=1 pytest tests/docs`` writes what is really printed into the page, all of it from one run, so that the
times on a page fit together. Read the difference before you keep it.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from support import forked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
UPDATE = os.environ.get("UPDATE_DOCS") == "1"

_BLOCK = re.compile(
    r"(?P<before><!-- not run: [^>]+ -->\n+)?^```(?P<kind>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)
_FILE = re.compile(r"# (?P<name>[\w.]+)\n")
_MARK = "\x01"
_JOB_NOTE = re.compile(r"^.*\b(Killed|Terminated)\b.*\n", re.MULTILINE)
_DURATION = r"\d+(?:\.\d+)?[wdhms](?: \d+[dhms])?"
_SAME = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "TIME"),
    (re.compile(rf"(?<=\bin ){_DURATION}\b"), "DURATION"),
    (re.compile(rf"(?<=\bage ){_DURATION}\b"), "DURATION"),
    (re.compile(rf"(?<=\bused ){_DURATION}\b"), "DURATION"),
    (re.compile(rf"\b{_DURATION}(?= old\b)"), "DURATION"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "HASH"),
    (re.compile(r"127\.0\.0\.1:\d+"), "ADDRESS"),
    (re.compile(r"\brevoke-\d{8}T\d{6}Z-[0-9a-f]{8}\b"), "EVIDENCE"),
)


@dataclass
class Step:
    """One command as it is typed, and what the page shows below it."""

    typed: list[str]
    shown: list[str] = field(default_factory=list)

    @property
    def command(self) -> str:
        """The command as the shell gets it."""
        return "\n".join(line[2:] for line in self.typed)


def _steps(block: re.Match[str]) -> list[Step]:
    """Return what a block asks a person to do; nothing for one that only shows something."""
    if block["kind"] == "console":
        return steps_of(block["body"])
    file = _FILE.match(block["body"]) if block["kind"] in {"python", "yaml"} else None
    return [Step([f"$ cat > {file['name']} <<'__END__'\n{block['body']}__END__"])] if file else []


def steps_of(body: str) -> list[Step]:
    """Take a block apart."""
    steps: list[Step] = []
    for line in body.splitlines():
        if line.startswith("$ "):
            steps.append(Step([line]))
        elif line.startswith("> ") or line == ">":
            assert steps, f"a block begins with {line!r}"
            steps[-1].typed.append(line.ljust(2))
        else:
            assert steps, f"a block begins with {line!r}"
            steps[-1].shown.append(line)
    return steps


def run(commands: list[str], folder: Path, environment: Mapping[str, str], timeout: float) -> list[str]:
    """Run the commands in one bash; return what each printed, standard error included, in order."""
    head = "exec 2>&1\n__done() { local code=$?; printf '\\1%s\\n' \"$1\"; return $code; }\n"
    script = head + "".join(f"{command}\n__done {number}\n" for number, command in enumerate(commands))
    with subprocess.Popen(
        ["bash", "--norc", "-c", script],
        cwd=folder,
        env={**environment, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as shell:
        try:
            printed, _ = shell.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            _end(shell)
            printed, _ = shell.communicate()
        finally:
            # The examples leave servers running; all of them are in the shell's own process group.
            _end(shell)
    parts = re.split(rf"{_MARK}\d+\n", printed)
    assert len(parts) == len(commands) + 1, f"the examples stopped at command {len(parts)}:\n{printed}"
    return [_JOB_NOTE.sub("", part) for part in parts[:-1]]


def _end(shell: subprocess.Popen[str]) -> None:
    try:
        os.killpg(shell.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


class Numbered:
    """Replaces each key id by its number on the page."""

    def __init__(self, known: Sequence[str]) -> None:
        """Begin with the ids that are known before anything runs."""
        self._ids = {key_id: number for number, key_id in enumerate(known, 1)}

    def real(self, text: str) -> str:
        """Return a command with the ids that it names by number."""
        by_number = {number: key_id for key_id, number in self._ids.items()}
        return re.sub(r"AKIA…(\d+)", lambda found: by_number[int(found[1])], text)

    def __call__(self, text: str) -> str:
        """Return the text with its ids replaced."""
        return re.sub(r"\bAKIA[A-Z0-9]{16}\b", self._name, text)

    def _name(self, found: re.Match[str]) -> str:
        return f"AKIA…{self._ids.setdefault(found[0], len(self._ids) + 1)}"


def comparable(text: str) -> str:
    """Replace what differs from run to run."""
    for pattern, word in _SAME:
        text = pattern.sub(word, text)
    return text.strip("\n")


def check(
    page: Path,
    folder: Path,
    environment: Mapping[str, str],
    *,
    known: Sequence[str] = (),
    timeout: float = 600,
    installed: bool = False,
    stopped: Mapping[str, str] | None = None,
) -> None:
    """Run every example of the page, and raise where one prints something else than the page shows.

    ``known`` names the keys that are there before: only those can be named in a command. ``installed``: each command
    starts the program that is installed; otherwise it is forked (``support.forked``). ``stopped``: which command stops
    after it has written which text to standard error. The page kills it there; on a machine that is busy, the shell
    may come to that only when the command has ended.
    """
    held = dict(stopped or {})
    number = Numbered(known)
    text = page.read_text(encoding="utf-8")
    blocks = [(found, _steps(found)) for found in _BLOCK.finditer(text) if not found["before"]]
    blocks = [(found, steps) for found, steps in blocks if steps]
    assert blocks, f"{page} has no examples"
    every = [step for _, steps in blocks for step in steps]
    commands = [number.real(re.sub(r"^twokey emulator\b", "twokey emulator --port 0", step.command)) for step in every]
    assert set(held) <= set(commands), "the page has another command"
    commands = [f"STOP_AFTER='{held[command]}' {command}" if command in held else command for command in commands]
    programs = [] if installed else [forked.programs()]
    path = os.pathsep.join(map(str, (*programs, BIN, os.environ["PATH"])))
    printed = run(commands, folder, {**environment, "PATH": path, "HOME": str(folder), "LC_ALL": "C.UTF-8"}, timeout)
    real = [number(part).rstrip("\n").splitlines() for part in printed]
    if UPDATE:
        _update(page, text, blocks, real)
        return
    for step, lines in zip(every, real, strict=True):
        real_text, shown = "\n".join(lines), "\n".join(step.shown)
        told = f"$ {step.command}\n{real_text}\n--- but the page shows\n{shown}"
        assert comparable(real_text) == comparable(shown), told


def _update(page: Path, text: str, blocks: list[tuple[re.Match[str], list[Step]]], real: list[list[str]]) -> None:
    left = iter(real)
    bodies = []
    for found, steps in blocks:
        if found["kind"] != "console":
            next(left)
            bodies.append(found["body"])
            continue
        rows: list[str] = []
        for step in steps:
            rows += [line.rstrip() for line in step.typed] + next(left)
        bodies.append("".join(f"{row}\n" for row in rows))
    for (found, _), body in reversed(list(zip(blocks, bodies, strict=True))):
        text = text[: found.start("body")] + body + text[found.end("body") :]
    page.write_text(text, encoding="utf-8")
