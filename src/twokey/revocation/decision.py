"""What is decided when the operator reports leaked keys. No I/O, no clock.

The keys are Inactive by then. The plan is that of every rotation (``twokey.planning.decision``) for a journal that
names them as revoked, with two differences: that record is written before anything else, so that every later run knows
it, too; and where CURRENT has not leaked, it stays, whether or not a rotation is due.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from twokey.core.journal import Revoked
from twokey.core.model import CannotTell
from twokey.core.reasons import Outcome, Reason
from twokey.planning.assessment import assess
from twokey.planning.between_rotations import not_due, retirement
from twokey.planning.decision import plan, rolled_back, unfinished, unproven, unreadable, unsettled, user_recreated
from twokey.planning.plan import Overrides, RecordRevoked
from twokey.planning.revoked import kept_revoked
from twokey.planning.rules import first_verdict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from twokey.core.model import Observation
    from twokey.planning.assessment import Assessment
    from twokey.planning.plan import Plan
    from twokey.planning.policy import RotationPolicy


@dataclass(frozen=True, slots=True)
class Leak:
    """One user's leaked keys, each with the moment from which on it was Inactive, and what becomes of them.

    With ``delete``, they are deleted once they are replaced; with ``keep``, a run deletes them that much later; with
    neither, they stay until the operator decides.
    """

    contained: Mapping[str, datetime]
    delete: bool = False
    keep: timedelta | None = None

    def mark(self, key_id: str, before: Revoked | None) -> Revoked:
        """Return what the journal is to say of a key; ``before`` is what it says now."""
        at = before.at if before else self.contained[key_id]
        if self.delete:
            until = self.contained[key_id]
            if before and before.until:
                until = min(before.until, until)
        elif self.keep is not None:
            until = self.contained[key_id] + self.keep
        else:
            return before or Revoked(at)
        return Revoked(at, until)


def revoke_plan(
    observation: Observation,
    policy: RotationPolicy,
    now: datetime,
    overrides: Overrides | None = None,
    *,
    leak: Leak,
) -> Plan:
    """Decide what is done about leaked keys that are Inactive by now, whatever the list still shows."""
    marks = {
        key.id: leak.mark(key.id, observation.record.journal.revoked.get(key.id))
        for key in observation.keys
        if key.id in leak.contained
    }
    journal = observation.record.journal
    marked = msgspec.structs.replace(journal, revoked={**journal.revoked, **marks})
    seen = replace(
        observation,
        keys=tuple(replace(key, active=False) if key.id in leak.contained else key for key in observation.keys),
        record=replace(observation.record, journal=marked),
    )
    assessment = assess(seen, policy, now, overrides or Overrides())
    decision = _without_rotation(assessment) if _current_works(assessment) else plan(seen, policy, now, overrides)
    unreadable_store = isinstance(observation.record.holding, CannotTell)
    if decision.needs or decision.settles or unreadable_store or decision.reason is Reason.USER_RECREATED:
        return decision  # nothing is decided yet, nothing can be written, or nothing may be
    new = (
        RecordRevoked(key_id, mark.at, mark.until)
        for key_id, mark in marks.items()
        if mark != journal.revoked.get(key_id)
    )
    return replace(decision, actions=(*new, *decision.actions))


def _current_works(assessment: Assessment) -> bool:
    return assessment.current is not None and assessment.current.id not in assessment.journal.revoked


def _without_rotation(assessment: Assessment) -> Plan:
    """Leave CURRENT, which has not leaked: deliver it where it is missing, and delete what is to be deleted."""
    return first_verdict(
        (unreadable, user_recreated, unsettled, unfinished, rolled_back, unproven, _deliver, retirement), assessment
    ) or assessment.conclude(
        Outcome.NOT_DUE,
        Reason.LEAKED,
        f"CURRENT ({assessment.held}) has not leaked, and stays as it is. {kept_revoked(assessment)}".strip(),
    )


def _deliver(assessment: Assessment) -> Plan | None:
    """Deliver CURRENT to the destinations that do not surely hold it, as between two rotations."""
    found = not_due(assessment)
    return found if found and found.reason in (Reason.OUT_OF_DATE, Reason.CONTESTED) else None
