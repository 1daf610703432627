"""``twokey audit-log verify``: what it prints, and its exit codes."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.commands import twokey
from twokey.audit_log.verification import verify

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig

PATH = ("--path", "/machine-users/", "--store", "secretsmanager:machine-users/{user}")


@pytest.fixture
def log(rig: Rig, tmp_path: Path) -> Path:
    """Return the log of a rotation."""
    rig.settled()
    file = tmp_path / "audit.log"
    assert twokey("rotate", *PATH, "--audit-log", str(file)).code == 0
    return file


class TestVerify:
    def test_says_what_a_good_log_holds_and_its_head(self, log: Path) -> None:
        ran = twokey("audit-log", "verify", str(log))
        report = verify(log)
        assert ran.code == 0
        assert f"lines: {report.lines}, runs: 1, effects: 6" in ran.out
        assert f"the log is valid. The last line has the hash {report.head}." in ran.out

    def test_names_the_line_that_is_wrong_and_the_rule(self, log: Path) -> None:
        lines = log.read_bytes().splitlines(keepends=True)
        log.write_bytes(b"".join(lines[:5] + lines[6:]))
        ran = twokey("audit-log", "verify", str(log))
        assert ran.code == 1
        assert "line 6: 1 line is missing between lines 5 and 6. [the chain of lines]" in ran.out
        assert "is valid" not in ran.out

    def test_prints_one_json_object(self, log: Path) -> None:
        lines = log.read_bytes().splitlines(keepends=True)
        ran = twokey("audit-log", "verify", str(log), "--json")
        assert (ran.code, ran.document["good"], ran.document["findings"]) == (0, True, [])
        log.write_bytes(b"".join(lines[1:]))
        ran = twokey("audit-log", "verify", str(log), "--json")
        assert (ran.code, ran.document["good"]) == (1, False)
        assert ran.document["findings"][0]["line"] == 1
        assert ran.document["findings"][0]["rule"] == "chain"

    def test_finds_what_was_cut_off_by_a_noted_hash_only(self, log: Path) -> None:
        head = verify(log).head
        log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-3]))
        assert twokey("audit-log", "verify", str(log)).code == 0
        ran = twokey("audit-log", "verify", str(log), "--expect-head", head)
        assert ran.code == 1
        assert f"No line has the expected hash {head}" in ran.out

    def test_takes_a_noted_hash_although_the_log_has_grown(self, rig: Rig, log: Path) -> None:
        head = verify(log).head
        rig.aws.make_user("cd", keys=0)
        assert twokey("rotate", *PATH, "--audit-log", str(log)).code == 0
        assert twokey("audit-log", "verify", str(log), "--expect-head", head).code == 0

    @pytest.mark.parametrize("arguments", [("--expect-head", "abc"), ("--expect-head", "A" * 64)])
    def test_refuses_what_is_no_hash(self, log: Path, arguments: tuple[str, ...]) -> None:
        ran = twokey("audit-log", "verify", str(log), *arguments)
        assert ran.code == 2
        assert "expected the hash of a line" in ran.err

    def test_of_a_file_that_cannot_be_read_is_a_usage_error(self, tmp_path: Path) -> None:
        for name, remedy in (("missing", "Check the path."), (".", "Name a file that can be read.")):
            ran = twokey("audit-log", "verify", str(tmp_path / name))
            assert ran.code == 2
            assert "cannot be read" in ran.err
            assert ran.err.endswith(f"  {remedy}\n")

    def test_of_a_file_that_is_no_log_says_so(self, tmp_path: Path) -> None:
        (tmp_path / "notes").write_bytes(b"a list of things to buy\n" * 3 + bytes(range(256)))
        ran = twokey("audit-log", "verify", str(tmp_path / "notes"))
        assert (ran.code, len(ran.out.splitlines()), ran.err) == (1, 1, "")
        assert "notes: this is not an audit log: none of its 5 lines is a line of one. Name the file that" in ran.out
        assert len(twokey("audit-log", "verify", str(tmp_path / "notes"), "--json").document["findings"]) == 5

    def test_of_an_empty_file_says_so(self, tmp_path: Path) -> None:
        (tmp_path / "empty").touch()
        ran = twokey("audit-log", "verify", str(tmp_path / "empty"))
        assert (ran.code, ran.err) == (1, "")
        assert "empty: this is not an audit log: it is empty." in ran.out

    def test_needs_no_aws_and_imports_nothing_of_it(self, log: Path) -> None:
        code = (
            "import sys; from twokey.cli.main import cli, guarded;"
            f"guarded(lambda standalone_mode: cli.main(['audit-log', 'verify', {str(log)!r}], "
            "standalone_mode=standalone_mode));"
            "print([m for m in ('botocore', 'rich', 'yaml') if m in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.rstrip().endswith("[]")


def test_a_rotation_without_a_log_imports_nothing_of_it(rig: Rig) -> None:
    rig.settled()
    code = (
        "import sys; from twokey.cli.main import cli, guarded;"
        f"guarded(lambda standalone_mode: cli.main(['rotate', *{PATH!r}], standalone_mode=standalone_mode));"
        "print([m for m in sys.modules if m.startswith('twokey.audit_log')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "ci: rotated" in done.stdout
    assert done.stdout.rstrip().endswith("[]")
