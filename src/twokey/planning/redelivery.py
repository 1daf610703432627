"""What a delivery does that a person asked for, decided from an observation alone. No I/O, no clock.

CURRENT is brought to its destinations once more: to a pipeline that is new, where a token was repaired, where somebody
has put an older secret back. No key is created or removed, and no key changes its role: an intent that is open stays
open, and so does everything that only a rotation decides. The first of these rules that has something to say decides:

1. what ``decision`` says of a store that cannot be read, of a user that was made again, of a list that may lag;
2. an interrupted run's key, which is delivered and committed as ``rotate`` would;
3. a store that was rolled back, or without a key that works: refuse;
4. the delivery, to every place that does not surely hold CURRENT, and to every one that cannot tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.core.model import CannotTell
from twokey.core.reasons import Outcome, Reason
from twokey.planning.assessment import assess
from twokey.planning.between_rotations import may_be_read
from twokey.planning.decision import rolled_back, unfinished, unreadable, unsettled, user_recreated
from twokey.planning.plan import Deliver, Overrides, RecordDeliveries, Resume

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from twokey.core.model import Observation
    from twokey.planning.assessment import Assessment
    from twokey.planning.plan import Plan
    from twokey.planning.policy import RotationPolicy


def deliver_plan(
    seen: Observation,
    policy: RotationPolicy,
    now: datetime,
    asked: Overrides | None = None,
    *,
    chosen: Collection[str] | None = None,
) -> Plan:
    """Decide what is to be delivered. ``chosen`` names the destinations that are meant; None means all."""
    assessment = assess(seen, policy, now, asked or Overrides())
    places = tuple(name for name in seen.destinations if chosen is None or name in chosen)
    for rule in (unreadable, user_recreated, unsettled):
        verdict = rule(assessment)
        if verdict is not None:
            return verdict
    silent = tuple(name for name in places if isinstance(seen.destinations[name], CannotTell))
    return (
        unfinished(assessment, silent)
        or rolled_back(assessment)
        or _without_current(assessment)
        or _delivery(assessment, places, silent)
    )


def _without_current(assessment: Assessment) -> Plan | None:
    """Refuse to spread what does not work."""
    remedy = "There is nothing to deliver. See what twokey plan says of this user."
    if assessment.current is None and assessment.held:
        said = (
            f"{assessment.seen.store} holds {assessment.held}, which IAM no longer lists: jobs fail already. {remedy}"
        )
        return assessment.refuse(Reason.KEY_GONE, said)
    if assessment.current is None:
        return assessment.refuse(Reason.STORE_EMPTY, f"{assessment.seen.store} holds no key. {remedy}")
    if not assessment.current.active:
        said = f"{assessment.held}, which {assessment.seen.store} holds, is Inactive: jobs fail already. {remedy}"
        return assessment.refuse(Reason.CURRENT_INACTIVE, said)
    return None


def _delivery(assessment: Assessment, places: tuple[str, ...], silent: tuple[str, ...]) -> Plan:
    names = tuple(name for name in places if name in silent or assessment.out_of_date(name))
    if not names:
        said = (
            f"{', '.join(places)}: {assessment.held} is there already." if places else "No destination is configured."
        )
        return assessment.conclude(Outcome.NOT_DUE, Reason.HELD, said)
    instead_of = assessment.last.id if assessment.last and may_be_read(assessment, assessment.last) else ""
    return assessment.conclude(
        Outcome.COMPLETED,
        Reason.DELIVERY_REQUESTED,
        f"{assessment.held} is delivered to {', '.join(names)}.",
        Resume(assessment.held),
        Deliver(names, instead_of),
        RecordDeliveries(),
    )
