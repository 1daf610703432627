"""A plan that is approved before it is performed: what it was decided from, and whether it still is what is decided.

The plan of a file is never performed. The run decides again, under the lease, from what it observes then; that decision
counts only if it is the one in the file, made of the same user, keys and store. Everything else is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from twokey.core import timestamps
from twokey.core.errors import Refused
from twokey.core.model import CannotTell, Held
from twokey.core.reasons import Outcome, Reason
from twokey.planning.decision import plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from twokey.core.model import AccessKey, Observation
    from twokey.planning.plan import Overrides, Plan
    from twokey.planning.policy import RotationPolicy

    Decide = Callable[[Observation, RotationPolicy, datetime, Overrides | None], Plan]

Status = Literal["Active", "Inactive"]
ANOTHER = "Make another plan: twokey plan --out FILE."
UNTOUCHED = "Nothing was changed for this user."


@dataclass(frozen=True, slots=True)
class Bound:
    """One user's decision, and what it was made of. ``keys`` maps each id to its status.

    ``holds`` is the id of the key that the store holds, or what it says instead. ``actions`` are for people, ``steps``
    are the same with everything in them. ``hook``: the hook ``after`` is due.
    """

    user_id: str
    keys: Mapping[str, Status]
    store: str
    holds: str
    outcome: str
    reason: str
    actions: tuple[str, ...]
    steps: tuple[str, ...]
    hook: bool


def bound(observation: Observation, decision: Plan, *, hook: bool) -> Bound:
    """Return a decision with what it was made of. ``hook``: the user has a hook ``after``."""
    holding = observation.record.holding
    return Bound(
        observation.user.id,
        {key.id: "Active" if key.active else "Inactive" for key in _by_age(observation)},
        observation.store,
        holding.key_id if isinstance(holding, Held) else "unknown" if isinstance(holding, CannotTell) else "nothing",
        str(decision.outcome),
        str(decision.reason),
        tuple(map(str, decision.actions)),
        tuple(map(repr, decision.actions)),
        hook and bool(observation.record.journal.hook),
    )


def differences(then: Bound, now: Bound) -> Iterator[str]:
    """Say how what is found now differs from what a plan was decided from, and what is decided now."""
    if then.user_id != now.user_id:
        yield "the user was deleted and created again"
    if then.keys != now.keys:
        yield f"its keys were {_keys(then)} and are {_keys(now)}"
    if then.store != now.store:
        yield f"its store was {then.store} and is {now.store}"
    elif then.holds != now.holds:
        yield f"{now.store} held {then.holds} and holds {now.holds}"
    if (then.outcome, then.reason, then.steps, then.hook) != (now.outcome, now.reason, now.steps, now.hook):
        yield f"the plan says {_decided(then)}, and now it would be {_decided(now)}"


def following(planned: Bound, user: str, expires: datetime, *, hook: bool, decide: Decide = plan) -> Decide:
    """Return what decides as ``decide``, and raises ``Refused`` unless the decision is the planned one.

    A decision to do nothing because a rule refuses stands by itself: its reason says more. ``hook``: see ``bound``.
    """

    def follow(
        observation: Observation, policy: RotationPolicy, now: datetime, overrides: Overrides | None = None
    ) -> Plan:
        decision = decide(observation, policy, now, overrides)
        if decision.needs or decision.settles:
            return decision
        refuse_expired(expires, now)
        found = bound(observation, decision, hook=hook)
        different = list(differences(planned, found))
        if different and (decision.outcome is not Outcome.REFUSED or found.hook):
            raise changed(user, "; ".join(different))
        return decision

    return follow


def refuse_expired(expires: datetime, now: datetime) -> None:
    """Raise ``Refused`` for a plan that is too old by now."""
    if now > expires:
        raise Refused(
            Reason.PLAN_EXPIRED,
            f"The plan was valid until {timestamps.utc(expires)}.",
            state="Nothing was changed.",
            remedy=f"{ANOTHER} To accept an older one, raise --plan-max-age.",
        )


def changed(user: str, how: str) -> Refused:
    """Return the refusal of a user to whom the plan does not apply any more."""
    return Refused(
        Reason.PLAN_CHANGED,
        f"The plan does not apply to {user} any more: {how}.",
        state=UNTOUCHED,
        remedy=ANOTHER,
    )


def _by_age(observation: Observation) -> Sequence[AccessKey]:
    return sorted(observation.keys, key=lambda key: (key.created, key.id))


def _keys(found: Bound) -> str:
    return ", ".join(f"{key_id} ({status})" for key_id, status in found.keys.items()) or "none"


def _decided(found: Bound) -> str:
    hook = "the hook `after`" if found.hook else ""
    steps = "; ".join((*found.actions, *filter(None, [hook])))
    return f"{found.outcome} ({found.reason})" + (f": {steps}" if steps else "")
