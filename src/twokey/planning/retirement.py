"""Whether the keys that ``--retire`` names may be removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.core.reasons import Reason
from twokey.planning.removal import unread

if TYPE_CHECKING:
    from twokey.core.model import AccessKey
    from twokey.planning.assessment import Assessment
    from twokey.planning.plan import Plan


def retire_held(assessment: Assessment) -> Plan | None:
    """Refuse to retire what is in use by evidence."""
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
            f"{_listing(assessment.observation.keys)}. Check the id, or leave --retire out.",
        )
    return None


def _held_by(assessment: Assessment, key: AccessKey, holders: tuple[str, ...]) -> str:
    """Say what holds the key to retire, and what to do about a destination that cannot tell."""
    message = f"{key.id} is held, or may be held, by {', '.join(holders)}, so jobs may use it."
    silent = [name for name in holders if name in assessment.observation.destinations and assessment.holds(name) == "?"]
    if not silent:
        return f"{message} To remove it, deliver another key there first."
    return (
        f"{message} Which key {', '.join(silent)} holds is unknown: leave it out of this run if it holds another one."
    )


def _listing(keys: tuple[AccessKey, ...]) -> str:
    return ", ".join(key.id for key in keys) or "no key"
