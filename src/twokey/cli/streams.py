"""Standard streams that are closed, full, or of a terminal without UTF-8: what fails is said, and no defect."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from twokey.core.errors import Failed

if TYPE_CHECKING:
    from collections.abc import Sequence


CHANGING = frozenset({"adopt", "deliver", "forget", "move-store", "revoke", "rotate", "watch"})
"""The commands that change keys, stores or destinations."""
_SHOWING = frozenset({"-h", "--help", "-V", "--version"})


class OutputFailed(Failed):
    """Standard output cannot be written."""

    def __init__(self, reason: str) -> None:
        shows = " twokey status shows how things are." if may_have_changed(sys.argv) else ""
        super().__init__(
            f"The results cannot be printed: {reason}.",
            state=what_remains(),
            remedy=f"Give the command a standard output that can be written.{shows}",
        )


def what_remains() -> str:
    """Return what is true after this process could not go on, as a message says it."""
    if may_have_changed(sys.argv):
        return "Completed changes remain; the next run continues from there."
    return "Nothing was changed."


def may_have_changed(words: Sequence[str]) -> bool:
    """Return whether a command line may have changed anything: not where it only prints help or the version."""
    program, *arguments = words
    if _SHOWING.intersection(arguments):
        return False
    name = os.path.basename(program)  # noqa: PTH119
    of_twokey = name.startswith(("twokey", "__main__"))
    return not of_twokey or bool(CHANGING.intersection(arguments))


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
