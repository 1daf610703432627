"""The AWS CLI and the AWS SDK for JavaScript read what twokey wrote, and are who twokey says that they are."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from clients.conversation import INSTALLED, needs_node_clients, needs_python_clients, run
from twokey.aws.clients import Clients
from twokey.core.secret import Credential
from twokey.destinations.registry import Services, open_destination
from twokey.emulator import Emulator
from twokey.testing.contract import ACCOUNT, pair

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VERSION_1 = str(INSTALLED / "bin" / "aws")


def version_2() -> str | None:
    """Return this machine's AWS CLI of version 2: no package index has it."""
    for folder in os.environ["PATH"].split(os.pathsep):
        found = shutil.which("aws", path=folder)
        if found is not None and found != VERSION_1:
            shown = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
            if shown.stdout.startswith("aws-cli/2"):
                return found
    return None


@pytest.fixture(scope="module")
def aws() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture(params=[pytest.param("1", marks=needs_python_clients), "2"])
def cli(request: pytest.FixtureRequest) -> str:
    found = VERSION_1 if request.param == "1" else version_2()
    if found is None:
        pytest.skip("version 2 of the AWS CLI is not installed (Debian's package awscli)")
    return found


@pytest.fixture
def services(aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> Services:
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)
    return Services(Clients("clients"))


def test_the_command_line_reads_a_profile_a_secret_and_a_parameter(
    aws: Emulator, cli: str, services: Services, tmp_path: Path
) -> None:
    name = f"ci-{1 if cli == VERSION_1 else 2}"
    key = aws.make_user(name)[0]
    credential = Credential(key.access_key_id, key.secret_access_key)
    file = tmp_path / "credentials"
    for url in (f"credentials-file:{file}?profile=ci", f"secretsmanager:{name}", f"ssm:/{name}"):
        open_destination(url, services).deliver(credential)

    def call(*arguments: str, **environment: str) -> Any:
        command = [cli, *arguments, "--output", "json", "--endpoint-url", aws.endpoint_url]
        known = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_PAGER": "", **aws.environment(), **environment}
        known = {name: value for name, value in known.items() if value}
        return json.loads(subprocess.run(command, env=known, capture_output=True, text=True, check=True).stdout)

    no_pair = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    profile = {"AWS_SHARED_CREDENTIALS_FILE": str(file), "AWS_PROFILE": "ci", **no_pair}
    assert call("sts", "get-caller-identity", **profile)["Arn"].endswith(f"/{name}")
    secret = call("secretsmanager", "get-secret-value", "--secret-id", name)["SecretString"]
    parameter = call("ssm", "get-parameter", "--name", f"/{name}", "--with-decryption")["Parameter"]["Value"]
    assert json.loads(secret) == json.loads(parameter) == pair(credential)


@needs_node_clients
def test_the_sdk_for_javascript_uses_the_profile(aws: Emulator, services: Services, tmp_path: Path) -> None:
    key = aws.make_user("js")[0]
    file = tmp_path / "credentials"
    url = f"credentials-file:{file}?profile=ci"
    open_destination(url, services).deliver(Credential(key.access_key_id, key.secret_access_key))
    environment = {**aws.environment(), "AWS_SHARED_CREDENTIALS_FILE": str(file), "AWS_PROFILE": "ci"}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del environment[name]
    found = run("sts.mjs", {}, OTHER_ID=aws.admin.access_key_id, **environment)
    assert (found["account"], found["refused"]) == (ACCOUNT, "SignatureDoesNotMatch")
    assert found["arn"].endswith("/js")
