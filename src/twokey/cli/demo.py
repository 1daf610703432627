"""``twokey demo``: a whole cycle on the built-in emulator, with the real commands as processes of their own."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twokey.cli import terminal
from twokey.cli.help import Command, epilog
from twokey.core.errors import ExitCode

if TYPE_CHECKING:
    from twokey.emulator import Emulator, KeyPair

CONFIG = """\
version: 1
window: {window}s   # stands in for 30d: a whole cycle takes seconds
idle: {idle}s
settle: 1s
machine_users:
  - path: /machine-users/
    store: secretsmanager:machine-users/{{user}}
"""
DAY = 86_400
PERIOD, IDLE = 6, 2
"""Seconds that let a newcomer watch a cycle, where a command takes no longer than ``COMMAND``."""
COMMAND = 1.5
LONGEST = 600
"""Seconds that a command may take before it counts as one that hangs."""


@click.command("demo", cls=Command, epilog=epilog(("twokey demo", "Play the whole cycle.")))
def command() -> int:
    """Watch a whole cycle on a built-in AWS emulator; no setup.

    Takes 15 to 40 seconds, needs no AWS account and no network, and leaves nothing behind. Every command shown is
    executed, as a process of its own.
    """
    from twokey.emulator import Emulator

    with Emulator() as aws, tempfile.TemporaryDirectory(prefix="twokey-demo-") as folder:
        return Demo(aws, Path(folder)).play()


class Job:
    """A program in CI: reads the store once, then works with that key until it is told to end."""

    def __init__(self, aws: Emulator, user: str) -> None:
        from twokey.emulator import KeyPair

        value = aws.client("secretsmanager").get_secret_value(SecretId=f"machine-users/{user}")["SecretString"]
        pair = json.loads(value)
        self._key: KeyPair = KeyPair(pair["AccessKeyId"], pair["SecretAccessKey"])
        self._client = aws.client("sts", self._key)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self.key_id: str = self._key.access_key_id
        self.calls = 0
        self.failures = 0
        self._thread.start()

    def _work(self) -> None:
        while not self._end.wait(0.1):
            self.calls += 1
            try:
                self._client.get_caller_identity()
            except Exception:  # noqa: BLE001  whatever the error is, the job would have failed
                self.failures += 1

    def end(self) -> None:
        """Let the job finish."""
        self._end.set()
        self._thread.join()


class Demo:
    """The steps of the demo, in order. Every statement is checked against the emulator before it is printed."""

    def __init__(self, aws: Emulator, folder: Path) -> None:
        self._aws = aws
        self._folder = folder
        self._began = time.monotonic()
        self._broken = 0
        self._pace = 1
        self._secrets = aws.client("secretsmanager")

    def play(self) -> int:
        """Run all steps; return the exit code: failed if a single statement did not hold."""
        self._set_up()
        job = Job(self._aws, "ci-two")
        try:
            self._first_run(job)
            self._second_run()
            self._killed_run()
            self._slow_job(job)
        finally:
            job.end()
        self._last_run(job)
        return self._sum_up(job)

    def _set_up(self) -> None:
        self._aws.make_user("ci-new", path="/machine-users/", keys=0)
        self._aws.make_user("ci-one", path="/machine-users/", keys=1, ages=(200 * DAY,))
        keys = self._aws.make_user("ci-two", path="/machine-users/", keys=2, ages=(31 * DAY, 16 * DAY))
        self._fill("ci-two", keys[-1])
        config = self._configure()
        terminal.headline("A built-in AWS emulator, three machine users, one configuration")
        terminal.paragraph(f"A strict AWS emulator listens on {self._aws.endpoint_url}. In it:", "  ")
        terminal.paragraph("ci-new  has no key at all", "    ", "        ")
        terminal.paragraph("ci-one  has one key, created outside twokey 200 days ago, in no store", "    ", "        ")
        terminal.paragraph(
            "ci-two  has two keys; the secret machine-users/ci-two holds the newer one", "    ", "        "
        )
        terminal.paragraph("twokey.yaml:", "  ")
        terminal.block(config)

    def _configure(self) -> str:
        """Write the configuration; return its text. Where a command takes long, the cycle is as much longer."""
        for _ in range(2):
            config = CONFIG.format(window=2 * PERIOD * self._pace, idle=IDLE * self._pace)
            (self._folder / "twokey.yaml").write_text(config, encoding="utf-8")
            began = time.monotonic()
            with self._process("plan") as process:
                process.communicate()
            pace = math.ceil((time.monotonic() - began) / COMMAND)
            if pace <= self._pace:
                break
            self._pace = pace
        return config

    def _first_run(self, job: Job) -> None:
        terminal.headline("A job starts, and then its key is rotated")
        terminal.paragraph(
            f"A job of ci-two has read {job.key_id} from the secret and calls AWS ten times a second.", "  "
        )
        oldest = self._aws.keys("ci-two")[0][0]
        self._twokey("plan")
        self._twokey("rotate")
        self._check(
            self._held("ci-two") != job.key_id, f"the secret now holds the key just made: {self._held('ci-two')}"
        )
        self._check(oldest not in self._ids("ci-two"), f"the oldest key, LAST until now, is gone: {oldest}")
        self._check(job.failures == 0, f"the job's key is LAST now and still works ({job.calls} calls, none failed)")
        self._check(
            bool(self._held("ci-new") and self._held("ci-one")), "ci-new and ci-one have a CURRENT in the store"
        )

    def _second_run(self) -> None:
        terminal.headline("Run it again: nothing is due, and nothing is written")
        before = self._writes()
        self._twokey("rotate")
        self._check(self._writes() == before, "not one request of this run changed anything")

    def _killed_run(self) -> None:
        terminal.headline("A run is killed between creating the key and storing it")
        from twokey.emulator import Rule

        held = self._held("ci-new")
        rule = self._aws.weather.add(Rule("iam:CreateAccessKey", effect="hold_after"))
        terminal.typed("twokey rotate ci-new --force   # killed with SIGKILL")
        with self._process("rotate", "ci-new", "--force") as process:
            self._aws.weather.wait_until_held(LONGEST)
            process.send_signal(signal.SIGKILL)
            process.wait()
        self._aws.weather.remove(rule)
        self._aws.weather.release()
        orphan = next(key_id for key_id in self._ids("ci-new") if key_id != held)
        terminal.paragraph(
            f"IAM lists {held} and {orphan}. The secret of the second one died with the process.", "    "
        )
        terminal.paragraph(f"Tools that delete the oldest key would now delete {held}, which every job uses.", "    ")
        self._twokey("rotate", "ci-new")
        ids = self._ids("ci-new")
        self._check(orphan not in ids and held in ids, f"the orphan {orphan} is gone, {held} still works as LAST")
        self._check(
            self._held("ci-new") not in (held, orphan), f"the secret holds a working key: {self._held('ci-new')}"
        )

    def _slow_job(self, job: Job) -> None:
        terminal.headline("A rotation is due, but the job still uses LAST")
        terminal.paragraph(f"A period is {PERIOD * self._pace} seconds here. Waiting for it to be over ...", "  ")
        self._wait_until_due("ci-two")
        done = self._twokey("rotate", "ci-two", expect=ExitCode.REFUSED)
        self._check(done.returncode == ExitCode.REFUSED, "refused with exit code 3, and nothing was changed")
        self._check(job.failures == 0, f"the job continues ({job.calls} calls, none failed)")

    def _last_run(self, job: Job) -> None:
        terminal.headline("The job has ended; its key has been unused for long enough")
        terminal.paragraph(f"Waiting for the {IDLE * self._pace} seconds of idle ...", "  ")
        time.sleep(IDLE * self._pace + 1.2)
        self._twokey("rotate", "ci-two")
        self._check(job.key_id not in self._ids("ci-two"), f"{job.key_id} is gone; nothing was using it any more")
        self._check(len(self._ids("ci-two")) == 2, "two keys, one in the store, one for jobs in flight")

    def _sum_up(self, job: Job) -> int:
        terminal.headline("Summary")
        seconds = time.monotonic() - self._began
        rotations = self._aws.count("iam:CreateAccessKey")
        terminal.paragraph(
            f"{rotations} keys created, one request each; {job.calls} calls of a job, {job.failures} failed.", "  "
        )
        terminal.paragraph(
            "Safe to run as often as you like, to interrupt at any point, to run again from anywhere.", "  "
        )
        terminal.paragraph(
            f"{seconds:.0f} seconds, no AWS account. Next: play your own configuration on the emulator, with twokey "
            "rehearse; or follow the tutorial, docs/tutorial/first-rotation.md in the repository.",
            "  ",
        )
        if self._broken:
            terminal.tell(f"Error: {self._broken} statements did not hold.")
        return ExitCode.FAILED if self._broken else ExitCode.DONE

    def _check(self, holds: bool, text: str) -> None:
        self._broken += not holds
        terminal.fact(text, holds=holds)

    def _twokey(self, *arguments: str, expect: int = ExitCode.DONE) -> subprocess.CompletedProcess[str]:
        terminal.typed(" ".join(("twokey", *arguments)))
        with self._process(*arguments) as process:
            out, _ = process.communicate(timeout=LONGEST)
        terminal.block(out)
        if process.returncode != expect:
            self._check(holds=False, text=f"it ended with exit code {process.returncode}, not {int(expect)}")
        return subprocess.CompletedProcess(arguments, process.returncode, out)

    def _process(self, *arguments: str) -> subprocess.Popen[str]:
        environment = {**os.environ, **self._aws.environment()}
        environment.pop("AWS_PROFILE", None)
        environment.pop("AWS_SESSION_TOKEN", None)
        return subprocess.Popen(  # noqa: S603  twokey itself
            [sys.executable, "-m", "twokey", *arguments],
            cwd=self._folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _fill(self, user: str, key: KeyPair) -> None:
        value = json.dumps({"AccessKeyId": key.access_key_id, "SecretAccessKey": key.secret_access_key})
        self._secrets.create_secret(Name=f"machine-users/{user}", SecretString=value)

    def _held(self, user: str) -> str:
        answer: Any = self._secrets.get_secret_value(SecretId=f"machine-users/{user}")
        return str(json.loads(answer["SecretString"])["AccessKeyId"])

    def _ids(self, user: str) -> list[str]:
        return [key_id for key_id, _, _ in self._aws.keys(user)]

    def _writes(self) -> int:
        patterns = ("iam:Create*", "iam:Delete*", "iam:Update*", "secretsmanager:Put*", "secretsmanager:Update*")
        return sum(self._aws.count(pattern) for pattern in patterns)

    def _wait_until_due(self, user: str) -> None:
        created = max(created for _, _, created in self._aws.keys(user))
        # A period, and what the one-second resolution of AWS's clock may take away.
        time.sleep(max(0.0, (created - self._aws.now()).total_seconds() + PERIOD * self._pace + 4.0))
