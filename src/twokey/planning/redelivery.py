"""What a delivery does that the operator requested, decided from an observation alone. No I/O, no clock.

CURRENT is delivered to its destinations once more: to a pipeline that is new, where a token was renewed, where another
program has written an older secret. No key is created or removed, and no key changes its role: an intent that is open
stays open, and so does everything that only a rotation decides. The first of these rules that applies decides:

1. what ``decision`` decides for a store that cannot be read, a user that was created again, a list that may lag;
2. an interrupted run's key, which is delivered and committed as ``rotate`` would;
3. a store that was rolled back, or that holds no working key: refuse;
4. the delivery, to every destination that does not surely hold CURRENT, and to every one that cannot tell.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from twokey.core.commands import command, revoke_command
from twokey.core.model import CannotTell
from twokey.core.reasons import Outcome, Reason
from twokey.planning.assessment import assess
from twokey.planning.between_rotations import may_be_read
from twokey.planning.decision import rolled_back, unfinished, unproven, unreadable, unsettled, user_recreated
from twokey.planning.plan import Deliver, Overrides, RecordDeliveries, Resume
from twokey.planning.rules import first_verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from twokey.core.model import Observation
    from twokey.planning.assessment import Assessment
    from twokey.planning.plan import Plan
    from twokey.planning.policy import RotationPolicy


def deliver_plan(
    observation: Observation,
    policy: RotationPolicy,
    now: datetime,
    overrides: Overrides | None = None,
    *,
    chosen: Collection[str] | None = None,
) -> Plan:
    """Decide what is to be delivered. ``chosen`` selects destinations; None means all."""
    assessment = assess(observation, policy, now, overrides or Overrides())
    selected = tuple(name for name in observation.destinations if chosen is None or name in chosen)
    silent = tuple(name for name in selected if isinstance(observation.destinations[name], CannotTell))
    rules: tuple[Callable[[Assessment], Plan | None], ...] = (
        unreadable,
        user_recreated,
        unsettled,
        partial(unfinished, also=silent),
        rolled_back,
        unproven,
        without_working_current,
    )
    return first_verdict(rules, assessment) or _delivery(assessment, selected, silent)


def without_working_current(assessment: Assessment) -> Plan | None:
    """Refuse to deliver a key that does not work."""
    store, see = assessment.observation.store, command("plan", assessment.observation.user.name)
    remedy = f"There is nothing to deliver. To see why: {see}."
    if assessment.current is None and assessment.held:
        message = f"{store} holds {assessment.held}, which IAM no longer lists, so jobs already fail. {remedy}"
        return assessment.refuse(Reason.KEY_GONE, message)
    if assessment.current is None:
        return assessment.refuse(Reason.STORE_EMPTY, f"{store} holds no key. {remedy}")
    if assessment.held in assessment.journal.revoked:
        message = f"{assessment.held}, which {store} holds, has leaked: it is not delivered. To replace it everywhere: "
        return assessment.refuse(Reason.LEAKED, f"{message}{revoke_command(assessment.held)}.")
    if not assessment.current.active:
        message = f"{assessment.held}, which {store} holds, is Inactive, so jobs already fail. {remedy}"
        return assessment.refuse(Reason.CURRENT_INACTIVE, message)
    return None


def _delivery(assessment: Assessment, selected: tuple[str, ...], silent: tuple[str, ...]) -> Plan:
    names = tuple(name for name in selected if name in silent or assessment.out_of_date(name))
    if not names:
        holds = "holds" if len(selected) == 1 else "hold"
        message = (
            f"{', '.join(selected)} already {holds} {assessment.held}." if selected else "No destination is configured."
        )
        return assessment.conclude(Outcome.NOT_DUE, Reason.HELD, message)
    instead_of = assessment.last.id if assessment.last and may_be_read(assessment, assessment.last) else ""
    return assessment.conclude(
        Outcome.COMPLETED,
        Reason.DELIVERY_REQUESTED,
        f"{assessment.held} is delivered to {', '.join(names)}.",
        Resume(assessment.held),
        Deliver(names, instead_of),
        RecordDeliveries(),
    )
