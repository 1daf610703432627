"""Runs the command as a real process that need not import Python's modules again: a fork of one that has.

Starting Python, importing twokey and botocore and reading botocore's service models takes longer than the rest of a
run. So each process of pytest starts one template, which does that once, and forks for each run. A run is a process in
all that matters to a test: it has its own pid, environment, working directory, arguments and streams, it runs the same
code from ``__main__`` to the interpreter's end, and every signal reaches it. What depends on the start of the
interpreter itself is tested with ``python -m twokey``.
"""

from __future__ import annotations

import array
import atexit
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

TEMPLATE = Path(__file__).with_name("forked_template.py")
PROGRAMS = ("twokey", "iam-credential-rotation", "interpreter")
PROGRAM = """#!{python} -ISB
import _socket, marshal, posix, sys
script, arguments = {script!r}, sys.argv[1:]
if script == {python!r}:
    script, arguments = ("", arguments[2:]) if arguments[:2] == ["-m", "twokey"] else (None, arguments)
env = {{name.decode(): value.decode("utf-8", "surrogateescape") for name, value in posix.environ.items()}}
if script is None or any(name.startswith("PYTHON") and name != "PYTHONUNBUFFERED" for name in env):
    posix.execv({script!r}, [{script!r}, *sys.argv[1:]])
umask = posix.umask(0)
posix.umask(umask)
asked = {{"script": script, "arguments": arguments, "cwd": posix.getcwd(), "env": env, "umask": umask}}
message = marshal.dumps(asked)
template = _socket.socket(_socket.AF_UNIX)
template.connect({socket!r})
streams = b"".join(number.to_bytes(4, sys.byteorder) for number in range(3))
template.sendmsg([len(message).to_bytes(4, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
while message:
    message = message[template.send(message):]
code = int.from_bytes(template.recv(8, _socket.MSG_WAITALL), "big", signed=True)
if code < 0:
    posix.kill(posix.getpid(), -code)
posix._exit(code)
"""


def start(*arguments: str, cwd: Path, env: Mapping[str, str], program: str = "") -> Forked:
    """Start ``python -m twokey`` with these arguments, or ``python -c program``."""
    return Forked(_template(), {"arguments": arguments, "cwd": str(cwd), "env": dict(env), "program": program})


def start_in_terminal(*arguments: str, terminal: int, env: Mapping[str, str]) -> Run:
    """Start ``twokey`` in a session of its own, with this terminal as all of its streams."""
    request = {"arguments": arguments, "cwd": str(Path.cwd()), "env": dict(env), "program": "", "terminal": True}
    return Run(_template(), request, (terminal, terminal, terminal))


@cache
def programs() -> Path:
    """Return a folder with the programs that are installed, for shells: each asks the template to run the real one.

    ``interpreter`` does so for ``python -m twokey``, and is Python itself for all else.

    A run that is started like this belongs to the group of pytest's processes, not to that of its shell. If its program
    is killed, it is killed. Where a variable is meant for the start of the interpreter, the real program is started.
    """
    folder = Path(_template().folder.name)
    for name in PROGRAMS:
        program = folder / name
        script = Path(sys.executable) if name == "interpreter" else Path(sys.executable).with_name(name)
        text = PROGRAM.format(python=sys.executable, script=str(script), socket=str(folder / "socket"))
        program.write_text(text, encoding="utf-8")
        program.chmod(0o755)
    return folder


@cache
def _template() -> Template:
    return Template()


class Template:
    """The process that is forked, and what is said to it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self._socket, self._lock = ours, threading.Lock()
        self.folder = TemporaryDirectory(prefix="twokey-")
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(f"{self.folder.name}/socket")
        listening.listen()
        with theirs, listening:
            ends = (theirs.fileno(), listening.fileno())
            self._process = subprocess.Popen(
                [sys.executable, TEMPLATE, *map(str, ends)], pass_fds=ends, stdin=subprocess.DEVNULL
            )
        atexit.register(self._end)

    def ask(self, request: Mapping[str, Any], streams: tuple[int, ...] = ()) -> int:
        """Send a request with the streams of the run that it begins; return the response."""
        message = json.dumps(request).encode()
        with self._lock:
            self._socket.sendmsg(
                [len(message).to_bytes(4)],
                [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", streams))] if streams else [],
            )
            self._socket.sendall(message)
            response = self._socket.recv(8, socket.MSG_WAITALL)
        assert len(response) == 8, "the template of the forked runs is gone; see what it printed"
        return int.from_bytes(response, signed=True)

    def _end(self) -> None:
        self._socket.close()
        self._process.wait()
        self.folder.cleanup()


class Run:
    """A run of the command; it has the part of ``subprocess.Popen`` that the tests use."""

    def __init__(self, template: Template, request: Mapping[str, Any], streams: tuple[int, ...]) -> None:
        self._alive, alive_end = os.pipe()
        self._template = template
        self.returncode: int | None = None
        try:
            self.pid = template.ask(request, (*streams, alive_end))
        finally:
            os.close(alive_end)

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it is known to have ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def wait_until_stopped(self) -> None:
        """Wait until all of its threads have stopped."""
        self._template.ask({"stopped": self.pid})

    def poll(self) -> int | None:
        """Return what ``subprocess.Popen.poll`` would: None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended; return what ``subprocess.Popen.wait`` would."""
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                # It alone has the other end of this pipe, which closes when it ends.
                selector.register(self._alive, selectors.EVENT_READ)
                if not selector.select(timeout):
                    raise subprocess.TimeoutExpired("twokey", timeout or 0)
            self.returncode = self._template.ask({"ended": self.pid})
            os.close(self._alive)
        return self.returncode


class Forked(Run):
    """A run whose standard output and standard error are read by the test."""

    def __init__(self, template: Template, request: Mapping[str, Any]) -> None:
        (out, out_end), (err, err_end) = os.pipe(), os.pipe()
        self.stdout, self.stderr = os.fdopen(out, encoding="utf-8"), os.fdopen(err, encoding="utf-8")
        try:
            super().__init__(template, request, (out_end, err_end))
        finally:
            os.close(out_end)
            os.close(err_end)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Read all that it prints, and wait until it has ended."""
        until = None if timeout is None else time.monotonic() + timeout
        read: dict[Any, list[bytes]] = {self.stdout: [], self.stderr: []}
        with selectors.DefaultSelector() as selector:
            for stream in read:
                selector.register(stream, selectors.EVENT_READ)
            while selector.get_map():
                left = None if until is None else max(until - time.monotonic(), 0)
                ready = selector.select(left)
                if not ready:
                    raise subprocess.TimeoutExpired("twokey", timeout or 0)
                for key, _ in ready:
                    part = os.read(key.fd, 65536)
                    read[key.fileobj].append(part)
                    if not part:
                        selector.unregister(key.fileobj)
        self.wait(None if until is None else max(until - time.monotonic(), 0))
        self._close()
        out, err = (b"".join(parts).decode().replace("\r\n", "\n") for parts in read.values())
        return out, err

    def _close(self) -> None:
        self.stdout.close()
        self.stderr.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        self.wait()
