"""Change every function of the modules that keep the guarantee in every small way, and see that the tests notice.

    python scripts/mutants.py                        every group of modules
    python scripts/mutants.py rotation               one group
    python scripts/mutants.py rotation.creation      one module
    python scripts/mutants.py rotation --seconds 8   no more tests than take 8 s for each mutant
    python scripts/mutants.py rotation --left        only the mutants that no earlier run here noticed

Prints how many mutants of each module were noticed, and each one that was not and that ``equivalent_mutants.txt`` does
not explain. The tests of a group are collected once, and run once to learn which lines each of them runs. Each mutant
is tried in a fork of that process by the tests that run its lines: first the one that noticed it in an earlier run,
then those that noticed others, and the quick ones.
"""

from __future__ import annotations

import argparse
import fnmatch
import gc
import os
import pkgutil
import selectors
import signal
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from _pytest.runner import runtestprotocol

sys.path.insert(0, str(Path(__file__).parent))

from mutated_modules import Module, Mutant
from noticed_mutants import Noticed

import twokey

if TYPE_CHECKING:
    from collections.abc import Sequence

TESTS = Path(__file__).parent.parent / "tests"
EXPLAINED = Path(__file__).with_name("equivalent_mutants.txt")
"""Mutants that no test can notice: a line with the name, then an indented one with the reason."""
PASSED, OUT_OF_TIME, UNTRIED = "passed", "out of time", "could not be tried"


@dataclass(frozen=True)
class Group:
    """Modules, and the tests that guard them."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]


SIMULATION = "simulation/test_simulation.py::test_"
WHOLE_RUNS = "rotation/test_whole_runs.py"
STORES = "destinations/stores/test_"
OF_AWS = (
    f"{STORES}aws_resources.py",
    f"{STORES}stored_formats.py",
    "destinations/test_[ir]*.py",
    "destinations/test_creation_options.py",
    "fleet/test_loading.py",
)
"""Tests of both stores on AWS: what their URLs mean, their formats, what they create, and many read together."""
ACTING = (
    *("pool", "packed", "run", "members", "roster", "rosters", "accounts", "planned", "waves", "lookup"),
    *("retirement", "forgetting", "revoking", "revoking_all", "first", "ending"),
)
"""The modules of ``fleet/`` that choose users and act on them. The others load, report and compose; they change no key,
and are left out: every command runs them, so each of their mutants would cost the tests of all commands."""
GROUPS = {
    "planning": Group(
        ("planning.*",),
        (
            "planning/test_[bdfrsw]*.py",
            "planning/test_policy.py",
            "revocation/test_decision.py",
            "rotation/test_contested.py",
            WHOLE_RUNS,
        ),
    ),
    "rotation": Group(
        ("rotation.*",),
        (
            "rotation/test_*.py",
            f"{SIMULATION}no_single_fault_breaks_an_invariant",
            f"{SIMULATION}a_pair_is_torn_between_its_two_writes_and_by_a_crash_until_the_next_run",
            f"{SIMULATION}a_token_that_expires_midway_fails_every_later_delivery_of_its_kind_until_it_is_mended",
            "simulation/test_revoking.py::test_a_key_without_a_known_secret_is_attributed_after_the_leaked_key_is_gone",
        ),
    ),
    "secretsmanager": Group(("destinations.stores.secretsmanager*",), (f"{STORES}secretsmanager*.py", *OF_AWS)),
    "ssm": Group(("destinations.stores.ssm*",), (f"{STORES}ssm*.py", "rotation/test_paused.py", *OF_AWS)),
    "locks": Group(("destinations.locks.*",), ("destinations/locks/test_*.py",)),
    "file": Group(
        ("destinations.local.file", "destinations.local.json_file"),
        ("destinations/local/test_*.py", "destinations/test_[ir]*.py"),
    ),
    "fleet": Group(tuple(f"fleet.{name}" for name in ACTING), ("fleet/test_*.py",)),
    "plan_files": Group(("fleet.plan_files",), ("cli/test_plan_files.py",)),
    "vault": Group(
        ("destinations.stores.vault",),
        (
            f"{STORES}vault*.py",
            "destinations/logins/test_vault_login.py::TestAStandbyThatLags",
            "services/test_token_sources.py::TestATokenInAnotherStore",
        ),
    ),
    "kubernetes": Group(("destinations.stores.kubernetes",), (f"{STORES}kubernetes*.py",)),
    "gcp": Group(("destinations.stores.gcp*",), (f"{STORES}gcp*.py", "destinations/test_creation_options.py")),
    "azure": Group(("destinations.stores.azure*",), (f"{STORES}azure*.py", "destinations/test_creation_options.py")),
    "others": Group(
        ("destinations.stores.doppler", "destinations.stores.onepassword"),
        (f"{STORES}doppler*.py", f"{STORES}onepassword*.py"),
    ),
    "service_store": Group(
        ("destinations.stores.service_store",),
        (f"{STORES}service_store.py", f"{STORES}doppler.py", f"{STORES}vault.py", f"{STORES}gcp_requests.py"),
    ),
}


class Mutating:
    """A plug-in for pytest that tries every mutant with the tests that run its lines."""

    def __init__(self, modules: Sequence[Module], noticed: Noticed, options: argparse.Namespace) -> None:
        self._modules = {module.name: module for module in modules}
        self._noticed = noticed
        self._options = options
        self._items: list[pytest.Item] = []
        self._seconds: list[float] = []
        self._running: dict[tuple[str, int], set[int]] = defaultdict(set)
        self._output = os.fdopen(os.dup(1), "w", buffering=1)
        self.survivors: list[Mutant] | None = None

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try every mutant; pytest has nothing to run afterwards."""
        self._items = session.items
        mutants = [
            mutant
            for module in self._modules.values()
            for mutant in module.mutants
            if not (self._options.left and mutant.name in (self._noticed.by.keys() | explained()))
        ]
        if not self._learn():
            return True
        self.survivors = []
        try:
            self._try_all(mutants)
        finally:
            self._noticed.save()
        return True

    def _try_all(self, mutants: Sequence[Mutant]) -> None:
        gc.freeze()  # what the collector would touch, each fork would have to copy
        with selectors.DefaultSelector() as tried:
            for mutant in mutants:
                while len(tried.get_map()) >= self._options.processes:
                    self._finish(tried)
                reading, process = self._start(mutant)
                tried.register(reading, selectors.EVENT_READ, (mutant, process))
            while tried.get_map():
                self._finish(tried)

    def _learn(self) -> bool:
        """Run the tests as they are, and remember the lines that each of them runs."""
        lines: set[tuple[str, int]] = set()
        undo = [module.watch(lambda line, name=name: lines.add((name, line))) for name, module in self._modules.items()]
        for number, item in enumerate(self._items):
            lines.clear()
            began = time.process_time()
            if not _passes(item):
                self._print(f"{item.nodeid} fails although nothing is changed.")
                return False
            self._seconds.append(time.process_time() - began)
            for line in lines:
                self._running[line].add(number)
        for unwatch in undo:
            unwatch()
        self._print(f"{len(self._items)} tests, {sum(self._seconds):.0f} s of CPU")
        return True

    def _tests_of(self, mutant: Mutant) -> list[int]:
        numbers = set().union(*(self._running[mutant.module, line] for line in mutant.lines))
        function = mutant.name.partition(" :: ")[0]
        here, there = (self._noticed.counts(name) for name in (function, function.partition(":")[0]))
        known = self._noticed.by.get(mutant.name)

        def order(number: int) -> tuple[bool, float, float, float]:
            test, cost = self._items[number].nodeid, 0.05 + self._seconds[number]
            return test != known, -here[test] / cost, -there[test] / cost, cost

        return sorted(numbers, key=order)

    def _start(self, mutant: Mutant) -> tuple[int, int]:
        reading, writing = os.pipe()
        process = os.fork()
        if not process:
            self._try(mutant, writing)
        os.close(writing)
        return reading, process

    def _try(self, mutant: Mutant, writing: int) -> NoReturn:
        """Run the tests in this process, which is a fork, until one fails; write which, or how it ended."""
        result = UNTRIED
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            self._modules[mutant.module].install(mutant)
            result = self._result(mutant)
        finally:
            os.write(writing, result.encode())
            os._exit(0)

    def _result(self, mutant: Mutant) -> str:
        spent = 0.0
        for number in self._tests_of(mutant):
            spent += self._seconds[number]
            if spent > self._options.seconds:
                return OUT_OF_TIME
            # One that computes or waits for ever is ended by a signal, which also means that it was noticed.
            signal.setitimer(signal.ITIMER_PROF, 1 + 10 * self._seconds[number])
            signal.setitimer(signal.ITIMER_REAL, self._options.stuck)
            if not _passes_quietly(self._items[number]):
                return str(number)
        return PASSED

    def _finish(self, tried: selectors.BaseSelector) -> None:
        """Wait for one of the forks, and count its result."""
        for key, _ in tried.select():
            mutant, process = key.data
            self._count(mutant, os.read(key.fd, 100).decode())
            tried.unregister(key.fd)
            os.close(key.fd)
            os.waitpid(process, 0)

    def _count(self, mutant: Mutant, result: str) -> None:
        if result in (PASSED, OUT_OF_TIME, UNTRIED):
            assert self.survivors is not None
            self.survivors.append(mutant)
            self._noticed.forget(mutant.name)
            if mutant.name not in explained():
                tests = len(self._tests_of(mutant))
                self._print(f"NOT NOTICED by {tests} tests ({result}), line {mutant.lines.start}: {mutant.name}")
        else:
            self._noticed.note(mutant.name, self._items[int(result)].nodeid if result else "")
            self._noticed.save()

    def _print(self, line: str) -> None:
        """Print to the terminal; pytest captures what the tests print."""
        print(line, file=self._output)


def _passes(item: pytest.Item) -> bool:
    return not any(report.failed for report in runtestprotocol(item, log=False, nextitem=None))


def _passes_quietly(item: Any) -> bool:
    """Do what ``_passes`` does without a report, which can cost more than the test: what failed is all that counts."""
    item._initrequest()  # noqa: SLF001 - what pytest itself does first
    try:
        item.ihook.pytest_runtest_setup(item=item)
        item.ihook.pytest_runtest_call(item=item)
        item.ihook.pytest_runtest_teardown(item=item, nextitem=None)
    except pytest.skip.Exception:
        return True
    except BaseException:  # noqa: BLE001 - a test that ends in any other way noticed the mutant
        return False
    return True


def explained() -> dict[str, str]:
    """Read why no test can notice a mutant, by the mutant's name."""
    lines = EXPLAINED.read_text(encoding="utf-8").splitlines()
    return {name: why.strip() for name, why in zip(lines[::2], lines[1::2], strict=True)}


def modules_of(group: Group) -> list[str]:
    """Return the names of a group's modules."""
    names = [found.name for found in pkgutil.walk_packages(twokey.__path__, "twokey.") if not found.ispkg]
    return [name for pattern in group.modules for name in names if fnmatch.fnmatch(name, f"twokey.{pattern}")]


def files_and_tests(group: Group, parts: str) -> list[str]:
    """Return what pytest is to collect for a group, of the files whose names contain one of ``parts``."""
    found = []
    for one in group.tests:
        pattern, sep, test = one.partition("::")
        found += [(path, f"{sep}{test}") for path in sorted(TESTS.glob(pattern))]
    return [f"{path}{test}" for path, test in found if any(part in path.name for part in parts.split(","))]


def main() -> int:
    """Try the mutants; the exit code is 1 if one was not noticed that is not explained."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"groups ({', '.join(GROUPS)}) or modules; default: all")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="of tests for each mutant; default: all")
    parser.add_argument(
        "--tests", default="", help="only files of tests whose names contain one of these (A,B), for a first look"
    )
    parser.add_argument(
        "--stuck",
        type=float,
        default=60,
        help="seconds after which a test is stopped that neither ends nor computes; its mutant counts as noticed",
    )
    parser.add_argument("--left", action="store_true", help="only those that no earlier run here noticed")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    chosen = {}
    for name, group in GROUPS.items():
        modules = [
            one for one in modules_of(group) if not options.names or name in options.names or _named(one, options)
        ]
        if modules:
            chosen[name] = modules
    if len(chosen) > 1:  # a process for each: pytest collects once in a process
        rest = [f"--seconds={options.seconds}", f"--processes={options.processes}", f"--tests={options.tests}"]
        rest += [f"--stuck={options.stuck}"]
        rest += ["--left"] * options.left
        command = [sys.executable, __file__]
        runs = [subprocess.run([*command, *names, *rest], check=False) for names in chosen.values()]
        return max(run.returncode for run in runs)
    ((name, names),) = chosen.items()
    return _try_group(name, [Module(one) for one in names], options)


def _named(module: str, options: argparse.Namespace) -> bool:
    return module.removeprefix("twokey.") in options.names or module in options.names


def _try_group(name: str, modules: Sequence[Module], options: argparse.Namespace) -> int:
    plugin = Mutating(modules, Noticed(name), options)
    quiet = [
        "-q",
        "--no-header",
        "--no-summary",
        "--timeout=0",
        "-p",
        "no:cacheprovider",
        "--assert=plain",
    ]
    pytest.main([*quiet, *files_and_tests(GROUPS[name], options.tests)], plugins=[plugin])
    if plugin.survivors is None:
        return 1
    why, survivors = explained(), {mutant.name for mutant in plugin.survivors}
    left = 0
    for module in modules:
        names = {mutant.name for mutant in module.mutants}
        for one in names & set(why) - survivors if not options.left else ():
            print(f"NOTICED, take it off the list: {one}")
        equivalent = names & set(why) & (names if options.left else survivors)
        unexplained = names & survivors - set(why)
        left += len(unexplained)
        print(
            f"{module.name}: {len(names)} mutants, {len(names - survivors - equivalent)} noticed, "
            f"{len(equivalent)} equivalent, {len(unexplained)} left"
        )
    return int(left > 0)


if __name__ == "__main__":
    sys.exit(main())
