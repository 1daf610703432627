"""The state of one machine user now: every key with its role, age, last use and holders, and problems."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.core import durations
from twokey.core.errors import TwokeyError
from twokey.core.model import Held, LastUse
from twokey.core.reasons import Outcome, Reason
from twokey.planning import windows
from twokey.planning.assessment import assess, lags
from twokey.planning.decision import plan
from twokey.planning.destination_states import destination_states
from twokey.planning.plan import Overrides
from twokey.planning.revoked import kept_revoked, reactivated
from twokey.reports import check
from twokey.reports.documents import KeyEntry, Role, StatusEntry, state_entries, whole_seconds
from twokey.rotation.leased_journal import blocked
from twokey.rotation.observe import ObservationChanged, observe, with_last_use
from twokey.rotation.results import absent, warnings

if TYPE_CHECKING:
    from datetime import timedelta

    from twokey.core.model import AccessKey, Holding, MachineUser, Observation
    from twokey.planning.assessment import Assessment
    from twokey.planning.plan import Plan
    from twokey.planning.policy import RotationPolicy
    from twokey.rotation.results import Result
    from twokey.rotation.world import World


def status(user: MachineUser, policy: RotationPolicy, world: World, schedule: timedelta | None = None) -> StatusEntry:
    """Read the state of one user; what cannot be read is among its ``problems``.

    ``schedule`` is the time between two runs, if it is known.
    """
    try:
        seen = observe(user, world.iam, world.store, world.destinations, world.own_key, world.identities)
        listed = [key.id for key in seen.keys if not lags(key.id, seen.record.journal, policy, world.clock.now())]
        seen = with_last_use(seen, world.iam, listed)
    except ObservationChanged:
        return _empty(
            user,
            world.store.name,
            "A key was deleted while it was read: another run is rotating this user. Run status again.",
        )
    except TwokeyError as error:
        return _empty(user, world.store.name, str(error))
    now = world.clock.now()
    assessment = assess(seen, policy, now, Overrides())
    decision = plan(seen, policy, now)
    return StatusEntry(
        account=user.account,
        user=user.name,
        path=user.path,
        store=seen.store,
        keys=[_key(assessment, key) for key in sorted(seen.keys, key=lambda key: key.created)],
        destinations=state_entries(destination_states(assessment)),
        next_due=whole_seconds(decision.next_due),
        next=_next(decision, assessment, world),
        problems=_problems(decision, assessment, world, schedule),
        findings=list(check.findings(assessment, decision, schedule, busy=_busy(assessment, world))),
    )


def _busy(assessment: Assessment, world: World) -> bool:
    """Return whether another run is rotating this user."""
    return blocked(world.store, assessment.journal, world.run, assessment.now)


def unknown(result: Result) -> StatusEntry:
    """Return the entry of a user that could not be found."""
    return _empty(result.user, "", result.message)


def _empty(user: MachineUser, store: str, problem: str) -> StatusEntry:
    return StatusEntry(
        user.account,
        user.name,
        user.path,
        store,
        [],
        [],
        None,
        "cannot be read",
        [problem],
        ["unreadable"],
        readable=False,
    )


def _holdings(seen: Observation) -> list[tuple[str, Holding]]:
    return [(seen.store, seen.record.holding), *seen.destinations.items()]


def _key(assessment: Assessment, key: AccessKey) -> KeyEntry:
    use = assessment.observation.last_used.get(key.id, LastUse(None))
    return KeyEntry(
        id=key.id,
        role=role(assessment, key),
        active=key.active,
        created=key.created,
        age_seconds=int((assessment.now - key.created).total_seconds()),
        last_used=use.at,
        last_used_service=use.service or None,
        last_used_region=use.region or None,
        held_by=[name for name, holding in _holdings(assessment.observation) if holding == Held(key.id)],
    )


def role(assessment: Assessment, key: AccessKey) -> Role:
    """Return the role of a key."""
    if key in assessment.outgoing or key.id in assessment.journal.removed:
        return "removed"
    if key == assessment.current:
        return "current"
    if key == assessment.last:
        return "last"
    if key == assessment.orphan:
        return "orphaned"
    unclear = assessment.current is None or assessment.journal.current not in ("", assessment.held)
    return "unknown" if unclear else "unmanaged"


def _next(decision: Plan, assessment: Assessment, world: World) -> str:
    lease = assessment.journal.lease
    if lease and _busy(assessment, world):
        return f"being rotated now, by process {lease.process} on {lease.host.split(maxsplit=1)[0]}"
    if decision.settles:
        return (
            f"due now ({Reason.INTERRUPTED})" if assessment.journal.intent else "rotated just now: IAM's list may lag"
        )
    if decision.outcome is Outcome.REFUSED:
        return f"will be refused ({decision.reason}): the operator must act"
    if decision.reason is Reason.SOAKING:
        return "soaking: a key is Inactive and will be deleted"
    if decision.outcome is Outcome.NOT_DUE and decision.next_due:
        return f"due in {durations.left(decision.next_due - assessment.now)}"
    return "due now" if decision.reason is Reason.DUE else f"due now ({decision.reason})"


def complete(entry: StatusEntry) -> bool:
    """Return whether everything could be read: the keys, the store and each destination."""
    return entry.readable and all(state.outcome != "unreachable" for state in entry.destinations)


def _problems(decision: Plan, assessment: Assessment, world: World, schedule: timedelta | None) -> list[str]:
    if _busy(assessment, world):
        return []
    problems = [*warnings(assessment.observation), *absent(assessment.observation, decision)]
    if (decision.outcome is Outcome.REFUSED or decision.reason is Reason.CONTESTED) and not decision.settles:
        problems.append(decision.message)
    if assessment.journal.intent:
        problems.append(
            "An earlier run was interrupted, or could not deliver to every destination; the next run finishes its work."
        )
    problems += filter(None, (kept_revoked(assessment), reactivated(assessment)))
    if assessment.journal.hook:
        problems.append("The hook `after` has not succeeded since the latest commit; the next run runs it again.")
    keys, policy, now = assessment.observation.keys, assessment.policy, assessment.now
    problems += windows.broken(keys, policy, now)
    problems += windows.about_to_break(keys, decision.current, decision.next_due, policy, now, schedule)
    return problems
