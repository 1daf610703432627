"""Files and directories that other users of the machine may change or read."""

from __future__ import annotations

import grp
import os
import pwd
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from support.commands import twokey
from twokey.core.errors import ServiceRejected
from twokey.system.permissions import is_shared, warning_about
from twokey.system.safe_files import Directory, make_directory

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig

OTHERS = 4321
"""A user and a group that this process does not belong to."""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another group or user")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("a token")
    path.chmod(0o600)
    return path


class TestADirectoryForSecrets:
    @pytest.mark.parametrize("depth", [1, 2, 3])
    def test_is_refused_below_one_that_every_user_may_write(self, tmp_path: Path, depth: int) -> None:
        inner = tmp_path / "a" / "b" / "c"
        inner.mkdir(parents=True)
        inner.parents[depth - 1].chmod(0o777)
        with pytest.raises(ServiceRejected, match="every user may write") as refused:
            Directory(inner)
        assert f"chmod o-w {inner.parents[depth - 1]}" in refused.value.remedy

    def test_is_refused_below_it_through_a_link_too(self, tmp_path: Path) -> None:
        inner = tmp_path / "open" / "inner"
        inner.mkdir(parents=True)
        (tmp_path / "link").symlink_to(inner)
        inner.parent.chmod(0o777)
        with pytest.raises(ServiceRejected, match="every user may write"):
            Directory(tmp_path / "link")

    def test_is_accepted_below_a_sticky_one(self, tmp_path: Path) -> None:
        (tmp_path / "inner").mkdir()
        tmp_path.chmod(0o1777)
        with Directory(tmp_path / "inner"):
            pass

    @needs_root
    def test_is_refused_where_a_group_of_others_may_write(self, tmp_path: Path) -> None:
        os.chown(tmp_path, -1, OTHERS)
        tmp_path.chmod(0o775)
        with pytest.raises(ServiceRejected, match=f"members of the group {OTHERS}"):
            Directory(tmp_path)
        with pytest.raises(ServiceRejected, match=f"members of the group {OTHERS}"):
            make_directory(tmp_path / "new")
        assert not (tmp_path / "new").exists()
        tmp_path.chmod(0o1775)
        with Directory(tmp_path):
            pass

    def test_is_accepted_where_only_this_users_own_group_may_write(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o775)
        with Directory(tmp_path):
            pass


class TestAGroup:
    def test_of_another_is_shared(self) -> None:
        assert is_shared(OTHERS)

    @pytest.mark.parametrize(("members", "shared"), [([], False), (["me"], False), (["me", "another"], True)])
    def test_of_ones_own_is_shared_if_it_has_other_members(
        self, monkeypatch: pytest.MonkeyPatch, members: list[str], shared: bool
    ) -> None:
        monkeypatch.setattr(grp, "getgrgid", lambda _: SimpleNamespace(gr_mem=members))
        monkeypatch.setattr(pwd, "getpwuid", lambda _: SimpleNamespace(pw_name="me"))
        assert is_shared(os.getegid()) == shared

    def test_without_a_name_as_in_a_container_is_not_shared(self, monkeypatch: pytest.MonkeyPatch) -> None:
        nothing: dict[int, object] = {}
        monkeypatch.setattr(grp, "getgrgid", nothing.__getitem__)
        assert not is_shared(os.getegid())


class TestAFileThatIsRead:
    @pytest.mark.parametrize(
        ("mode", "secret", "may"),
        [
            (0o600, True, ""),
            (0o660, True, ""),
            (0o644, False, ""),
            (0o604, True, "may read the secret in"),
            (0o644, True, "may read the secret in"),
            (0o602, True, "may change"),
            (0o666, True, "may change"),
            (0o666, False, "may change"),
        ],
    )
    def test_gets_a_warning_by_its_mode(self, file: Path, mode: int, secret: bool, may: str) -> None:
        file.chmod(mode)
        found = warning_about(file, secret=secret)
        assert bool(found) == bool(may)
        assert may in found

    @needs_root
    def test_gets_a_warning_where_a_group_of_others_may(self, file: Path) -> None:
        os.chown(file, -1, OTHERS)
        file.chmod(0o640)
        assert "may read" in warning_about(file, secret=True)
        file.chmod(0o620)
        assert "may change" in warning_about(file, secret=False)

    @needs_root
    def test_that_another_user_provides_may_be_readable(self, file: Path) -> None:
        os.chown(file, OTHERS, -1)
        file.chmod(0o444)
        assert warning_about(file, secret=True) == ""

    def test_that_is_missing_is_reported_by_its_reader(self, tmp_path: Path) -> None:
        assert warning_about(tmp_path / "none", secret=True) == ""
        assert warning_about(tmp_path, secret=True) == ""


@pytest.mark.parametrize("command", ["plan", "rotate", "status"])
def test_a_command_warns_about_its_configuration_and_its_tokens(
    rig: Rig, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    rig.aws.make_user("ci", path="/machine-users/", keys=0)
    config = tmp_path / "twokey.yaml"
    config.write_text(
        "version: 1\nmachine_users:\n- {users: [ci], store: 'secretsmanager:x/{user}'}\n"
        f"connections:\n  github: {{token: {{file: {file}}}}}\n"
    )
    monkeypatch.chdir(tmp_path)
    config.chmod(0o600)
    assert "Warning" not in twokey(command).err
    config.chmod(0o666)
    file.chmod(0o644)
    err = " ".join(twokey(command).err.split())
    assert "Warning: Other users of this machine may change twokey.yaml. Remove" in err
    assert f"Warning: Other users of this machine may read the secret in {file}. Remove" in err
