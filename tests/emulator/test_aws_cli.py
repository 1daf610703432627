"""The AWS CLI, an independent client, sees the same AWS."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from twokey.emulator import KeyPair, Rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.emulator import Emulator

ROOT = Path(__file__).resolve().parents[2]


def find_cli() -> str | None:
    """The AWS CLI: the project's own, or the machine's."""
    own = ROOT / ".venv-clients" / "bin" / "aws"
    return str(own) if own.exists() else shutil.which("aws")


CLI = find_cli()
pytestmark = pytest.mark.skipif(CLI is None, reason="the AWS CLI is not installed (make clients)")


@pytest.fixture
def cli(aws: Emulator) -> Callable[..., Any]:
    """Run the AWS CLI; its JSON, or its error's last line."""

    def run(*arguments: str, key: KeyPair | None = None) -> Any:
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        environment |= {**aws.environment(key), "AWS_MAX_ATTEMPTS": "1", "AWS_PAGER": ""}
        assert CLI is not None
        done = subprocess.run(
            [CLI, *arguments, "--output", "json"], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            return done.stderr.strip().splitlines()[-1]
        return json.loads(done.stdout) if done.stdout.strip() else {}

    return run


def test_it_is_known_by_its_key_and_refused_with_an_inactive_one(aws: Emulator, cli: Callable[..., Any]) -> None:
    key = aws.make_user("ci")[0]
    assert cli("sts", "get-caller-identity", key=key)["Arn"].endswith(":user/machine-users/ci")
    change = ("--user-name", "ci", "--access-key-id", key.access_key_id, "--status", "Inactive")
    assert cli("iam", "update-access-key", *change) == {}
    assert "InvalidClientTokenId" in cli("sts", "get-caller-identity", key=key)


def test_it_reads_pages_and_sees_the_quota(aws: Emulator, cli: Callable[..., Any]) -> None:
    for number in range(3):
        aws.make_user(f"u{number}")
    listed = cli("iam", "list-users", "--path-prefix", "/machine-users/", "--page-size", "1")["Users"]
    assert [user["UserName"] for user in listed] == ["u0", "u1", "u2"]
    assert aws.count("iam:ListUsers") == 3
    assert "LimitExceeded" in cli("iam", "create-access-key", "--user-name", "u0")


def test_it_gets_denials(aws: Emulator, cli: Callable[..., Any]) -> None:
    key = aws.make_user("ci")[0]
    assert "AccessDenied" in cli("iam", "list-users", key=key)
    assert "AccessDeniedException" in cli("secretsmanager", "list-secrets", key=key)


def test_it_keeps_a_secret_and_a_parameter(cli: Callable[..., Any]) -> None:
    cli("secretsmanager", "create-secret", "--name", "s", "--secret-string", "one")
    cli("secretsmanager", "put-secret-value", "--secret-id", "s", "--secret-string", "two")
    assert cli("secretsmanager", "get-secret-value", "--secret-id", "s")["SecretString"] == "two"
    cli("ssm", "put-parameter", "--name", "/p", "--type", "SecureString", "--value", "x")
    assert cli("ssm", "get-parameter", "--name", "/p", "--with-decryption")["Parameter"]["Value"] == "x"


def test_it_gets_faults(aws: Emulator, cli: Callable[..., Any]) -> None:
    aws.make_user("ci", keys=0)
    aws.weather.add(Rule("iam:CreateAccessKey", effect="lost_response"))
    assert "Connection was closed" in cli("iam", "create-access-key", "--user-name", "ci")
    assert len(aws.keys("ci")) == 1
