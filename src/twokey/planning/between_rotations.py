"""What there is to do while no rotation is due, or while a destination still holds what is to go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.core import durations
from twokey.core.reasons import Outcome, Reason
from twokey.planning.plan import Commit, Delete, Deliver, Plan, Resume
from twokey.planning.removal import barred, soak

if TYPE_CHECKING:
    from twokey.core.model import AccessKey
    from twokey.planning.assessment import Case


def at_rest(case: Case) -> Plan | None:
    """Do what there is to do while no rotation is due, or while a destination still holds LAST."""
    reason = why_due(case)
    behind = tuple(name for name in case.seen.destinations if case.behind(name))
    instead_of = case.last.id if case.last and may_be_read(case, case.last) else ""
    if reason is not None and not instead_of and set(case.outgoing) <= set(case.going):
        return None
    if behind and case.current and case.current.active:
        return case.conclude(
            Outcome.COMPLETED,
            Reason.BEHIND,
            f"{', '.join(behind)} {_did_not_hold(case, behind)} {case.held}. Grace counts from this delivery.",
            Resume(case.held),
            Deliver(behind, instead_of),
            Commit(case.last.id if case.last else "", renew=False),
        )
    if reason is not None:
        return None
    return _retiring(case) or _agreeing(case) or _early_soak(case) or _resting(case)


def why_due(case: Case) -> Reason | None:
    """Say why a rotation is due, or None where none is."""
    due = case.next_due
    if case.current and not case.current.active:
        return Reason.CURRENT_INACTIVE
    if case.journal.intent:
        return Reason.INTERRUPTED
    if due and case.now >= due:
        return Reason.DUE
    return Reason.FORCED if case.asked.force else None


def may_be_read(case: Case, last: AccessKey) -> bool:
    """Say whether a destination of this run holds LAST, or held it until nobody knows when."""
    given = case.journal.delivered
    return bool(case.holders(last.id)) or any(
        name in given and given[name].key == last.id for name in case.seen.destinations
    )


def _did_not_hold(case: Case, behind: tuple[str, ...]) -> str:
    by_journal = all(case.holds(name) == case.held for name in behind)
    return "did not, as far as the journal knows, hold" if by_journal else "did not hold"


def _retiring(case: Case) -> Plan | None:
    """Retire what a person named, or what was to go before, although no rotation is due."""
    if not case.going or case.unread:
        return None
    waiting = soak(case, *case.going)
    if waiting:
        return waiting
    return case.conclude(
        Outcome.RETIRED,
        Reason.RETIRE_ASKED if any(_named(case, key) for key in case.going) else Reason.STILL_THERE,
        " ".join(why_it_goes(case, key) for key in case.going),
        *(Delete(key.id) for key in case.going),
        Commit(case.last.id if case.last else "", renew=False),
    )


def _agreeing(case: Case) -> Plan | None:
    """Take the store's word where the journal names a CURRENT that is gone, and a person says that it may be."""
    said = case.journal.current
    if said in ("", case.held):
        return None
    return case.conclude(
        Outcome.RETIRED,
        Reason.RETIRE_ASKED,
        f"{said} is gone. CURRENT is {case.held}, as {case.seen.store} says, and the journal says so from now on.",
        Commit(case.last.id if case.last else "", renew=False),
    )


def _named(case: Case, key: AccessKey) -> bool:
    return key in case.retire or key.id in case.journal.retiring


def why_it_goes(case: Case, key: AccessKey) -> str:
    """Say why a key besides LAST and a stray is removed."""
    if _named(case, key):
        return f"{key.id} goes because you said that it may."
    return f"{key.id} was deleted before and is still there; it is deleted again."


def _early_soak(case: Case) -> Plan | None:
    """Begin the soak so early that the rotation is not late, if LAST may go by then."""
    if not case.policy.soak or case.last is None or not case.last.active or case.next_due is None:
        return None
    if case.unread or case.now < max(case.grace_over, case.next_due - case.policy.soak):
        return None
    bar = barred(case, case.last)
    if bar is not None:
        return bar if bar.needs else None
    return soak(case, case.last)


def _resting(case: Case) -> Plan:
    due = case.next_due
    said = f"A rotation is due in {durations.show(due - case.now)}." if due else ""
    return case.conclude(Outcome.NOT_DUE, Reason.NOT_DUE, said)
