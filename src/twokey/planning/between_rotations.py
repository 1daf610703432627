"""What is decided while no rotation is due, or while a destination still holds a key that is to be removed."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from twokey.core import durations
from twokey.core.commands import command, forget_command
from twokey.core.reasons import Outcome, Reason
from twokey.planning.plan import Commit, Delete, Deliver, Plan, Resume
from twokey.planning.removal import removal_barred, soak
from twokey.planning.revoked import kept_revoked, reactivated
from twokey.planning.rules import first_verdict

if TYPE_CHECKING:
    from twokey.core.model import AccessKey
    from twokey.planning.assessment import Assessment


def not_due(assessment: Assessment) -> Plan | None:
    """Decide while no rotation is due, or while a destination still holds LAST."""
    reason = why_due(assessment)
    out_of_date = tuple(name for name in assessment.observation.destinations if assessment.out_of_date(name))
    instead_of = assessment.last.id if assessment.last and may_be_read(assessment, assessment.last) else ""
    if reason is not None and not instead_of and set(assessment.outgoing) <= set(assessment.removable):
        return None
    if out_of_date and assessment.current and assessment.current.active:
        contested = assessment.contested
        if contested and reason in (Reason.DUE, Reason.FORCED):
            return assessment.refuse(Reason.CONTESTED, _contested(assessment, contested, refused=True))
        return assessment.conclude(
            Outcome.FAILED if contested else Outcome.COMPLETED,
            Reason.CONTESTED if contested else Reason.OUT_OF_DATE,
            _contested(assessment, contested)
            if contested
            else f"{_without_current(assessment, out_of_date)}{_grace(assessment, out_of_date)}",
            Resume(assessment.held),
            Deliver(out_of_date, instead_of),
            Commit(assessment.last.id if assessment.last else "", renew=False),
        )
    if reason is not None:
        return None
    return first_verdict(NOT_DUE, assessment)


def why_due(assessment: Assessment) -> Reason | None:
    """Say why a rotation is due, or None where none is."""
    due = assessment.next_due
    if assessment.current and not assessment.current.active:
        return Reason.LEAKED if assessment.held in assessment.journal.revoked else Reason.CURRENT_INACTIVE
    if assessment.journal.intent:
        return Reason.INTERRUPTED
    if due and assessment.now >= due:
        return Reason.DUE
    return Reason.FORCED if assessment.overrides.force else None


def may_be_read(assessment: Assessment, last: AccessKey) -> bool:
    """Say whether a destination of this run holds LAST, or held it until an unknown moment."""
    delivered = assessment.journal.delivered
    return bool(assessment.holders(last.id)) or any(
        name in delivered and delivered[name].key == last.id for name in assessment.observation.destinations
    )


def _without_current(assessment: Assessment, out_of_date: tuple[str, ...]) -> str:
    """Say why these destinations do not surely hold CURRENT; the words must be true before and after the delivery."""
    held, unread = assessment.held, assessment.unread
    sentences: dict[str, list[str]] = {}
    for name in out_of_date:
        if name in unread:
            sentence = f"{{}} cannot be read, so it is unknown whether {held} was there."
        elif name in assessment.journal.delivering:
            sentence = f"A delivery of {held} to {{}} was not finished."
        elif assessment.holds(name) == "?":
            sentence = f"It is unknown whether {{}} held {held}."
        elif assessment.holds(name) == held:
            sentence = f"According to the journal, {{}} did not hold {held}."
        else:
            sentence = f"{{}} did not hold {held}."
        sentences.setdefault(sentence, []).append(name)
    return " ".join(sentence.format(", ".join(names)) for sentence, names in sentences.items())


def _grace(assessment: Assessment, names: tuple[str, ...]) -> str:
    """Say that grace counts from these deliveries, unless no job can have read LAST there since CURRENT was there."""
    if all(assessment.rewritten(name) and assessment.holds_none(name) for name in names):
        return ""
    return " Grace counts from this delivery."


def _contested(assessment: Assessment, names: tuple[str, ...], *, refused: bool = False) -> str:
    """Say that another program keeps writing there, what this run does about it, and what the operator can do."""
    user, shown = assessment.observation.user.name, ", ".join(names)
    done = (
        f"What it writes may be LAST, so no key is removed, and the rotation that is due does not take place. Stop "
        f"that program, then deliver CURRENT: {command('deliver', user, f'--to {shlex.quote(names[0])}')}."
        if refused
        else f"{assessment.held} is delivered there again, but jobs may read what the other program writes. Stop that "
        "program: otherwise the next rotation is refused while it may have written LAST."
    )
    return (
        f"Another program keeps writing to {shown} between the runs. {done} Or take the destination out of the "
        f"configuration, and forget it: {forget_command(user, names[0])}."
    )


def retirement(assessment: Assessment) -> Plan | None:
    """Retire what the operator named, or what was to be removed earlier, although no rotation is due."""
    if not assessment.removable or assessment.unread:
        return None
    waiting = soak(assessment, *assessment.removable)
    if waiting:
        return waiting
    return assessment.conclude(
        Outcome.RETIRED,
        _why_retired(assessment),
        " ".join(why_removed(assessment, key) for key in assessment.removable),
        *(Delete(key.id) for key in assessment.removable),
        Commit(assessment.last.id if assessment.last else "", renew=False),
    )


def _why_retired(assessment: Assessment) -> Reason:
    if any(_named(assessment, key) for key in assessment.removable):
        return Reason.RETIRE_REQUESTED
    revoked = any(key.id in assessment.revoked for key in assessment.removable)
    return Reason.REVOKED if revoked else Reason.STILL_LISTED


def _correction(assessment: Assessment) -> Plan | None:
    """Record what the store holds where the journal names a CURRENT that is gone, and the operator confirms it."""
    recorded = assessment.journal.current
    if recorded in ("", assessment.held):
        return None
    return assessment.conclude(
        Outcome.RETIRED,
        Reason.RETIRE_REQUESTED,
        f"{recorded} no longer exists, and {assessment.observation.store} holds {assessment.held}: the journal now "
        "names that one as CURRENT.",
        Commit(assessment.last.id if assessment.last else "", renew=False),
    )


def _named(assessment: Assessment, key: AccessKey) -> bool:
    return key in assessment.retire or key.id in assessment.journal.retiring


def why_removed(assessment: Assessment, key: AccessKey) -> str:
    """Say why a key other than LAST and an orphan is removed."""
    if _named(assessment, key):
        return f"{key.id} is removed because you named it with --retire."
    if key.id in assessment.revoked:
        return f"{key.id} was revoked, and is deleted as you requested."
    return f"{key.id} was deleted before and is still listed; it is deleted again."


def _early_soak(assessment: Assessment) -> Plan | None:
    """Begin the soak early enough that the rotation is not late, if LAST may be removed by then."""
    if (
        not assessment.policy.soak
        or assessment.last is None
        or not assessment.last.active
        or assessment.next_due is None
    ):
        return None
    if assessment.unread or assessment.now < max(assessment.grace_over, assessment.next_due - assessment.policy.soak):
        return None
    bar = removal_barred(assessment, assessment.last)
    if bar is not None:
        return bar if bar.needs else None
    return soak(assessment, assessment.last)


def _nothing(assessment: Assessment) -> Plan:
    due = assessment.next_due
    message = f"A rotation is due in {durations.left(due - assessment.now)}." if due else ""
    if assessment.promise and assessment.now < assessment.grace_over:
        message = f"{message} {assessment.promise}"
    for leaked in filter(None, (reactivated(assessment), kept_revoked(assessment))):
        message = f"{message} {leaked}".strip()
    return assessment.conclude(Outcome.NOT_DUE, Reason.NOT_DUE, message)


NOT_DUE = (retirement, _correction, _early_soak, _nothing)
"""What is decided between two rotations, once every destination holds CURRENT."""
