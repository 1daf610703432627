"""The time of `twokey --help` and `twokey --version`, against an empty click program on the same interpreter."""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.children import alternate, cpus, measure, medians, script, walls
from benchmarks.figures import Figure, at_most, ratio_of_medians

EMPTY = """\
import click

@click.command()
@click.version_option("1.0", prog_name="empty")
@click.option("--name", help="A name.")
def main(name):
    pass

main()
"""
TIMES = 10
"""A start takes milliseconds, so one figure needs many."""


def run(runs: int) -> list[Figure]:
    """Measure both, alternating with the empty program."""
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty.py"
        empty.write_text(EMPTY)
        return [figure for option in ("--help", "--version") for figure in _compare(option, empty, runs * TIMES)]


def _compare(option: str, empty: Path, runs: int) -> list[Figure]:
    ours = partial(measure, [script("twokey"), option])
    theirs = partial(measure, [sys.executable, str(empty), option])
    alternate(2, ours, theirs)  # the first starts read the files from disk
    our_costs, their_costs = alternate(runs, ours, theirs)
    against = f"an empty click program: {medians(their_costs)}"
    return [
        Figure(f"twokey {option}, wall", ratio_of_medians(walls(our_costs), walls(their_costs)), against, at_most(1.5)),
        Figure(f"twokey {option}, CPU", ratio_of_medians(cpus(our_costs), cpus(their_costs)), against, at_most(1.5)),
    ]
