"""When a key may be taken out of use: held by nothing, grace over, unused for long enough, soaked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.core import durations
from twokey.core.reasons import Outcome, Reason
from twokey.planning.plan import Deactivate, Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.core.model import AccessKey
    from twokey.planning.assessment import Assessment


def barred(assessment: Assessment, last: AccessKey) -> Plan | None:
    """Say why LAST may not be removed now, or None where it may."""
    if last.id == assessment.seen.own_key:
        return assessment.refuse(
            Reason.OWN_KEY, f"twokey itself runs with {last.id}, which is LAST. Run it with CURRENT."
        )
    holders = assessment.holders(last.id)
    if holders:
        return assessment.refuse(
            Reason.LAST_HELD,
            f"LAST ({last.id}) is, or may be, held by {', '.join(holders)}, and there is no working CURRENT to "
            "deliver there.",
        )
    if assessment.asked.ignore_last_use:
        return None
    given_last = [name for name, given in assessment.journal.delivered.items() if given.key == last.id]
    if given_last:
        left_out = [name for name in given_last if name not in assessment.seen.destinations]
        why = f" ({', '.join(left_out)} is not among this run's destinations)" if left_out else ""
        return assessment.refuse(
            Reason.LAST_HELD,
            f"LAST ({last.id}) is what {', '.join(given_last)} was last given, as far as the journal knows{why}. "
            "Deliver CURRENT there, or accept that whatever still reads it there fails: --ignore-last-use.",
        )
    if assessment.now < assessment.grace_over:
        return assessment.refuse(
            Reason.GRACE,
            f"Jobs in flight may still use LAST ({last.id}): its grace ends in "
            f"{durations.show(assessment.grace_over - assessment.now)}. Wait, or accept that they fail: "
            "--ignore-last-use.",
        )
    return assessment.need(last) or _in_use(assessment, last)


def _in_use(assessment: Assessment, last: AccessKey) -> Plan | None:
    at = assessment.seen.last_used[last.id].at
    if at is None or assessment.now - at >= assessment.policy.idle:
        return None
    if assessment.policy.enforce_window and assessment.now - last.created >= assessment.policy.window:
        return None
    return assessment.refuse(
        Reason.IN_USE,
        f"LAST is still in use: {assessment.used(last)}, and it must rest for "
        f"{durations.show(assessment.policy.idle)}. Find the "
        "job that does not read the store again, or accept that it fails: --ignore-last-use.",
    )


def soak(assessment: Assessment, *keys: AccessKey) -> Plan | None:
    """Make these keys Inactive, or wait for the end of each one's soak, before they are deleted."""
    length = assessment.policy.soak
    if not length:
        return None
    retiring = assessment.journal.retiring
    todo = [key for key in keys if key.active or key.id not in retiring]
    if todo:
        return assessment.conclude(
            Outcome.RETIRED,
            Reason.SOAK,
            f"{_names(todo)} made Inactive for {durations.show(length)} before deletion. If a job fails now, switch "
            f"{'it' if len(todo) == 1 else 'the one that it needs'} on again: aws iam update-access-key "
            f"--user-name {assessment.seen.user.name} --access-key-id {todo[0].id} --status Active",
            *(Deactivate(key.id, named=key in assessment.retire) for key in todo),
        )
    over = max((retiring[key.id].at + length for key in keys), default=assessment.now)
    if assessment.now < over:
        return assessment.conclude(
            Outcome.NOT_DUE,
            Reason.SOAKING,
            f"{_names(keys)} Inactive; the soak ends in {durations.show(over - assessment.now)}.",
        )
    return None


def _names(keys: Sequence[AccessKey]) -> str:
    return f"{', '.join(key.id for key in keys)} {'is' if len(keys) == 1 else 'are'}"
