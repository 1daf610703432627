"""Moving to another store does what the page says, and no job loses its key on the way."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from docs import consoles, pages
from twokey.emulator import Emulator, KeyPair

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAGE = pages.DOCS / "how-to" / "move-to-another-store.md"
OLD = "secretsmanager:machine-users/{user}"
OTHER_NAME = "secretsmanager:prod/machine-users/{user}"
SSM = "ssm:/machine-users/{user}"
DUE = ("--window", "4s")
"""Whatever is older than two seconds is due, and its grace is over."""


@pytest.mark.timeout(90)
def test_every_command_prints_what_is_shown(tmp_path: Path) -> None:
    """Three users with CURRENT in Secrets Manager, and a LAST."""
    with Emulator() as aws:
        for user in ("ci", "site", "docs"):
            aws.make_user(user, keys=1)
        twokey(aws, tmp_path, "rotate", "--path", "/machine-users/", "--store", OLD)
        known = [key[0] for user in ("ci", "site", "docs") for key in aws.keys(user)]
        consoles.check(PAGE, tmp_path, aws.environment(), known=known, timeout=80)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("new", [SSM, OTHER_NAME])
def test_jobs_work_at_each_step(new: str, tmp_path: Path) -> None:
    """The page's steps, one after the other, and two rotations afterwards: every store that is read gives a good key.

    What the page says of the old store holds, too: its key works until the second rotation.
    """
    with Emulator() as aws:
        aws.make_user("ci", keys=1)
        run = partial(twokey, aws, tmp_path)

        def works(store: str) -> bool:
            return aws.authenticates(read(aws, store))

        run("rotate", "--store", OLD)
        assert works(OLD)
        run("deliver", "--store", OLD, "--to", new)
        assert (works(OLD), works(new)) == (True, True)
        run("adopt", "--store", new)
        run("adopt", "--store", new, "--yes")
        assert (works(OLD), works(new)) == (True, True)
        assert "not due" in run("rotate", "--store", new)
        assert "not due" in run("plan", "--store", OLD), "until the first rotation one may still go back"
        later(run, new)
        assert (works(OLD), works(new)) == (True, True)
        assert read(aws, OLD) != read(aws, new)
        run("plan", "--store", OLD, code=3)
        later(run, new)
        assert (works(OLD), works(new)) == (False, True)


@pytest.mark.timeout(90)
def test_back_and_forth(tmp_path: Path) -> None:
    """Who goes back before a rotation finds both journals good; after one, the new one has to go first."""
    with Emulator() as aws:
        aws.make_user("ci", keys=1)
        run = partial(twokey, aws, tmp_path)

        run("rotate", "--store", OLD, "--to", SSM)
        run("adopt", "--store", SSM, "--yes")
        assert "not due" in run("rotate", "--store", OLD, "--to", SSM)
        later(run, OLD, "--to", SSM)
        assert "rolled_back" in run("adopt", "--store", SSM, "--yes", code=3)
        aws.client("ssm").delete_parameter(Name="/machine-users/ci.twokey-journal")
        run("adopt", "--store", SSM, "--yes")
        assert "not due" in run("rotate", "--store", SSM)
        assert aws.authenticates(read(aws, SSM))


@pytest.mark.timeout(120)
def test_a_new_store_that_is_dropped_again_is_remembered(tmp_path: Path) -> None:
    """Of a store that is removed from the destinations, the journal knows that it was given the key that is LAST."""
    with Emulator() as aws:
        aws.make_user("ci", keys=1)
        run = partial(twokey, aws, tmp_path)

        run("rotate", "--store", OLD, "--to", SSM)
        later(run, OLD)
        refused = later(run, OLD, code=3)
        assert "last_held" in refused
        assert "ssm:/machine-users/ci" in refused
        later(run, OLD, "--ignore-last-use")
        later(run, OLD)


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_the_filter_finds_the_jobs_that_read_the_old_store() -> None:
    """Events as CloudTrail has them: a job's read of this secret is found, twokey's own and another secret's is not."""
    (block,) = (text for text in pages.blocks(PAGE, "sh") if "jq" in text)
    query = re.findall(r"jq -r '(.+?)'$", block, re.DOTALL | re.MULTILINE)[0]
    job, other, own = (
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
        )
    )
    printed = subprocess.run(
        ["jq", "-r", query],
        input=json.dumps([json.dumps(event) for event in (job, other, own)]),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed == "2026-11-20T10:00:00Z\tarn:aws:iam::123456789012:role/job\t192.0.2.1\n"


def twokey(aws: Emulator, folder: Path, command: str, *options: str, code: int = 0) -> str:
    """Run a command on the emulator, for the user ci unless a path is given, and return all that it prints."""
    users = () if "--path" in options else ("ci",)
    done = subprocess.run(
        [sys.executable, "-m", "twokey", command, *users, *options],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **aws.environment()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def later(run: Callable[..., str], store: str, *more: str, code: int = 0) -> str:
    """Rotate as a schedule does when one period is over."""
    time.sleep(4)  # times are rounded to whole seconds, away from what would be too early
    printed = run("rotate", "--store", store, *more, *DUE, code=code)
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
