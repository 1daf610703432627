"""What the operator is told after a run: each thing once, and not again within a period. Pure.

An alert is about one user: it was rotated, refused or failed, or a key of it breaks the window. What was done is told
once by its nature. A problem that lasts is found again by every run; it is the same alert as long as user, outcome and
reason are the same, whatever its message says meanwhile, and is told again when ``repeat`` has passed. Where a key of
the user comes so close to the window that no rotation removes it in time, that is another alert.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from twokey.core import durations, timestamps
from twokey.core.reasons import Outcome
from twokey.planning import windows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from twokey.core.model import AccessKey
    from twokey.planning.policy import RotationPolicy
    from twokey.rotation.results import Result

MARK = 8
"""Characters of a mark. They are enough: a memory of 4 KB holds a few hundred."""
PROBLEMS = (Outcome.REFUSED, Outcome.FAILED)
AlertKind = Literal["outcome", "window_breaks", "window_broken", "run", "leaked_key"]


@dataclass(frozen=True, slots=True)
class Ended:
    """How the run ended for one user: the keys that are left, as far as they are known, and the user's rules."""

    result: Result
    keys: Sequence[AccessKey] = ()
    policy: RotationPolicy | None = None


@dataclass(frozen=True, slots=True)
class Leak:
    """Whose key is leaked. ``key_id`` is empty where the source does not name the key, ``user`` where it is unknown."""

    account: str
    user: str
    key_id: str


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to tell. ``kind``: a user's outcome, its window, a leaked key, or a run that came to no user.

    ``subject`` distinguishes it from every other alert that lasts.
    """

    kind: AlertKind
    message: str
    subject: str
    problem: bool
    result: Result | None = None
    leak: Leak | None = None

    def mark(self, receiver: str) -> str:
        """Return a short text that stands for this alert at one receiver."""
        digest = hashlib.sha256(f"{receiver}\n{self.kind}\n{self.subject}".encode()).digest()
        return urlsafe_b64encode(digest)[:MARK].decode()


def alerts(
    ended: Iterable[Ended], now: datetime, within: timedelta, schedule: timedelta | None = None
) -> tuple[Alert, ...]:
    """Return what there is to tell about a run, problems first."""
    found = [alert for one in ended for alert in _of_user(one, now, within, schedule)]
    return tuple(sorted(found, key=lambda alert: not alert.problem))


def of_failed_run(command: str, message: str) -> Alert:
    """Return the alert for a run that an error ended before it came to any user."""
    return Alert("run", message, command, problem=True)


def of_leak(rule: str, leak: Leak, message: str) -> Alert:
    """Return the alert for a leaked key: the same one as long as the same key is found by the same rule."""
    what = leak.key_id or message
    return Alert("leaked_key", message, f"{leak.account}/{leak.user} {rule} {what}", problem=True, leak=leak)


def _of_user(ended: Ended, now: datetime, within: timedelta, schedule: timedelta | None) -> Iterator[Alert]:
    result = ended.result
    who = str(result.user.key)
    problem = result.outcome in PROBLEMS
    if result.outcome is not Outcome.NOT_DUE:
        what = f"{result.outcome} {result.reason}" if problem else f"{result.outcome} {result.current} {result.removed}"
        yield Alert("outcome", result.message, f"{who} {what}", problem, result)
    if ended.policy is None:
        return
    keys = [key for key in ended.keys if key.active and key.id not in result.removed]
    for key in keys:
        if now - key.created > ended.policy.window:
            (message,) = windows.broken([key], ended.policy, now)
            yield Alert("window_broken", message, f"{who} {key.id}", problem=True, result=result)
    for key, breaks in _close(keys, ended, now, schedule):
        if now <= breaks <= now + within:
            yield Alert(
                "window_breaks",
                f"The window will be broken: {key.id} reaches {durations.exact(ended.policy.window)} at "
                f"{timestamps.utc(breaks)}, and no rotation removes it before that.",
                f"{who} {key.id}",
                problem=True,
                result=result,
            )


def _close(
    keys: Sequence[AccessKey], ended: Ended, now: datetime, schedule: timedelta | None
) -> Iterator[tuple[AccessKey, datetime]]:
    """Return the keys that no rotation removes in time: where one is refused, or fails, none is sure to come."""
    assert ended.policy is not None
    result = ended.result
    if result.outcome in PROBLEMS:
        yield from ((key, key.created + ended.policy.window) for key in keys)
        return
    for key, breaks, _ in windows.breaking(keys, result.current, result.next_due, ended.policy, now, schedule):
        yield key, breaks


def due(
    found: Sequence[Alert], receiver: str, sent: Mapping[str, datetime], now: datetime, repeat: timedelta
) -> tuple[Alert, ...]:
    """Return the alerts that a receiver gets now: those that it has not been sent within the period."""

    def is_new(alert: Alert) -> bool:
        at = sent.get(alert.mark(receiver))
        return not alert.problem or at is None or not now - repeat < at <= now

    return tuple(filter(is_new, found))


def after_failure(unsent: Sequence[Alert]) -> str:
    """Return what follows if these alerts did not reach a receiver. What was done is told by the run that did it."""
    lost = sum(not alert.problem for alert in unsent)
    parts = []
    if lost:
        parts.append(" No later run sends what was done: see the output of this one.")
    if lost < len(unsent):
        parts.append(" The next run sends the problems that last.")
    return "".join(parts)


def remembered(
    sent: Mapping[str, datetime], added: Iterable[str], now: datetime, repeat: timedelta
) -> dict[str, datetime]:
    """Return what is remembered from now on: the marks that still count, and the new ones."""
    return {**{mark: at for mark, at in sent.items() if now - repeat < at <= now}, **dict.fromkeys(added, now)}
