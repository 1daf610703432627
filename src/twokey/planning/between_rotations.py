"""What there is to do while no rotation is due, or while a destination still holds what is to go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.core import durations
from twokey.core.reasons import Outcome, Reason
from twokey.planning.plan import Commit, Delete, Deliver, Plan, Resume
from twokey.planning.removal import barred, soak

if TYPE_CHECKING:
    from twokey.core.model import AccessKey
    from twokey.planning.assessment import Assessment


def at_rest(assessment: Assessment) -> Plan | None:
    """Do what there is to do while no rotation is due, or while a destination still holds LAST."""
    reason = why_due(assessment)
    out_of_date = tuple(name for name in assessment.seen.destinations if assessment.out_of_date(name))
    instead_of = assessment.last.id if assessment.last and may_be_read(assessment, assessment.last) else ""
    if reason is not None and not instead_of and set(assessment.outgoing) <= set(assessment.going):
        return None
    if out_of_date and assessment.current and assessment.current.active:
        return assessment.conclude(
            Outcome.COMPLETED,
            Reason.OUT_OF_DATE,
            f"{', '.join(out_of_date)} {_did_not_hold(assessment, out_of_date)} {assessment.held}. Grace counts from "
            "this "
            "delivery.",
            Resume(assessment.held),
            Deliver(out_of_date, instead_of),
            Commit(assessment.last.id if assessment.last else "", renew=False),
        )
    if reason is not None:
        return None
    return _retiring(assessment) or _agreeing(assessment) or _early_soak(assessment) or _resting(assessment)


def why_due(assessment: Assessment) -> Reason | None:
    """Say why a rotation is due, or None where none is."""
    due = assessment.next_due
    if assessment.current and not assessment.current.active:
        return Reason.CURRENT_INACTIVE
    if assessment.journal.intent:
        return Reason.INTERRUPTED
    if due and assessment.now >= due:
        return Reason.DUE
    return Reason.FORCED if assessment.asked.force else None


def may_be_read(assessment: Assessment, last: AccessKey) -> bool:
    """Say whether a destination of this run holds LAST, or held it until nobody knows when."""
    given = assessment.journal.delivered
    return bool(assessment.holders(last.id)) or any(
        name in given and given[name].key == last.id for name in assessment.seen.destinations
    )


def _did_not_hold(assessment: Assessment, out_of_date: tuple[str, ...]) -> str:
    by_journal = all(assessment.holds(name) == assessment.held for name in out_of_date)
    return "did not, as far as the journal knows, hold" if by_journal else "did not hold"


def _retiring(assessment: Assessment) -> Plan | None:
    """Retire what a person named, or what was to go before, although no rotation is due."""
    if not assessment.going or assessment.unread:
        return None
    waiting = soak(assessment, *assessment.going)
    if waiting:
        return waiting
    return assessment.conclude(
        Outcome.RETIRED,
        Reason.RETIRE_REQUESTED if any(_named(assessment, key) for key in assessment.going) else Reason.STILL_LISTED,
        " ".join(why_it_goes(assessment, key) for key in assessment.going),
        *(Delete(key.id) for key in assessment.going),
        Commit(assessment.last.id if assessment.last else "", renew=False),
    )


def _agreeing(assessment: Assessment) -> Plan | None:
    """Take the store's word where the journal names a CURRENT that is gone, and a person says that it may be."""
    said = assessment.journal.current
    if said in ("", assessment.held):
        return None
    return assessment.conclude(
        Outcome.RETIRED,
        Reason.RETIRE_REQUESTED,
        f"{said} is gone. CURRENT is {assessment.held}, as {assessment.seen.store} says, and the journal says so "
        "from now on.",
        Commit(assessment.last.id if assessment.last else "", renew=False),
    )


def _named(assessment: Assessment, key: AccessKey) -> bool:
    return key in assessment.retire or key.id in assessment.journal.retiring


def why_it_goes(assessment: Assessment, key: AccessKey) -> str:
    """Say why a key besides LAST and an orphan is removed."""
    if _named(assessment, key):
        return f"{key.id} goes because you said that it may."
    return f"{key.id} was deleted before and is still there; it is deleted again."


def _early_soak(assessment: Assessment) -> Plan | None:
    """Begin the soak so early that the rotation is not late, if LAST may go by then."""
    if (
        not assessment.policy.soak
        or assessment.last is None
        or not assessment.last.active
        or assessment.next_due is None
    ):
        return None
    if assessment.unread or assessment.now < max(assessment.grace_over, assessment.next_due - assessment.policy.soak):
        return None
    bar = barred(assessment, assessment.last)
    if bar is not None:
        return bar if bar.needs else None
    return soak(assessment, assessment.last)


def _resting(assessment: Assessment) -> Plan:
    due = assessment.next_due
    said = f"A rotation is due in {durations.show(due - assessment.now)}." if due else ""
    return assessment.conclude(Outcome.NOT_DUE, Reason.NOT_DUE, said)
