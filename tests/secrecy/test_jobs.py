"""What runs beside a job shows no secret to anyone but the job: not in its output, nor in the variables of a crash."""

from __future__ import annotations

import http.client
import sys
from typing import TYPE_CHECKING

import pytest

from secrecy.test_crashes import Variables
from support.canaries import leaks
from support.roles import make_role
from twokey.jobs.endpoint import Endpoint

if TYPE_CHECKING:
    from secrecy.conftest import Commands
    from support.canaries import Canaries
    from support.rig import Rig

STORE = ("--store", "secretsmanager:machine-users/ci")
ASK = """
import os, urllib.request as r
ask = r.Request(os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"])
ask.add_header("Authorization", os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"])
assert b"SecretAccessKey" in r.urlopen(ask).read()
"""
RUN = """
import configparser, os, shlex, subprocess
found = configparser.ConfigParser()
found.read(os.environ["AWS_CONFIG_FILE"])
words = shlex.split(found["default"]["credential_process"])
assert b"SecretAccessKey" in subprocess.run(words, capture_output=True, check=True).stdout
"""
JOBS = [
    pytest.param(("--role", "deploy"), ASK, id="by the endpoint"),
    pytest.param((), RUN, id="by a profile"),
    pytest.param(("--via", "env"), "import os; os.environ['AWS_SECRET_ACCESS_KEY']", id="by variables"),
]


@pytest.fixture
def ready(rig: Rig) -> Rig:
    rig.settled()
    make_role(rig.aws, "deploy")
    make_role(rig.aws, "closed", "arn:aws:iam::210987654321:root")
    return rig


@pytest.mark.parametrize(("options", "script"), JOBS)
def test_exec_shows_none_at_any_line_nor_in_its_output(
    ready: Rig, commands: Commands, canaries: Canaries, options: tuple[str, ...], script: str
) -> None:
    with Variables(canaries) as variables:
        ran = commands.run("exec", *STORE, *options, "--", sys.executable, "-S", "-c", script)
    assert ran.code == 0, ran.err
    commands.run("exec", *STORE, *options, "--", "false")
    assert variables.leaks() == set()
    assert len(variables.lines) > 100
    commands.assert_silent()


@pytest.mark.parametrize("form", ["env", "process", "fish"])
def test_what_prints_them_shows_them_on_stdout_alone(
    ready: Rig, commands: Commands, canaries: Canaries, form: str
) -> None:
    ran = commands.run("env", *STORE, "--role", "deploy", "--format", form)
    assert leaks(ran.out, canaries.secrets)
    assert leaks(commands.shown.replace(ran.out, ""), canaries.secrets) == []


@pytest.mark.parametrize(
    "options", [("--role", "closed"), ("--role", "nowhere"), ("--role", "deploy", "--duration", "2h")], ids=str
)
def test_a_refusal_shows_none(ready: Rig, commands: Commands, options: tuple[str, ...]) -> None:
    for command in ("env", "credential-process", "serve-credentials"):
        assert commands.run(command, *STORE, *options).code == 1
    commands.assert_silent()


def test_who_lacks_the_token_learns_nothing(
    ready: Rig, canaries: Canaries, monkeypatch: pytest.MonkeyPatch, commands: Commands
) -> None:
    shown: list[bytes] = []
    wait = Endpoint.__exit__

    def ask_first(endpoint: Endpoint, *arguments: object) -> None:
        for token in ("", "guessed"):
            connection = http.client.HTTPConnection("127.0.0.1", int(endpoint.server_address[1]), timeout=300)
            connection.request("GET", "/credentials", headers={"Authorization": token})
            response = connection.getresponse()
            shown.append(str(response.headers).encode() + response.read())
        wait(endpoint, *arguments)

    monkeypatch.setattr(Endpoint, "__exit__", ask_first)
    assert commands.run("exec", *STORE, "--role", "deploy", "--", "true").code == 0
    assert len(shown) == 2
    assert leaks(b"".join(shown), canaries.secrets) == []
