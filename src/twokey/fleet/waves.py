"""The waves of a run: a few accounts first, then more of them, and a check between.

No file says where an earlier run has stopped: IAM and the stores do. A run begins with the first wave; users that are
rotated already are not due, so that wave ends at once. The pause after it counts from the latest commit of its users.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any

from twokey.core import durations
from twokey.core.errors import UsageError
from twokey.core.reasons import Outcome, Reason
from twokey.rotation.results import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime
    from threading import Event

    from twokey.config.wave_settings import StopSettings, WaveSettings
    from twokey.core.accounts import Account
    from twokey.core.ports import Clock
    from twokey.fleet.roster import Job
    from twokey.reports.documents import StatusEntry

BAD = (Outcome.FAILED, Outcome.REFUSED)
RECENT = timedelta(days=1)
"""A wave whose latest commit is older than this and than its pause was checked by an earlier run, or stood the test."""
MOST_NAMES = 5
_OF_EARLIER_RUNS = ("window_broken", "window_breaks")
"""What a rotation of today cannot have caused: keys that earlier runs did not replace in time."""


@dataclass(slots=True)
class Tally:
    """Counts how the users of a wave ended, and says when no further one may begin. Used by many threads."""

    number: int
    of: int
    users: int
    limit: StopSettings | None
    bad: int = 0
    stopped: str = ""
    """Why no further user begins; empty as long as users may."""
    _lock: Lock = field(default_factory=Lock)

    def count(self, result: object) -> None:
        """Count how a user ended."""
        if not ended_well(result):
            self.count_bad(1)

    def count_bad(self, number: int) -> None:
        """Count users that failed or were refused."""
        with self._lock:
            self.bad += number
            if self.limit is not None and not self.limit.allows(self.bad, self.users) and not self.stopped:
                self.stopped = (
                    f"more of its users failed or were refused than stop_after allows "
                    f"({self.limit} of {self.users}; so far {self.bad})"
                )

    def stop(self, why: str) -> None:
        """Let no further user begin."""
        with self._lock:
            self.stopped = self.stopped or why

    @property
    def name(self) -> str:
        """How text names the wave."""
        return f"wave {self.number} of {self.of}"


def divide(units: Sequence[str], waves: Sequence[WaveSettings], accounts: Sequence[Account]) -> list[list[int]]:
    """Return which of the units are in each wave, by their numbers, and those that are in none, as a last wave.

    Units are the accounts of users, or without accounts, the users. Percentages are of all of them, in a stable order
    that has nothing to do with names or ages: that of the digests of their ids.
    """
    known = dict.fromkeys([account.id for account in accounts] or units)
    ranked = sorted(known, key=lambda unit: hashlib.sha256(unit.encode()).digest())
    first: dict[str, int] = {}
    for number, wave in enumerate(waves):
        if wave.percent:
            chosen: Iterable[str] = ranked[: math.ceil(len(ranked) * wave.percent / 100)]
        else:
            chosen = [one.id for one in accounts if any(choice.means(one) for choice in wave.accounts)]
        for unit in chosen:
            first.setdefault(unit, number)
    found: list[list[int]] = [[] for _ in range(len(waves) + 1)]
    for index, unit in enumerate(units):
        found[first.get(unit, len(waves))].append(index)
    return found


def without_account(wave: WaveSettings, known: Sequence[Account]) -> list[str]:
    """Return what chooses accounts for a wave, and none of the accounts meets."""
    return [str(choice) for choice in wave.accounts if not any(map(choice.means, known))]


def refuse_empty(waves: Sequence[WaveSettings], known: Sequence[Account]) -> None:
    """Raise ``UsageError`` for a wave whose accounts are none: what comes after it would begin without its check."""
    for wave in waves:
        if wave.accounts and len(missing := without_account(wave, known)) == len(wave.accounts):
            raise UsageError(
                f"{wave.at}this wave has no account: none is chosen by {'; '.join(missing)}. The waves after it would "
                "begin without it.",
                state="Nothing was changed.",
                remedy="Correct the ID or the name, or remove the wave.",
            )


def ended_well(result: object) -> bool:
    """Return whether a user neither failed nor was refused."""
    return not (isinstance(result, Result) and result.outcome in BAD)


def committed(job: Job, result: object) -> datetime | None:
    """Return when a user's latest rotation was committed, as the result shows it; None if it does not."""
    if not isinstance(result, Result) or result.next_due is None or result.outcome in BAD:
        return None
    return result.next_due - (job.policy.period - job.policy.slack)


def wait(pause: timedelta, latest: datetime, clock: Clock, stop: Event, announce: Callable[[str], None]) -> None:
    """Wait until the pause after the latest commit of a wave is over, or the run is stopped."""
    left = (latest + pause - clock.now()).total_seconds() if pause else 0.0
    if left > 0:
        announce(f"The next wave begins in {durations.left(timedelta(seconds=left))}.")
    while left > 0 and not stop.is_set():
        clock.sleep(min(left, 1.0))
        left -= 1.0


def unwell(entries: Iterable[StatusEntry | Result]) -> str:
    """Return what status finds wrong with users, for a sentence; empty if nothing."""
    found = []
    for one in entries:
        if isinstance(one, Result):
            found.append(f"{one.user.key} (unreadable)")
        elif problems := [finding for finding in one.findings if finding not in _OF_EARLIER_RUNS]:
            found.append(f"{one.account}/{one.user} ({', '.join(problems)})")
    more = f" and {len(found) - MOST_NAMES} more" if len(found) > MOST_NAMES else ""
    return f"twokey status finds {', '.join(found[:MOST_NAMES])}{more}" if found else ""


def message(tally: Tally, results: Sequence[object]) -> memoryview:
    """Return what the program between two waves gets on standard input."""
    counts: dict[str, int] = {}
    ended = [one for one in results if isinstance(one, Result)]
    for result in ended:
        counts[result.outcome.value] = counts.get(result.outcome.value, 0) + 1
    content: dict[str, Any] = {
        "version": 1,
        "hook": "check",
        "wave": tally.number,
        "waves": tally.of,
        "accounts": sorted({result.user.account for result in ended}),
        "summary": counts,
    }
    return memoryview(json.dumps(content, separators=(",", ":")).encode())


def not_begun(job: Job, tally: Tally) -> Result:
    """Return the result of a user of a wave that was stopped before this user began."""
    return _refused(job, f"This user was not begun: {_why(tally)}")


def accounts_not_begun(jobs: Sequence[Job], tally: Tally) -> list[Result]:
    """Return one result for each account of later waves, which were not begun; without accounts, for each user."""
    from dataclasses import replace

    accounts: dict[str, list[Job]] = {}
    for job in jobs:
        accounts.setdefault(job.user.account, []).append(job)
    if len(accounts) == 1:
        return [not_begun(job, tally) for job in jobs]
    found = []
    for theirs in accounts.values():
        user = theirs[0].user
        named = f"{user.account_name} ({user.account})" if user.account_name else user.account
        count = f"{len(theirs)} users" if len(theirs) > 1 else "one user"
        result = _refused(theirs[0], f"The account {named}, with {count}, was not begun: {_why(tally)}")
        found.append(replace(result, user=replace(user, name="", path="", id="", arn="")))
    return found


def _why(tally: Tally) -> str:
    return (
        f"after {tally.name}, {tally.stopped}. Nothing was changed there. Look at that wave, then run again: a run "
        "continues where this one stopped."
    )


def _refused(job: Job, text: str) -> Result:
    return Result(job.user, Outcome.REFUSED, Reason.WAVE_STOPPED, text)
