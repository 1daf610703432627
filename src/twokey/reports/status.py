"""What one machine user looks like now: every key with its role, age, last use and holders, and what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.core import durations
from twokey.core.errors import TwokeyError
from twokey.core.model import Held, LastUse
from twokey.core.reasons import Outcome, Reason
from twokey.planning.assessment import lags, sort
from twokey.planning.decision import plan
from twokey.planning.destination_states import standings
from twokey.planning.plan import Asked
from twokey.reports.documents import KeyEntry, Role, StatusEntry, place_entries, whole_seconds
from twokey.rotation.leased_journal import blocked
from twokey.rotation.observe import Moved, observe, with_last_use
from twokey.rotation.results import warnings

if TYPE_CHECKING:
    from twokey.core.model import AccessKey, Holding, MachineUser, Observation
    from twokey.planning.assessment import Case
    from twokey.planning.plan import Plan
    from twokey.planning.policy import Policy
    from twokey.rotation.results import Result
    from twokey.rotation.world import World


def status(user: MachineUser, policy: Policy, world: World) -> StatusEntry:
    """Read all that can be known of one user; what cannot be read is said under ``wrong``."""
    try:
        seen = observe(user, world.iam, world.store, world.destinations, world.own_key)
        there = [key.id for key in seen.keys if not lags(key.id, seen.record.journal, policy, world.clock.now())]
        seen = with_last_use(seen, world.iam, there)
    except Moved:
        return _empty(user, world.store.name, "A key went away while it was read: it is being rotated. Look again.")
    except TwokeyError as error:
        return _empty(user, world.store.name, str(error))
    now = world.clock.now()
    case = sort(seen, policy, now, Asked())
    decision = plan(seen, policy, now)
    return StatusEntry(
        account=user.account,
        user=user.name,
        path=user.path,
        store=seen.store,
        keys=[_key(case, key) for key in sorted(seen.keys, key=lambda key: key.created)],
        destinations=place_entries(standings(case)),
        next_due=whole_seconds(decision.next_due),
        next=_next(decision, case, world),
        wrong=_wrong(decision, case, world),
    )


def unknown(result: Result) -> StatusEntry:
    """Return the entry of a user that could not be found."""
    return _empty(result.user, "", result.message)


def _empty(user: MachineUser, store: str, problem: str) -> StatusEntry:
    return StatusEntry(
        user.account, user.name, user.path, store, [], [], None, "cannot be read", [problem], readable=False
    )


def _places(seen: Observation) -> list[tuple[str, Holding]]:
    return [(seen.store, seen.record.holding), *seen.destinations.items()]


def _key(case: Case, key: AccessKey) -> KeyEntry:
    use = case.seen.last_used.get(key.id, LastUse(None))
    return KeyEntry(
        id=key.id,
        role=role(case, key),
        active=key.active,
        created=key.created,
        age_seconds=int((case.now - key.created).total_seconds()),
        last_used=use.at,
        last_used_service=use.service or None,
        last_used_region=use.region or None,
        held_by=[name for name, holding in _places(case.seen) if holding == Held(key.id)],
    )


def role(case: Case, key: AccessKey) -> Role:
    """Return the word for what this key is."""
    if key in case.outgoing or key.id in case.journal.removed:
        return "removed"
    if key == case.current:
        return "CURRENT"
    if key == case.last:
        return "LAST"
    if key == case.stray:
        return "stray"
    unclear = case.current is None or case.journal.current not in ("", case.held)
    return "unknown" if unclear else "foreign"


def _next(decision: Plan, case: Case, world: World) -> str:
    lease = case.journal.lease
    if lease and blocked(world.store, case.journal, world.run, case.now):
        return f"being rotated now, by process {lease.process} on {lease.host.split(maxsplit=1)[0]}"
    if decision.settles:
        return f"due now ({Reason.INTERRUPTED})" if case.journal.intent else "rotated just now: IAM's list may lag"
    if decision.outcome is Outcome.REFUSED:
        return "stopped: a person should look"
    if decision.reason is Reason.SOAKING:
        return "soaking: a key is Inactive and will be deleted"
    if decision.outcome is Outcome.NOT_DUE and decision.next_due:
        return f"due in {durations.show(decision.next_due - case.now)}"
    return f"due now ({decision.reason})"


def _wrong(decision: Plan, case: Case, world: World) -> list[str]:
    if blocked(world.store, case.journal, world.run, case.now):
        return []
    problems = list(warnings(case.seen))
    if decision.outcome is Outcome.REFUSED and not decision.settles:
        problems.append(decision.message)
    if case.journal.intent:
        problems.append(
            "An earlier run was interrupted, or could not deliver everywhere; the next run finishes its work."
        )
    return problems
