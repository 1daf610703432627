"""Ctrl-C and SIGTERM end a run in order."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def terminable() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C: begin nothing more, finish what is under way; a second signal ends at once."""

    from twokey.cli.terminal import show_ending

    def interrupt(number: int, _frame: object) -> NoReturn:
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        show_ending()
        raise KeyboardInterrupt(signal.Signals(number).name)

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
