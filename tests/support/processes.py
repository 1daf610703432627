"""Runs the tests in several processes, which are forked when all tests are collected: ``pytest -n NUMBER``.

To import and collect thousands of tests takes longer than to run most folders of them. Processes that each begin with
Python's start, as those of pytest-xdist do, do all of that again. A fork has it, and what the tests share besides.

Each process has a part of the list of its own, so that what the tests of a folder share is mostly made once, and helps
another at its end. What it reports is sent whole, test by test, to the process that prints.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading
import traceback
import warnings
import weakref
from collections import deque
from contextlib import suppress
from itertools import islice
from multiprocessing import Pipe
from multiprocessing.connection import wait
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.config import create_terminal_writer

from support.order import sizes

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

AT_ONCE = 32
"""The most tests that a process takes at once."""
MANY = 1000
"""As many tests are worth a preparation."""
NOT_RUN_THERE = ("lfplugin", "nfplugin", "stepwiseplugin", "terminalreporter")
"""The plug-ins that only concern the process that prints."""
MORE, ENDED = "more", "ended"
"""What a process says when it has no test left, and at its end; all else that it sends is about a test."""


def add_option(parser: pytest.Parser) -> None:
    """Have pytest understand ``-n``."""
    text = "Run the tests in this many processes; auto: as many as there are processors."
    parser.getgroup("general")._addoption("-n", dest="processes", metavar="NUMBER", type=_number, default=0, help=text)


def _number(text: str) -> int:
    return os.cpu_count() or 1 if text == "auto" else int(text)


def number(config: pytest.Config) -> int:
    """Return how many processes run the tests."""
    return 0 if config.option.usepdb or config.option.setupplan else config.option.processes


class Processes:
    """The plug-in of pytest for the process that collects and prints. ``prepare`` is called before there are others."""

    def __init__(self, prepare: Callable[[], None] = lambda: None) -> None:
        self._prepare = prepare
        self._workers: list[_Worker] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Run all tests in other processes, unless pytest is to do something else."""
        option = session.config.option
        if option.collectonly or (session.testsfailed and not option.continue_on_collection_errors):
            return None
        if len(session.items) >= MANY:
            self._prepare()
        assert threading.active_count() == 1, f"a process with threads cannot be forked: {threading.enumerate()}"
        gc.collect()
        gc.freeze()
        session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            numbered = iter(range(len(session.items)))
            for size in sizes(len(session.items), number(session.config)):
                self._start(session, deque(islice(numbered, size)))
            self._follow(session)
        finally:
            for worker in self._workers:
                worker.end()
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
        return True

    def _start(self, session: pytest.Session, part: deque[int]) -> None:
        ours, theirs = Pipe()
        pid = os.fork()
        if not pid:
            for other in (ours, *(worker.connection for worker in self._workers)):
                other.close()
            _work(session, theirs, len(self._workers))
        theirs.close()
        self._workers.append(_Worker(pid, ours, part))

    def _follow(self, session: pytest.Session) -> None:
        """Give tests to the processes and print what they report, until all have ended."""
        while running := {worker.connection: worker for worker in self._workers if worker.code is None}:
            ready = wait(list(running))
            for worker in [worker for connection, worker in running.items() if connection in ready]:
                try:
                    message = worker.connection.recv()
                except (EOFError, ConnectionResetError):
                    worker.end()
                    if worker.given:
                        _report_end(session, worker)
                        self._start(session, deque((*worker.given, *worker.part)))
                        worker.part.clear()
                    continue
                if message == ENDED:
                    worker.given.clear()
                elif message == MORE:
                    worker.give(() if session.shouldfail or session.shouldstop else self._next(worker))
                else:
                    worker.given.remove(message[0])
                    _publish(session, *message)
            if session.shouldfail or session.shouldstop:
                for worker in self._workers:
                    worker.stop()
        left = sum(len(worker.part) for worker in self._workers)
        if left and not session.shouldfail and not session.shouldstop:
            session.shouldstop = f"all processes have ended, and {left} tests have not run"

    def _next(self, worker: _Worker) -> list[int]:
        """Return some tests of the process's own part, or of half the part of the one that has most left."""
        if not worker.part:
            other = max(self._workers, key=lambda one: len(one.part))
            worker.part.extendleft(other.part.pop() for _ in range((len(other.part) + 1) // 2))
        left = sum(len(one.part) for one in self._workers)
        size = min(AT_ONCE, max(1, left // (16 * len(self._workers))), len(worker.part))
        return [worker.part.popleft() for _ in range(size)]


class _Worker:
    """One of the processes that run tests, as the one that prints sees it."""

    def __init__(self, pid: int, connection: Connection, part: deque[int]) -> None:
        self.pid, self.connection, self.part = pid, connection, part
        self.given: list[int] = []
        self.code: int | None = None
        self._stopped = False

    def give(self, tests: Any) -> None:
        self.given += tests
        self._send(tests)

    def stop(self) -> None:
        """Let it run no further test."""
        if not self._stopped and self.code is None:
            self._stopped = True
            self._send(())

    def _send(self, tests: Any) -> None:
        with suppress(OSError):  # it has ended: reading from it says so
            self.connection.send(tests)

    def end(self) -> None:
        """Wait until it has ended; without the connection, it does."""
        self.connection.close()
        if self.code is None:
            self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def _publish(session: pytest.Session, index: int, events: list[tuple[str, Any]]) -> None:
    """Let this process's plug-ins know what another says about a test."""
    hook, config = session.config.hook, session.config
    item = session.items[index]
    for kind, content in events:
        if kind == "report":
            report = hook.pytest_report_from_serializable(config=config, data=content)
            hook.pytest_runtest_logreport(report=report)
        elif kind == "warning":
            hook.pytest_warning_recorded.call_historic(kwargs=content)
        else:
            raise RuntimeError(f"{item.nodeid} ended its process:\n{content}")
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)


def _report_end(session: pytest.Session, worker: _Worker) -> None:
    """Report the test that ran when its process ended as failed."""
    item = session.items[worker.given.pop(0)]
    text = f"The process that ran this test has ended with {worker.code}; another takes its place."
    session.config.hook.pytest_runtest_logreport(
        report=pytest.TestReport(item.nodeid, item.location, {}, "failed", text, "call")
    )
    session.config.hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)


def _work(session: pytest.Session, connection: Connection, process: int) -> None:
    """Run tests for the process that prints, and end."""
    code = 1
    try:
        _begin(session.config, process)
        code = _Work(session, connection).run()
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    except (KeyboardInterrupt, ConnectionError, EOFError):
        pass  # the process that prints is interrupted too, or has ended
    except BaseException:  # noqa: BLE001  a plug-in's error: nothing above may go on in a fork
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _begin(config: Any, process: int) -> None:
    """Have what belongs to a process alone: the ends of what was begun before, captured output, temporary files."""
    weakref.finalize._registry.clear()  # type: ignore[attr-defined]
    atexit._clear()
    atexit.register(weakref.finalize._exitfunc)  # type: ignore[attr-defined]
    for name in NOT_RUN_THERE:
        config.pluginmanager.unregister(name=name)
    config.pluginmanager.register(SimpleNamespace(_tw=create_terminal_writer(config, sys.stderr)), "terminalreporter")
    capture = config.pluginmanager.getplugin("capturemanager")
    capture.stop_global_capturing()
    capture.start_global_capturing()
    capture.suspend_global_capture()
    folder = config._tmp_path_factory.getbasetemp() / f"process-{process}"
    folder.mkdir(mode=0o700)
    config._tmp_path_factory._basetemp = folder


class _Work:
    """The plug-in of pytest for a process that runs tests for another."""

    def __init__(self, session: pytest.Session, connection: Connection) -> None:
        self._session, self._connection = session, connection
        self._given: deque[int] = deque()
        self._events: list[tuple[str, Any]] = []
        self._ended = False
        session.config.pluginmanager.register(self)

    def run(self) -> int:
        """Run what is given; return the exit code."""
        session, items = self._session, self._session.items
        while self._another() and not self._stopped():
            index = self._given.popleft()
            following = items[self._given[0]] if self._another() else None
            self._events = []
            try:
                session.config.hook.pytest_runtest_protocol(item=items[index], nextitem=following)
            except BaseException:
                self._connection.send((index, [("error", traceback.format_exc())]))
                raise
            self._connection.send((index, self._events))
        session._setupstate.teardown_exact(None)
        self._connection.send(ENDED)
        return 0

    def _another(self) -> bool:
        """Say whether there is another test; ask for more where none is left here."""
        if not self._given and not self._ended:
            self._connection.send(MORE)
            self._given.extend(self._connection.recv())
            self._ended = not self._given
        return bool(self._given)

    def _stopped(self) -> bool:
        """Say whether this process is to end: nothing else is sent to it without being asked for."""
        return bool(self._session.shouldfail or self._session.shouldstop) or self._connection.poll()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        config = self._session.config
        data = config.hook.pytest_report_to_serializable(config=config, report=report)
        self._events.append(("report", data))

    def pytest_warning_recorded(
        self, warning_message: warnings.WarningMessage, when: str, nodeid: str, location: Any
    ) -> None:
        one = warning_message
        sent = warnings.WarningMessage(str(one.message), one.category, one.filename, one.lineno)
        self._events.append(
            ("warning", {"warning_message": sent, "when": when, "nodeid": nodeid, "location": location})
        )
