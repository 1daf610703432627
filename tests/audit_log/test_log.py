"""The file itself: private, appended to by many at once, and not written to when it is damaged."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from twokey.audit_log import records
from twokey.audit_log.chain import Finding, Link, links
from twokey.audit_log.log import AuditLog
from twokey.audit_log.verification import verify
from twokey.core.errors import AuditLogFailed, Failed, UsageError

if TYPE_CHECKING:
    from pathlib import Path

LINES = 100
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def began(run: str) -> records.Began:
    """Return a line."""
    return records.Began(at=datetime.now(UTC), run=run, version="1", host="here", process=1)


def _write(file: Path, name: str) -> None:
    log = AuditLog.open(file)
    for number in range(LINES):
        log.append(began(f"{name} {number}"), durable=number % 10 == 0)
    log.close()


def refusal(file: Path) -> str:
    """Open a log that cannot be opened; return the message."""
    with pytest.raises(UsageError) as refused:
        AuditLog.open(file)
    return str(refused.value)


class TestAnAuditLog:
    def test_is_private_from_its_first_moment(self, tmp_path: Path) -> None:
        before = os.umask(0)
        try:
            AuditLog.open(tmp_path / "log").close()
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o600

    def test_may_be_readable_by_others(self, tmp_path: Path) -> None:
        AuditLog.open(tmp_path / "log").close()
        (tmp_path / "log").chmod(0o640)
        AuditLog.open(tmp_path / "log").close()

    def test_that_others_may_write_is_refused(self, tmp_path: Path) -> None:
        AuditLog.open(tmp_path / "log").close()
        (tmp_path / "log").chmod(0o620)
        assert "Other users may write" in refusal(tmp_path / "log")

    def test_is_not_reached_through_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(tmp_path / "log")
        assert "symbolic link" in refusal(tmp_path / "link")
        assert not (tmp_path / "log").exists()

    @pytest.mark.parametrize("content", ["a list of things to buy\n", "no line at all", "{}\n"])
    def test_is_no_other_file(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "notes").write_text(content)
        (tmp_path / "notes").chmod(0o600)
        assert "cannot be written" in refusal(tmp_path / "notes")
        assert (tmp_path / "notes").read_text() == content

    def test_is_no_directory_and_lies_in_one_that_exists(self, tmp_path: Path) -> None:
        assert "A directory has that name" in refusal(tmp_path)
        assert "Its directory does not exist" in refusal(tmp_path / "missing" / "log")

    def test_whose_last_line_was_changed_is_not_continued(self, tmp_path: Path) -> None:
        file = tmp_path / "log"
        _write(file, "one")
        file.write_bytes(file.read_bytes().replace(b"one 99", b"two 99"))
        message = refusal(file)
        assert "it was changed" in message
        assert "twokey audit-log verify" in message

    def test_takes_the_lines_of_threads_and_processes_into_one_chain(self, tmp_path: Path) -> None:
        file = tmp_path / "log"
        code = (
            "import sys, pathlib; from audit_log.test_log import _write as w; w(pathlib.Path(sys.argv[1]), sys.argv[2])"
        )
        processes = [
            subprocess.Popen([sys.executable, "-c", code, file, f"process {n}"], env=ENVIRONMENT) for n in "ab"
        ]
        threads = [threading.Thread(target=_write, args=(file, f"thread {number}")) for number in range(3)]
        shared = AuditLog.open(file)
        threads += [
            threading.Thread(target=lambda n=number: [shared.append(began(f"shared {n} {i}")) for i in range(LINES)])
            for number in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert [process.wait(60) for process in processes] == [0, 0]
        shared.close()
        report = verify(file)
        assert report.findings == ()
        assert report.lines == 1 + 7 * LINES
        assert report.runs == 7 * LINES

    def test_that_is_deleted_ends_the_writing(self, tmp_path: Path) -> None:
        log = AuditLog.open(tmp_path / "log")
        (tmp_path / "log").unlink()
        with pytest.raises(AuditLogFailed, match="deleted"):
            log.append(began("one"))

    def test_that_is_cut_off_ends_the_writing(self, tmp_path: Path) -> None:
        log = AuditLog.open(tmp_path / "log")
        log.append(began("one"))
        os.truncate(tmp_path / "log", 10)
        with pytest.raises(AuditLogFailed, match="truncated"):
            log.append(began("two"))
        assert (tmp_path / "log").stat().st_size == 10

    def test_that_failed_once_fails_for_good(self, tmp_path: Path) -> None:
        file = tmp_path / "log"
        log = AuditLog.open(file)
        whole = file.read_bytes()
        file.write_bytes(b"")
        with pytest.raises(AuditLogFailed):
            log.append(began("one"))
        file.write_bytes(whole)
        with pytest.raises(AuditLogFailed):
            log.append(began("two"))
        assert file.read_bytes() == whole

    def test_held_by_a_process_that_hangs_is_given_up(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import fcntl

        monkeypatch.setattr("twokey.audit_log.log.LOCK_PATIENCE", 0.05)
        log = AuditLog.open(tmp_path / "log")
        with (tmp_path / "log").open("rb") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            start = time.monotonic()
            with pytest.raises(AuditLogFailed, match="Another process"):
                log.append(began("one"))
            assert time.monotonic() - start >= 0.05

    def test_failure_is_not_an_ordinary_failure_of_one_user(self) -> None:
        assert not issubclass(AuditLogFailed, Failed)


class TestATornLine:
    @pytest.mark.parametrize("left", [b"{", b'{"what":"begin","seq":3', b"\x00" * 100, b'{"what":"torn"'])
    def test_is_followed_by_a_record_of_it(self, tmp_path: Path, left: bytes) -> None:
        file = tmp_path / "log"
        _write(file, "one")
        with file.open("ab") as stream:
            stream.write(left)
        assert verify(file).findings[0].line == LINES + 2
        _write(file, "two")
        report = verify(file)
        assert (report.findings, report.torn) == ((), 1)
        link = list(links(file))[LINES + 1]
        assert isinstance(link, Link)
        assert link.record.seq == LINES + 2
        assert isinstance(link.record, records.Torn)
        assert link.record.bytes == len(left)

    def test_may_be_followed_by_an_incomplete_record(self, tmp_path: Path) -> None:
        file = tmp_path / "log"
        _write(file, "one")
        with file.open("ab") as stream:
            stream.write(b'{"what":"beg')
        log = AuditLog.open(file)
        log.close()
        whole = file.read_bytes()
        file.write_bytes(whole[:-30])
        _write(file, "two")
        assert (verify(file).findings, verify(file).torn) == ((), 1)

    def test_that_is_changed_afterwards_is_found(self, tmp_path: Path) -> None:
        file = tmp_path / "log"
        _write(file, "one")
        with file.open("ab") as stream:
            stream.write(b'{"what":"beg')
        _write(file, "two")
        file.write_bytes(file.read_bytes().replace(b'{"what":"beg{', b'{"what":"end{'))
        assert verify(file).findings[0] == Finding(
            LINES + 2, "chain", f"line {LINES + 2}: its incomplete part was changed."
        )


def test_a_line_is_on_the_disk_before_append_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Durable lines are synchronised at once, the others at the end."""
    synchronised: list[int] = []
    real = os.fdatasync

    def fdatasync(fd: int) -> None:
        synchronised.append(fd)
        real(fd)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    log = AuditLog.open(tmp_path / "log")
    log.append(began("one"))
    assert len(synchronised) == 0
    log.append(began("two"), durable=True)
    assert len(synchronised) == 1
    log.close()
    assert len(synchronised) == 2
