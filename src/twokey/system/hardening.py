"""What keeps secrets in this process, set before anything else: no core dump, no look inside, no traceback.

All of it costs under 3 ms. Where a system lacks one of them, the others still hold.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_SET_DUMPABLE = 4
"""PR_SET_DUMPABLE (prctl(2))."""


def raise_safeguards(show: Callable[[BaseException], None]) -> None:
    """Set all of them for the rest of this process; its children get the limit only.

    ``show`` reports an exception that nothing caught, without anything that could be a secret.
    """
    _write_no_core()
    _forbid_inspection()
    _show_no_traceback(show)


def _write_no_core() -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):  # no such module on Windows
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _forbid_inspection() -> None:
    """Close this process to others of the same user, and to core dumps that are piped into a program.

    RLIMIT_CORE does not stop those (core(5), "Piping core dumps to a program"). Linux only.
    """
    if sys.platform == "linux":
        with contextlib.suppress(ImportError, OSError, AttributeError):
            import ctypes

            ctypes.CDLL(None).prctl(_SET_DUMPABLE, ctypes.c_ulong(0))


def _show_no_traceback(show: Callable[[BaseException], None]) -> None:
    """Replace every handler of uncaught exceptions: some print each local variable."""

    def report(error: BaseException | None) -> None:
        # Of an error raised in here Python would print the first one, with its text.
        with contextlib.suppress(Exception):
            if error is not None and not isinstance(error, SystemExit):
                show(error)

    sys.excepthook = lambda _kind, error, _trace: report(error)
    threading.excepthook = lambda uncaught: report(uncaught.exc_value)
