"""Lets Spin search a model of ``models/``: does an invariant break, and by which shortest steps?

A model prints one line for each step, its cells separated by bars: step, who, what, the keys in IAM, and what the
store, the pipeline (or what ``COLUMNS`` names instead) and a job hold. ``broken | I3`` says which invariant the last
step broke.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

FOLDER = Path(__file__).parents[2] / "models"
TOOLS = ("spin", "gcc")
"""Debian's package ``spin`` brings the first; it calls the second as its preprocessor, and to compile the search."""
QUICK_COMPILER = "tcc"
"""Where it is installed, it compiles small searches in no time: gcc takes longer to compile than they to run."""
MEMORY = 2000
"""Megabytes that a search may take."""
DEPTH = 2_000_000
SMALL_TABLE = 18
"""The binary logarithm of the entries in the hash table of a search that has fewer than a million states to store."""
BEGINS = ("lease", "begin", "look")
"""The steps with which a run begins."""
COLUMNS = {
    "move": ("the former store", "the new store"),
    "lock": ("the store", "the lock"),
    "revoke": ("the store", "the pipeline"),
}
"""What a model shows instead of the store and the pipeline."""
_STATES = re.compile(r"(\d+) states, stored")
_ERRORS = re.compile(r"errors: (\d+)")
_INCOMPLETE = ("max search depth too small", "Search not completed", "out of memory", "hash array")
_UNREACHED = re.compile(r"^\t(\w+)\.pml:(\d+), state \d+, \"(.*)\"$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Step:
    """One line that a model printed."""

    step: str
    who: str
    what: str
    keys: str
    store: str
    pipeline: str
    job: str

    def held(self, holder: str) -> str:
        """Return what a holder has, and say so where IAM has it no more."""
        name: str = getattr(self, holder)
        return f"**{name}, gone**" if name.isalpha() and name not in self.keys else name


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a search found."""

    complete: bool
    """No error was found, and every state was looked at."""
    states: int
    broken: str
    """The invariant that breaks, or the empty string."""
    steps: tuple[Step, ...]
    """The shortest way there."""
    unreached: tuple[tuple[int, str], ...]
    """The statements that no order of events comes to, each with its line."""
    printed: str


def missing() -> str:
    """Name the tools that are not installed."""
    return ", ".join(tool for tool in TOOLS if shutil.which(tool) is None)


def version() -> str:
    """Return Spin's version, such as ``6.5.2``."""
    found = re.search(r"Version ([\d.]+)", _run(Path.cwd(), "spin", "-V"))
    return found[1] if found else ""


def search(folder: Path, model: str, options: Iterable[str], *, shortest: bool = False) -> Verdict:
    """Search all states of a model with these ``-D`` options; build it in an empty folder.

    ``shortest`` looks breadth first, so that the first error found is a shortest one; otherwise depth first, which
    takes less memory. Raises ``subprocess.CalledProcessError`` where the model does not compile.
    """
    options = tuple(options)
    defines = [f"-D{option}" for option in options]
    file = f"{model}.pml"
    shutil.copy(FOLDER / file, folder)
    _run(folder, "spin", "-a", *defines, file)
    many = any(option.startswith("RUNS=") for option in options) and not shortest
    # States that are stored as they are take a fifth more memory, and a fifth less time.
    flags = ["-w", "-DSAFETY", "-DNOCOMP", f"-DMEMLIM={MEMORY}", *(["-DBFS"] if shortest else [])]
    _run(folder, *(["gcc", "-O1"] if many else _quick_compiler()), *flags, "-o", "pan", "pan.c")
    table = [] if many else [f"-w{SMALL_TABLE}"]
    printed = _run(folder, "./pan", *table, *([] if shortest else [f"-m{DEPTH}"]))
    errors, states = _ERRORS.search(printed), _STATES.search(printed)
    if not errors or not states:
        raise AssertionError(f"Spin said something unknown:\n{printed}")
    trail = _run(folder, "spin", "-t", "-T", "-B", *defines, file) if errors[1] != "0" else ""
    return Verdict(
        complete=errors[1] == "0" and not any(words in printed for words in _INCOMPLETE),
        states=int(states[1]),
        broken=_broken(trail),
        steps=_steps(trail),
        unreached=tuple((int(line), text) for name, line, text in _UNREACHED.findall(printed) if name == model),
        printed=printed,
    )


def _quick_compiler() -> list[str]:
    return [QUICK_COMPILER] if shutil.which(QUICK_COMPILER) else ["gcc", "-O0"]


def _run(folder: Path, *command: str) -> str:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def _broken(trail: str) -> str:
    found = re.search(r"^broken \| (\w+)$", trail, re.MULTILINE)
    return found[1] if found else ""


def _steps(trail: str) -> tuple[Step, ...]:
    """Read the lines, and number the runs: a process of a model is one run after another."""
    found: list[Step] = []
    numbers: dict[str, str] = {}
    for cells in (line.split(" | ") for line in trail.splitlines()):
        if len(cells) == 7:
            step = Step(*(cell.strip() for cell in cells))
            if step.step in BEGINS:
                numbers[step.who] = f"run {sum(one.step in BEGINS for one in found) + 1}"
            found.append(replace(step, who=numbers.get(step.who, step.who)))
    return tuple(found)


def table(steps: tuple[Step, ...], model: str = "rotation") -> str:
    """Return the steps as a Markdown table; without the job's column where no job runs."""
    jobs = any(step.job != "-" for step in steps)
    holders = COLUMNS.get(model, ("the store", "the pipeline"))
    heads = ["step", "who", "what", "keys in IAM", *holders, *(["a job uses"] if jobs else [])]
    rows = [heads]
    for step in steps:
        keys = ", ".join(filter(str.isalpha, step.keys))
        held = [step.held(holder) for holder in ("store", "pipeline", *(["job"] if jobs else []))]
        rows.append(["" if step.step == "-" else step.step, step.who, step.what, keys, *held])
    lines = [f"| {' | '.join(row)} |".replace("|  |", "| |") for row in rows]
    return "\n".join([lines[0], f"{'|---' * len(heads)}|", *lines[1:]])
