"""Whether a user is well: what a monitoring system reports, in its four levels. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from twokey.core.model import Held
from twokey.core.reasons import Outcome, Reason
from twokey.planning import windows
from twokey.planning.destination_states import destination_states

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import timedelta

    from twokey.planning.assessment import Assessment
    from twokey.planning.plan import Plan
    from twokey.reports.documents import Finding, StatusEntry

Level = Literal["well", "late", "broken", "unknown"]

LEVELS: dict[Finding, Level] = {
    "window_broken": "broken",
    "job_fails": "broken",
    "unreadable": "unknown",
    "late": "late",
    "out_of_date": "late",
    "interrupted": "late",
    "refused": "late",
    "contested": "late",
    "window_breaks": "late",
}
EXIT_CODES: dict[Level, int] = {"well": 0, "late": 1, "broken": 2, "unknown": 3}
"""As monitoring plugins exit: OK, WARNING, CRITICAL, UNKNOWN ("Monitoring Plugins Development Guidelines")."""
WORST_FIRST: tuple[Level, ...] = ("broken", "unknown", "late")
"""What is surely broken comes before what is unknown."""
MOST_NAMES = 5


def findings(
    assessment: Assessment, decision: Plan, schedule: timedelta | None = None, *, busy: bool
) -> Iterator[Finding]:
    """Return what is wrong with a user. While another run is ``busy`` with it, only a window that is broken counts."""
    keys, policy, now = assessment.observation.keys, assessment.policy, assessment.now
    if any(windows.broken(keys, policy, now)):
        yield "window_broken"
    if busy:
        return
    states = {state.state for state in destination_states(assessment)}
    if _job_fails(assessment) or "empty" in states:
        yield "job_fails"
    if "unreachable" in states:
        yield "unreadable"
    if "out_of_date" in states:
        yield "out_of_date"
    if assessment.journal.intent or assessment.journal.hook:
        yield "interrupted"
    yield from _of_decision(decision)
    if decision.next_due is not None and now > decision.next_due + policy.slack:
        yield "late"
    if any(windows.about_to_break(keys, decision.current, decision.next_due, policy, now, schedule)):
        yield "window_breaks"


def _of_decision(decision: Plan) -> Iterator[Finding]:
    if decision.outcome is Outcome.REFUSED and not decision.settles:
        yield "refused"
    if decision.reason is Reason.CONTESTED:
        yield "contested"


def _job_fails(assessment: Assessment) -> bool:
    """Return whether what the store or a destination holds does not authenticate, or may be a mixed pair."""
    active = {key.id for key in assessment.observation.keys if key.active}
    held = [assessment.observation.record.holding, *assessment.observation.destinations.values()]
    return bool(assessment.journal.delivering) or any(
        isinstance(holding, Held) and holding.key_id not in active for holding in held
    )


def level_of(found: Collection[Finding]) -> Level:
    """Return the worst level of some findings."""
    levels = {LEVELS[one] for one in found}
    return next((level for level in WORST_FIRST if level in levels), "well")


def summary(entries: Sequence[StatusEntry], names: Sequence[str]) -> tuple[Level, str]:
    """Return the worst level of all users, and one line that names those that are not well as ``names`` does."""
    worst = level_of({finding for entry in entries for finding in entry.findings})
    parts = []
    for level in WORST_FIRST:
        named = [
            f"{name} ({', '.join(entry.findings)})"
            for name, entry in zip(names, entries, strict=True)
            if level_of(entry.findings) == level
        ]
        if named:
            more = f" and {len(named) - MOST_NAMES} more" if len(named) > MOST_NAMES else ""
            parts.append(f"{level}: {', '.join(named[:MOST_NAMES])}{more}")
    well = sum(not entry.findings for entry in entries)
    return worst, "; ".join(
        [*parts, f"{well} of {len(entries)} {'user is' if len(entries) == 1 else 'users are'} well"]
    )
