"""How the tests run in several processes: ``pytest -n NUMBER``."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
CONFTEST = """
import atexit, pathlib, pytest
from support import processes
FOLDER = pathlib.Path(__file__).parent

def pytest_addoption(parser):
    processes.add_option(parser)

def pytest_configure(config):
    if processes.number(config):
        config.pluginmanager.register(processes.Processes())

@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    atexit.register(lambda: FOLDER.joinpath("at_exit").touch())
    yield tmp_path_factory.mktemp("shared")
    FOLDER.joinpath("torn_down").touch()
"""
MODULE = """
import os, pathlib, signal, sys, warnings, pytest

with open(pathlib.Path(__file__).with_name("imports"), "a") as imports:
    imports.write("x")

@pytest.mark.parametrize("number", range(40))
def test_passes(number, shared, tmp_path):
    assert shared.is_dir() and not any(tmp_path.iterdir())
    tmp_path.joinpath("own").touch()

def test_fails(shared):
    print("printed by the test")
    assert shared == 1

def test_is_skipped():
    pytest.skip("for a reason")

@pytest.mark.xfail(reason="known")
def test_is_expected_to_fail():
    assert False

def test_warns():
    warnings.warn("a warning from afar")

def test_prints():
    os.write(1, b"not shown")

@pytest.mark.skipif("DIE" not in os.environ, reason="lives")
def test_ends_its_process():
    os.kill(os.getpid(), signal.SIGKILL)

def test_fails_in_its_teardown(request):
    request.addfinalizer(lambda: 1 / 0)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose tests do everything that a test can do."""
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {TESTS}\naddopts = -p no:xdist -p no:cacheprovider\n")
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_all.py").write_text(MODULE)
    return tmp_path


def run(project: Path, *arguments: str, processes: int = 3, **variables: str) -> tuple[int, str]:
    """Run its tests in some processes; return pytest's exit code and what it prints."""
    command = [sys.executable, "-m", "pytest", f"-n{processes}", "-ra", *arguments]
    ended = subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True, check=False)
    assert not ended.stderr
    return ended.returncode, ended.stdout


def test_what_the_tests_do_is_printed_as_by_one_process(project: Path) -> None:
    code, printed = run(project, "--junitxml=all.xml")
    assert code == pytest.ExitCode.TESTS_FAILED
    assert re.search(r"1 failed, 43 passed, 2 skipped, 1 xfailed, 1 warning, 1 error in ", printed)
    for part in (
        "FAILED test_all.py::test_fails - AssertionError: assert Pos",
        "printed by the test",
        ": for a reason",
        "XFAIL test_all.py::test_is_expected_to_fail - known",
        "UserWarning: a warning from afar",
        "ERROR test_all.py::test_fails_in_its_teardown - ZeroDivisionError",
    ):
        assert part in printed
    assert "not shown" not in printed
    assert (project / "all.xml").read_text().count("<testcase ") == 47
    assert (project / "imports").read_text() == "x", "only one process collects the tests"
    assert (project / "torn_down").exists()
    assert (project / "at_exit").exists()


@pytest.mark.parametrize("processes", [1, 3])
def test_a_test_that_ends_its_process_fails_and_the_others_run(project: Path, processes: int) -> None:
    code, printed = run(project, processes=processes, DIE="1")
    assert code == pytest.ExitCode.TESTS_FAILED
    assert "The process that ran this test has ended with -9" in printed
    assert re.search(r"2 failed, 43 passed, 1 skipped, 1 xfailed, 1 warning, 1 error in ", printed)


def test_nothing_more_runs_after_the_failure_that_is_asked_for(project: Path) -> None:
    module = project / "test_all.py"
    module.write_text(MODULE.replace("range(40)", "range(4000)").replace("not any", "any"))
    code, printed = run(project, "-x", "-q")
    assert code == pytest.ExitCode.TESTS_FAILED
    assert re.search(r"stopping after [123] failures", printed), "each of the processes may have begun with one"
