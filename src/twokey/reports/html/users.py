"""An audit by user: the keys of each in their roles, how old they are, and what is wrong. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from twokey.permissions.findings import SEVERITIES
from twokey.reports.audit import ROOT, Audit, User

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from twokey.reports.audit import Destination, Finding, Key

State = Literal["broken", "unknown", "late", "unmanaged", "kept"]
MEANINGS: dict[State, str] = {
    "broken": "An Active key is older than the window.",
    "unknown": "Something could not be read, so whether all is well is not known.",
    "late": "A rotation is overdue or interrupted, a destination is out of date, or the store "
    "holds neither a key nor a journal.",
    "unmanaged": "twokey does not rotate this user. No Active key is older than the window.",
    "kept": "twokey rotates this user, and no Active key is older than the window.",
}
"""What a user can be, the worst first."""
STATES: tuple[State, ...] = tuple(MEANINGS)
DAY = timedelta(days=1)
SLACK = 24
"""The slack is this part of the period."""


@dataclass(frozen=True)
class Row:
    """A user with its keys and findings, at the time of the audit."""

    user: User
    keys: tuple[Key, ...]
    findings: tuple[Finding, ...]
    now: datetime

    @property
    def name(self) -> str:
        """The user's name; the root user has none in IAM."""
        return "root user" if self.user.user == ROOT else self.user.user

    @property
    def window(self) -> timedelta:
        """How old no key may become."""
        return timedelta(seconds=max(self.user.window, 1))

    def _first(self, *roles: str) -> Key | None:
        return next((key for key in self.keys if key.role in roles), None)

    @cached_property
    def current(self) -> Key | None:
        """CURRENT, if it is known."""
        return self._first("current")

    @cached_property
    def last(self) -> Key | None:
        """LAST, if it is known."""
        return self._first("last")

    @cached_property
    def others(self) -> tuple[Key, ...]:
        """The keys that are neither CURRENT nor LAST."""
        return tuple(key for key in self.keys if key.role not in ("current", "last"))

    @cached_property
    def outdated(self) -> tuple[Destination, ...]:
        """The destinations that do not hold CURRENT, where there is one."""
        if self.untouched:
            return ()
        return tuple(one for one in self.user.destinations if one.outcome in ("out_of_date", "empty"))

    @property
    def untouched(self) -> bool:
        """Whether the store holds neither a key nor a journal, so that there is no CURRENT."""
        return any(one.id == "TK714" for one in self.findings)

    @property
    def holders(self) -> int:
        """How many destinations hold CURRENT."""
        return sum(one.outcome == "held" for one in self.user.destinations)

    @property
    def overdue(self) -> bool:
        """Whether a rotation is later than the slack allows."""
        due, period = self.user.next_due, self.user.period
        return due is not None and self.now > due + timedelta(seconds=(period or 0) / SLACK)

    @cached_property
    def state(self) -> State:
        """The worst that is true of the user."""
        windows = {key.window for key in self.keys if key.status == "Active"}
        if "broken" in windows:
            return "broken"
        if not self.user.readable or "unknown" in windows or any(key.role == "unknown" for key in self.keys):
            return "unknown"
        if self.overdue or self.outdated or self.user.interrupted or self.untouched:
            return "late"
        return "kept" if self.user.managed else "unmanaged"

    @property
    def severity(self) -> int:
        """The rank of the worst finding; -1 without one."""
        return max((SEVERITIES.index(one.severity) for one in self.findings), default=-1)

    @property
    def ids(self) -> tuple[str, ...]:
        """The rules of the findings, the most severe first."""
        ranked = sorted(self.findings, key=lambda one: (-SEVERITIES.index(one.severity), one.id))
        return tuple(dict.fromkeys(one.id for one in ranked))

    @property
    def order(self) -> tuple[int, int, float, str, str]:
        """The worst first, then what is due first."""
        due = self.user.next_due.timestamp() if self.user.next_due else float("inf")
        return STATES.index(self.state), -self.severity, due, self.user.account, self.user.user


def rows(audit: Audit) -> list[Row]:
    """Return the users of an audit, the worst first. A key or finding of a user that is not listed gets an own row."""
    keys: defaultdict[tuple[str, str], list[Key]] = defaultdict(list)
    for key in audit.keys:
        keys[key.account, key.user].append(key)
    findings: defaultdict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in audit.findings:
        findings[finding.account, finding.user].append(finding)
    users = {(user.account, user.user): user for user in audit.users}
    for (account, name), theirs in keys.items():
        users.setdefault((account, name), _unlisted(account, name, theirs[0].path))
    found = [
        Row(user, tuple(sorted(keys[where], key=_role)), tuple(findings[where]), audit.generated)
        for where, user in users.items()
    ]
    return sorted(found, key=lambda row: row.order)


def _role(key: Key) -> int:
    return ("current", "last").index(key.role) if key.role in ("current", "last") else 2


def _unlisted(account: str, name: str, path: str) -> User:
    return User(
        account=account,
        user=name,
        path=path,
        managed=False,
        readable=True,
        console_password=None,
        mfa=None,
        window=30 * 86_400,
    )


def age(key: Key | None, now: datetime) -> timedelta | None:
    """Return how old a key is, if that is known."""
    return now - key.created if key is not None and key.created is not None else None


def days(duration: timedelta | None) -> str:
    """Return a duration in whole days, never longer than it is."""
    return f"{max(duration, timedelta(0)) // DAY} d" if duration is not None else ""


def latest_use(keys: Sequence[Key], now: datetime) -> str:
    """Return when the latest use of some keys was; ``unknown`` where IAM names no use of at least one of them."""
    uses = [key.last_used.at for key in keys if key.last_used is not None]
    if uses:
        return days(now - max(uses))
    return "unknown" if keys else ""
