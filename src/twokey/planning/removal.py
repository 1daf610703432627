"""When a key may be taken out of use: held by nothing, its grace over, unused for long enough, soaked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.core import durations
from twokey.core.commands import forget_command, ignoring_last_use, trace_command
from twokey.core.reasons import Outcome, Reason
from twokey.planning.plan import Deactivate, Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.core.model import AccessKey
    from twokey.planning.assessment import Assessment


NO_WORKING_CURRENT = "There is no working CURRENT to deliver there: put one into the store, or empty that destination."


def removal_barred(assessment: Assessment, last: AccessKey) -> Plan | None:
    """Say why LAST may not be removed now, or None where it may."""
    if last.id == assessment.observation.own_key:
        return assessment.refuse(
            Reason.OWN_KEY, f"twokey itself runs with {last.id}, which is LAST. Run twokey with CURRENT."
        )
    holders = assessment.holders(last.id)
    if holders:
        return assessment.refuse(
            Reason.LAST_HELD,
            f"LAST ({last.id}) is held, or may be held, by {', '.join(holders)}. {NO_WORKING_CURRENT}",
        )
    if assessment.overrides.ignore_last_use:
        return None
    return _delivered_last(assessment, last) or _in_grace(assessment, last) or _in_use(assessment, last)


def _delivered_last(assessment: Assessment, last: AccessKey) -> Plan | None:
    """Refuse while, by the journal, a destination that is not part of this run still has LAST."""
    holders = [name for name, delivery in assessment.journal.delivered.items() if delivery.key == last.id]
    if not holders:
        return None
    absent = [name for name in holders if name not in assessment.observation.destinations]
    why = f" ({', '.join(absent)} is not among this run's destinations)" if absent else ""
    user = assessment.observation.user.name
    forget = f" If no job reads it there any more: {forget_command(user, absent[0])}." if absent else ""
    return assessment.refuse(
        Reason.LAST_HELD,
        f"According to the journal, {', '.join(holders)} received LAST ({last.id}) and nothing since{why}. Deliver "
        f"CURRENT there, or accept that jobs that read it there fail: {_ignoring(assessment)}.{forget}",
    )


def _in_grace(assessment: Assessment, last: AccessKey) -> Plan | None:
    if assessment.now >= assessment.grace_over:
        return None
    left = durations.left(assessment.grace_over - assessment.now)
    promise = f" {assessment.promise}" if assessment.promise else ""
    return assessment.refuse(
        Reason.GRACE,
        f"Jobs in flight may still use LAST ({last.id}): its grace ends in {left}.{promise} Wait until then, or accept "
        f"that they fail: {_ignoring(assessment)}.",
    )


def _in_use(assessment: Assessment, last: AccessKey) -> Plan | None:
    """Refuse while LAST was used recently, unless the window is enforced and over. It must be known first."""
    unknown = assessment.need(last)
    if unknown is not None:
        return unknown
    at = assessment.observation.last_used[last.id].at
    if at is None or assessment.now - at >= assessment.policy.idle:
        return None
    if assessment.policy.enforce_window and assessment.now - last.created >= assessment.policy.window:
        return None
    return assessment.refuse(
        Reason.IN_USE,
        f"LAST is still in use: {assessment.used(last)}, and it must be unused for "
        f"{durations.left(assessment.policy.idle)} before it is removed. Find the job that does not read the store "
        f"again ({trace_command(last.id)} shows where it runs), or accept that it fails: {_ignoring(assessment)}.",
    )


def _ignoring(assessment: Assessment) -> str:
    """Return the command that removes LAST all the same, with what else the operator requested."""
    requested = assessment.overrides
    return ignoring_last_use(assessment.observation.user.name, force=requested.force, retire=requested.retire)


def unread(assessment: Assessment) -> Plan:
    """Refuse to remove anything while a destination that would tell what it holds cannot be read."""
    problems = " ".join(f"{name} cannot be read: {why}" for name, why in assessment.unread.items())
    return assessment.refuse(Reason.UNREADABLE, f"{problems} The key to be removed may be held there.")


def soak(assessment: Assessment, *keys: AccessKey) -> Plan | None:
    """Make these keys Inactive, or wait for the end of each one's soak, before they are deleted."""
    length = assessment.policy.soak
    keys = tuple(key for key in keys if key.id not in assessment.revoked)  # they are Inactive, and stay so
    if not length or not keys:
        return None
    retiring = assessment.journal.retiring
    to_deactivate = [key for key in keys if key.active or key.id not in retiring]
    if to_deactivate:
        affected = "the key" if len(to_deactivate) == 1 else "the key that it needs"
        return assessment.conclude(
            Outcome.RETIRED,
            Reason.SOAK,
            f"{_names(to_deactivate)} made Inactive for {durations.exact(length)} before deletion. If a job fails now, "
            f"reactivate {affected}: aws iam update-access-key "
            f"--user-name {assessment.observation.user.name} --access-key-id {to_deactivate[0].id} --status Active",
            *(Deactivate(key.id, named=key in assessment.retire) for key in to_deactivate),
        )
    over = max(retiring[key.id].at + length for key in keys)
    if assessment.now < over:
        return assessment.conclude(
            Outcome.NOT_DUE,
            Reason.SOAKING,
            f"{_names(keys)} Inactive; the soak ends in {durations.left(over - assessment.now)}.",
        )
    return None


def _names(keys: Sequence[AccessKey]) -> str:
    return f"{', '.join(key.id for key in keys)} {'is' if len(keys) == 1 else 'are'}"
