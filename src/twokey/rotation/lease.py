"""Which run may rotate a user, and whether its process is still alive.

A lease names host, process and the process's start. A later run on the same host can tell that the holder is dead
and takes over at once; from any other host only time tells. "The same host" means the same kernel boot and the same
process numbers: two containers may share a name and must not judge each other's processes.
"""

from __future__ import annotations

import os
import socket
import uuid
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from twokey.core.journal import Lease

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from twokey.core.journal import Journal

LENGTH = timedelta(minutes=3)
"""How long a lease lasts: as long as one user's rotation may take."""
MOST_SKEW = timedelta(minutes=1)
"""How far the clock of the run that took a lease may be ahead of ours."""
MARGIN = 5.0
"""Seconds before its end from which its holder no longer relies on it."""


_copies: list[None] = []
"""Not empty while leases end by time alone."""


def take(run: str, now: datetime) -> Lease:
    """Return a lease for this process, from now on."""
    pid = os.getpid()
    return Lease(run=run, host=_host(), process=pid, start="" if _copies else _start(pid), until=now + LENGTH)


@contextmanager
def ended_by_time_alone() -> Iterator[None]:
    """Take leases, in this process, whose holder no run judges dead: for hosts that may be copies of each other.

    AWS Lambda may start many hosts from one snapshot, which includes the kernel's boot id ("Handling uniqueness with
    Lambda SnapStart", AWS Lambda Developer Guide). A process of one would look like a dead process of the other.
    """
    _copies.append(None)
    try:
        yield
    finally:
        _copies.pop()


def blocks(journal: Journal, run: str, now: datetime, *, conditional: bool = True) -> bool:
    """Say whether the journal's lease keeps the run ``run`` from going on.

    A dead process holds nothing, but its last request may still take effect. A store with ``conditional`` writes
    refuses that; in any other store, the lease of a run that was writing keys ends by time alone. A lease that ends
    later than any run can have taken it for is not believed: a journal that was tampered with holds up no run.
    """
    lease = journal.lease
    if lease is None or lease.run == run or not now < lease.until <= now + LENGTH + MOST_SKEW:
        return False
    return not is_dead(lease) or not (conditional or journal.intent is None)


def is_dead(lease: Lease) -> bool:
    """Say whether the process that took the lease is surely gone. If in doubt, it is alive."""
    if lease.host != _host() or not lease.start:
        return False
    start = _start(lease.process)
    return start != lease.start if start else _is_gone(lease.process)


@cache
def _host() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        numbers = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        # Not Linux: a name alone may be shared, so no process is ever judged dead here.
        return f"{socket.gethostname()} {uuid.uuid4()}"
    return f"{socket.gethostname()} {boot} {numbers}"


def _start(pid: int) -> str:
    """Return when a process started, in the kernel's ticks since boot; empty where that cannot be known.

    Source: proc_pid_stat(5), field 22. The second field is the command in parentheses and may hold spaces.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    state, start = fields[0], fields[19]
    return "ended" if state == "Z" else start


def _is_gone(pid: int) -> bool:
    """Say whether no process has this number. ``/proc`` may hide other users' processes; signal 0 finds them."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
