"""What lies in wait in a file system: links, strangers' files and directories, things that are no files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.local_destinations import Local
from twokey.aws.clients import Clients
from twokey.core.errors import ServiceRejected
from twokey.destinations.registry import Services, open_store
from twokey.testing.stores import FULL, fresh_credential, pair

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.core.destination import Store

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")
STRANGER = 12345


@pytest.fixture
def services() -> Services:
    return Services(Clients("file"))


@pytest.fixture
def backend(tmp_path: Path) -> Local:
    return Local(tmp_path / "out" / "ci.json")


@pytest.fixture
def store(backend: Local, services: Services) -> Store:
    backend.path.parent.mkdir()
    return open_store(backend.url, services)


@pytest.mark.parametrize("which", ["path", "journal"])
def test_a_symbolic_link_in_place_of_a_file_is_not_followed(
    store: Store, backend: Local, tmp_path: Path, which: str
) -> None:
    seen = store.load().revision
    target = tmp_path / "target"
    target.write_text('{"twokey-journal": {}}')
    getattr(backend, which).symlink_to(target)
    acts: list[Callable[[], object]] = [store.load, store.preflight, lambda: store.save_journal(FULL, seen)]
    for act in acts:
        with pytest.raises(ServiceRejected, match="symbolic link"):
            act()
    if which == "path":
        with pytest.raises(ServiceRejected, match="symbolic link"):
            store.deliver(fresh_credential())
    assert target.read_text() == '{"twokey-journal": {}}'


def test_a_link_that_lies_where_the_new_file_is_written_is_not_followed(
    store: Store, backend: Local, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    (backend.path.parent / f".{backend.path.name}.twokey-new").symlink_to(target)
    credential = fresh_credential()
    store.deliver(credential)
    assert not target.exists()
    assert not backend.path.is_symlink()
    assert json.loads(backend.text() or "") == pair(credential)


def test_a_link_laid_in_the_last_moment_is_not_followed(
    store: Store, backend: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a sticky directory a stranger may win the race for the new file's name, and gains nothing by it."""
    target = tmp_path / "target"
    target.write_text("")
    beside = backend.path.parent / f".{backend.path.name}.twokey-new"
    real = os.open

    def lay_first(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & os.O_CREAT:
            os.link(target, beside)
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", lay_first)
    with pytest.raises(ServiceRejected):
        store.deliver(fresh_credential())
    assert target.read_text() == ""
    assert not backend.path.exists()


def test_what_a_killed_run_left_is_removed(store: Store, backend: Local) -> None:
    left = backend.path.parent / f".{backend.path.name}.twokey-new"
    left.write_text("half a secr")
    store.deliver(fresh_credential())
    assert sorted(path.name for path in backend.path.parent.iterdir()) == [backend.path.name]


def test_a_directory_that_every_user_may_write_in_is_refused(store: Store, backend: Local) -> None:
    backend.path.parent.chmod(0o777)
    for act in (store.load, store.preflight, lambda: store.deliver(fresh_credential())):
        with pytest.raises(ServiceRejected, match="Every user"):
            act()
    assert not backend.path.exists()


def test_a_sticky_directory_is_accepted(store: Store, backend: Local) -> None:
    backend.path.parent.chmod(0o1777)
    assert store.deliver(fresh_credential()).written


def test_nothing_is_created_below_a_directory_that_every_user_may_write_in(tmp_path: Path, services: Services) -> None:
    tmp_path.chmod(0o777)
    store = open_store(f"file:{tmp_path}/new/ci.json", services)
    for act in (store.preflight, lambda: store.deliver(fresh_credential())):
        with pytest.raises(ServiceRejected, match="Every user"):
            act()
    assert not (tmp_path / "new").exists()


@needs_root
def test_a_directory_of_another_user_is_refused(store: Store, backend: Local) -> None:
    os.chown(backend.path.parent, STRANGER, -1)
    with pytest.raises(ServiceRejected, match="another user"):
        store.deliver(fresh_credential())


@needs_root
@pytest.mark.parametrize("which", ["path", "journal"])
def test_a_file_of_another_user_is_refused(store: Store, backend: Local, which: str) -> None:
    trap = getattr(backend, which)
    trap.write_text("theirs")
    os.chown(trap, STRANGER, -1)
    for act in (store.load, store.preflight):
        with pytest.raises(ServiceRejected, match="another user"):
            act()
    with pytest.raises(ServiceRejected, match="another user"):
        store.deliver(fresh_credential()) if which == "path" else store.save_journal(FULL, store.load().revision)
    assert trap.read_text() == "theirs"


@needs_root
def test_a_link_to_a_directory_is_followed_only_if_it_is_ours(tmp_path: Path, services: Services) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    store = open_store(f"file:{link}/ci.json", services)
    assert store.deliver(fresh_credential()).written
    os.chown(link, STRANGER, -1, follow_symlinks=False)
    with pytest.raises(ServiceRejected, match="symbolic link that belongs to another user"):
        store.deliver(fresh_credential())


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_regular_file_is_refused_and_does_not_block(store: Store, backend: Local, make: Any) -> None:
    make(backend.path)
    for act in (store.load, store.preflight, lambda: store.deliver(fresh_credential())):
        with pytest.raises(ServiceRejected, match=r"regular file|directory"):
            act()


def test_a_parent_that_is_a_file_is_refused(tmp_path: Path, services: Services) -> None:
    (tmp_path / "file").write_text("")
    store = open_store(f"file:{tmp_path}/file/ci.json", services)
    for act in (store.load, store.preflight, lambda: store.deliver(fresh_credential())):
        with pytest.raises(ServiceRejected, match="not a directory"):
            act()


def test_a_link_that_leads_nowhere_is_no_parent(tmp_path: Path, services: Services) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    store = open_store(f"file:{tmp_path}/link/ci.json", services)
    with pytest.raises(ServiceRejected, match="no directory"):
        store.deliver(fresh_credential())


def test_a_file_too_large_to_be_ours_is_refused(store: Store, backend: Local) -> None:
    backend.path.write_bytes(b" " * ((1 << 20) + 1))
    with pytest.raises(ServiceRejected, match="larger"):
        store.load()
