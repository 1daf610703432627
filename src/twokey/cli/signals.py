"""Ctrl-C and SIGTERM end a run in order."""

from __future__ import annotations

import _thread
import os
import signal
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def handle(handler: Callable[[int, Any], object], *numbers: signal.Signals) -> dict[signal.Signals, Any]:
    """Have a handler for these signals, and return what was there before.

    A signal that the process ignores from its start stays ignored, as POSIX asks of every program: ``nohup`` ignores
    SIGHUP for what it starts, and a shell without job control ignores SIGINT for what it starts in the background.
    """
    return {
        number: signal.signal(number, handler) for number in numbers if signal.getsignal(number) is not signal.SIG_IGN
    }


class Ending(threading.Event):
    """An event that a signal handler can set.

    Python runs the handler between any two steps of the main thread, which may be about to wait for this very event,
    and so hold its lock: to set it there would wait for that lock for ever. Another thread wakes up those that wait.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ended = False

    def end(self) -> None:
        """Set the event, in a signal handler."""
        self._ended = True
        _thread.start_new_thread(self.set, ())

    def is_set(self) -> bool:
        """Say whether it is set."""
        return self._ended or super().is_set()


@contextmanager
def terminable(clear: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C: begin nothing more, finish what is under way; a second signal ends at once.

    ``clear`` removes what would be drawn over the message. Both signals print what they do before they do it: the
    second one ends the process by itself, so that whatever started it sees which signal it was.
    """
    from twokey.cli.terminal import show_ended_at_once, show_ending

    def interrupt(number: int, _frame: object) -> NoReturn:
        for each in before:
            signal.signal(each, end_at_once)
        with suppress(Exception):
            clear()
        show_ending()
        raise KeyboardInterrupt(signal.Signals(number).name)

    def end_at_once(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        show_ended_at_once()
        os.kill(os.getpid(), number)

    before = handle(interrupt, signal.SIGINT, signal.SIGTERM)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
