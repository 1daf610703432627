"""Whether the journal may forget a destination that is no longer configured. No I/O, no clock.

What the journal says of a destination protects the key that it holds. So it is forgotten only if the destination shows
that it holds no key of this user, or if the operator confirms that no job reads it there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.core import durations, timestamps
from twokey.core.commands import forget_command
from twokey.core.model import CannotTell, Held
from twokey.core.reasons import Outcome, Reason
from twokey.planning.assessment import assess
from twokey.planning.decision import unreadable, user_recreated
from twokey.planning.plan import Forget, Overrides
from twokey.planning.rules import first_verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from twokey.core.model import Observation
    from twokey.planning.assessment import Assessment
    from twokey.planning.plan import Plan
    from twokey.planning.policy import RotationPolicy


def forget_plan(
    observation: Observation,
    policy: RotationPolicy,
    now: datetime,
    overrides: Overrides | None = None,
    *,
    configured: Collection[str],
    confirmed: bool = False,
) -> Plan:
    """Decide whether ``overrides.forget`` may be forgotten. ``configured`` are the destinations of the user.

    If the destination could be opened, the observation has it too. ``confirmed``: the operator says that no job reads
    a key there.
    """
    assessment = assess(observation, policy, now, overrides or Overrides())
    name = assessment.overrides.forget
    rules: tuple[Callable[[Assessment], Plan | None], ...] = (unreadable, user_recreated)
    return first_verdict(rules, assessment) or _forget(assessment, name, configured, confirmed=confirmed)


def unconfigured(observation: Observation) -> dict[str, str]:
    """Return the destinations outside this run that have a key of the user by the journal, and that key."""
    listed = {key.id for key in observation.keys}
    return {
        name: delivery.key
        for name, delivery in observation.record.journal.delivered.items()
        if name not in observation.destinations and delivery.key in listed
    }


def _forget(assessment: Assessment, name: str, configured: Collection[str], *, confirmed: bool) -> Plan:
    journal, user = assessment.journal, assessment.observation.user.name
    if name in configured or name == assessment.observation.store:
        return assessment.refuse(
            Reason.STILL_CONFIGURED,
            f"{name} is a destination of {user}: the next run would deliver there again. Take it out of the "
            "configuration first.",
        )
    if name not in journal.delivered and name not in journal.delivering:
        others = ", ".join(other for other in journal.delivered if other not in configured) or "none"
        return assessment.refuse(
            Reason.NOT_RECORDED,
            f"The journal does not name {name}. Destinations that it names and that are not configured: {others}.",
        )
    if not confirmed and not assessment.holds_none(name):
        return assessment.refuse(Reason.UNCONFIRMED, _experience(assessment, name))
    return assessment.conclude(
        Outcome.COMPLETED,
        Reason.FORGET_REQUESTED,
        f"The journal forgets {name}. {_afterwards(assessment, name)}",
        Forget(name, restarts_grace=_may_have_held_last(assessment, name)),
    )


def _may_have_held_last(assessment: Assessment, name: str) -> bool:
    """Say whether jobs may have read LAST there until now, so that its grace counts from now."""
    if assessment.last is None:
        return False
    delivery, holding = assessment.journal.delivered.get(name), assessment.observation.destinations.get(name)
    surely = delivery is not None and delivery.key == assessment.held and name not in assessment.journal.delivering
    return not surely or holding == Held(assessment.last.id)


def _experience(assessment: Assessment, name: str) -> str:
    """Say what it means for jobs that read a key there; the operator has to confirm it."""
    holding = assessment.observation.destinations.get(name)
    delivery = assessment.journal.delivered.get(name)
    if isinstance(holding, Held):
        found, shown = holding.key_id, f"{name} holds {holding.key_id}"
    else:
        found = delivery.key if delivery else ""
        why = f" ({holding.why.rstrip('.')})" if isinstance(holding, CannotTell) and holding.why else ""
        since = f"received {delivery.key} at {timestamps.utc(delivery.at)}" if delivery else "was being written"
        shown = f"According to the journal, {name} {since}, and twokey cannot see what it holds now{why}"
    user = assessment.observation.user.name
    return (
        f"{shown}. {_fate(assessment, found)} If no job reads a key there, confirm it: "
        f"{forget_command(user, name)} --yes. Otherwise empty it first, or configure it again."
    )


def _fate(assessment: Assessment, key_id: str) -> str:
    """Say what a job experiences that goes on reading this key there."""
    grace = durations.show(assessment.grace)
    if assessment.last is not None and key_id == assessment.last.id:
        return (
            f"That is LAST: once the destination is forgotten, a rotation may remove the key from {grace} on, and jobs "
            "that read it there then fail."
        )
    if key_id and key_id == assessment.held:
        return (
            "That is CURRENT: once the destination is forgotten, the rotation after the next one removes the key, and "
            "jobs that read it there then fail."
        )
    return "Jobs that read a key there fail once twokey removes it."


def _afterwards(assessment: Assessment, name: str) -> str:
    if not _may_have_held_last(assessment, name) or assessment.last is None:
        return "Every key keeps its role, its grace and the protection by its last use."
    grace = durations.show(assessment.grace)
    return f"LAST ({assessment.last.id}) may have been read there until now: its grace of {grace} counts from now."
