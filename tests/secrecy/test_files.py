"""Every file that is written: mode 0600 under any umask, and never through a trap of another user.

``tests/destinations/local/test_file_traps.py`` has the traps for ``file:`` (links in place of the file, its journal,
and what is written beside them; directories and files of other users; FIFOs; directories that every user may write),
and ``tests/drop_in/test_output.py`` those for the drop-in's FILE. This file has all other traps.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.canaries import Canaries, leaks
from twokey.core.errors import Failed, UsageError
from twokey.core.secret import Credential
from twokey.drop_in.output import OutFile, StandardOutput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.rig import Rig

UMASKS = (0o000, 0o022, 0o027, 0o077, 0o177, 0o277, 0o777)


@contextmanager
def masked(umask: int) -> Iterator[None]:
    before = os.umask(umask)
    try:
        yield
    finally:
        os.umask(before)


def modes(folder: Path) -> dict[str, str]:
    """Return the mode of everything below a folder, by its path in it."""
    found = {str(path.relative_to(folder)): stat.S_IMODE(path.lstat().st_mode) for path in folder.rglob("*")}
    return {name: oct(mode) for name, mode in found.items()}


class TestTheUmask:
    @pytest.mark.parametrize("umask", UMASKS, ids=oct)
    def test_neither_opens_nor_closes_the_files_of_a_store(self, rig: Rig, tmp_path: Path, umask: int) -> None:
        folder = tmp_path / "places"
        folder.mkdir()
        rig.store_url, rig.deliver = f"file:{folder}/{{user}}.json", (f"file:{folder}/copies/{{user}}.json",)
        (folder / "copies").mkdir(0o700)
        rig.aws.make_user("ci", keys=0)
        with masked(umask):
            assert rig.rotate().outcome == "rotated"
        assert modes(folder) == {
            "ci.json": "0o600",
            "ci.json.twokey-journal": "0o600",
            "copies": "0o700",
            "copies/ci.json": "0o600",
        }

    @pytest.mark.parametrize("umask", [0o000, 0o022, 0o077], ids=oct)
    def test_does_not_open_the_directories_that_a_store_makes(self, rig: Rig, tmp_path: Path, umask: int) -> None:
        rig.store_url = f"file:{tmp_path}/a/b/{{user}}.json"
        rig.aws.make_user("ci", keys=0)
        with masked(umask):
            assert rig.rotate().outcome == "rotated"
        assert modes(tmp_path) == {
            "a": "0o700",
            "a/b": "0o700",
            "a/b/ci.json": "0o600",
            "a/b/ci.json.twokey-journal": "0o600",
        }

    @pytest.mark.parametrize("umask", UMASKS, ids=oct)
    def test_changes_nothing_of_the_drop_ins_file_at_any_moment(
        self, canaries: Canaries, tmp_path: Path, umask: int
    ) -> None:
        made = {"ci": Credential("AKIAMADE", canaries.take())}
        with masked(umask):
            output = OutFile(tmp_path / "out.json", StandardOutput(StringIO()), print)
            assert set(modes(tmp_path).values()) == {"0o600"}
            output.keep(made)
            assert set(modes(tmp_path).values()) == {"0o600"}
            output.finish(made)
            output.discard()
        assert modes(tmp_path) == {"out.json": "0o600"}

    @pytest.mark.parametrize("umask", [0o000, 0o022, 0o077], ids=oct)
    def test_does_not_open_the_file_that_takes_what_no_reader_took(
        self, canaries: Canaries, tmp_path: Path, umask: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        made = {"ci": Credential("AKIAMADE", canaries.take())}
        with masked(umask), Path("/dev/full").open("w", encoding="utf-8") as full, pytest.raises(Failed) as failed:
            StandardOutput(full).finish(made)
        assert list(modes(tmp_path).values()) == ["0o600"]
        assert leaks(str(failed.value), canaries.secrets) == []


class TestAHardLink:
    def test_to_a_store_keeps_what_it_had_and_gets_no_new_secret(
        self, rig: Rig, canaries: Canaries, tmp_path: Path
    ) -> None:
        folder = tmp_path / "places"
        folder.mkdir(0o700)
        rig.store_url = f"file:{folder}/{{user}}.json"
        rig.aws.make_user("ci", keys=0)
        planted = {}
        for name in ("ci.json", "ci.json.twokey-journal", ".ci.json.twokey-new"):
            planted[name] = tmp_path / f"spy {name}"
            planted[name].write_text("" if "new" in name else '{"twokey-journal": {}}')
            os.link(planted[name], folder / name)
        (folder / "ci.json").unlink()
        assert rig.rotate().outcome == "rotated"
        assert all(leaks(spy.read_bytes(), canaries.secrets) == [] for spy in planted.values())
        assert leaks((folder / "ci.json").read_bytes(), canaries.secrets)

    def test_to_the_drop_ins_file_gets_no_secret(self, canaries: Canaries, tmp_path: Path) -> None:
        spy, file = tmp_path / "spy", tmp_path / "out.json"
        spy.write_text("before")
        os.link(spy, file)
        made = {"ci": Credential("AKIAMADE", canaries.take())}
        output = OutFile(file, StandardOutput(StringIO()), print)
        output.finish(made)
        output.discard()
        assert spy.read_text() == "before"
        assert json.loads(file.read_text())["ci"]["AccessKeyId"] == "AKIAMADE"


class TestALinkLaidWhileTheRunIsUnderWay:
    def test_in_place_of_the_drop_ins_file_is_replaced_and_not_followed(
        self, canaries: Canaries, tmp_path: Path
    ) -> None:
        target, file = tmp_path / "target", tmp_path / "out.json"
        output = OutFile(file, StandardOutput(StringIO()), print)
        file.symlink_to(target)
        output.finish({"ci": Credential("AKIAMADE", canaries.take())})
        output.discard()
        assert not target.exists()
        assert not file.is_symlink()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600

    def test_in_place_of_the_file_beside_it_gets_no_secret(self, canaries: Canaries, tmp_path: Path) -> None:
        """A user who may write in the directory can remove the file; the output still goes to the original file."""
        target = tmp_path / "target"
        output = OutFile(tmp_path / "out.json", StandardOutput(StringIO()), print)
        (beside,) = tmp_path.iterdir()
        beside.unlink()
        beside.symlink_to(target)
        stdout = StringIO()
        output = _with_last_resort(output, stdout)
        made = {"ci": Credential("AKIAMADE", canaries.take())}
        output.keep(made)
        with pytest.raises(Failed, match="printed on standard output instead"):
            output.finish(made)
        output.discard()
        assert not target.exists()
        assert leaks(stdout.getvalue(), canaries.secrets), "no secret is lost"

    def test_in_place_of_the_directory_of_a_store_is_refused_if_it_belongs_to_another_user(
        self, rig: Rig, canaries: Canaries, tmp_path: Path
    ) -> None:
        if os.geteuid() != 0:
            pytest.skip("only root can give links to others")
        real, link = tmp_path / "real", tmp_path / "link"
        real.mkdir()
        link.symlink_to(real)
        os.chown(link, 12345, -1, follow_symlinks=False)
        rig.store_url = f"file:{link}/{{user}}.json"
        rig.aws.make_user("ci", keys=0)
        assert rig.rotate().outcome == "refused"
        assert list(real.iterdir()) == []
        with pytest.raises(UsageError, match="symbolic link that belongs to another user"):
            OutFile(link / "out.json", StandardOutput(StringIO()), print)
        os.chown(real, 12345, -1)
        messages: list[str] = []
        OutFile(real / "out.json", StandardOutput(StringIO()), messages.append).discard()
        assert messages == [
            f"{real} belongs to another user (uid 12345), who may replace the file with the credentials."
        ]


def _with_last_resort(output: OutFile, stdout: StringIO) -> OutFile:
    output._last_resort = StandardOutput(stdout)
    return output
