"""What is no defect: output that cannot be written, closed streams, a directory that is gone, a terminal without UTF-8.

And what is: it says where to report it.
"""

from __future__ import annotations

import errno
import importlib.metadata
import json
import os
import subprocess
import sys
from email.message import Message
from io import BytesIO, TextIOWrapper
from typing import TYPE_CHECKING

import pytest

from support import forked
from support.commands import twokey
from twokey.cli import terminal
from twokey.cli.main import COMMANDS, guarded
from twokey.cli.streams import CHANGING, may_have_changed

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig

STATUS = "status ci --store 'secretsmanager:machine-users/{user}'"
DROP_IN = f"{sys.executable} -c 'from twokey.cli.drop_in import main; main()'"

WITH_ENCODING = """
import sys
from twokey.cli.main import main
sys.stdout.reconfigure(encoding={encoding!r}, errors="strict")
sys.stderr.reconfigure(encoding={encoding!r}, errors="backslashreplace")
main()
"""
"""The command, with its streams as ``PYTHONIOENCODING`` makes them."""


def shell(line: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a line of a shell, in which ``twokey`` is the command of the code under test, with buffers as usual."""
    return subprocess.run(
        ["bash", "-c", line.replace("twokey ", f"{sys.executable} -m twokey ")],
        env={**os.environ, "PYTHONUNBUFFERED": "", **variables},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


class TestStandardOutput:
    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            (f"twokey {STATUS} >/dev/full", "No space left on device"),
            (f"twokey {STATUS} --json >&-", "standard output is closed"),
            ("twokey --version >/dev/full", "No space left on device"),
            ("twokey plan --help >&-", "standard output is closed"),
        ],
    )
    def test_that_cannot_be_written_is_told_as_that(self, rig: Rig, tmp_path: Path, line: str, reason: str) -> None:
        rig.aws.make_user("ci", keys=0)
        done = shell(line, tmp_path)
        assert done.returncode == 1
        assert done.stderr.splitlines()[0] == f"Error: The results cannot be printed: {reason}."
        assert "defect" not in done.stderr
        assert "Exception ignored" not in done.stderr

    @pytest.mark.parametrize(
        ("line", "state"),
        [
            ("twokey plan ci --store 'ssm:/{user}' --json >/dev/full", "Nothing was changed."),
            ("twokey --help >/dev/full", "Nothing was changed."),
            ("twokey rotate --help >/dev/full", "Nothing was changed."),
            (f"{DROP_IN} --help >/dev/full", "Nothing was changed."),
            (
                "twokey rotate ci --store 'ssm:/{user}' --json >/dev/full",
                "Completed changes remain; the next run continues from there.",
            ),
        ],
    )
    def test_that_cannot_be_written_is_told_with_what_can_have_been_changed(
        self, rig: Rig, tmp_path: Path, line: str, state: str
    ) -> None:
        rig.aws.make_user("ci", keys=0)
        assert shell(line, tmp_path).stderr.splitlines()[1] == f"  {state}"

    def test_is_named_by_commands_that_there_are(self) -> None:
        assert set(COMMANDS) >= CHANGING

    def test_that_is_not_buffered_is_no_exception(self, tmp_path: Path) -> None:
        done = shell("twokey --version >/dev/full", tmp_path, PYTHONUNBUFFERED="1")
        assert (done.returncode, "No space left on device" in done.stderr) == (1, True)

    def test_of_the_drop_in_that_cannot_be_written_is_no_defect(self, tmp_path: Path) -> None:
        done = shell(f"{DROP_IN} --help >/dev/full", tmp_path)
        assert (done.returncode, "No space left on device" in done.stderr) == (1, True)
        assert "defect" not in done.stderr

    def test_that_is_closed_gets_no_file_of_twokey(self, tmp_path: Path) -> None:
        """The next file that is opened would have the number of the stream, and get what a program prints there."""
        code = (
            "import os, sys; from twokey.cli import streams; streams.prepare(); "
            "sys.exit(os.open('file', os.O_CREAT | os.O_WRONLY) < 3)"
        )
        assert shell(f'{sys.executable} -c "{code}" <&- >&- 2>&-', tmp_path).returncode == 0


class TestStandardError:
    def test_that_cannot_be_written_ends_no_rotation(self, rig: Rig, tmp_path: Path) -> None:
        rig.aws.make_user("ci", keys=0)
        done = shell("twokey rotate ci --verbose --store 'secretsmanager:machine-users/{user}' 2>/dev/full", tmp_path)
        assert done.returncode == 0
        assert "ci: rotated" in done.stdout
        assert rig.held() == rig.ids()[0]


def test_standard_input_that_is_closed_holds_no_credential(rig: Rig, tmp_path: Path) -> None:
    done = shell("twokey adopt ci --stdin --store 'secretsmanager:machine-users/{user}' <&-", tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: --stdin: Standard input")


@pytest.mark.parametrize("option", ["--store 'file:keys/{user}'", "--store 'ssm:/{user}' --audit-log log"])
def test_a_working_directory_that_is_gone_is_told_as_that(rig: Rig, tmp_path: Path, option: str) -> None:
    rig.aws.make_user("ci", keys=0)
    done = shell(f"mkdir gone; cd gone; rmdir ../gone; twokey rotate ci {option}", tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "Error: The working directory does not exist any more."
    assert rig.ids() == []


class TestWithoutUtf8:
    @pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
    def test_text_that_the_terminal_does_not_have_is_escaped(self, rig: Rig, tmp_path: Path, encoding: str) -> None:
        rig.aws.make_user("ci", keys=0)
        (tmp_path / "ключи").mkdir(mode=0o700)
        arguments = ("rotate", "ci", "--store", "file:ключи/{user}")
        program = WITH_ENCODING.format(encoding=encoding)
        done = forked.start(*arguments, cwd=tmp_path, env=os.environ, program=program)
        out, err = done.communicate()
        assert done.returncode == 0, err
        assert "ci: rotated" in out
        out, _ = forked.start(*arguments, "--json", cwd=tmp_path, env=os.environ, program=program).communicate()
        assert json.loads(out)["results"][0]["user"] == "ci"

    @pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
    def test_json_stays_the_same_document(self, monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
        document = json.dumps({"ключ": "ü \U0001f511 \x9b"}, ensure_ascii=False)
        printed = TextIOWrapper(BytesIO(), encoding)
        monkeypatch.setattr(sys, "stdout", printed)
        terminal.say_json(document)
        printed.flush()
        assert json.loads(printed.buffer.getvalue().decode(encoding)) == json.loads(document)


class TestADefect:
    @staticmethod
    def raised(error: Exception, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
        def command(**_: object) -> None:
            raise error

        return guarded(command), capsys.readouterr().err

    def test_says_which_version_and_where_to_report_it(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(importlib.metadata, "metadata", lambda _: Message())
        code, shown = self.raised(LookupError("a secret"), capsys)
        assert code == 1
        assert "a defect in twokey (LookupError)" in shown
        assert 'the form "Bug report", under Issues in the repository that twokey was installed from' in shown
        assert "twokey 0." in shown
        assert "a secret" not in shown

    @pytest.mark.parametrize("label", ["Issues", "Repository"])
    def test_is_reported_where_the_package_says(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, label: str
    ) -> None:
        found = Message()
        found["Project-URL"] = f"{label}, https://git.example/twokey"
        monkeypatch.setattr(importlib.metadata, "metadata", lambda _: found)
        assert "report these lines at https://git.example/twokey" in self.raised(LookupError(), capsys)[1]

    @pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOSPC, errno.ENOMEM, errno.EROFS])
    def test_is_no_limit_of_the_system(self, capsys: pytest.CaptureFixture[str], number: int) -> None:
        code, shown = self.raised(OSError(number, "somewhere"), capsys)
        assert code == 1
        assert f"The system refused what twokey needs: {os.strerror(number)}." in shown


@pytest.mark.parametrize("option", ["--window", "--grace", "--idle", "--soak"])
@pytest.mark.parametrize("time", ["4000000d", "999999999999d", "9" * 30 + "h"])
def test_a_time_beyond_every_calendar_is_a_usage_error(rig: Rig, option: str, time: str) -> None:
    ran = twokey("status", "ci", "--store", "ssm:/{user}", option, time)
    assert ran.code == 2
    assert "is more than ten years" in ran.err
    assert rig.aws.requests == []


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_each_line_arrives_while_the_command_runs(tmp_path: Path, unbuffered: str) -> None:
    command = [sys.executable, "-m", "twokey", "emulator", "--port", "0", "--json"]
    variables = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with subprocess.Popen(command, env=variables, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as emulator:
        try:
            assert emulator.stdout
            assert "endpoint_url" in emulator.stdout.readline()
        finally:
            emulator.terminate()


@pytest.mark.parametrize(
    ("words", "may"),
    [
        ("twokey rotate ci", True),
        ("/usr/bin/twokey --option rotate ci", True),
        ("iam-credential-rotation /a/", True),
        ("twokey rotate --help", False),
        ("twokey plan ci", False),
        ("twokey status", False),
    ],
)
def test_only_a_command_that_changes_nothing_is_said_to_have_changed_nothing(words: str, may: bool) -> None:
    assert may_have_changed(words.split()) is may
