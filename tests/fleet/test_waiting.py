"""Users that have to wait for another run: the others are rotated meanwhile, and never too many at a time."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from support.commands import twokey
from twokey.core import waiting
from twokey.core.journal import Lease
from twokey.core.model import MachineUser
from twokey.fleet import pool

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.rig import Rig


class Jobs:
    """Users whose work waits until ``free`` others are done, or until they are told to go on."""

    def __init__(self, in_doubt: int, free: int) -> None:
        self.free = free
        self.names = [*(f"doubt-{number}" for number in range(in_doubt)), *(f"free-{number}" for number in range(free))]
        self.done: list[str] = []
        self.active = self.most = 0
        self._changed = threading.Condition()

    def work(self, job: Any) -> str:
        name: str = job.user.name
        with self._changed:
            self.active += 1
            self.most = max(self.most, self.active)
        if name.startswith("doubt"):
            with self._changed:
                self.active -= 1
            with waiting.aside(), self._changed:
                self._changed.wait_for(lambda: sum(one.startswith("free") for one in self.done) == self.free)
            with self._changed:
                self.active += 1
                self.most = max(self.most, self.active)
        time.sleep(0.001)
        with self._changed:
            self.active -= 1
            self.done.append(name)
            self._changed.notify_all()
        return name


def jobs_of(names: list[str]) -> Any:
    return [SimpleNamespace(user=MachineUser(name, "/", name, "123456789012", name)) for name in names]


@pytest.mark.parametrize(("in_doubt", "free", "concurrency"), [(16, 170, 16), (1, 1, 1), (40, 3, 4), (3, 40, 2)])
def test_do_not_hold_up_the_users_that_are_free(in_doubt: int, free: int, concurrency: int) -> None:
    jobs = Jobs(in_doubt, free)
    assert pool.run(jobs_of(jobs.names), jobs.work, concurrency) == jobs.names
    assert jobs.most <= concurrency


def test_go_on_before_another_user_begins() -> None:
    """They may hold a lease, which ends."""
    order: list[str] = []
    first_waits, go_on = threading.Event(), threading.Event()

    def work(job: Any) -> str:
        name: str = job.user.name
        if name == "waits":
            with waiting.aside():
                first_waits.set()
                go_on.wait()
        elif name == "busy":
            first_waits.wait()
            go_on.set()
            while not _returning():
                time.sleep(0.001)
        order.append(name)
        return name

    permits: list[Any] = []
    real = pool._Permits

    def remembered(count: int) -> Any:
        permits.append(real(count))
        return permits[0]

    def _returning() -> int:
        return len(permits[0]._returning)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "_Permits", remembered)
        pool.run(jobs_of(["waits", "busy", "later", "last"]), work, 1)
    assert order == ["busy", "waits", "later", "last"]


def _lease(rig: Rig, user: str, lease: Lease | None) -> None:
    store = rig.store(user)
    record = store.load()
    store.save_journal(msgspec.structs.replace(record.journal, lease=lease), record.revision)


def _until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.05)


@pytest.mark.first
def test_that_another_run_holds_let_the_free_ones_be_rotated(rig: Rig) -> None:
    held, free = [f"held-{number}" for number in range(3)], [f"free-{number}" for number in range(3)]
    for user in (*held, *free):
        rig.aws.make_user(user, path="/machine-users/", keys=0)
    for user in held:
        until = rig.aws.now().replace(microsecond=0) + timedelta(seconds=170)
        _lease(rig, user, Lease(run="another", host="another-host", process=1, start="0", until=until))

    def release() -> None:
        _until(lambda: all(rig.ids(user) for user in free))
        begun.extend(user for user in held if rig.ids(user))
        for user in held:
            _lease(rig, user, None)

    begun: list[str] = []
    thread = threading.Thread(target=release)
    thread.start()
    ran = twokey("rotate", "--path", "/machine-users/", "--store", rig.store_url, "--json", "--concurrency", "1")
    thread.join()
    assert ran.document["summary"]["rotated"] == 6
    assert begun == []
