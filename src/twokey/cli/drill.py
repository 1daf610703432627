"""``twokey revoke --drill``: a revocation on the built-in emulator, with one's own configuration. Nothing real is used.

The revocation is the real command, as a process of its own. Its environment has the emulator's endpoint and credentials
and nothing of this process but what a program needs to run: no profile, no proxy, no token.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from twokey.cli import terminal
from twokey.core.errors import ExitCode, UsageError
from twokey.fleet import drilling

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from twokey.config.settings import Settings
    from twokey.emulator import Emulator
    from twokey.fleet.drilling import Part

KEPT = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "LC_CTYPE", "TERM", "TMPDIR", "COLUMNS", "NO_COLOR")
"""The variables that the commands of a drill get from this process."""
LATENCY, PROPAGATION = 0.04, 4.0
"""Seconds that a request takes, and until a new key works. The first is typical of AWS; of the second, 3 to 15 s are
reported."""
DAY = 86_400.0
ROLE = "twokey-drill"
SESSIONS = ("iam:PutRolePolicy", "iam:PutUserPolicy")
REPLACING = ("iam:DeleteAccessKey", "iam:CreateAccessKey")


def run(settings: Settings, users: Sequence[str], options: Sequence[str]) -> int:
    """Play a revocation of these users, or of all; return the exit code that it would have."""
    if not settings.selections:
        raise UsageError(
            "--drill plays your configuration, and there is none.",
            state="Nothing was called.",
            remedy="Write twokey.yaml, or add --store and the name of a user. Without either, see: twokey demo.",
        )
    from twokey.emulator import Emulator

    with tempfile.TemporaryDirectory(prefix="twokey-drill-") as folder:
        found = drilling.parts(settings, users, drilling.in_files(Path(folder)))
        with Emulator() as aws:
            return Drill(aws, Path(folder), found).play([*(users or ("--all",)), *options])


class Drill:
    """The steps of one drill."""

    def __init__(self, aws: Emulator, folder: Path, found: Sequence[Part]) -> None:
        self._aws = aws
        self._folder = folder
        self._parts = found

    def play(self, arguments: Sequence[str]) -> int:
        """Set the users up, revoke their keys, and say how long each step took; return the command's exit code."""
        terminal.headline("A drill: your configuration on a built-in AWS emulator")
        terminal.paragraph("Nothing real is read, called or changed.", "  ")
        self._set_up()
        terminal.headline("The keys that the stores hold have leaked")
        terminal.typed(" ".join(("twokey revoke", *arguments)))
        self._aws.clear_requests()
        self._aws.weather.latency, self._aws.weather.propagation = LATENCY, PROPAGATION
        began = self._aws.now()
        done = self._twokey("revoke", *arguments, "--yes")
        ended = self._aws.now()
        terminal.block(done.stdout)
        self._show_times(began, ended)
        return done.returncode

    def _set_up(self) -> None:
        iam = self._aws.client("iam")
        account = self._aws.account_id
        trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "sts:AssumeRole"}
        assume = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": f"arn:aws:iam::{account}:role/{ROLE}"}
        iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=_document(trust))
        for part in self._parts:
            self._aws.make_user(part.user, path=part.path, keys=1, ages=(20 * DAY,))
            iam.put_user_policy(UserName=part.user, PolicyName="assume", PolicyDocument=_document(assume))
            self._tell(part)
        (self._folder / "twokey.yaml").write_text(json.dumps(drilling.configuration(self._parts)), encoding="utf-8")
        done = self._twokey("rotate")
        if done.returncode != ExitCode.DONE:
            terminal.block(done.stdout)
            raise UsageError("The drill could not be prepared: the emulator does not accept this configuration.")

    def _tell(self, part: Part) -> None:
        terminal.paragraph(f"{part.user} has LAST and CURRENT, and a role that it assumes.", "  ")
        for url in part.stand_ins:
            terminal.paragraph(f"{url}: a file stands in for it", "    ", "      ")

    def _show_times(self, began: datetime, ended: datetime) -> None:
        terminal.headline("How long it took from Enter on")
        for at, step in (*sorted(self._moments()), (ended, "the command has ended")):
            terminal.paragraph(f"{(at - began).total_seconds():5.1f} s  {step}", "  ")
        terminal.paragraph(
            f"A request took {LATENCY * 1000:.0f} ms here, and a new key worked after {PROPAGATION:.0f} s. With AWS, "
            "the second takes 3 to 15 s.",
            "  ",
        )

    def _moments(self) -> Iterator[tuple[datetime, str]]:
        """Yield the steps, each with the moment of its last request."""
        begun = min((one.time for one in self._aws.requests if one.name in REPLACING), default=self._aws.now())
        first = [one.time for one in self._aws.requests if one.name in SESSIONS and one.time < begun]
        again = [one.time for one in self._aws.requests if one.name in SESSIONS and one.time > begun]
        steps = {
            "every leaked key is Inactive": self._times("iam:UpdateAccessKey"),
            "the sessions are ended": first,
            "the leaked keys are deleted": self._times("iam:DeleteAccessKey"),
            "the new keys are created": self._times("iam:CreateAccessKey"),
            "sessions that were made meanwhile are ended": again,
        }
        for step, times in steps.items():
            if times:
                yield max(times), step

    def _times(self, name: str) -> list[datetime]:
        return [one.time for one in self._aws.requests if one.name == name]

    def _twokey(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        environment = {**kept, **self._aws.environment(), **nowhere, "AWS_EC2_METADATA_DISABLED": "true"}
        return subprocess.run(  # noqa: S603  twokey itself
            [sys.executable, "-m", "twokey", *arguments],
            cwd=self._folder,
            env={**environment, "HOME": str(self._folder), "NO_PROXY": "*"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )


def _document(statement: Mapping[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
