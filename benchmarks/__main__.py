"""Runs the named benchmarks, or all, and prints one table (or JSON) at the end."""

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

NAMES = (
    *("startup", "calls", "many", "accounts", "limit", "pipelines", "jobs", "lint", "audit", "scan", "revoke"),
    *("rotation", "emulator", "fleet", "lambda-chunk", "fleet-engine"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print. The exit code is 1 if something could not be measured; a missed goal is a result."""
    options = _parser().parse_args(arguments)
    unknown = [name for name in options.names if name not in NAMES]
    if unknown:
        _parser().error(f"unknown benchmark {unknown[0]}; expected one of {', '.join(NAMES)}")
    groups = [(name, _run(name, options.runs)) for name in options.names or NAMES]
    if options.json:
        print(figures.document(groups))
    else:
        machine = figures.machine()
        print(f"On {machine['cores']} cores, Python {machine['python']}; medians of {options.runs} alternating runs.\n")
        print(figures.table(groups))
    return int(any(figure.value is None for _, measured in groups for figure in measured))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="The cost of twokey, as ratios.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(NAMES)}; default: all")
    parser.add_argument("--runs", type=int, default=3, help="how many times each program runs (default 3)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _run(name: str, runs: int) -> list[Figure]:
    """Run one benchmark. One that fails becomes a line in the table; the others still run."""
    start = time.monotonic()
    sys.stderr.write(f"{name} … ")
    sys.stderr.flush()
    try:
        measured: list[Figure] = import_module(f"benchmarks.{name.replace('-', '_')}").run(max(1, runs))
    except MeasurementFailed as error:
        measured = [figures.Figure(name, None, str(error))]
    sys.stderr.write(f"{time.monotonic() - start:.0f} s\n")
    return measured


if __name__ == "__main__":
    sys.exit(main())
