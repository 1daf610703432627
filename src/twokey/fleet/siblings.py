"""Looks, once everything else of a revocation is done, at whether other keys were used as the leaked ones were.

It changes no result but for its warnings: whatever fails here, what was done stands, and so does the exit code.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from twokey.aws.cloudtrail import CloudTrail
from twokey.core.errors import TwokeyError, unforeseen
from twokey.destinations import registry
from twokey.revocation import siblings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from twokey.aws.cloudtrail import TrailEvent
    from twokey.fleet.revoking import Leaks
    from twokey.fleet.runtime import Runtime
    from twokey.revocation.results import RevokeResult

MOST = 20
"""Users whose other keys are looked at: each key takes a request to each region, two in a second."""
HISTORY = timedelta(days=90)
"""How long event history keeps events ("LookupEvents", AWS CloudTrail API Reference)."""
THROTTLED = 5
"""How often a request is sent again while AWS throttles it: the operator waits for the result."""


@dataclass
class Siblings:
    """The look at the other keys of one run. ``failed``: why it failed; then CloudTrail is not called again."""

    runtime: Runtime
    leaks: Leaks
    failed: str = ""
    trail: CloudTrail = field(init=False)

    def __post_init__(self) -> None:
        """Prepare; nothing is called."""
        self.trail = CloudTrail(self.runtime.clients, throttled_attempts=THROTTLED)

    def warned(self, results: Sequence[RevokeResult]) -> list[RevokeResult]:
        """Return the results, with a warning where another key may have leaked, too, or where that is unknown."""
        chosen = [index for index, one in enumerate(results) if one.contained and not self.leaks.request.both]
        ended = list(results)
        for index in chosen[:MOST]:
            ended[index] = replace(ended[index], warnings=tuple(self._warnings(ended[index])))
        if len(chosen) > MOST:
            first, count = chosen[MOST], len(chosen) - MOST
            ended[first] = replace(ended[first], warnings=(_not_looked_at(count),))
        return ended

    def _warnings(self, result: RevokeResult) -> list[str]:
        found: list[str] = []
        try:
            leaked, contained = [one.key_id for one in result.contained], self._contained(result)
            found += siblings.siblings(self.runtime.iam.keys(result.user.name), leaked, contained)
            if not found:
                return []
            if not self.failed:
                return self._compared(leaked, found, contained)
        except TwokeyError as error:
            self.failed = str(error)
        except KeyboardInterrupt:
            # Everything else is done, and the operator has to read what.
            self.failed = "twokey was interrupted while it looked."
        except Exception as error:  # noqa: BLE001  the result of what was done must be printed, whatever this is
            self.failed = str(unforeseen("CloudTrail", error, reading=True))
        return [siblings.unknown(found, self.failed)]

    def _compared(self, leaked: Sequence[str], others: Sequence[str], contained: datetime) -> list[str]:
        now = self.runtime.clients.clock.now()
        events = [event for key_id in leaked for event in self._events(key_id, now)]
        return [
            text
            for key_id in others
            for text in siblings.warnings(events, key_id, self._events(key_id, now), contained, now)
        ]

    def _contained(self, result: RevokeResult) -> datetime:
        """Return since when the first leaked key has been Inactive: the journal knows it also of an earlier run."""
        moments = [one.at for one in result.contained]
        job = self.leaks.jobs.get(result.user.name)
        if job is not None:
            with suppress(TwokeyError):  # where the store cannot be read, the result says so
                revoked = registry.open_store(job.store, self.runtime.services).load().journal.revoked
                moments += [revoked[one.key_id].at for one in result.contained if one.key_id in revoked]
        return min(moments)

    def _events(self, key_id: str, now: datetime) -> list[TrailEvent]:
        """Return the newest events of a key, in the region in use and in the one that has those of IAM."""
        regions = dict.fromkeys(filter(None, (self.trail.own_region(), self.trail.main_region())))
        return [event for region in regions for event in self.trail.newest(region, key_id, now - HISTORY, now)]


def _not_looked_at(count: int) -> str:
    return (
        f"Only the first {MOST} users were looked at for another key that was used from the same addresses as the "
        f"leaked one: this user and {count - 1} after it were not. twokey trace KEY_ID shows the uses of a key."
    )
