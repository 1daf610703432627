"""Whether the keys that ``--retire`` names may be removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.core import durations
from twokey.core.commands import command, revoke_command, rotate_command
from twokey.core.reasons import Reason
from twokey.planning.removal import removal_barred, soak, unread

if TYPE_CHECKING:
    from twokey.core.model import AccessKey
    from twokey.planning.assessment import Assessment
    from twokey.planning.plan import Plan


def retire_held(assessment: Assessment) -> Plan | None:
    """Refuse to retire what is in use by evidence; for CURRENT, say how it is replaced first."""
    if assessment.current in assessment.retire and assessment.held != assessment.observation.own_key:
        return _replace_first(assessment, assessment.held)
    if assessment.retire and assessment.unread:
        return unread(assessment)
    for key in assessment.retire:
        if key.id == assessment.observation.own_key:
            return assessment.refuse(
                Reason.OWN_KEY,
                f"twokey itself runs with {key.id}. Run twokey with another key before you retire this one.",
            )
        holders = assessment.holders(key.id)
        if holders:
            return assessment.refuse(Reason.RETIRE_HELD, _held_by(assessment, key, holders))
    known = {key.id for key in assessment.retire} | {
        *assessment.journal.removed,
        assessment.journal.current,
        assessment.journal.last,
    }
    unknown = sorted(assessment.overrides.retire - known) if assessment.overrides.all_theirs else []
    if unknown:
        return assessment.refuse(
            Reason.RETIRE_UNKNOWN,
            f"--retire names {', '.join(unknown)}, but {assessment.observation.user.name} has "
            f"{_listing(assessment.observation.keys)}. Check the ID, or leave --retire out.",
        )
    return None


def _replace_first(assessment: Assessment, current: str) -> Plan:
    """Refuse to remove CURRENT, with the commands that replace it and then remove it: it has probably leaked.

    The successor is delivered first. Otherwise every job would fail, to stop the key a few seconds earlier.
    """
    last, user = assessment.last, assessment.observation.user.name
    barred = removal_barred(assessment, last) if last else None
    if barred and barred.needs:
        return barred
    soaks = last is not None and soak(assessment, last) is not None
    others = tuple(key.id for key in assessment.unmanaged)
    options = " ".join(("--force", *(("--ignore-last-use",) if barred else ()), *(f"--retire {one}" for one in others)))
    costs = [f"jobs that still use LAST ({last.id}) fail"] if last and (barred or soaks) else []
    costs += [f"a program that uses {one} fails" for one in others]
    holders = assessment.holders(current)
    return assessment.refuse(
        Reason.RETIRE_HELD,
        f"{current} is CURRENT: {', '.join(holders)} {'holds' if len(holders) == 1 else 'hold'} it or may hold it, and "
        f"jobs use it. If it has leaked, stop it at once and replace it: {revoke_command(current)}; jobs fail until "
        "they read the new key. Or replace it first, then remove it, so that no job fails that reads its key again. "
        f"{_without_soak(assessment) if soaks else ''}"
        f"(1) {rotate_command(user, options)} creates another key and delivers it{'; '.join(['', *costs])}. "
        f"(2) {rotate_command(user, f'--retire {current}')} has {current} {_removed(assessment, soaks)}; jobs that "
        "read it before (1) and still run fail.",
    )


def _without_soak(assessment: Assessment) -> str:
    length = durations.exact(assessment.policy.soak)
    return (
        f"Set soak to 0s while you do that (soak: 0s in twokey.yaml, or --soak 0s): otherwise LAST is Inactive for "
        f"{length} before there is room for another key. "
    )


def _removed(assessment: Assessment, soaks: bool) -> str:
    length = assessment.policy.soak
    return f"made Inactive, and deleted by a run {durations.exact(length)} later" if length and not soaks else "deleted"


def _held_by(assessment: Assessment, key: AccessKey, holders: tuple[str, ...]) -> str:
    """Say what holds the key to retire, and what to do about a destination that cannot tell."""
    message = f"{key.id} is held, or may be held, by {', '.join(holders)}, so jobs may use it."
    silent = [name for name in holders if name in assessment.observation.destinations and assessment.holds(name) == "?"]
    if not silent and assessment.current and assessment.current.active:
        return f"{message} Deliver CURRENT there first: {command('deliver', assessment.observation.user.name)}."
    if not silent:
        return f"{message} To remove it, deliver another key there first."
    return (
        f"{message} Which key {', '.join(silent)} holds is unknown: leave it out of this run if it holds another one."
    )


def _listing(keys: tuple[AccessKey, ...]) -> str:
    return ", ".join(key.id for key in keys) or "no key"
