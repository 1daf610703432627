"""The time that is left to an invocation. A Lambda function that runs out of it is killed, and gives no lease back.

Two moments come before that. From the first on, no user is begun: a rotation takes no longer than its lease, unless a
service is slow. From the second on, no user waits any more: each one under way ends with its next wait, and gives its
lease back. What such a user has begun, its next run finishes.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

from twokey.aws.clients import CALL_LIMIT
from twokey.core.errors import UsageError
from twokey.rotation.lease import LENGTH

if TYPE_CHECKING:
    from collections.abc import Callable

LAST_BEGIN = LENGTH.total_seconds() + 60
"""Seconds before the end from which on no user is begun."""
LAST_WAIT = CALL_LIMIT + 15.0
"""Seconds before the end from which on no user waits: a request under way is over by then, with all its attempts."""
SHORTEST = LAST_BEGIN + 60
"""Seconds that an invocation has at least, so that some users are begun."""


class Context(Protocol):
    """What Lambda passes besides the event ("Using the Lambda context object", AWS Lambda Developer Guide)."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda kills the invocation."""
        ...


class Deadline(threading.Event):
    """The event ``stop`` of a run, which sets itself: so no thread has to watch the time."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._left: Callable[[], int] = context.get_remaining_time_in_millis

    @property
    def left(self) -> float:
        """The seconds that are left."""
        return self._left() / 1000

    @property
    def may_begin(self) -> bool:
        """Whether a user may be begun."""
        return self.left > LAST_BEGIN

    def is_set(self) -> bool:
        """Say whether all waiting has to end."""
        return super().is_set() or self.left <= LAST_WAIT

    def check(self) -> None:
        """Raise ``UsageError`` where the time-out of the function is too short to begin any user."""
        if self.left < SHORTEST:
            raise UsageError(
                f"The function has {self.left:.0f} seconds left. No user could be begun in that time.",
                state="Nothing was changed.",
                remedy=f"Set the function's timeout to 900 seconds; {SHORTEST:.0f} are the least.",
            )
