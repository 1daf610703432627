"""Standard streams that are closed, full, or of a terminal without UTF-8: what fails is said, and no defect."""

from __future__ import annotations

import io
import os
import sys
from typing import NoReturn

from twokey.core.errors import Failed


class OutputFailed(Failed):
    """Standard output cannot be written."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The results cannot be printed: {reason}.",
            state="Completed changes remain; the next run continues from there.",
            remedy="Give the command a standard output that can be written. twokey status shows how things are.",
        )


def prepare() -> None:
    """Make the standard streams of this process safe to use, whatever it was started with."""
    _occupy_closed_descriptors()
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115, PTH123  for the rest of the process
    stderr = sys.stderr
    if isinstance(stderr, io.TextIOWrapper):
        stderr.reconfigure(errors="backslashreplace")
    stdout = sys.stdout
    if stdout is None:
        sys.stdout = _Closed()
    elif isinstance(stdout, io.TextIOWrapper):
        # By lines, also into a pipe: the emulator's lines are awaited while it runs.
        sys.stdout = _Results(
            stdout.buffer,
            stdout.encoding,
            "backslashreplace",
            line_buffering=True,
            write_through=stdout.write_through,
        )
        # Python would close the file with the former stream, and keeps another reference to that.
        stdout.detach()


def _occupy_closed_descriptors() -> None:
    """Open /dev/null in place of each standard stream that is closed.

    Otherwise, the next file or connection would get its number, and with it what a program writes there.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # POSIX: the lowest number that is free


def give_up() -> None:
    """Let what is buffered and cannot be written go nowhere: the interpreter would fail once more when it ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, OutputFailed):
            _discard(stream.fileno())
        except ValueError:  # it is closed
            continue


def _discard(descriptor: int) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)


class _Results(io.TextIOWrapper):
    """Standard output; raises ``OutputFailed`` where it cannot be written, ``BrokenPipeError`` for a closed pipe."""

    def write(self, text: str, /) -> int:
        if text == "":  # click finds out with it whether this is a stream of text
            return 0
        try:
            return super().write(text)
        except BrokenPipeError:
            raise
        except OSError as error:
            self._fail(error)

    def flush(self) -> None:
        try:
            super().flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> NoReturn:
        _discard(self.fileno())
        raise OutputFailed(error.strerror or "it cannot be written") from None


class _Closed(io.TextIOBase):
    """Standard output of a process that was started without one."""

    def write(self, _text: str, /) -> int:
        raise OutputFailed("standard output is closed")
