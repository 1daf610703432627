"""No secret of the drop-in is lost on the way out, and none is seen by others."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

import pytest

from twokey.core.errors import Failed, UsageError
from twokey.core.secret import Credential
from twokey.drop_in.output import OutFile, StandardOutput, as_json

RESULTS = {"ci": Credential("AKIAMADE", "s3cr3t/+"), "cd": Credential("AKIAMORE", "0ther")}
JSON = """{
  "ci": {
    "AccessKeyId": "AKIAMADE",
    "SecretAccessKey": "s3cr3t/+"
  },
  "cd": {
    "AccessKeyId": "AKIAMORE",
    "SecretAccessKey": "0ther"
  }
}"""


def test_the_output_is_that_of_the_origin_tool() -> None:
    stream = io.StringIO()

    StandardOutput(stream).finish(RESULTS)

    assert stream.getvalue() == JSON + "\n"
    assert as_json(RESULTS) == JSON


@pytest.mark.parametrize("stream", [None, "closed"])
def test_a_closed_standard_output_is_found_out_in_time(stream: str | None) -> None:
    closed = io.StringIO()
    closed.close()

    with pytest.raises(UsageError, match="Standard output is closed"):
        StandardOutput(closed if stream else None)


def test_what_standard_output_does_not_take_goes_into_a_file_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Path("/dev/full").open("w", encoding="utf-8") as full, pytest.raises(Failed) as failed:
        StandardOutput(full).finish(RESULTS)

    (rescue,) = tmp_path.iterdir()
    assert str(rescue) in failed.value.state
    assert rescue.read_text("utf-8") == JSON
    assert stat.S_IMODE(rescue.stat().st_mode) == 0o600
    assert "s3cr3t" not in str(failed.value)


def test_secrets_that_nothing_takes_are_called_lost_by_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    with Path("/dev/full").open("w", encoding="utf-8") as full, pytest.raises(Failed) as failed:
        StandardOutput(full).finish(RESULTS)

    assert failed.value.state == "The secrets of these new keys are lost: ci: AKIAMADE, cd: AKIAMORE."
    assert "s3cr3t" not in str(failed.value)


def out_file(path: Path, said: list[str] | None = None) -> tuple[OutFile, io.StringIO]:
    stdout = io.StringIO()
    return OutFile(path, StandardOutput(stdout), (said if said is not None else []).append), stdout


def test_a_file_appears_whole_at_the_end_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    file.write_text("before", "utf-8")
    file.chmod(0o644)
    output, stdout = out_file(file)

    output.keep({"ci": RESULTS["ci"]})
    assert file.read_text("utf-8") == "before"
    output.finish(RESULTS)
    output.discard()

    assert file.read_text("utf-8") == JSON
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]
    assert stdout.getvalue() == ""


def test_what_was_made_so_far_lies_beside_the_file_should_the_run_be_killed(tmp_path: Path) -> None:
    output, _ = out_file(tmp_path / "out.json")

    output.keep(RESULTS)

    (beside,) = tmp_path.iterdir()
    assert beside.read_text("utf-8") == JSON
    assert stat.S_IMODE(beside.stat().st_mode) == 0o600
    output.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_nothing_was_made_for_is_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    file.write_text("before", "utf-8")
    output, _ = out_file(file)

    output.discard()
    output.discard()

    assert file.read_text("utf-8") == "before"
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_fails_in_the_end_is_printed(tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    output, stdout = out_file(file)
    file.mkdir()

    with pytest.raises(Failed, match=r"out.json could not be written: .* printed on standard output instead"):
        output.finish(RESULTS)
    output.discard()

    assert stdout.getvalue() == JSON + "\n"
    assert list(tmp_path.iterdir()) == [file]


def test_a_full_disk_is_said_while_the_run_can_still_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output, _ = out_file(tmp_path / "out.json")

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(Failed, match="No space left on device"):
        output.keep(RESULTS)


def test_a_link_a_directory_and_an_absent_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("", "utf-8")
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")

    for name, why in [
        ("link", "symbolic link"),
        ("folder", "expected a regular file"),
        ("pipe", "expected a regular file"),
        ("absent/out", "the directory does not exist"),
        ("target/out", "it cannot be examined: Not a directory"),
    ]:
        with pytest.raises(UsageError, match=f"^-o: .* cannot be used: .*{why}"):
            out_file(tmp_path / name)
    assert (tmp_path / "target").read_text("utf-8") == ""


def test_a_file_of_somebody_else_and_a_read_only_one_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "out.json"
    file.write_text("", "utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda *_: False)
        with pytest.raises(UsageError, match="it is read-only"):
            out_file(file)
    monkeypatch.setattr(os, "geteuid", lambda: file.stat().st_uid + 1)
    with pytest.raises(UsageError, match="it belongs to another user"):
        out_file(file)


def test_a_folder_that_takes_no_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", denied)
    with pytest.raises(UsageError, match="no file can be created in it: Permission denied"):
        out_file(tmp_path / "out.json")


def test_a_folder_that_everybody_may_write_to_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    said: list[str] = []

    out_file(tmp_path / "out.json", said)[0].discard()

    assert said == [
        f"every user of this machine may write to {tmp_path}, and so replace the file with the credentials."
    ]
