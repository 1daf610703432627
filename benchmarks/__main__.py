"""Runs the benchmarks that are named, or all, and prints one table (or JSON) at the end."""

from __future__ import annotations

import argparse
import sys
import time
from importlib import import_module
from typing import TYPE_CHECKING

from benchmarks import figures
from benchmarks.children import MeasurementFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.figures import Figure

NAMES = ("startup", "calls", "many", "accounts", "limit", "pipelines")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print. The exit code is 1 where something could not be measured; a missed goal is a result."""
    asked = _parser().parse_args(arguments)
    unknown = [name for name in asked.names if name not in NAMES]
    if unknown:
        _parser().error(f"there is no benchmark {unknown[0]}; there are {', '.join(NAMES)}")
    groups = [(name, _run(name, asked.runs)) for name in asked.names or NAMES]
    if asked.json:
        print(figures.document(groups))
    else:
        about = figures.machine()
        print(f"On {about['cores']} cores, Python {about['python']}; medians of {asked.runs} alternating runs.\n")
        print(figures.table(groups))
    return int(any(figure.value is None for _, found in groups for figure in found))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What twokey costs, as ratios.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(NAMES)}; without any, all")
    parser.add_argument("--runs", type=int, default=3, help="how often each contender runs (default 3)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _run(name: str, runs: int) -> list[Figure]:
    """Run one benchmark; one that fails is a line in the table, and stops none of the others."""
    start = time.monotonic()
    sys.stderr.write(f"{name} … ")
    sys.stderr.flush()
    try:
        found: list[Figure] = import_module(f"benchmarks.{name}").run(max(1, runs))
    except MeasurementFailed as error:
        found = [figures.Figure(name, None, str(error))]
    sys.stderr.write(f"{time.monotonic() - start:.0f} s\n")
    return found


if __name__ == "__main__":
    sys.exit(main())
