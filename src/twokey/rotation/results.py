"""How a run ended for each user: what people and programs read afterwards."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from twokey.core.commands import forget_command
from twokey.core.errors import (
    AccessDenied,
    Conflict,
    DeliveryFailed,
    ExitCode,
    HookFailed,
    LeaseHeld,
    NotVerified,
    Refused,
    ServiceRejected,
    Stopped,
    TwokeyError,
)
from twokey.core.model import CannotTell, Held, account_of
from twokey.core.reasons import Outcome, Reason
from twokey.planning.assessment import holds
from twokey.planning.forgetting import unconfigured

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from twokey.core.journal import Journal
    from twokey.core.model import MachineUser, Observation
    from twokey.planning.assessment import Assessment
    from twokey.planning.plan import Plan
    from twokey.planning.policy import RotationPolicy


FORGETTING = (Reason.FORGET_REQUESTED, Reason.STILL_CONFIGURED, Reason.NOT_RECORDED, Reason.UNCONFIRMED)
"""How a run ends that was to forget a destination."""


@dataclass(slots=True)
class DeliveryResult:
    """How one delivery ended: ``delivered``, ``held`` (held CURRENT already) or ``failed``, with a message."""

    destination: str
    outcome: Literal["delivered", "held", "failed"]
    message: str = ""


@dataclass(slots=True)
class Effects:
    """What has been changed so far; kept up to date, so that a failure can still be reported truly.

    ``removing`` names the key whose deletion was begun last; ``begun``: whether any effect on keys or destinations was.
    ``lease``: whether a lease was written to the journal. ``new_store``: the store had no journal before.
    """

    created: str = ""
    removed: list[str] = field(default_factory=list)
    removing: str = ""
    deactivated: list[str] = field(default_factory=list)
    delivered: list[DeliveryResult] = field(default_factory=list)
    begun: bool = False
    lease: Literal["none", "doubtful", "written"] = "none"
    new_store: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """How the run ended for one user; the JSON output consists of these."""

    user: MachineUser
    outcome: Outcome
    reason: Reason
    message: str
    current: str = ""
    last: str = ""
    removed: tuple[str, ...] = ()
    next_due: datetime | None = None
    destinations: tuple[DeliveryResult, ...] = ()
    warnings: tuple[str, ...] = ()


def unchanged(observation: Observation, decision: Plan) -> Result:
    """Return the result of a run that changed nothing."""
    return Result(
        observation.user,
        decision.outcome,
        decision.reason,
        sys.intern(decision.message),  # of most users of a large run, it is the same
        decision.current,
        decision.last,
        next_due=decision.next_due,
        destinations=already_held(observation, decision.current),
        warnings=(*warnings(observation), *absent(observation, decision), *_unread(observation, decision)),
    )


def performed(
    observation: Observation, decision: Plan, policy: RotationPolicy, effects: Effects, journal: Journal
) -> Result:
    """Return the result of a run that performed all that it planned, which may be nothing."""
    current = effects.created or decision.current
    since = journal.committed if journal.current == current else None
    removed = tuple(effects.removed)
    last = journal.last if journal.current == current and observation.key(journal.last) else decision.last
    return Result(
        observation.user,
        decision.outcome,
        decision.reason,
        decision.message,
        current,
        "" if last in removed else last,
        removed,
        since + policy.period - policy.slack if since else decision.next_due,
        _destinations(observation, effects, current),
        (
            *warnings(observation),
            *absent(observation, decision, removed),
            *_unread(observation, decision, effects),
        ),
    )


def failed(user: MachineUser, error: TwokeyError, effects: Effects, assessment: Assessment | None = None) -> Result:
    """Return the result of a run that an error ended. It reports what was changed, and what was observed before."""
    outcome, reason = _meaning(error, effects)
    result = Result(
        user, outcome, reason, str(error), removed=tuple(effects.removed), destinations=tuple(effects.delivered)
    )
    if assessment is None:
        return result
    # A leaked CURRENT may have been deleted, to make room.
    before, last = (
        "" if key is None or key.id in (*effects.removed, effects.removing) else key.id
        for key in (assessment.current, assessment.last)
    )
    stored = bool(effects.created and effects.delivered)
    resumed = bool(effects.delivered) and not effects.created
    return replace(
        result,
        destinations=_destinations(assessment.observation, effects, before) if resumed else tuple(effects.delivered),
        current=effects.created if stored else before,
        last=(before or last) if stored else last,
        next_due=None if stored else assessment.next_due,
    )


def _meaning(error: TwokeyError, effects: Effects) -> tuple[Outcome, Reason]:
    if not effects.begun:
        match error:
            case Refused(reason=reason):
                return Outcome.REFUSED, reason
            case LeaseHeld():
                return Outcome.REFUSED, Reason.LEASE_HELD
            case AccessDenied() | ServiceRejected():
                return Outcome.REFUSED, Reason.PREFLIGHT
            case HookFailed():
                return Outcome.REFUSED, Reason.HOOK_FAILED
    return Outcome.FAILED, _why_failed(error)


def _why_failed(error: TwokeyError) -> Reason:
    kinds = {
        NotVerified: Reason.NOT_VERIFIED,
        DeliveryFailed: Reason.DELIVERY_FAILED,
        Conflict: Reason.LEASE_LOST,
        Stopped: Reason.STOPPED,
    }
    return next((reason for kind, reason in kinds.items() if isinstance(error, kind)), Reason.ERROR)


def already_held(observation: Observation, current: str) -> tuple[DeliveryResult, ...]:
    """Name the store and the destinations that hold CURRENT already, as far as is known."""
    store = (observation.store,) if observation.record.holding == Held(current) else ()
    is_open = observation.record.journal.delivering
    holders = (name for name in observation.destinations if name not in is_open and holds(observation, name) == current)
    return tuple(DeliveryResult(name, "held") for name in (*store, *holders))


def _destinations(observation: Observation, effects: Effects, current: str) -> tuple[DeliveryResult, ...]:
    """Name the destinations in their order: how each delivery ended, and those that held CURRENT already."""
    by_name = {result.destination: result for result in (*already_held(observation, current), *effects.delivered)}
    return tuple(by_name[name] for name in (observation.store, *observation.destinations) if name in by_name)


def warnings(observation: Observation) -> tuple[str, ...]:
    """Say what is odd but no reason to stop: a key id that encodes another account than the user's."""
    odd = [
        key.id
        for key in observation.keys
        if (account_of(key.id) or observation.user.account) != observation.user.account
    ]
    return tuple(
        f"{key_id} encodes account {account_of(key_id)}, but the user belongs to {observation.user.account}."
        for key_id in odd
    )


def absent(observation: Observation, decision: Plan, removed: Collection[str] = ()) -> tuple[str, ...]:
    """Say which destinations outside this run have a key by the journal: what that means is not seen elsewhere."""
    user = observation.user.name
    if decision.reason is Reason.LAST_HELD or decision.reason in FORGETTING:
        return ()  # the decision is about them
    return tuple(
        f"{name} is not a destination of this run, and holds {key_id} according to the journal: twokey delivers no "
        f"other key there, and does not remove {key_id} while that is recorded. Configure it again, or, if no job "
        f"reads a key there: {forget_command(user, name)}"
        for name, key_id in unconfigured(observation).items()
        if key_id not in removed
    )


def _unread(observation: Observation, decision: Plan, effects: Effects | None = None) -> tuple[str, ...]:
    """Say which destinations could not be read, so that the operator can fix that before a rotation is due.

    A refusal has named its own already, and a delivery is reported with its outcome.
    """
    reported = {result.destination for result in effects.delivered} if effects else set()
    return tuple(
        f"{name} could not be read, which may block the next rotation: {holding.why}"
        for name, holding in observation.destinations.items()
        if isinstance(holding, CannotTell) and holding.failed
        if name not in reported and f"{name} cannot be read: " not in decision.message
    )


def exit_code(results: Iterable[Result]) -> ExitCode:
    """Return the exit status of a whole run: failed beats refused, refused beats done."""
    outcomes = {result.outcome for result in results}
    if Outcome.FAILED in outcomes:
        return ExitCode.FAILED
    return ExitCode.REFUSED if Outcome.REFUSED in outcomes else ExitCode.DONE
