"""What earlier runs of ``make mutants`` learned: the test that noticed each mutant, in a file of this work tree."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

FILES = Path(__file__).parent.parent / "build" / "mutants"


class Noticed:
    """The tests that noticed the mutants of a group, by name. A mutant's name begins with its module and function.

    Names, since both sides outlast a change of others. A test that noticed a mutant once is only the first that is
    tried, so what is out of date here costs time, and nothing else.
    """

    def __init__(self, group: str, files: Path = FILES) -> None:
        self._file = files / f"{group}.json"
        self.by: dict[str, str] = json.loads(self._file.read_text(encoding="utf-8")) if self._file.exists() else {}
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)
        for mutant, test in self.by.items():
            self._count(mutant, test)

    def note(self, mutant: str, test: str) -> None:
        """Remember that a test noticed a mutant."""
        if self.by.get(mutant) != test:
            self.by[mutant] = test
            self._count(mutant, test)

    def forget(self, mutant: str) -> None:
        """Remember that no test noticed a mutant."""
        self.by.pop(mutant, None)

    def counts(self, of: str) -> Counter[str]:
        """Return how many mutants of a function or a module each test noticed."""
        return self._counts[of]

    def save(self) -> None:
        """Write all that is known."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        whole = self._file.with_suffix(f".{os.getpid()}")  # a run that is killed leaves the file as it was
        whole.write_text(json.dumps(self.by, indent=0, sort_keys=True), encoding="utf-8")
        whole.replace(self._file)

    def _count(self, mutant: str, test: str) -> None:
        for name in _wheres(mutant):
            self._counts[name][test] += 1


def _wheres(mutant: str) -> Iterable[str]:
    function = mutant.partition(" :: ")[0]
    return function, function.partition(":")[0]
