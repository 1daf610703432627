"""The document of a takeover: what each user has, what is done, what is unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.adoption.decision import Decision
from twokey.core.errors import ExitCode
from twokey.core.model import CannotTell, Held, LastUse
from twokey.core.reasons import Ending
from twokey.planning.assessment import assess
from twokey.planning.plan import Overrides
from twokey.reports.documents import AdoptDocument, AdoptEntry, HoldingEntry, KeyEntry
from twokey.reports.status import role

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from twokey.adoption.takeover import TakeoverResult
    from twokey.core.model import AccessKey, Holding, Observation
    from twokey.planning.policy import RotationPolicy
    from twokey.reports.documents import Role
    from twokey.rotation.results import Result


def document(entries: Sequence[AdoptEntry], *, performed: bool) -> AdoptDocument:
    """Return the document of a run over many users."""
    counts = dict.fromkeys((ending.value for ending in Ending), 0)
    for entry in entries:
        counts[entry.outcome] += 1
    return AdoptDocument(performed, list(entries), counts)


def entry_of(takeover: TakeoverResult, policy: RotationPolicy) -> AdoptEntry:
    """Return one user's entry."""
    keys, holdings = (
        ([], [])
        if takeover.observation is None
        else (_keys(takeover, takeover.observation, policy), _holding_entries(takeover, takeover.observation))
    )
    decision = takeover.decision
    return AdoptEntry(
        account=takeover.user.account,
        user=takeover.user.name,
        path=takeover.user.path,
        store=takeover.store,
        outcome=decision.ending,
        reason=decision.reason,
        message=decision.message,
        current=decision.current or None,
        last=decision.last or None,
        keys=keys,
        destinations=holdings,
        actions=actions(takeover),
        unknown=list(decision.unknown),
    )


def failed_entry(result: Result) -> AdoptEntry:
    """Return the entry of a user that was not found, or not begun, or whose takeover was interrupted."""
    decision = Decision(Ending(result.outcome.value), result.reason, result.message)
    return AdoptEntry(
        result.user.account,
        result.user.name,
        result.user.path,
        "",
        decision.ending,
        decision.reason,
        decision.message,
        *(None, None, [], [], [], []),
    )


def exit_code(entries: Iterable[AdoptEntry]) -> ExitCode:
    """Return the exit status of the whole run: failed beats refused, refused beats done."""
    endings = {entry.outcome for entry in entries}
    if Ending.FAILED in endings:
        return ExitCode.FAILED
    return ExitCode.REFUSED if Ending.REFUSED in endings else ExitCode.DONE


def actions(takeover: TakeoverResult) -> list[str]:
    """Say what is done for a user, in order."""
    decision = takeover.decision
    if decision.ending is not Ending.ADOPTED:
        return []
    steps = [f"prove that {decision.current} works, as {decision.source} holds it"]
    if decision.put:
        steps.append(f"put it into {takeover.store}")
    journal = [f"CURRENT is {decision.current}"]
    if decision.last:
        journal.append(f"LAST is {decision.last}")
    journal += [f"{name} holds {key_id}" for name, key_id in decision.delivered.items()]
    return [*steps, f"write the journal: {', '.join(journal)}"]


def _keys(takeover: TakeoverResult, observation: Observation, policy: RotationPolicy) -> list[KeyEntry]:
    now = takeover.at
    return [
        _key(takeover, observation, key, policy, now)
        for key in sorted(observation.keys, key=lambda key: key.created)
        if now
    ]


def _key(
    takeover: TakeoverResult, observation: Observation, key: AccessKey, policy: RotationPolicy, now: datetime
) -> KeyEntry:
    use = observation.last_used.get(key.id, LastUse(None))
    return KeyEntry(
        id=key.id,
        role=_role(takeover, observation, key, policy, now),
        active=key.active,
        created=key.created,
        age_seconds=int((now - key.created).total_seconds()),
        last_used=use.at,
        last_used_service=use.service or None,
        last_used_region=use.region or None,
        held_by=[name for name, holding in _holdings(takeover, observation) if holding == Held(key.id)],
    )


def _role(
    takeover: TakeoverResult, observation: Observation, key: AccessKey, policy: RotationPolicy, now: datetime
) -> Role:
    if key.id == takeover.decision.last:
        return "last"
    if key.id == takeover.decision.current:
        return "current"
    assessment = assess(observation, policy, now, Overrides())
    return role(assessment, key) if assessment.current else "unknown"


def _holding_entries(takeover: TakeoverResult, observation: Observation) -> list[HoldingEntry]:
    return [_holding_entry(name, holding) for name, holding in _holdings(takeover, observation)]


def _holding_entry(name: str, holding: Holding) -> HoldingEntry:
    match holding:
        case Held(key_id):
            return HoldingEntry(name, "key", key_id, None)
        case CannotTell(why, failed=failed):
            return HoldingEntry(name, "unreachable" if failed else "cannot_tell", None, why)
    return HoldingEntry(name, "empty", None, None)


def _holdings(takeover: TakeoverResult, observation: Observation) -> list[tuple[str, Holding]]:
    found = {observation.store: observation.record.holding, **observation.destinations}
    if takeover.offer:
        found.setdefault(takeover.offer.source, takeover.offer.holding)
    return list(found.items())
