"""Mutation testing of the modules that decide with mutmut, in a folder of its own.

Prints the score and every surviving mutant as a difference. Needs mutmut in the environment: ``make mutants``.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent.parent
TESTS = ("support/builders.py", "planning/test_decision.py", "planning/test_sentences.py", "planning/test_policy.py")
SETTINGS = """
[mutmut]
source_paths=src
only_mutate=
    src/twokey/planning/decision.py
    src/twokey/planning/policy.py
    src/twokey/planning/between_rotations.py
    src/twokey/planning/retirement.py

[tool:pytest]
pythonpath = tests src
addopts = --import-mode=importlib -p no:cacheprovider
"""
EQUIVALENT = HERE / "scripts" / "equivalent_mutants.txt"
"""Mutants that no test can kill, each with its reason: ``NAME  reason``."""


def main() -> int:
    """Run mutmut; the exit code is 1 if a mutant survived that is not explained."""
    explained = dict(
        line.split(maxsplit=1) for line in EQUIVALENT.read_text(encoding="utf-8").splitlines() if line.strip()
    )
    with tempfile.TemporaryDirectory(prefix="twokey-mutants-") as folder:
        _prepare(Path(folder))
        ran = _mutmut(folder, "run")
        score = re.findall(r"(\d+)/(\d+)\s+🎉 (\d+)", ran)
        if not score:
            print(ran[-3000:])
            return 1
        _, total, killed = score[-1]
        survivors = re.findall(r"^\s+(\S+): (?:survived|timeout|suspicious)", _mutmut(folder, "results"), re.MULTILINE)
        unexplained = [name for name in survivors if name not in explained]
        for name in unexplained:
            print(f"SURVIVED {name}")
            print(_difference(_mutmut(folder, "show", name)))
    for name in sorted(explained):
        print(f"{'equivalent' if name in survivors else 'KILLED, take it off the list:'} {name}: {explained[name]}")
    print(
        f"{killed} of {total} mutants killed, {len(survivors) - len(unexplained)} equivalent, {len(unexplained)} left."
    )
    return int(bool(unexplained))


def _prepare(folder: Path) -> None:
    shutil.copytree(HERE / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in TESTS:
        copy = folder / "tests" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "tests" / name, copy)
    (folder / "setup.cfg").write_text(SETTINGS, encoding="utf-8")


def _mutmut(folder: str, *arguments: str) -> str:
    command = [str(Path(sys.executable).parent / "mutmut"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout


def _difference(shown: str) -> str:
    lines = [line for line in shown.splitlines() if re.match(r"[+-](?![+-]{2})", line)]
    return "\n".join(f"    {line}" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
