"""Clients that nobody here wrote, each through credential_process, the endpoint and variables, across rotations.

The window is ten minutes, so grace is shorter than what SDKs refresh ahead of: they ask for a key at every use. Between
the two calls of a client, two rotations remove the key that it began with, and the session that it began with ends.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from support import forked
from support.rig import QUICK
from support.roles import make_role
from support.terraform import attached, mirror
from twokey.aws.roles import Sessions
from twokey.jobs import env
from twokey.jobs.credentials import StoreSource
from twokey.jobs.endpoint import Endpoint
from twokey.jobs.refreshing import Refreshing
from twokey.jobs.role_chain import RoleChain
from twokey.jobs.session_options import Role, SessionOptions
from twokey.planning.policy import RotationPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from support.rig import Rig

pytestmark = pytest.mark.first

ROOT = Path(__file__).resolve().parents[2]
MODULES = ROOT / ".venv-clients" / "node" / "node_modules"
POLICY = RotationPolicy(window=timedelta(minutes=10), settle=timedelta(0), verification=QUICK)


class Program(Protocol):
    """A program that says who it is, each time that it is asked."""

    def who(self, ahead: float) -> str:
        """Return the ARN, or its error; its SDK takes credentials to be that many seconds older."""
        ...


class Lines:
    """A program that runs on: it writes a line for each line that it reads, which says how far its SDK is ahead."""

    def __init__(self, words: list[str], variables: Mapping[str, str], folder: Path) -> None:
        self._process = subprocess.Popen(
            words,
            env=variables,
            cwd=folder,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def who(self, ahead: float) -> str:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{ahead}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def end(self) -> None:
        """End it."""
        self._process.communicate()


class OneCall:
    """A program that is started for each call."""

    def __init__(self, words: list[str], variables: Mapping[str, str], folder: Path) -> None:
        self._words, self._variables, self._folder = words, variables, folder

    def who(self, ahead: float) -> str:
        done = subprocess.run(
            self._words, env=self._variables, cwd=self._folder, text=True, capture_output=True, check=False
        )
        return (done.stdout if done.returncode == 0 else done.stderr).strip()

    def end(self) -> None:
        """Nothing runs on."""


class Planned(OneCall):
    """Terraform, whose provider has the variables that it is started with, and makes a client for each command."""

    def __init__(self, words: list[str], variables: Mapping[str, str], folder: Path) -> None:
        self._provider = ExitStack()
        address = self._provider.enter_context(attached(folder, variables))
        super().__init__(words, {**variables, **address}, folder)

    def end(self) -> None:
        """End the provider."""
        self._provider.close()


BOTO3 = """
import boto3, sys
from datetime import datetime, timedelta, timezone
session = boto3.Session()
credentials = session.get_credentials()
client = session.client("sts")
for line in sys.stdin:
    ahead = timedelta(seconds=float(line))
    if credentials.method == "container-role":  # a program goes by this machine's clock
        credentials._time_fetcher = lambda: datetime.now(timezone.utc) + ahead
    try:
        print(client.get_caller_identity()["Arn"], flush=True)
    except Exception as error:
        print(error, flush=True)
"""
NODE = """
const { STSClient, GetCallerIdentityCommand } = require("@aws-sdk/client-sts");
const client = new STSClient({});
const clock = Date.now;
require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const ahead = Number(line) * 1000;
  Date.now = () => clock() + ahead;
  client.config.systemClockOffset = -ahead; // it signs by this machine's clock
  client.send(new GetCallerIdentityCommand({})).then(
    (found) => console.log(found.Arn),
    (error) => console.log(String(error)),
  );
});
"""
TERRAFORM = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}
provider "aws" {
  skip_metadata_api_check = true
}
data "aws_caller_identity" "me" {}
output "arn" { value = data.aws_caller_identity.me.arn }
"""


@cache
def aws_cli(version: str) -> str | None:
    """Return the AWS CLI of a major version, if the machine has it."""
    found = [str(ROOT / ".venv-clients" / "bin" / "aws"), shutil.which("aws") or "", "/usr/bin/aws"]
    for path in filter(os.path.exists, found):
        shown = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
        if f"aws-cli/{version}." in shown.stdout + shown.stderr:
            return path
    return None


@pytest.fixture
def store(rig: Rig, tmp_path: Path) -> StoreSource:
    """The store of ci is a file, which a program can read without any credentials."""
    rig.store_url, rig.policy = f"file:{tmp_path}/{{user}}.json", POLICY
    rig.aws.make_user("ci", keys=0)
    assert rig.rotate().outcome == "rotated"
    clients = rig.clients("job")
    return StoreSource(rig.world(clients=clients)[1].store, clients.clock, "ci", POLICY.grace)


def rotate_twice(rig: Rig) -> None:
    """Let grace end, twice, and each session: neither a key nor a session of before is left."""
    before = set(rig.ids())
    for _ in range(2):
        rig.sleep_through((POLICY.period - POLICY.slack).total_seconds() + 60)
        assert rig.rotate().outcome == "rotated"
    rig.sleep_through(3600)
    assert not before & set(rig.ids())


@pytest.fixture
def ways(rig: Rig, store: StoreSource, tmp_path: Path) -> Iterator[dict[str, dict[str, str]]]:
    """The variables of a program for each way."""
    common = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    pointed = rig.aws.environment()
    for name in (env.ID, env.SECRET, "AWS_CONFIG_FILE"):
        del pointed[name]
    common |= {**pointed, "HOME": str(tmp_path), "AWS_PAGER": "", "AWS_MAX_ATTEMPTS": "1"}
    words = [str(forked.programs() / "twokey"), "credential-process", "--store", f"file:{tmp_path}/ci.json"]
    config = tmp_path / "config"
    config.write_text(f"[default]\nregion = {rig.aws.region}\ncredential_process = {shlex.join(words)}\n")
    sts = Sessions(rig.clients("job"))
    role = RoleChain(store, [Role(make_role(rig.aws, "deploy"))], SessionOptions("job-1"), sts, lambda _: None)
    with Endpoint(Refreshing(role, store.clock, lambda _: None, lambda _: None)) as endpoint:
        yield {
            "credential_process": {**common, "AWS_CONFIG_FILE": str(config)},
            "endpoint": {**common, "AWS_CONFIG_FILE": os.devnull, **endpoint.variables()},
            "variables": {**common, "AWS_CONFIG_FILE": os.devnull, **env.variables(store.read())},
        }


ARNS = {
    "credential_process": ":user/machine-users/ci",
    "endpoint": ":assumed-role/deploy/job-1",
    "variables": ":user/machine-users/ci",
}


def check(
    rig: Rig, ways: dict[str, dict[str, str]], words: list[str], kind: type[Lines | OneCall], folder: Path
) -> None:
    """Have a program call AWS before and after two rotations, in each way."""
    programs = {way: kind(words, variables, folder) for way, variables in ways.items()}

    def who(way: str) -> str:
        return programs[way].who((rig.aws.now() - datetime.now(UTC)).total_seconds())

    try:
        # A program that is started for each call begins again with each way that refreshes.
        for way in ways if kind is Lines else ("variables",):
            assert ARNS[way] in who(way)
        rotate_twice(rig)
        for way in ("credential_process", "endpoint"):
            assert ARNS[way] in who(way)
        # Grace is over: nobody was promised more, and the message of twokey said until when.
        assert "InvalidClientTokenId" in who("variables")
    finally:
        for program in programs.values():
            program.end()


def test_boto3(rig: Rig, ways: dict[str, dict[str, str]], tmp_path: Path) -> None:
    check(rig, ways, [sys.executable, "-c", BOTO3], Lines, tmp_path)


@pytest.mark.parametrize("version", ["1", "2"])
def test_the_aws_cli(rig: Rig, ways: dict[str, dict[str, str]], tmp_path: Path, version: str) -> None:
    cli = aws_cli(version)
    if cli is None:
        pytest.skip(f"the AWS CLI v{version} is not installed (v1: make clients; v2: apt-get install awscli)")
    # Debian's version 2 is older than AWS_ENDPOINT_URL.
    words = [cli, "sts", "get-caller-identity", "--query", "Arn", "--output", "text"]
    check(rig, ways, [*words, "--endpoint-url", rig.aws.endpoint_url], OneCall, tmp_path)


def test_the_sdk_for_javascript(rig: Rig, ways: dict[str, dict[str, str]], tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None or not (MODULES / "@aws-sdk" / "client-sts").exists():
        pytest.skip("Node.js, or its package @aws-sdk/client-sts, is not installed (make clients)")
    named = {way: {**variables, "NODE_PATH": str(MODULES)} for way, variables in ways.items()}
    check(rig, named, [node, "-e", NODE], Lines, tmp_path)


def test_terraforms_provider(rig: Rig, ways: dict[str, dict[str, str]], tmp_path: Path) -> None:
    terraform = shutil.which("terraform")
    if terraform is None or mirror() is None:
        pytest.skip("Terraform, or a mirror of its AWS provider, is not installed")
    (tmp_path / "main.tf").write_text(TERRAFORM)
    # Each command reads the schema of the provider; collecting garbage meanwhile takes a third of that time.
    quiet = {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "GOGC": "800"}
    named = {way: {**variables, **quiet} for way, variables in ways.items()}
    check(rig, named, [terraform, "plan", "-input=false", "-no-color", "-lock=false"], Planned, tmp_path)
