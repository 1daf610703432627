"""``twokey.api`` leaves the state of its process as it is, whichever thread calls it."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import os
import resource
import signal
import socket
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from python_api.test_functions import TEXT
from support.imports import module_graph
from twokey import api

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.rig import Rig

GET_DUMPABLE = 3


def state() -> dict[str, Any]:
    """Return all of the process that a library could change."""
    loggers = {
        name: (logger.level, [*logger.handlers], logger.disabled, logger.propagate)
        for name, logger in logging.getLogger().manager.loggerDict.items()
        if isinstance(logger, logging.Logger)
    }
    umask = os.umask(0o077)
    os.umask(umask)
    return {
        "logging": (logging.getLogger().manager.disable, logging.getLogRecordFactory(), logging.getLoggerClass()),
        "the root logger": (logging.getLogger().level, [*logging.getLogger().handlers]),
        "loggers": loggers,
        "hooks": (sys.excepthook, threading.excepthook, sys.unraisablehook, sys.displayhook, sys.gettrace()),
        "signals": [signal.getsignal(number) for number in signal.valid_signals()],
        "blocked signals": signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        "limits": [resource.getrlimit(getattr(resource, n)) for n in sorted(dir(resource)) if n.startswith("RLIMIT_")],
        "dumpable": ctypes.CDLL(None).prctl(GET_DUMPABLE) if sys.platform == "linux" else None,
        "umask": umask,
        "environment": dict(os.environ),
        "folder": os.getcwd(),  # noqa: PTH109
        "warnings": ([*warnings.filters], warnings.showwarning),
        "sockets": socket.getdefaulttimeout(),
        "memory": (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count() > 0),
        "interpreter": (sys.getrecursionlimit(), sys.getswitchinterval(), [*sys.path]),
        "streams": (sys.stdin, sys.stdout, sys.stderr),
        "time zone": time.tzname,
    }


@pytest.fixture
def unusual() -> Iterator[None]:
    """Give the process a state that nothing would set by chance."""
    before = gc.get_threshold(), os.umask(0o027), logging.getLogger().manager.disable, socket.getdefaulttimeout()
    core = resource.getrlimit(resource.RLIMIT_CORE)
    with contextlib.suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (min(core[1], 4096) if core[1] >= 0 else 4096, core[1]))
    gc.set_threshold(54_321, 21, 51)
    logging.disable(logging.DEBUG - 5)
    socket.setdefaulttimeout(543.0)
    try:
        yield
    finally:
        gc.set_threshold(*before[0])
        os.umask(before[1])
        logging.disable(before[2])
        socket.setdefaulttimeout(before[3])
        resource.setrlimit(resource.RLIMIT_CORE, core)


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the emulator, whose threads are in this process, from changing its filters of warnings with each request."""
    silence = SimpleNamespace(catch_warnings=contextlib.nullcontext, simplefilter=lambda _action: None)
    monkeypatch.setattr("twokey.emulator.moto_side.warnings", silence)


@pytest.mark.usefixtures("unusual", "steady")
def test_nothing_of_the_process_changes_during_calls_by_two_threads_or_after_them(rig: Rig) -> None:
    rig.settled()
    rig.aws.make_user("other", path="/machine-users/", keys=0)
    configuration = api.parse(TEXT)
    api.status(configuration)  # modules that are imported late make loggers of their own
    before, ready = state(), threading.Barrier(3)
    frozen = gc.get_freeze_count()

    def everything(user: str) -> str:
        ready.wait()
        api.plan(configuration, user)
        [entry] = api.rotate(configuration, user).results
        api.status(configuration, user)
        api.audit(configuration)
        return entry.outcome

    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(everything, user) for user in ("ci", "other")]
        ready.wait()
        while not all(one.done() for one in running):
            assert state() == before
            time.sleep(0.05)
    assert state() == before
    assert gc.get_freeze_count() <= frozen  # of what pytest froze, objects may have died
    assert [one.result() for one in running] == ["rotated", "rotated"]


def test_no_module_that_the_api_can_reach_belongs_to_a_process_of_twokeys_own() -> None:
    graph, reached, left = module_graph(), set[str](), {"twokey.api"}
    while left:
        reached |= left
        left = {one for module in left for one in graph[module]} - reached
    assert {module for module in reached if module.startswith(("twokey.cli", "twokey.emulator"))} == set()
    assert "twokey.system.hardening" not in reached
