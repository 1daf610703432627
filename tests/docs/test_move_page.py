"""Moving to another store does what the page says, and no job loses its key on the way."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from docs import consoles, pages
from support import commands
from twokey.emulator import KeyPair

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig
    from twokey.emulator import Emulator

PAGE = pages.DOCS / "how-to" / "move-to-another-store.md"
OLD = "secretsmanager:machine-users/{user}"
OTHER_NAME = "secretsmanager:prod/machine-users/{user}"
SSM = "ssm:/machine-users/{user}"
DUE = ("--window", "4s")
"""Whatever is older than two seconds is due, and its grace is over: the readers of every key here are promised that."""


@pytest.fixture
def aws(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """The emulator that the commands of this process use, in a folder without a configuration."""
    monkeypatch.chdir(tmp_path)
    return rig.aws


@pytest.mark.first
def test_every_command_prints_what_is_shown(aws: Emulator, tmp_path: Path) -> None:
    """Three users with CURRENT in Secrets Manager, and a LAST."""
    for user in ("ci", "site", "docs"):
        aws.make_user(user, keys=1)
    twokey("rotate", "--path", "/machine-users/", "--store", OLD)
    known = [key[0] for user in ("ci", "site", "docs") for key in aws.keys(user)]
    consoles.check(PAGE, tmp_path, aws.environment(), known=known, timeout=600)


@pytest.mark.parametrize("new", [SSM, OTHER_NAME])
def test_jobs_work_at_each_step(aws: Emulator, new: str) -> None:
    """The page's steps, one after the other, and two rotations afterwards: every store that is read gives a good key.

    What the page says of the former store holds, too: its key works until the operator lets it be removed.
    """
    aws.make_user("ci", keys=1)

    def works(store: str) -> bool:
        return aws.authenticates(read(aws, store))

    twokey("rotate", "--store", OLD, *DUE)
    assert works(OLD)
    twokey("move-store", "--from", OLD, "--to", new)
    assert (works(OLD), works(new)) == (True, True)
    assert "moved" in twokey("rotate", "--store", OLD, code=3)
    assert "not due" in twokey("rotate", "--store", new, "--to", OLD)
    later(aws, new, "--to", OLD)
    assert (works(OLD), works(new)) == (True, True)
    assert read(aws, OLD) == read(aws, new)
    later(aws, new)
    assert (works(OLD), works(new)) == (True, True)
    assert "last_held" in later(aws, new, code=3)
    assert (works(OLD), works(new)) == (True, True)
    later(aws, new, "--ignore-last-use")
    assert (works(OLD), works(new)) == (False, True)


def test_back_and_forth(aws: Emulator) -> None:
    """Whoever moves back, before a rotation or after one, finds the journal with all that it knew."""
    aws.make_user("ci", keys=1)
    twokey("rotate", "--store", OLD, *DUE)
    twokey("move-store", "--from", OLD, "--to", SSM)
    later(aws, SSM, "--to", OLD)
    twokey("move-store", "--from", SSM, "--to", OLD)
    assert "not due" in twokey("rotate", "--store", OLD, "--to", SSM)
    assert "moved" in twokey("rotate", "--store", SSM, code=3)
    later(aws, OLD, "--to", SSM)
    assert aws.authenticates(read(aws, OLD))
    assert aws.authenticates(read(aws, SSM))


def test_a_new_store_that_is_dropped_again_is_remembered(aws: Emulator) -> None:
    """Of a store that is removed from the destinations, the journal knows that it was given the key that is LAST."""
    aws.make_user("ci", keys=1)
    twokey("rotate", "--store", OLD, "--to", SSM, *DUE)
    later(aws, OLD)
    refused = later(aws, OLD, code=3)
    assert "last_held" in refused
    assert "ssm:/machine-users/ci" in refused
    later(aws, OLD, "--ignore-last-use")
    later(aws, OLD)


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_the_filter_finds_the_jobs_that_read_the_old_store() -> None:
    """Events as CloudTrail has them: a job's read of this secret is found, twokey's own and another secret's is not.

    A failed call has no parameters, and an event may have no user agent.
    """
    (block,) = (text for text in pages.blocks(PAGE, "sh") if "jq" in text)
    query = re.findall(r"jq -r '(.+?)'$", block, re.DOTALL | re.MULTILINE)[0]
    job, other, own, without, unnamed = (
        {
            "eventTime": "2026-11-20T10:00:00Z",
            "userAgent": agent,
            "userIdentity": {"arn": "arn:aws:iam::123456789012:role/job"},
            "sourceIPAddress": "192.0.2.1",
            "requestParameters": {"secretId": secret},
        }
        for agent, secret in (
            ("aws-cli/2.0", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:machine-users/ci-AbCdEf"),
            ("aws-cli/2.0", "machine-users/site"),
            ("Botocore/1.44 twokey/0123abcd", "machine-users/ci"),
            ("aws-cli/2.0", None),
            (None, "machine-users/ci"),
        )
    )
    without["requestParameters"] = None
    unnamed["eventTime"] = "2026-11-20T11:00:00Z"
    printed = subprocess.run(
        ["jq", "-r", query],
        input=json.dumps([json.dumps(event) for event in (job, other, own, without, unnamed)]),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed.splitlines() == [
        f"2026-11-20T{hour}:00:00Z\tarn:aws:iam::123456789012:role/job\t192.0.2.1" for hour in (10, 11)
    ]


def twokey(command: str, *options: str, code: int = 0) -> str:
    """Run a command on the emulator, for the user ci unless a path is given, and return all that it prints."""
    users = () if "--path" in options else ("ci",)
    ran = commands.twokey(command, *users, *options)
    assert ran.code == code, ran.out + ran.err
    return ran.out + ran.err


def later(aws: Emulator, store: str, *more: str, code: int = 0) -> str:
    """Rotate as a schedule does when one period is over."""
    aws.advance(4)  # times are rounded to whole seconds, away from what would be too early
    printed = twokey("rotate", "--store", store, *more, *DUE, code=code)
    assert ("rotated" in printed) == (code == 0), printed
    return printed


def read(aws: Emulator, store: str) -> KeyPair:
    """Read a store as a job does."""
    name = store.partition(":")[2].format(user="ci")
    if store.startswith("ssm:"):
        text = aws.client("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
    else:
        text = aws.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"]
    pair = json.loads(text)
    return KeyPair(pair["AccessKeyId"], pair["SecretAccessKey"])
