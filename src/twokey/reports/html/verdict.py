"""What the page says first: one sentence about the whole, and the figures beside it. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twokey.reports.audit import people
from twokey.reports.html.users import DAY, STATES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.reports.audit import Audit
    from twokey.reports.html.users import Row, State

SOON = 7


@dataclass(frozen=True, slots=True)
class Figure:
    """One number with its name, and what it is a part of."""

    value: str
    name: str
    detail: str
    look: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The sentence, what it depends on, and the figures. ``shares`` are the users in each state, in percent."""

    look: str
    headline: str
    figures: tuple[Figure, ...]
    states: tuple[tuple[str, int, float], ...]


def verdict(audit: Audit, rows: Sequence[Row]) -> Verdict:
    """Return what to say first."""
    states = Counter(row.state for row in rows)
    shares = tuple((state, states[state], round(100 * states[state] / max(len(rows), 1), 2)) for state in STATES)
    look, headline = _headline(audit, rows, states)
    return Verdict(look, headline, tuple(_figures(rows, people(audit))), shares)


def _headline(audit: Audit, rows: Sequence[Row], states: Counter[State]) -> tuple[str, str]:
    serious = sum(audit.summary.get(severity, 0) for severity in ("critical", "high"))
    if states["broken"]:
        return "broken", f"{_count(states['broken'], 'user has', 'users have')} a key that is older than the window."
    if not audit.complete or states["unknown"]:
        what = _count(states["unknown"], "user", "users") if states["unknown"] else "part of the account"
        return "unknown", f"No key is known to be older than the window, but {what} could not be read in full."
    if serious:
        return "late", f"Every key is younger than its window; {_count(serious, 'finding is', 'findings are')} serious."
    if states["late"]:
        return "late", f"Every key is younger than its window; {_count(states['late'], 'user is', 'users are')} late."
    if not rows:
        return "kept", "There is no user in this result."
    return "kept", "Every key is younger than its window."


def _figures(rows: Sequence[Row], users: int) -> list[Figure]:
    keys = [(row, key) for row in rows for key in row.keys if key.status == "Active"]
    kept = sum(key.window == "kept" for _, key in keys)
    managed = sum(row.user.managed for row in rows)
    due = [row.user.next_due for row in rows if row.user.next_due is not None]
    now = rows[0].now if rows else None
    soon = sum(moment - now <= SOON * DAY for moment in due) if now else 0
    late = sum(row.overdue for row in rows)
    outdated = sum(len(row.outdated) for row in rows)
    everywhere = sum(len(row.user.destinations) for row in rows)
    unreadable = sum(not row.user.readable for row in rows)
    share = f"{100 * kept / len(keys):.1f} %".replace("100.0", "100") if keys else "none"
    if keys and kept < len(keys) and share == "100 %":
        share = "99.9 %"
    return [
        Figure(share, "of keys in their window", f"{kept:,} of {len(keys):,} Active keys", "kept"),
        Figure(f"{managed:,}", "users that twokey rotates", f"of {users:,} IAM users", ""),
        Figure(f"{soon:,}", f"rotations due in {SOON} days", f"{late:,} overdue", "late" if late else ""),
        Figure(
            f"{outdated:,}",
            "destinations out of date",
            f"of {everywhere:,} destinations",
            "broken" if outdated else "",
        ),
        Figure(f"{unreadable:,}", "users not readable", "store or journal", "unknown" if unreadable else ""),
    ]


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
