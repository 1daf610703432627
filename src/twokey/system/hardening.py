"""Keeps secrets in this process, before anything else runs: no core dump, no inspection, no traceback.

The cost is under 3 ms. If a system lacks one of these safeguards, the others still apply.
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
    """Set all safeguards for the rest of this process. Its children inherit the limit only.

    ``show`` reports an uncaught exception, without anything that could be a secret.
    """
    _write_no_core()
    _forbid_inspection()
    _show_no_traceback(show)


def _write_no_core() -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):  # Windows lacks the module
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _forbid_inspection() -> None:
    """Prevent inspection by other processes of the same user, and core dumps that are piped into a program.

    RLIMIT_CORE does not prevent the latter (core(5), "Piping core dumps to a program"). Linux only.
    """
    if sys.platform == "linux":
        with contextlib.suppress(ImportError, OSError, AttributeError):
            import ctypes

            ctypes.CDLL(None).prctl(_SET_DUMPABLE, ctypes.c_ulong(0))


def _show_no_traceback(show: Callable[[BaseException], None]) -> None:
    """Replace every handler of uncaught exceptions, because some print all local variables."""

    def report(error: BaseException | None) -> None:
        # If this raised an error, Python would also print the first one, with its text.
        with contextlib.suppress(Exception):
            if error is not None and not isinstance(error, SystemExit):
                show(error)

    sys.excepthook = lambda _kind, error, _trace: report(error)
    threading.excepthook = lambda uncaught: report(uncaught.exc_value)
