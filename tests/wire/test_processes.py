"""The processes of these tests are forks; here is what they have in common with ``python -m twokey``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support import forked
from twokey.emulator import Rule
from wire.processes import prepare, suspend

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig

SHOW = """
import os, sys
print(os.getpid(), os.getcwd(), os.environ["SHOWN"], sys.argv[1:], len(os.environ))
print("trouble", file=sys.stderr)
sys.exit(7)
"""


def test_a_fork_has_its_own_pid_folder_environment_arguments_and_streams(tmp_path: Path) -> None:
    run = forked.start("a", "b c", cwd=tmp_path, env={"SHOWN": "shown"}, program=SHOW)
    out, err = run.communicate(timeout=300)
    assert (out, err) == (f"{run.pid} {tmp_path} shown ['a', 'b c'] 1\n", "trouble\n")
    assert run.returncode == 7


def test_a_fork_shows_an_error_as_a_process_does_and_ends_with_its_code(tmp_path: Path) -> None:
    run = forked.start(cwd=tmp_path, env={}, program="1 / 0")
    _, err = run.communicate(timeout=300)
    assert err.endswith("ZeroDivisionError: division by zero\n")
    assert run.returncode == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_fork_is_ended_by_a_signal(tmp_path: Path, number: int) -> None:
    run = forked.start(cwd=tmp_path, env={}, program="import time; print('up', flush=True); time.sleep(60)")
    assert run.stdout.readline() == "up\n"
    run.send_signal(number)
    assert run.wait(30) == -number
    with pytest.raises(ProcessLookupError):
        os.kill(run.pid, 0)
    run.communicate()


def test_a_fork_that_is_interrupted_ends_as_from_a_terminal(rig: Rig, tmp_path: Path) -> None:
    workspace = prepare(rig, tmp_path)
    rule = rig.aws.weather.add(Rule("iam:ListUsers", effect="hold_before"))
    run = workspace.begin("plan")
    rig.aws.weather.wait_until_held(300)
    run.send_signal(signal.SIGINT)
    rig.aws.weather.remove(rule)
    rig.aws.weather.release()
    _, err = run.communicate(timeout=300)
    assert run.returncode == 130, err


def test_a_fork_that_is_suspended_ends_when_it_may_go_on(tmp_path: Path) -> None:
    run = forked.start("--version", cwd=tmp_path, env={}, program="import time; time.sleep(0.2)")
    suspend(run)
    with pytest.raises(subprocess.TimeoutExpired):
        run.wait(0.5)
    run.send_signal(signal.SIGCONT)
    assert run.wait(30) == 0
    run.communicate()


def test_the_requests_and_the_output_are_those_of_the_installed_command(rig: Rig, tmp_path: Path) -> None:
    workspace = prepare(rig, tmp_path)
    command = [sys.executable, "-m", "twokey", "rotate", "--json", "--force", "--ignore-last-use"]
    installed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=True)
    assert '"rotated"' in installed.stdout
    by_the_command = [f"{request.service}:{request.operation}" for request in rig.aws.requests]
    rig.aws.clear_requests()
    run = workspace.begin("rotate", "--json", "--force", "--ignore-last-use")
    assert workspace.outcome(run)[0] == "rotated"
    assert [f"{request.service}:{request.operation}" for request in rig.aws.requests] == by_the_command
    for arguments in (["--help"], ["rotate", "--no-such-option"], ["plan", "nobody"]):
        true = subprocess.run(
            [sys.executable, "-m", "twokey", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        fork = workspace.begin(*arguments)
        assert fork.communicate(timeout=300) == (true.stdout, true.stderr)
        assert fork.returncode == true.returncode
