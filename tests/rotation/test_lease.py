"""Whether the process that holds a lease is dead: if in doubt, it is alive."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from twokey.rotation import lease as leases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.core.journal import Lease

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ON_LINUX = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc to look at")
NO_SUCH_PROCESS = 2**22 + 1
"""Beyond the largest number of a process on Linux (proc_sys_kernel(5), pid_max)."""


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def lease_of(process: int, start: str | None = None) -> Lease:
    lease = leases.take("run", NOW)
    return msgspec.structs.replace(lease, process=process, start=leases._start(process) if start is None else start)


@ON_LINUX
class TestAProcessOnThisHost:
    def test_that_runs_is_alive(self, child: subprocess.Popen[bytes]) -> None:
        assert not leases.is_dead(lease_of(child.pid))

    def test_that_ended_is_dead_although_its_parent_has_not_asked_for_its_end(
        self, child: subprocess.Popen[bytes]
    ) -> None:
        held = lease_of(child.pid)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it stays as a zombie
        assert leases.is_dead(held)

    def test_whose_number_another_process_has_is_dead(self, child: subprocess.Popen[bytes]) -> None:
        assert leases.is_dead(lease_of(child.pid, start="1"))

    def test_that_is_gone_is_dead(self) -> None:
        assert leases.is_dead(lease_of(NO_SUCH_PROCESS, start="1"))

    def test_of_which_no_start_is_known_is_alive(self) -> None:
        assert not leases.is_dead(lease_of(NO_SUCH_PROCESS, start=""))

    @pytest.mark.parametrize("error", [PermissionError, None])
    def test_that_is_hidden_and_can_or_may_not_be_signalled_is_alive(
        self, error: type[OSError] | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its number is hidden in /proc, and the kernel knows it: so it exists. Signal 0 only asks."""

        def ask(_pid: int, number: int) -> None:
            assert number == 0
            if error:
                raise error

        monkeypatch.setattr(os, "kill", ask)
        assert not leases.is_dead(lease_of(NO_SUCH_PROCESS, start="1"))

    def test_is_known_by_when_it_started_whatever_its_name(self) -> None:
        before = leases._start(os.getpid())
        name = Path("/proc/self/comm")
        own = name.read_bytes()
        try:
            name.write_bytes(b"\xff) Z 1 (")
            assert leases._start(os.getpid()) == before
        finally:
            name.write_bytes(own)

    def test_started_between_the_moments_before_and_after(self) -> None:
        moments = [Path("/proc/uptime").read_text(encoding="ascii").split()[0]]
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
            moments.append(leases._start(process.pid))
            moments.append(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
            process.kill()
        before, started, after = float(moments[0]), int(moments[1]) / os.sysconf("SC_CLK_TCK"), float(moments[2])
        assert before - 0.02 <= started <= after + 0.02


@ON_LINUX
class TestAnotherHost:
    """Two containers may share a name, and a machine has other processes after each boot."""

    def test_is_one_of_another_name_boot_or_set_of_processes(self, child: subprocess.Popen[bytes]) -> None:
        child.kill()
        child.wait()
        held = lease_of(child.pid, start="1")
        assert leases.is_dead(held)
        name, boot, numbers = leases._host.__wrapped__().split()
        assert held.host == f"{name} {boot} {numbers}"
        assert boot == Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        assert numbers == Path("/proc/self/ns/pid").readlink().name
        for host in (f"other {boot} {numbers}", f"{name} other {numbers}", f"{name} {boot} pid:[1]"):
            assert not leases.is_dead(msgspec.structs.replace(held, host=host))

    def test_is_every_one_where_the_kernel_does_not_say_which_it_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def missing(_path: Path) -> Path:
            raise FileNotFoundError

        monkeypatch.setattr(Path, "readlink", missing)
        assert leases._host.__wrapped__() != leases._host.__wrapped__()


def test_of_a_host_that_may_be_a_copy_ends_by_time_alone() -> None:
    with leases.ended_by_time_alone():
        with leases.ended_by_time_alone():
            assert leases.take("run", NOW).start == ""
        assert leases.take("run", NOW).start == ""
    assert leases.take("run", NOW).start == leases._start(os.getpid())
