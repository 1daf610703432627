"""What keeps secrets in this process, set before anything else: no core dump, no look inside, no traceback.

All of it costs under 3 ms. Where a system lacks one of them, the others still hold.
"""

from __future__ import annotations

import contextlib
import sys
import threading

_SET_DUMPABLE = 4
"""PR_SET_DUMPABLE (prctl(2))."""


def raise_safeguards() -> None:
    """Set all of them for the rest of this process; its children get the limit only."""
    _write_no_core()
    _let_nobody_look()
    _show_no_traceback()


def _write_no_core() -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):  # no such module on Windows
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _let_nobody_look() -> None:
    """Close this process to others of the same user, and to core dumps that are piped into a program.

    RLIMIT_CORE does not stop those (core(5), "Piping core dumps to a program"). Linux only.
    """
    if sys.platform == "linux":
        with contextlib.suppress(ImportError, OSError, AttributeError):
            import ctypes

            ctypes.CDLL(None).prctl(_SET_DUMPABLE, ctypes.c_ulong(0))


def _show_no_traceback() -> None:
    """Let no handler that somebody installed show what escapes: some print every local variable."""
    sys.excepthook = lambda _kind, error, _trace: _show(error)
    threading.excepthook = lambda said: _show(said.exc_value)


def _show(error: BaseException | None) -> None:
    # Of an error in here Python would print the first one, with its text.
    with contextlib.suppress(Exception):
        from twokey.cli import terminal

        if isinstance(error, KeyboardInterrupt):
            terminal.show_interrupted()
        elif error is not None and not isinstance(error, SystemExit):
            terminal.show_defect(error)
