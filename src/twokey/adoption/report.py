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

    from twokey.adoption.takeover import Taken
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


def entry_of(taken: Taken, policy: RotationPolicy) -> AdoptEntry:
    """Return one user's entry."""
    keys, holdings = (
        ([], []) if taken.seen is None else (_keys(taken, taken.seen, policy), _holding_entries(taken, taken.seen))
    )
    decision = taken.decision
    return AdoptEntry(
        account=taken.user.account,
        user=taken.user.name,
        path=taken.user.path,
        store=taken.store,
        outcome=decision.ending,
        reason=decision.reason,
        message=decision.message,
        current=decision.current or None,
        last=decision.last or None,
        keys=keys,
        destinations=holdings,
        actions=actions(taken),
        unknown=list(decision.unknown),
    )


def failed_entry(result: Result) -> AdoptEntry:
    """Return the entry of a user that was not found, or not begun, or whose work broke off."""
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


def actions(taken: Taken) -> list[str]:
    """Say what is done for a user, in order."""
    decision = taken.decision
    if decision.ending is not Ending.ADOPTED:
        return []
    said = [f"prove that {decision.current} works, as {decision.source} holds it"]
    if decision.put:
        said.append(f"put it into {taken.store}")
    journal = [f"CURRENT is {decision.current}"]
    if decision.last:
        journal.append(f"LAST is {decision.last}")
    journal += [f"{name} holds {key_id}" for name, key_id in decision.delivered.items()]
    return [*said, f"write the journal: {', '.join(journal)}"]


def _keys(taken: Taken, seen: Observation, policy: RotationPolicy) -> list[KeyEntry]:
    now = taken.at
    return [_key(taken, seen, key, policy, now) for key in sorted(seen.keys, key=lambda key: key.created) if now]


def _key(taken: Taken, seen: Observation, key: AccessKey, policy: RotationPolicy, now: datetime) -> KeyEntry:
    use = seen.last_used.get(key.id, LastUse(None))
    return KeyEntry(
        id=key.id,
        role=_role(taken, seen, key, policy, now),
        active=key.active,
        created=key.created,
        age_seconds=int((now - key.created).total_seconds()),
        last_used=use.at,
        last_used_service=use.service or None,
        last_used_region=use.region or None,
        held_by=[name for name, holding in _holdings(taken, seen) if holding == Held(key.id)],
    )


def _role(taken: Taken, seen: Observation, key: AccessKey, policy: RotationPolicy, now: datetime) -> Role:
    if key.id == taken.decision.last:
        return "last"
    if key.id == taken.decision.current:
        return "current"
    assessment = assess(seen, policy, now, Overrides())
    return role(assessment, key) if assessment.current else "unknown"


def _holding_entries(taken: Taken, seen: Observation) -> list[HoldingEntry]:
    return [_holding_entry(name, holding) for name, holding in _holdings(taken, seen)]


def _holding_entry(name: str, holding: Holding) -> HoldingEntry:
    match holding:
        case Held(key_id):
            return HoldingEntry(name, "key", key_id, None)
        case CannotTell(why):
            return HoldingEntry(name, "cannot_tell", None, why)
    return HoldingEntry(name, "empty", None, None)


def _holdings(taken: Taken, seen: Observation) -> list[tuple[str, Holding]]:
    found = {seen.store: seen.record.holding, **seen.destinations}
    if taken.offer:
        found.setdefault(taken.offer.place, taken.offer.holding)
    return list(found.items())
