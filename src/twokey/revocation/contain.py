"""Makes a leaked key Inactive, and knows afterwards that it is. Nothing comes before this: no lease, no store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from twokey.core.errors import Ambiguous, NotFound, Throttled, Unreachable

if TYPE_CHECKING:
    from datetime import datetime

    from twokey.core.ports import Clock, Iam

PATIENCE = 120.0
"""Seconds for which the request is sent again while it is not known whether the key is Inactive."""
PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class Contained:
    """A leaked key that no longer authenticates, since when by AWS's clock, and the id of the request.

    ``gone``: the key does not exist any more. There is no request id where the response was lost.
    """

    key_id: str
    at: datetime
    request_id: str = ""
    gone: bool = False


def contain(user: str, key_id: str, iam: Iam, clock: Clock) -> Contained:
    """Make a key Inactive. To do that again is harmless, so a lost response is no reason to give up.

    Raises the errors of ``twokey.core.errors``: then the key may still work.
    """
    deadline = clock.monotonic() + PATIENCE
    while True:
        try:
            done = iam.deactivate_key(user, key_id)
        except NotFound:
            # A server of IAM that does not know a young key yet says the same as one that knows that it is gone.
            if key_id not in {key.id for key in iam.keys(user)}:
                return Contained(key_id, clock.now(), gone=True)
            if clock.monotonic() > deadline:
                raise
        except (Ambiguous, Throttled, Unreachable):
            if clock.monotonic() > deadline:
                raise
        else:
            return Contained(key_id, done.at, done.request_id)
        clock.sleep(PAUSE)
