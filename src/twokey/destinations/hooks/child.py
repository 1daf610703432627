"""A program that is started, gets a message on standard input, and is ended in time with its process group.

No variable that shows itself holds its input or its output: both may hold a secret.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from twokey.core.secret import Hidden

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LONGEST_OUTPUT, LONGEST_ERROR = 64 << 10, 8 << 10
"""Bytes that are kept of its standard output, and of the end of its standard error."""
LAST_READINGS = 32
"""How often its pipes are read once it has ended: a process that it leaves behind may go on writing."""
_CHUNK = 64 << 10
TERMINATION_WAIT = 2.0
"""Seconds between SIGTERM and SIGKILL, so that a program can remove its temporary files."""
KILL_WAIT = 2.0
"""Seconds after SIGKILL: a program that waits for a disk ends later."""
_TICK = 0.05
_PRIVATE = 0o077


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended.

    ``status``: its exit status; minus the signal's number if a signal ended it, None if its time was up.
    ``out``: its standard output; None if that was too long. ``err``: the end of its standard error.
    """

    status: int | None
    out: Hidden | None = field(default_factory=Hidden)
    err: Hidden = field(default_factory=Hidden)


def run(command: Sequence[str], environment: Mapping[str, str], message: memoryview, seconds: float) -> Ended:
    """Run a program without a shell; raises ``OSError`` if it cannot be started. No process of its group outlives it.

    It gets only this environment, no file descriptor but its three, the root as its directory, and a process group of
    its own, which is ended when the program ends, when its time is up, or when this process is interrupted.
    """
    process = subprocess.Popen(  # noqa: S603  the operator named it, and no shell is involved
        list(command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(environment),
        cwd="/",
        close_fds=True,
        start_new_session=True,
        umask=_PRIVATE,
        bufsize=0,
    )
    pipes = _Pipes(process, message)
    try:
        timely = pipes.serve_until(time.monotonic() + seconds)
        if not timely:
            _signal(process, signal.SIGTERM)
            pipes.serve_until(time.monotonic() + TERMINATION_WAIT)
    finally:
        _signal(process, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(KILL_WAIT)
        pipes.close()
    return Ended(process.returncode if timely else None, pipes.out.text(), pipes.err.text() or Hidden())


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to the whole process group. A group that is gone, or runs as another user by now, is ignored."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


class _Output:
    """What is read from a pipe: all of it up to a length, or its end."""

    def __init__(self, longest: int, *, end: bool) -> None:
        self._data = bytearray()
        self._longest = longest
        self._end = end
        self._cut = False

    def read(self, descriptor: int) -> bool:
        """Read once; return whether there may be more. There may be if nothing can be read at the moment."""
        try:
            found = memoryview(os.read(descriptor, _CHUNK))
        except BlockingIOError:
            return True
        self._data += found
        if len(self._data) > self._longest:
            self._cut = True
            del self._data[: -self._longest if self._end else None]
        return bool(found)

    def text(self) -> Hidden | None:
        """Return the text; None if all of it was wanted and it was too long."""
        return None if self._cut and not self._end else Hidden(self._data.decode(errors="replace"))


class _Pipes:
    """The three pipes of a program that runs."""

    def __init__(self, process: subprocess.Popen[bytes], message: memoryview) -> None:
        self.out, self.err = _Output(LONGEST_OUTPUT, end=False), _Output(LONGEST_ERROR, end=True)
        self._process = process
        self._left = message
        self._pipes = selectors.DefaultSelector()
        for pipe, events, output in (
            (process.stdin, selectors.EVENT_WRITE, None),
            (process.stdout, selectors.EVENT_READ, self.out),
            (process.stderr, selectors.EVENT_READ, self.err),
        ):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
            self._pipes.register(pipe, events, output)

    def serve_until(self, deadline: float) -> bool:
        """Serve the pipes until the deadline (by ``time.monotonic``); return whether the program ended before it."""
        while (left := deadline - time.monotonic()) > 0:
            if not self._pipes.get_map():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(left)
            self._turn(min(_TICK, left))
            if self._process.poll() is not None:
                self._drain()
                return True
        return False

    def _drain(self) -> None:
        """Read what the program wrote last."""
        for _ in range(LAST_READINGS):
            if not self._turn(0):
                return

    def _turn(self, seconds: float) -> bool:
        """Serve the pipes that are ready, or become so in time; return whether there was one."""
        ready = self._pipes.select(seconds)
        for key, _ in ready:
            output: _Output | None = key.data
            more = self._write(key.fd) if output is None else output.read(key.fd)
            if not more:
                self._pipes.unregister(key.fileobj)
                if output is None and self._process.stdin:
                    self._process.stdin.close()
        return bool(ready)

    def _write(self, descriptor: int) -> bool:
        """Write as much as the pipe takes; return whether something is left. A program need not read its message."""
        try:
            self._left = self._left[os.write(descriptor, self._left) :]
        except BlockingIOError:
            return True
        except BrokenPipeError:
            return False
        return bool(self._left)

    def close(self) -> None:
        """Close the pipes."""
        self._pipes.close()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe:
                pipe.close()
