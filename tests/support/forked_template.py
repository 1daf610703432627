"""The process that ``forked`` forks: it has imported all that a run needs, has one thread, and starts runs on request.

In the parent, ``next_run`` returns at the end only. In a fork it returns at once, and the fork then runs the command.
Requests come from pytest, and from the programs of ``forked.programs``, which shells start: for each of those, one fork
waits for the run and passes its end on.
"""

from __future__ import annotations

import array
import atexit
import fcntl
import gc
import importlib
import io
import json
import marshal
import os
import pkgutil
import runpy
import select
import signal
import socket
import sys
import termios
import threading
from typing import Any

Run = dict[str, Any]

NEEDED = (
    *("botocore.session", "botocore.client", "botocore.endpoint", "botocore.handlers", "botocore.signers"),
    *("botocore.parsers", "botocore.serialize", "botocore.retries.standard", "botocore.credentials"),
    *("twokey.aws", "twokey.cli", "twokey.destinations", "twokey.fleet", "twokey.rotation", "twokey.system"),
)
SERVICES = ("iam", "sts", "secretsmanager", "ssm")


def prepare() -> None:
    """Import what a run imports, raise its limits of time, and read the service models once."""
    for name in NEEDED:
        module = importlib.import_module(name)
        for found in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{name}."):
            if name.startswith("twokey."):
                importlib.import_module(found.name)
    importlib.import_module("patience").be_patient()  # beside this file, which is the program that runs
    from botocore import loaders, session

    from twokey.aws.models import models

    loader = models(None)
    for service in SERVICES:
        for kind in ("service-2", "endpoint-rule-set-1", "paginators-1"):
            loader.load_service_model(service, kind)
    for name in ("endpoints", "sdk-default-configuration", "_retry", "partitions"):
        loader.load_data(name)
    for module in (loaders, session):
        vars(module)["create_loader"] = lambda *_: loader
    gc.collect()
    gc.freeze()


def next_run(ours: socket.socket, programs: socket.socket) -> Run | None:
    """Respond to requests. Returns a run in the process that is to perform it, and None when pytest has ended."""
    waiting: set[int] = set()
    while True:
        ready = select.select([ours, programs], [], [])[0]
        waiting = {pid for pid in waiting if not os.waitpid(pid, os.WNOHANG)[0]}
        if programs in ready:
            connection, _ = programs.accept()
            pid = os.fork()
            if not pid:
                ours.close()
                programs.close()
                return _run_of(connection)
            waiting.add(pid)
            connection.close()
            continue
        size, streams = _receive(ours)
        if not size:
            return None
        request = json.loads(ours.recv(int.from_bytes(size), socket.MSG_WAITALL))
        if "ended" in request:
            response = os.waitstatus_to_exitcode(os.waitpid(request["ended"], 0)[1])
        elif "stopped" in request:
            os.waitid(os.P_PID, request["stopped"], os.WSTOPPED)
            response = 0
        else:
            response = os.fork()
            if not response:
                ours.close()
                programs.close()
                numbers = (0, 1, 2, None) if "terminal" in request else (1, 2, None)
                return {**request, "streams": dict(zip(numbers, streams, strict=True))}
        for stream in streams:
            os.close(stream)
        ours.sendall(response.to_bytes(8, signed=True))


def _run_of(connection: socket.socket) -> Run:
    """Return the run that a program asks for, in a fork; wait for it in this process, and end."""
    size, streams = _receive(connection)
    request = marshal.loads(connection.recv(int.from_bytes(size), socket.MSG_WAITALL))
    pid = os.fork()
    if not pid:
        connection.close()
        return {**request, "program": "", "streams": dict(enumerate(streams))}
    for stream in streams:
        os.close(stream)
    ended = os.pidfd_open(pid)
    ready = select.select([ended, connection.fileno()], [], [])[0]
    if ended not in ready:  # the program was killed
        os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if ended in ready:
        connection.sendall(code.to_bytes(8, signed=True))
    os._exit(0)


def _receive(ours: socket.socket) -> tuple[bytes, list[int]]:
    streams = array.array("i")
    size, ancillary, _, _ = ours.recvmsg(4, socket.CMSG_SPACE(4 * streams.itemsize))
    for _, _, data in ancillary:
        streams.frombytes(data)
    return size, list(streams)


def become(run: Run) -> None:
    """Take over the run's streams, environment, working directory and arguments."""
    for target, stream in run["streams"].items():
        if target is None:  # stays open for as long as the run is alive
            os.set_inheritable(stream, False)
        else:
            os.dup2(stream, target)
            os.close(stream)
    if "terminal" in run:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    # Python's own streams know from their beginning whether they are files: these are those of the template.
    at_once = bool(run["env"].get("PYTHONUNBUFFERED"))
    sys.stdout = _text(1, sys.stdout, line_buffering=os.isatty(1), write_through=at_once)
    sys.stderr = _text(2, sys.stderr, line_buffering=True, write_through=at_once)
    sys.stderr.stop_after = run["env"].pop("STOP_AFTER", "")
    if 0 in run["streams"]:
        sys.stdin = open(0, encoding=sys.stdin.encoding, closefd=False)  # noqa: SIM115  for good
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(run["env"])
    os.chdir(run["cwd"])
    if "umask" in run:
        os.umask(run["umask"])
    sys.argv[:] = [run.get("script") or ("-c" if run["program"] else "-m"), *run["arguments"]]
    sys.path[0] = "" if run["program"] else run["cwd"]


class _Stream(io.TextIOWrapper):
    """A stream that stops the run as it stands when it has shown a text: the run is then killed at that step."""

    stop_after = ""

    def write(self, text: str) -> int:
        written = super().write(text)
        if self.stop_after and self.stop_after in text:
            self.flush()
            os.kill(os.getpid(), signal.SIGSTOP)
        return written


def _text(descriptor: int, former: Any, **options: Any) -> _Stream:
    binary = open(descriptor, "wb", closefd=False)  # noqa: SIM115  for good
    return _Stream(binary, former.encoding, former.errors, **options)


def perform(run: Run) -> int:
    """Run the command, or the program; return the exit code."""
    try:
        if run["program"]:
            exec(run["program"], {"__name__": "__main__"})
        elif run.get("script"):
            runpy.run_path(run["script"], run_name="__main__")
        else:
            runpy.run_module("twokey", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001  as the interpreter does
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def end(code: int) -> None:
    """Do what the interpreter does at its end, except for taking apart all that the template imported."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    # An interruption at the terminal reaches the whole group of processes: pytest ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    prepare()
    begun = next_run(*(socket.socket(fileno=int(number)) for number in sys.argv[1:]))
    if begun:
        become(begun)
        end(perform(begun))
