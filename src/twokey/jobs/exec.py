"""A command and its credentials: signals, exit status, terminal and process group pass through.

The command stays in twokey's process group, so a terminal's signals (Ctrl-C, Ctrl-Z, a hang-up) reach both from the
kernel, and twokey does not pass them on a second time. Those that another process sends to twokey are passed on.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self

from twokey.core.errors import Failed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OWN_FAILURE, NOT_EXECUTABLE, NOT_FOUND = 125, 126, 127
"""Exit codes, as those of ``env`` and ``nohup``."""
FORWARDED = tuple(
    getattr(signal, name)
    for name in ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGCONT", "SIGWINCH", "SIGALRM")
    if hasattr(signal, name)
)
_IGNORED_BY_PYTHON = tuple(getattr(signal, name) for name in ("SIGPIPE", "SIGXFSZ") if hasattr(signal, name))


class NotStarted(Failed):
    """The command could not be started; ``status`` is the exit code for that."""

    def __init__(self, message: str, status: int, remedy: str) -> None:
        super().__init__(message, state="No command ran.", remedy=remedy)
        self.status = status


class Command:
    """A command that runs as long as the block. Signals that arrive from its beginning on are passed on."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = list(words)
        self._process = 0
        self._lock = threading.Lock()
        self._before: set[signal.Signals] = set()

    def __enter__(self) -> Self:
        """Block the signals, for all threads that are started from now on, too."""
        self._before = {signal.Signals(one) for one in signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)}
        return self

    def __exit__(self, *_: object) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._before)

    def run(self, environment: Mapping[str, str]) -> int:
        """Run it; return its exit status, or the negative number of the signal that ended it.

        Raises ``NotStarted``.
        """
        self._start(environment)
        forwarder = threading.Thread(target=self._forward, name="twokey-signals", daemon=True)
        forwarder.start()
        os.waitid(os.P_PID, self._process, os.WEXITED | os.WNOWAIT)
        with self._lock:  # from here on, its number may belong to another process
            _, status = os.waitpid(self._process, 0)
            self._process = 0
        signal.pthread_kill(forwarder.ident or 0, signal.SIGCONT)  # it waits for the next signal, and there is none
        forwarder.join()
        _discard_pending()
        return os.waitstatus_to_exitcode(status)

    def _start(self, environment: Mapping[str, str]) -> None:
        if not self._words[0]:
            raise NotStarted("The command is the empty text.", NOT_FOUND, "Write the command after --.")
        try:
            self._process = os.posix_spawnp(
                self._words[0], self._words, environment, setsigmask=self._before, setsigdef=_IGNORED_BY_PYTHON
            )
        except OSError as error:
            raise _not_started(self._words[0], error) from None
        except ValueError as error:
            raise NotStarted(f"The command cannot be started: {error}.", NOT_EXECUTABLE, "Correct its words.") from None

    def _forward(self) -> None:
        wait = getattr(signal, "sigwaitinfo", None)
        while True:
            found: Any = wait(FORWARDED) if wait else signal.sigwait(FORWARDED)
            number = int(getattr(found, "si_signo", found))
            if self._process and _from_terminal(found, number):
                continue
            with self._lock:
                if not self._process:
                    return
                os.kill(self._process, number)


def _discard_pending() -> None:
    """Take the signals that the command has seen or that came too late for it: unblocked, they would end twokey."""
    while pending := signal.sigpending() & {*FORWARDED}:
        signal.sigwait(pending)


def _from_terminal(found: Any, number: int) -> bool:
    """Return whether the kernel sent the signal, on behalf of the terminal, to the whole process group.

    Where that is not told (macOS), it is assumed of the signals that a terminal sends.
    """
    if hasattr(found, "si_code"):
        return int(found.si_code) > 0
    return number in (signal.SIGINT, signal.SIGQUIT, signal.SIGWINCH) and os.isatty(2)


def _not_started(name: str, error: OSError) -> NotStarted:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return NotStarted(
            f"{name}: command not found.", NOT_FOUND, "Check its name and PATH. A shell's own commands need: sh -c."
        )
    if error.errno == errno.E2BIG:
        return NotStarted(f"{name}: the command and its environment are too long.", NOT_EXECUTABLE, "Shorten them.")
    if Path(name).is_dir():
        return NotStarted(f"{name}: cannot be executed: it is a directory.", NOT_EXECUTABLE, "Name a program in it.")
    return NotStarted(
        f"{name}: cannot be executed: {error.strerror}.",
        NOT_EXECUTABLE,
        f"If it is a script, it needs a first line such as #!/bin/sh and the permission: chmod +x {name}",
    )


def end_like(status: int) -> NoReturn:
    """End this process as the command ended: with its status, or by the same signal."""
    if status < 0:
        number = -status
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        os.kill(os.getpid(), number)
        status = 128 + number
    raise SystemExit(status)
