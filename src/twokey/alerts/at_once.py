"""Does several things at the same time, and waits for them no longer than a given time in all."""

from __future__ import annotations

import threading
import time
from contextvars import copy_context
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")


def at_once(works: Sequence[Callable[[], T]], seconds: float) -> list[T | None]:
    """Return what each work returned, None for one that is not over after the time.

    The works raise nothing. The thread of one that is not over is left to itself; it does not keep the process from
    ending.
    """
    found: list[T | None] = [None] * len(works)

    def do(index: int) -> None:
        found[index] = works[index]()

    # The credentials that sign a request are in the context of the thread that begins it.
    threads = [
        threading.Thread(target=copy_context().run, args=(do, index), name=f"alert-{index}", daemon=True)
        for index in range(len(works))
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return list(found)
