"""Input from the operator at the terminal, also where standard input is a pipe."""

from __future__ import annotations

import getpass
import os


def ask_hidden(prompt: str) -> str | None:
    """Ask for a text that is not shown; None without a terminal to ask at. The end of input counts as an empty text."""
    if not _has_terminal():
        return None
    try:
        return getpass.getpass(prompt)
    except EOFError:
        return ""


def _has_terminal() -> bool:
    """Return whether this process has a terminal, and may read from it: a job in the background would be stopped."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
