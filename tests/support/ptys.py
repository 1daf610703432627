"""Runs twokey in a terminal of a given width, as an operator sees it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import termios
from contextlib import contextmanager
from typing import TYPE_CHECKING

from support import forked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.forked import Run

LONGEST = 60.0
"""Seconds to wait for a text: far more than any takes."""
_STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A terminal in which a program runs; ``text`` is all that the program has written to it."""

    def __init__(self, process: Run, controller: int) -> None:
        self.process = process
        self.text = ""
        self._controller = controller

    def read_until(self, text: str) -> None:
        """Read until the program has written a text, which lines may break."""
        while text not in self.plain:
            assert self._read(), self.text

    def read_all(self) -> int:
        """Read until the program ends; return its exit code, negative for a signal."""
        while self._read():
            pass
        return self.process.wait(LONGEST)

    def type(self, text: str) -> None:
        """Type a line, and press Enter."""
        os.write(self._controller, f"{text}\n".encode())

    def press_ctrl_c(self) -> None:
        """Have the terminal send SIGINT, as it does for the key."""
        os.write(self._controller, b"\x03")

    @property
    def plain(self) -> str:
        """The text without styles, each white space as one space."""
        return " ".join(_STYLE.sub("", self.text).split())

    def _read(self) -> bool:
        ready, _, _ = select.select([self._controller], [], [], LONGEST)
        assert ready, f"the program writes nothing more: {self.text}"
        try:
            found = os.read(self._controller, 65_536)
        except OSError:  # Linux: the last program of the terminal has ended
            return False
        self.text += found.decode(errors="replace")
        return bool(found)


@contextmanager
def in_terminal(*arguments: str, columns: int) -> Iterator[Terminal]:
    """Run ``twokey`` in a terminal of so many columns, which is killed at the end."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "COLUMNS")}
    process = forked.start_in_terminal(*arguments, terminal=terminal, env={**environment, "TERM": "xterm"})
    os.close(terminal)
    try:
        yield Terminal(process, controller)
    finally:
        process.kill()
        process.wait()
        os.close(controller)
