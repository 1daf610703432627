"""When a key may be taken out of use: held by nothing, grace over, unused for long enough, soaked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey import durations
from twokey.actions import Deactivate, Outcome, Plan
from twokey.reasons import Reason

if TYPE_CHECKING:
    from twokey.model import AccessKey
    from twokey.roles import Case


def barred(case: Case, last: AccessKey) -> Plan | None:
    """Say why LAST may not be removed now, or None where it may."""
    if last.id == case.seen.own_key:
        return case.refuse(Reason.OWN_KEY, f"twokey itself runs with {last.id}, which is LAST. Run it with CURRENT.")
    holders = case.holders(last.id)
    if holders:
        return case.refuse(
            Reason.LAST_HELD,
            f"LAST ({last.id}) is, or may be, held by {', '.join(holders)}, and there is no working CURRENT to "
            "deliver there.",
        )
    if case.asked.ignore_last_use:
        return None
    if case.now < case.grace_over:
        return case.refuse(
            Reason.GRACE,
            f"Jobs in flight may still use LAST ({last.id}): its grace ends in "
            f"{durations.show(case.grace_over - case.now)}. Wait, or accept that they fail: --ignore-last-use.",
        )
    return case.need(last) or _in_use(case, last)


def _in_use(case: Case, last: AccessKey) -> Plan | None:
    at = case.seen.last_used[last.id].at
    if at is None or case.now - at >= case.policy.idle:
        return None
    if case.policy.enforce_window and case.now - last.created >= case.policy.window:
        return None
    return case.refuse(
        Reason.IN_USE,
        f"LAST is still in use: {case.used(last)}, and it must rest for {durations.show(case.policy.idle)}. Find the "
        "job that does not read the store again, or accept that it fails: --ignore-last-use.",
    )


def soak(case: Case, key: AccessKey) -> Plan | None:
    """Make a key Inactive, or wait for the end of its soak, before it is deleted."""
    length = case.policy.soak
    if not length:
        return None
    retiring = case.journal.retiring
    if key.active or retiring is None or retiring.key != key.id:
        return case.conclude(
            Outcome.RETIRED,
            Reason.SOAK,
            f"{key.id} is made Inactive for {durations.show(length)} before it is deleted. If a job fails now, "
            f"switch it on again: aws iam update-access-key --user-name {case.seen.user.name} "
            f"--access-key-id {key.id} --status Active",
            Deactivate(key.id),
        )
    over = retiring.at + length
    if case.now < over:
        return case.conclude(
            Outcome.NOT_DUE,
            Reason.SOAKING,
            f"{key.id} is Inactive; its soak ends in {durations.show(over - case.now)}.",
        )
    return None
