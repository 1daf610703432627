"""Runs programs as processes of their own and measures wall time, and CPU time and memory as the kernel counts them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

SCRIPTS = Path(sys.executable).parent
LAUNCHER = Path(__file__).with_name("launcher.py")


class MeasurementFailed(Exception):
    """A program did not do what it should, so its figure would mean nothing."""


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one run of a program, its stdout, and its number of requests if they were counted.

    ``memory``: the most that it had resident, in bytes.
    """

    wall: float
    cpu: float
    output: str = ""
    requests: int = 0
    memory: int = 0


def script(name: str) -> str:
    """Return the path of a command that is installed beside this interpreter."""
    found = shutil.which(name, path=str(SCRIPTS))
    if found is None:
        raise MeasurementFailed(f"The command {name} is not installed in the environment of this Python.")
    return found


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this environment without its AWS variables, and with ``extra``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {**kept, **(extra or {})}


def measure(command: Sequence[str], environment: Mapping[str, str] | None = None, cwd: Path | None = None) -> Cost:
    """Run a program to its end and return what it cost; raises ``MeasurementFailed`` if it does not exit with 0."""
    read, write = os.pipe()
    with open(read, "rb") as cost, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:  # noqa: PTH123
        child = subprocess.Popen(
            [sys.executable, "-IS", LAUNCHER, str(write), *command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=environment or clean_environment(),
            cwd=cwd,
            pass_fds=(write,),
        )
        os.close(write)
        status, measured = child.wait(), cost.read()
        out.seek(0)
        err.seek(0)
        output, errors = out.read().decode(), err.read().decode()
    if status != 0:
        message = (errors or output).strip()[-600:]
        raise MeasurementFailed(f"{Path(command[0]).name} ended with exit code {status}: {message}")
    return Cost(**json.loads(measured), output=output)


def alternate(runs: int, *programs: Callable[[], Cost]) -> list[list[Cost]]:
    """Run the programs alternately, ``runs`` times each; return the costs of each."""
    costs: list[list[Cost]] = [[] for _ in programs]
    for _ in range(runs):
        for own, program in zip(costs, programs, strict=True):
            own.append(program())
    return costs


def walls(costs: Sequence[Cost]) -> list[float]:
    """Return the wall times."""
    return [cost.wall for cost in costs]


def cpus(costs: Sequence[Cost]) -> list[float]:
    """Return the CPU times."""
    return [cost.cpu for cost in costs]


def memories(costs: Sequence[Cost]) -> list[float]:
    """Return the memory that each needed."""
    return [float(cost.memory) for cost in costs]


def medians(costs: Sequence[Cost]) -> str:
    """Return the median wall and CPU times as text, for what a figure is compared with."""
    return f"{_seconds(walls(costs))} wall, {_seconds(cpus(costs))} CPU"


def _seconds(times: Sequence[float]) -> str:
    middle = median(times)
    return f"{middle * 1000:.0f} ms" if middle < 1 else f"{middle:.1f} s"
