"""What a command gets from ``twokey exec``: its environment, its signals, its exit status, and nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.commands import Ran, twokey
from support.roles import file_store
from twokey.jobs import env

if TYPE_CHECKING:
    from support.rig import Rig

STORE = ("--store", "secretsmanager:machine-users/ci")
JOB = """
import json, os, stat, sys
config = os.environ.get("AWS_CONFIG_FILE", "")
found = {
    "variables": {name: value for name, value in os.environ.items() if name.startswith("AWS_")},
    "config": open(config).read() if config else "",
    "modes": [stat.S_IMODE(os.stat(one).st_mode) for one in (config, os.path.dirname(config))] if config else [],
    "group": os.getpgrp(), "blocked": [],
}
import signal
found["blocked"] = sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
json.dump(found, open(sys.argv[1], "w"))
"""


class Job:
    """A command that writes down what it finds."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "found.json"
        self.script = folder / "job.py"
        self.script.write_text(JOB)

    def run(self, *options: str) -> Ran:
        """Run it by ``twokey exec``."""
        ran = twokey("exec", *options, "--", sys.executable, "-S", str(self.script), str(self.file))
        self.found = json.loads(self.file.read_text()) if self.file.exists() else {}
        return ran


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


class TestTheEnvironment:
    def test_with_a_role_is_an_endpoint_and_its_token(self, job: Job, role: str) -> None:
        assert job.run(*STORE, "--role", role).code == 0
        variables = job.found["variables"]
        assert variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"].startswith("http://127.0.0.1:")
        assert len(variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"]) >= 32
        assert not {env.ID, env.SECRET, env.TOKEN} & set(variables)

    def test_without_a_role_is_a_private_profile_without_any_secret_that_is_removed(
        self, job: Job, rig: Rig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _, current = rig.settled()
        assert job.run(*STORE).code == 0
        config = Path(job.found["variables"]["AWS_CONFIG_FILE"])
        assert "credential_process = " in job.found["config"]
        assert current.secret_access_key not in job.found["config"]
        assert job.found["modes"] == [0o600, 0o700]
        assert not config.parent.exists()
        assert not set(job.found["variables"]) & {env.ID, env.SECRET, env.TOKEN, env.URI}

    def test_via_env_has_the_credentials_and_says_until_when(self, job: Job, role: str) -> None:
        ran = job.run(*STORE, "--role", role, "--via", "env")
        assert {env.ID, env.SECRET, env.TOKEN, env.END} <= set(job.found["variables"])
        assert f"work until {job.found['variables'][env.END]}" in ran.err

    @pytest.mark.parametrize("via", ["endpoint", "env"])
    def test_has_nothing_that_would_win(
        self, job: Job, rig: Rig, role: str, via: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        for name in env.WINNING:
            if name not in (env.ID, env.SECRET):
                monkeypatch.delenv(name, raising=False)
        theirs = tmp_path / "config"
        theirs.write_text(
            "[profile theirs]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = s\nrole_arn = x\n"
            "region = eu-west-3\ns3 =\n  addressing_style = path\nservices = mine\n"
            "[services mine]\nsts =\n  endpoint_url = http://127.0.0.1:1\n"
        )
        own = {"AWS_CONFIG_FILE": str(theirs), "AWS_PROFILE": "theirs", "AWS_SESSION_TOKEN": "left-over"}
        current = rig.stored()
        assert current
        store = file_store(current, tmp_path)
        monkeypatch.delenv(env.ID)
        monkeypatch.delenv(env.SECRET)
        for name, value in {**own, "AWS_ROLE_ARN": "x", "AWS_WEB_IDENTITY_TOKEN_FILE": "/x"}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", rig.aws.endpoint_url)
        assert job.run("--store", store, "--role", role, "--via", via).code == 0
        variables, config = job.found["variables"], job.found["config"]
        assert not {"AWS_PROFILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"} & set(variables)
        assert variables.get(env.TOKEN) != "left-over"
        assert config.splitlines() == [
            "[default]",
            "region = eu-west-3",
            "s3 =",
            "  addressing_style = path",
            "services = job",
            "[services job]",
            "sts =",
            "  endpoint_url = http://127.0.0.1:1",
        ]

    def test_is_otherwise_the_jobs_own(self, job: Job, rig: Rig) -> None:
        rig.settled()
        job.run(*STORE)
        assert job.found["variables"]["AWS_ENDPOINT_URL"] == rig.aws.endpoint_url
        assert job.found["group"] == os.getpgrp()
        assert job.found["blocked"] == sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ()))

    def test_is_free_of_the_signals_that_python_ignores(self, rig: Rig, tmp_path: Path) -> None:
        rig.settled()
        twokey("exec", *STORE, "--", "sh", "-c", f"grep SigIgn /proc/self/status > {tmp_path}/status")
        ignored = int((tmp_path / "status").read_text().split()[1], 16)
        assert not ignored & 1 << (signal.SIGPIPE - 1)

    def test_masks_what_the_job_gets_on_github(self, job: Job, role: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        masked = job.run(*STORE, "--role", role).err
        assert f"::add-mask::{job.found['variables']['AWS_CONTAINER_AUTHORIZATION_TOKEN']}" in masked
        assert masked.count("::add-mask::") == 4


class TestTheExitStatus:
    @pytest.mark.parametrize("status", [0, 1, 2, 3, 125, 255])
    def test_is_the_commands(self, rig: Rig, status: int) -> None:
        rig.settled()
        assert twokey("exec", *STORE, "--", "sh", "-c", f"exit {status}").code == status

    @pytest.mark.parametrize(
        ("words", "code", "says"),
        [
            (("--", "no-such-command"), 127, "no-such-command: command not found."),
            (("--", "/etc/hosts/x"), 127, "command not found"),
            (("--", ""), 127, "The command is the empty text."),
            (("ls",), 125, "Expected a command after --"),
            (("ci", "ls", "--", "ls"), 125, "-- before the command"),
            (("--",), 125, "Expected a command after --"),
            (("--nonsense", "--", "ls"), 125, "No such option"),
            (("--duration", "1h", "--", "ls"), 125, "no role is set"),
            (("--role", "nowhere", "--", "ls"), 125, "The user ci may not assume the role nowhere"),
        ],
    )
    def test_says_what_kept_it_from_running(self, rig: Rig, words: tuple[str, ...], code: int, says: str) -> None:
        rig.settled()
        ran = twokey("exec", *STORE, *words)
        assert ran.code == code, ran.err
        assert says in ran.err

    @pytest.mark.parametrize(("mode", "why"), [(0o644, "Permission denied"), (0o755, "Exec format error")])
    def test_names_what_a_script_lacks(self, rig: Rig, tmp_path: Path, mode: int, why: str) -> None:
        rig.settled()
        script = tmp_path / "job"
        script.write_text("echo hello\n")
        script.chmod(mode)
        ran = twokey("exec", *STORE, "--", str(script))
        assert ran.code == 126
        assert f"{script}: cannot be executed: {why}." in ran.err

    def test_names_a_directory(self, rig: Rig, tmp_path: Path) -> None:
        rig.settled()
        ran = twokey("exec", *STORE, "--", str(tmp_path))
        assert ran.code == 126
        assert f"{tmp_path}: cannot be executed: it is a directory." in ran.err
        assert "chmod" not in ran.err


class TestACommandThatNeverAsked:
    @pytest.mark.parametrize("options", [(), ("--role", "deploy")])
    def test_is_told_of_env_if_it_failed(self, rig: Rig, role: str, options: tuple[str, ...]) -> None:
        ran = twokey("exec", *STORE, *options, "--", "false")
        assert "The command failed, and never asked for the credentials" in ran.err
        assert "--via env" in ran.err

    def test_is_left_alone_if_it_succeeded(self, rig: Rig) -> None:
        rig.settled()
        assert twokey("exec", *STORE, "--", "true").err == ""

    def test_is_left_alone_if_it_has_variables(self, rig: Rig) -> None:
        rig.settled()
        assert "never asked" not in twokey("exec", *STORE, "--via", "env", "--", "false").err


class TestSignals:
    """Against a real process, with a file as the store, so that it starts at once."""

    @pytest.fixture
    def words(self, rig: Rig, tmp_path: Path) -> list[str]:
        _, current = rig.settled()
        return [sys.executable, "-m", "twokey", "exec", "--store", file_store(current, tmp_path), "--"]

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP], ids=str)
    def test_reach_the_command_once_and_end_twokey_as_it_ended(
        self, words: list[str], number: signal.Signals, tmp_path: Path
    ) -> None:
        ready, log = tmp_path / "ready", tmp_path / "log"
        name = number.name[3:]
        script = (
            f"trap 'echo {number.name} >> {log}; trap - {name}; kill -{name} $$' {name};"
            f" touch {ready}; while :; do sleep 0.05; done"
        )
        running = subprocess.Popen([*words, "sh", "-c", script], start_new_session=True, stderr=subprocess.PIPE)
        until = time.monotonic() + 600
        while not ready.exists():
            assert time.monotonic() < until
            assert running.poll() is None
            time.sleep(0.02)
        running.send_signal(number)
        _, told = running.communicate(timeout=300)
        assert running.returncode == -number
        assert log.read_text().split() == [number.name]
        assert told == b""  # it did not fail for want of credentials

    def test_of_a_terminal_reach_the_command_once(self, words: list[str], tmp_path: Path) -> None:
        """Ctrl-C reaches the whole process group; the command decides what it means."""
        import pty

        log = tmp_path / "log"
        script = f"trap 'echo INT >> {log}; exit 7' INT; echo ready; while :; do sleep 0.05; done"
        child, terminal = pty.fork()
        if child == 0:
            os.execv(words[0], [*words, "sh", "-c", script])  # pragma: no cover
        shown = b""
        while b"ready" not in shown:
            shown += os.read(terminal, 1000)
        os.write(terminal, b"\x03")
        _, status = os.waitpid(child, 0)
        os.close(terminal)
        assert os.waitstatus_to_exitcode(status) == 7
        assert log.read_text().split() == ["INT"]

    def test_that_twokey_notices_after_the_command_has_ended_does_not_change_its_status(self) -> None:
        """The thread that passes signals on may be slower than the command that the same Ctrl-C ends."""
        program = """
import os, signal
from twokey.jobs.exec import Command

class Late(Command):
    def _forward(self):
        signal.sigwait({signal.SIGCONT})

with Late(["sh", "-c", "kill -INT $PPID; exit 7"]) as command:
    status = command.run(dict(os.environ))
raise SystemExit(status)
"""
        ended = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False
        )
        assert (ended.returncode, ended.stderr) == (7, "")


def test_the_endpoint_ends_with_the_command(rig: Rig, job: Job, role: str) -> None:
    job.run(*STORE, "--role", role)
    port = int(job.found["variables"]["AWS_CONTAINER_CREDENTIALS_FULL_URI"].rpartition(":")[2].partition("/")[0])
    import socket

    with socket.socket() as connection, pytest.raises(ConnectionRefusedError):
        connection.connect(("127.0.0.1", port))
    assert not [one.name for one in threading.enumerate() if one.name.startswith("twokey-s")]
