"""What is decided about keys that have leaked. No I/O, no clock.

A leaked key is Inactive before anything is planned, so every job that reads it fails until it has another one. That
changes two rules, and no other. The leaked key may be removed although it is held, for what holds it holds a dead key;
but only where the operator requested its deletion. And a destination that cannot be reached keeps no other destination
from the new key. A key that has not leaked is removed by the same rules as ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.core import timestamps
from twokey.core.commands import revoke_command, rotate_command
from twokey.core.reasons import Outcome, Reason
from twokey.planning.assessment import kept_until_over
from twokey.planning.plan import Commit, Create, Delete, Deliver, RemoveOrphan
from twokey.planning.removal import removal_barred, soak, unread

if TYPE_CHECKING:
    from twokey.core.model import AccessKey
    from twokey.planning.assessment import Assessment
    from twokey.planning.plan import Plan


def replace_leaked(assessment: Assessment) -> Plan | None:
    """Replace CURRENT where it has leaked and is Inactive. LAST is removed for that only by its own rules."""
    current = assessment.current
    if current is None or current.id not in assessment.revoked:
        return None
    others_go = [key for key in (assessment.orphan, *assessment.removable) if key and key.id not in assessment.revoked]
    if others_go and assessment.unread:
        return unread(assessment)  # it may hold one of them, and an orphan that stays could not be attributed any more
    waiting = soak(assessment, *assessment.removable)
    ready = tuple(key.id for key in assessment.removable if not waiting or key.id in assessment.revoked)
    others = _others(assessment, ready)
    if not others:
        return _replacement(assessment, *ready, last=current.id)
    return _with_last(assessment, ready, others) or _with_less_room(assessment, ready, others, waiting)


def _with_last(assessment: Assessment, ready: tuple[str, ...], others: tuple[AccessKey, ...]) -> Plan | None:
    """Let LAST make room, where it may be removed now."""
    bar, last = _bar(assessment, others), assessment.last
    if bar is not None:
        return bar if bar.needs else None
    if last is None or soak(assessment, last) is not None:
        return None
    return _replacement(assessment, *ready, last.id, last=assessment.held)


def _with_less_room(
    assessment: Assessment, ready: tuple[str, ...], others: tuple[AccessKey, ...], waiting: Plan | None
) -> Plan:
    """Let the leaked key make room, if the operator allows it; else begin a soak, or refuse."""
    bar, last = _bar(assessment, others), assessment.last
    if kept_until_over(assessment.held, assessment.journal, assessment.now) and len(others) < 2:
        return _replacement(assessment, *ready, assessment.held, last=last.id if last else "")
    soaks = soak(assessment, last) if last and bar is None else None
    return waiting or soaks or _no_room(assessment, others, bar)


def revoked_in_the_way(assessment: Assessment, last: AccessKey) -> Plan | None:
    """Refuse a rotation while LAST is a revoked key that is kept: only the operator knows for how long."""
    if last.id not in assessment.revoked:
        return None
    return assessment.refuse(Reason.REVOKED_KEPT, f"There is no room for another key. {_kept(assessment, last.id)}")


def named_early(assessment: Assessment, last: AccessKey | None) -> str:
    """Return the key that is recorded as LAST already with the intent; empty where the journal names it by then.

    It is the key of a creation without a response, which a destination may hold. The next intent knows it, so once the
    leaked key is gone, nothing else would tell it from an unmanaged key.
    """
    return last.id if last and assessment.held in assessment.journal.revoked else ""


def kept_revoked(assessment: Assessment) -> str:
    """Name the revoked keys that are kept, until when, and how they are deleted; empty where there is none."""
    return " ".join(_kept(assessment, key.id) for key in assessment.observation.keys if key.id in assessment.revoked)


def reactivated(assessment: Assessment) -> str:
    """Name the leaked keys that were made Active again, outside twokey; empty where there is none."""
    marks, before = assessment.journal.revoked, assessment.now - assessment.policy.settle
    again = [
        key.id
        for key in assessment.listed
        if key.active and key.id in marks and marks[key.id].at <= before  # by then, no list lags
    ]
    return " ".join(
        f"{key_id} has leaked, and was made Active again outside twokey. To stop it: {revoke_command(key_id)}."
        for key_id in again
    )


def _kept(assessment: Assessment, key_id: str) -> str:
    until = assessment.journal.revoked[key_id].until
    deleted = f"To delete it: {revoke_command(key_id, '--delete')}."
    if until is None:
        return f"{key_id} has leaked, and is kept Inactive. {deleted}"
    if assessment.now >= until:
        return f"{key_id} has leaked, is Inactive, and is deleted once no destination may hold it."
    return f"{key_id} has leaked, and is kept Inactive until {timestamps.utc(until)}; a run deletes it then. {deleted}"


def _others(assessment: Assessment, ready: tuple[str, ...]) -> tuple[AccessKey, ...]:
    """Return the keys besides CURRENT that would stay."""
    gone = {*ready, *(key.id for key in (assessment.current, assessment.orphan) if key)}
    return tuple(key for key in assessment.observation.keys if key.id not in gone)


def _bar(assessment: Assessment, others: tuple[AccessKey, ...]) -> Plan | None:
    """Say why what is in the way of a new key may not be removed; None where it is LAST, and may."""
    last = assessment.last
    if last is None or others != (last,):
        return assessment.need(*others) or assessment.refuse(
            Reason.UNMANAGED_KEY, f"In the way: {'; '.join(assessment.used(key) for key in others)}."
        )
    if assessment.unread:
        return unread(assessment)
    return revoked_in_the_way(assessment, last) or removal_barred(assessment, last)


def _replacement(assessment: Assessment, *removed: str, last: str) -> Plan:
    held = assessment.held
    gone = [RemoveOrphan(assessment.orphan.id)] if assessment.orphan else []
    deleted = dict.fromkeys(removed)
    names = tuple(assessment.observation.destinations)
    known = dict.fromkeys((*(key.id for key in assessment.observation.keys), held))
    also = f" {held} is deleted first, to make room for another key." if held in deleted else ""
    return assessment.conclude(
        Outcome.ROTATED,
        Reason.LEAKED,
        f"{held} has leaked and is Inactive; another key replaces it everywhere.{also}",
        *gone,
        *(Delete(key_id) for key_id in deleted),
        Create(tuple(known), urgent=True, last=named_early(assessment, assessment.last) if held in deleted else ""),
        *((Deliver(names),) if names else ()),
        Commit(last),
    )


def _no_room(assessment: Assessment, others: tuple[AccessKey, ...], bar: Plan | None) -> Plan:
    """Refuse: the user has as many keys as IAM allows, and none of them may be removed yet."""
    held, user = assessment.held, assessment.observation.user.name
    names = " and ".join(key.id for key in others)
    revoke, all_gone = revoke_command(held, "--delete"), revoke_command(held, "--both --delete")
    unleaked = [key.id for key in others if key.id not in assessment.revoked]
    if not unleaked:
        return assessment.refuse(
            Reason.LEAKED,
            f"{held} and {names} have leaked and are Inactive, so jobs fail, and there is no room for another key. To "
            f"delete {held} and create another key in its place: {revoke}. To delete all of them: {all_gone}.",
        )
    why = bar.message if bar else f"{names} is in the way."
    stays = "has not leaked, and stays" if len(unleaked) == 1 else "have not leaked, and stay"
    ways = (
        f"To delete {held} and create another key in its place (recommended): {revoke}. If {names} has leaked, too: "
        f"{all_gone}. {why}"
    )
    if assessment.last in others:
        ways += f" Once LAST may be removed, {rotate_command(user)} creates another key."
    if len(others) > 1:
        ways = f"{why} Remove one of {names} that no program uses; then run {revoke_command(held)} again."
    return assessment.refuse(
        Reason.LEAKED,
        f"{held} has leaked and is Inactive, but is NOT replaced, so jobs fail: IAM allows two keys for each user, and "
        f"{' and '.join(unleaked)} {stays}. {ways}",
    )
