"""How a run ended for each user: what people and programs read afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from twokey.core.errors import (
    AccessDenied,
    Conflict,
    DeliveryFailed,
    ExitCode,
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

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from twokey.core.journal import Journal
    from twokey.core.model import MachineUser, Observation
    from twokey.planning.assessment import Assessment
    from twokey.planning.plan import Plan
    from twokey.planning.policy import RotationPolicy


@dataclass(slots=True)
class DeliveryResult:
    """How one destination ended: ``delivered``, ``held`` (had it already) or ``failed``, with a message."""

    destination: str
    outcome: Literal["delivered", "held", "failed"]
    message: str = ""


@dataclass(slots=True)
class Effects:
    """What has been done so far; kept up to date, so that a failure can still be reported truly.

    ``removing`` names the key whose deletion was begun last.
    """

    created: str = ""
    removed: list[str] = field(default_factory=list)
    removing: str = ""
    delivered: list[DeliveryResult] = field(default_factory=list)
    effects: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """How the run ended for one user; the JSON output is made of these."""

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


def unchanged(seen: Observation, decision: Plan) -> Result:
    """Return the result of a run that changed nothing."""
    return Result(
        seen.user,
        decision.outcome,
        decision.reason,
        decision.message,
        decision.current,
        decision.last,
        next_due=decision.next_due,
        destinations=standing(seen, decision.current),
        warnings=(*warnings(seen), *_unread(seen, decision)),
    )


def performed(seen: Observation, decision: Plan, policy: RotationPolicy, done: Effects, journal: Journal) -> Result:
    """Return the result of a run that performed all that it planned."""
    current = done.created or decision.current
    since = journal.committed if journal.current == current else None
    removed = tuple(done.removed)
    last = journal.last if journal.current == current and seen.key(journal.last) else decision.last
    return Result(
        seen.user,
        decision.outcome,
        decision.reason,
        decision.message,
        current,
        "" if last in removed else last,
        removed,
        since + policy.period - policy.slack if since else decision.next_due,
        _places(seen, done, current),
        (*warnings(seen), *_unread(seen, decision, done)),
    )


def failed(user: MachineUser, error: TwokeyError, done: Effects, assessment: Assessment | None = None) -> Result:
    """Return the result of a run that an error ended. It tells what was done, and what was seen before."""
    outcome, reason = _meaning(error, done)
    result = Result(user, outcome, reason, str(error), removed=tuple(done.removed), destinations=tuple(done.delivered))
    if assessment is None:
        return result
    before = assessment.current.id if assessment.current else ""
    stored = bool(done.created and done.delivered)
    last = assessment.last.id if assessment.last else ""
    resumed = bool(done.delivered) and not done.created
    return replace(
        result,
        destinations=_places(assessment.seen, done, before) if resumed else tuple(done.delivered),
        current=done.created if stored else before,
        last=before if stored else "" if last in (*done.removed, done.removing) else last,
        next_due=None if stored else assessment.next_due,
    )


def _meaning(error: TwokeyError, done: Effects) -> tuple[Outcome, Reason]:
    if done.effects == 0:
        match error:
            case Refused(reason=reason):
                return Outcome.REFUSED, reason
            case LeaseHeld():
                return Outcome.REFUSED, Reason.LEASE_HELD
            case AccessDenied() | ServiceRejected():
                return Outcome.REFUSED, Reason.PREFLIGHT
    return Outcome.FAILED, _why_failed(error)


def _why_failed(error: TwokeyError) -> Reason:
    kinds = {
        NotVerified: Reason.NOT_VERIFIED,
        DeliveryFailed: Reason.DELIVERY_FAILED,
        Conflict: Reason.LEASE_LOST,
        Stopped: Reason.STOPPED,
    }
    return next((reason for kind, reason in kinds.items() if isinstance(error, kind)), Reason.ERROR)


def standing(seen: Observation, current: str) -> tuple[DeliveryResult, ...]:
    """Name the store and the destinations that hold CURRENT already, as far as anybody can tell."""
    store = (seen.store,) if seen.record.holding == Held(current) else ()
    is_open = seen.record.journal.delivering
    holders = (name for name in seen.destinations if name not in is_open and holds(seen, name) == current)
    return tuple(DeliveryResult(name, "held") for name in (*store, *holders))


def _places(seen: Observation, done: Effects, current: str) -> tuple[DeliveryResult, ...]:
    """Name the places in their order: how each ended that was touched, and those that held CURRENT already."""
    found = {one.destination: one for one in (*standing(seen, current), *done.delivered)}
    return tuple(found[name] for name in (seen.store, *seen.destinations) if name in found)


def warnings(seen: Observation) -> tuple[str, ...]:
    """Say what is odd but no reason to stop: a key id that carries another account than the user's."""
    odd = [key.id for key in seen.keys if (account_of(key.id) or seen.user.account) != seen.user.account]
    return tuple(
        f"{key_id} carries account {account_of(key_id)}, but the user belongs to {seen.user.account}." for key_id in odd
    )


def _unread(seen: Observation, decision: Plan, done: Effects | None = None) -> tuple[str, ...]:
    """Say which destinations could not be read, so that somebody mends that before a rotation is due.

    Those that a refusal names for it are told already, and what was delivered to is told with its outcome.
    """
    told = {one.destination for one in done.delivered} if done else set()
    return tuple(
        f"{name} could not be read, and may keep the next rotation from beginning. {found.why}"
        for name, found in seen.destinations.items()
        if isinstance(found, CannotTell) and found.failed
        if name not in told and f"{name} cannot be read: " not in decision.message
    )


def exit_code(results: Iterable[Result]) -> ExitCode:
    """Return what a whole run's exit status is: failed beats refused, refused beats done."""
    outcomes = {result.outcome for result in results}
    if Outcome.FAILED in outcomes:
        return ExitCode.FAILED
    return ExitCode.REFUSED if Outcome.REFUSED in outcomes else ExitCode.DONE
