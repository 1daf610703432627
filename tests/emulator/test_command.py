"""`twokey emulator`: a server for a shell."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from twokey.emulator import Emulator, KeyPair

if TYPE_CHECKING:
    from collections.abc import Iterator

START = "from twokey.cli.emulator import command; command(prog_name='twokey emulator')"


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", START, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], 20)[0], "nothing was printed"
    return process.stdout.readline()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_how_to_reach_it_and_ends_quietly_on_a_signal(number: signal.Signals) -> None:
    with running("--port", "0", "--json", "--machine-users", "2") as process:
        shown = json.loads(first_line(process))
        assert shown["machine_users"] == ["machine-user-1", "machine-user-2"]
        with urllib.request.urlopen(shown["control_url"] + "requests") as response:
            assert json.load(response)["count"] == 0
        process.send_signal(number)
        _, complaints = process.communicate(timeout=300)
        assert (process.returncode, complaints) == (0, "")


def test_a_shell_can_read_what_it_prints() -> None:
    with running("--port", "0") as process:
        lines = [first_line(process)]
        assert process.stdout is not None
        while not lines[-1].startswith("export AWS_EC2"):
            lines.append(process.stdout.readline())
        script = "".join(lines) + "env"
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
        found = dict(re.findall(r"^(AWS_\w+)=(.*)$", done.stdout, re.MULTILINE))
        assert found["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
        who = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"
        identity = subprocess.run(
            [sys.executable, "-c", who], env={**os.environ, **found}, capture_output=True, text=True, check=True
        )
        assert identity.stdout.strip().endswith(":user/admin/administrator")


def test_a_port_that_is_taken_is_one_sentence_and_exit_1(aws: Emulator) -> None:
    done = subprocess.run(
        [sys.executable, "-c", START, "--port", str(aws.port)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: Cannot listen on 127.0.0.1:{aws.port}")
    assert "Traceback" not in done.stderr


def test_a_seed_repeats_the_administrators_key(aws: Emulator) -> None:
    with running("--port", "0", "--json", "--seed", "0") as process:
        environment = json.loads(first_line(process))["environment"]
    shown = KeyPair(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"])
    assert shown == aws.admin
