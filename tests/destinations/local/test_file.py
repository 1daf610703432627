"""Files as store and destination: the contract, and the traps that a file system holds."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import stat
import textwrap
import threading
from typing import TYPE_CHECKING, Any

import pytest

from support import forked
from support.local_destinations import Local
from twokey.aws.clients import Clients
from twokey.core.errors import Ambiguous, Conflict, ServiceRejected
from twokey.core.journal import Journal
from twokey.core.model import Held, NotHeld
from twokey.destinations.registry import Services, open_store
from twokey.testing.stores import FULL, ConditionalContract, OneTextContract, assert_silent, fresh_credential, pair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from twokey.core.destination import Store


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


@pytest.fixture
def as_umask() -> Iterator[Callable[[int], None]]:
    before = os.umask(0o022)

    def change(mask: int) -> None:
        os.umask(mask)

    yield change
    os.umask(before)


class TestFile(OneTextContract, ConditionalContract):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> Local:
        return Local(tmp_path / "out" / "ci.json")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o777])
def test_files_are_private_whatever_the_umask(
    store: Store, backend: Local, as_umask: Callable[[int], None], mask: int
) -> None:
    as_umask(mask)
    store.put(fresh_credential(), store.save_journal(FULL, store.load().revision))
    assert mode_of(backend.path) == 0o600
    assert mode_of(backend.journal) == 0o600


def test_a_file_is_private_from_its_first_moment(
    store: Store, backend: Local, as_umask: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    as_umask(0)
    modes = []
    write = os.write

    def look(fd: int, data: Any) -> int:
        modes.append(stat.S_IMODE(os.fstat(fd).st_mode))
        return write(fd, data)

    open_ = os.open

    def look_at_once(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        fd = open_(path, flags, mode, dir_fd=dir_fd)
        if flags & os.O_CREAT:
            modes.append(stat.S_IMODE(os.fstat(fd).st_mode))
        return fd

    monkeypatch.setattr(os, "write", look)
    monkeypatch.setattr(os, "open", look_at_once)
    store.deliver(fresh_credential())
    assert modes == [0o600, 0o600]


def test_directories_that_were_missing_are_private(tmp_path: Path, services: Services, as_umask: Any) -> None:
    as_umask(0)
    open_store(f"file:{tmp_path}/a/b/c/ci.json", services).deliver(fresh_credential())
    assert [mode_of(tmp_path / part) for part in ("a", "a/b", "a/b/c")] == [0o700] * 3


def test_a_file_that_others_could_read_becomes_private_with_the_next_delivery(store: Store, backend: Local) -> None:
    credential = fresh_credential()
    store.deliver(credential)
    backend.path.chmod(0o644)
    assert store.deliver(credential).written
    assert mode_of(backend.path) == 0o600
    assert not store.deliver(credential).written


def test_readers_never_see_half_a_file(store: Store, backend: Local) -> None:
    credentials = [fresh_credential() for _ in range(2)]
    allowed = [pair(credential) for credential in credentials]
    store.deliver(credentials[0])
    stop = threading.Event()
    seen = []

    def read() -> None:
        while not stop.is_set():
            seen.append(json.loads(backend.path.read_text()))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(40):
        store.deliver(credentials[number % 2])
    stop.set()
    reader.join()
    assert all(value in allowed for value in seen)


@pytest.mark.parametrize("when", ["write", "fsync", "rename", "open"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EIO])
def test_a_failed_write_leaves_the_old_content_and_nothing_beside_it(
    store: Store, backend: Local, monkeypatch: pytest.MonkeyPatch, when: str, code: int
) -> None:
    older, newer = fresh_credential(), fresh_credential()
    revision = store.put(older, store.save_journal(FULL, store.load().revision))
    before = backend.picture()
    real = getattr(os, when)

    def fail(*arguments: Any, **named: Any) -> Any:
        if when == "open" and not arguments[1] & os.O_CREAT:
            return real(*arguments, **named)
        if when == "write":
            real(arguments[0], bytes(arguments[1])[:10])
        raise OSError(code, os.strerror(code))

    acts: list[Callable[[], object]] = [
        lambda: store.put(newer, revision),
        lambda: store.save_journal(Journal(), revision),
        lambda: store.deliver(newer),
    ]
    for act in acts:
        with monkeypatch.context() as patch:
            patch.setattr(os, when, fail)
            with pytest.raises(ServiceRejected) as raised:
                act()
        assert str(backend.path.parent) in raised.value.message
        assert raised.value.remedy or code == errno.EIO
        assert_silent(raised.value, older, newer)
        assert backend.picture() == before
    store.put(newer, revision)


def test_an_interrupted_write_leaves_nothing_beside_the_file(
    store: Store, backend: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.deliver(fresh_credential())
    before = backend.picture()

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.deliver(fresh_credential())
    assert backend.picture() == before


def test_a_disk_that_is_full_halfway_is_told_and_does_no_harm(store: Store, backend: Local) -> None:
    """RLIMIT_FSIZE makes the system itself cut the write short and then refuse it."""
    older = fresh_credential()
    store.deliver(older)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))
        with pytest.raises(ServiceRejected, match="ulimit"):
            store.deliver(fresh_credential())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert json.loads(backend.text() or "") == pair(older)
    assert len(list(backend.path.parent.iterdir())) == 1


def test_a_write_whose_durability_is_unknown_is_ambiguous(
    store: Store, backend: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    credential = fresh_credential()
    fsync = os.fsync

    def fail_on_directories(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        fsync(fd)

    monkeypatch.setattr(os, "fsync", fail_on_directories)
    with pytest.raises(Ambiguous):
        store.deliver(credential)
    assert json.loads(backend.text() or "") == pair(credential)


def test_preflight_finds_a_full_and_a_closed_directory(
    store: Store, backend: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda *_, **__: False)
        with pytest.raises(ServiceRejected, match="permission to write"):
            store.preflight()
    for blocks, inodes, lacking in ((0, 50, "bytes"), (5, 0, "inodes")):
        full = os.statvfs_result((4096, 4096, 100, blocks, blocks, 100, inodes, inodes, 0, 255))
        monkeypatch.setattr(os, "statvfs", lambda _, full=full: full)
        with pytest.raises(
            ServiceRejected, match=f"no file can be written there: its file system has 0 {lacking} free"
        ):
            store.preflight()


def test_a_writer_waits_for_another_one_and_not_for_ever(tmp_path: Path, backend: Local) -> None:
    import fcntl

    from twokey.aws.clock import ServiceClock

    backend.path.parent.mkdir()
    slept: list[float] = []
    clock = ServiceClock(sleep=slept.append, monotonic=lambda: 100.0 * len(slept))
    store = open_store(backend.url, Services(Clients("file", clock=clock)))
    fd = os.open(backend.path.parent, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        with pytest.raises(ServiceRejected, match="Another process"):
            store.deliver(fresh_credential())
        assert slept
    finally:
        os.close(fd)
    assert store.deliver(fresh_credential()).written


def test_of_many_writers_with_the_same_revision_exactly_one_wins(
    services: Services, store: Store, backend: Local
) -> None:
    revision = store.save_journal(Journal(epoch=1), store.load().revision)
    credentials = [fresh_credential() for _ in range(8)]
    start = threading.Barrier(len(credentials))
    won, lost = [], []

    def race(credential: Any) -> None:
        mine = open_store(backend.url, services)
        start.wait()
        try:
            mine.put(credential, revision)
            won.append(credential)
        except Conflict:
            lost.append(credential)

    threads = [threading.Thread(target=race, args=[credential]) for credential in credentials]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 7)
    assert json.loads(backend.text() or "") == pair(won[0])


def test_other_processes_are_kept_apart_too(store: Store, backend: Local) -> None:
    """Each of three processes adds to the epoch, again after each conflict: no addition is lost."""
    program = textwrap.dedent(
        """
        import sys
        from twokey.aws.clients import Clients
        from twokey.destinations.registry import Services, open_store
        from twokey.core.errors import Conflict
        from twokey.core.journal import Journal
        store = open_store(sys.argv[1], Services(Clients("p")))
        done = 0
        while done < 20:
            record = store.load()
            try:
                store.save_journal(Journal(epoch=record.journal.epoch + 1), record.revision)
            except Conflict:
                continue
            done += 1
        """
    )
    runs = [forked.start(backend.url, cwd=backend.path.parent, env=os.environ, program=program) for _ in range(3)]
    assert [(run.communicate(), run.returncode) for run in runs] == [(("", ""), 0)] * 3
    assert store.load().journal.epoch == 60


def test_a_journal_saved_again_with_the_same_content_is_another_revision(store: Store) -> None:
    """Otherwise a run that was paused in between could not know that it lost the lease."""
    first = store.save_journal(Journal(epoch=1), store.load().revision)
    second = store.save_journal(Journal(epoch=2), first)
    store.save_journal(Journal(epoch=1), second)
    with pytest.raises(Conflict):
        store.put(fresh_credential(), first)


def test_a_put_is_refused_after_another_run_took_the_journal(store: Store) -> None:
    revision = store.save_journal(Journal(epoch=1), store.load().revision)
    store.save_journal(Journal(epoch=2), store.load().revision)
    with pytest.raises(Conflict):
        store.put(fresh_credential(), revision)
    assert store.load().holding == NotHeld()


def test_a_path_is_meant_from_where_the_run_began(
    tmp_path: Path, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("file:out/ci.json", services)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    credential = fresh_credential()
    store.deliver(credential)
    assert json.loads((tmp_path / "out/ci.json").read_text()) == pair(credential)
    assert store.held() == Held(credential.access_key_id)


def test_a_write_that_another_program_replaced_at_once_is_in_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been read in between, and a key in doubt is never deleted."""
    from twokey.system.safe_files import Directory

    replaced = Directory.replace

    def overtaken(directory: Directory, name: str, data: memoryview) -> None:
        replaced(directory, name, data)
        replaced(directory, name, memoryview(b"another program's"))

    store = open_store(f"file:{tmp_path}/ci.json", Services(Clients("test")))
    revision = store.save_journal(Journal(), store.load().revision)
    monkeypatch.setattr(Directory, "replace", overtaken)
    with pytest.raises(Ambiguous, match="reads back with another content"):
        store.put(fresh_credential(), revision)
