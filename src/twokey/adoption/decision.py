"""How a user that was managed outside twokey is taken over, decided from an observation alone. No I/O, no clock.

Theory of operation
-------------------
Taking over means that the store holds the credential in use, and a journal that says which key has which role. Which
credential is in use must be shown, never guessed: by the store, by a destination that can be read, or by the operator,
who supplies the credential. ``decide`` asks, in order:

1. Does a rotation refuse this user? Then a takeover does, too.
2. Is the user managed already, or is there no key at all? Then there is nothing to do.
3. Does the store hold a listed, Active key? That is CURRENT.
4. The store is empty: do the destinations that can be read hold exactly one listed, Active key? That is CURRENT.
   Two different keys refuse, and so does a destination that would tell what it holds and could not be read.
5. A source, or a credential, that the operator names (``--from``, ``--stdin``) replaces 4.
6. The other key is LAST if a rotation would say so, or if a destination shows that it holds it. Any other is unmanaged,
   and the user is refused.

Nothing here creates, deletes or deactivates a key.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from twokey.adoption.messages import (
    holdings_message,
    remedies,
    remedy_without_credential,
    roles_message,
    unknown,
)
from twokey.core.commands import rotate_command
from twokey.core.model import CannotTell, Held, NotHeld
from twokey.core.reasons import Ending, Reason
from twokey.planning.assessment import assess
from twokey.planning.decision import own_key, rolled_back, unreadable, user_recreated
from twokey.planning.plan import Overrides
from twokey.planning.rules import first_verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from twokey.core.model import AccessKey, Holding, Observation
    from twokey.planning.assessment import Assessment
    from twokey.planning.policy import RotationPolicy


@dataclass(frozen=True, slots=True)
class Offer:
    """A credential that the operator names: its source, and which key it is of."""

    source: str
    holding: Holding


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done for one user.

    ``source`` names where CURRENT's credential is read from; with ``put`` it is written to the store. ``delivered``
    says which key each destination shows, for the journal. ``committed`` is when CURRENT began to be CURRENT; None
    stands for the moment of the takeover. ``unknown`` lists what cannot be determined.
    """

    ending: Ending
    reason: Reason
    message: str
    current: str = ""
    last: str = ""
    source: str = ""
    put: bool = False
    delivered: Mapping[str, str] = field(default_factory=dict)
    committed: datetime | None = None
    unknown: tuple[str, ...] = ()

    def does_as(self, other: Decision) -> bool:
        """Say whether both would do the same. Sentences and times may differ."""
        return _essence(self) == _essence(other)


def _essence(decision: Decision) -> tuple[object, ...]:
    roles = decision.ending, decision.current, decision.last
    return *roles, decision.source, decision.put, dict(decision.delivered)


def decide(
    observation: Observation,
    policy: RotationPolicy,
    now: datetime,
    sources: frozenset[str],
    offer: Offer | None = None,
) -> Decision:
    """Decide how a user is taken over. ``sources`` names the destinations that can provide their credential."""
    assessment = assess(observation, policy, now, Overrides())
    rules: tuple[Callable[[Assessment], Decision | None], ...] = (_refusal, partial(_nothing_to_do, offer=offer))
    return first_verdict(rules, assessment) or _take_over(assessment, sources, offer)


def _refusal(assessment: Assessment) -> Decision | None:
    verdict = first_verdict((unreadable, own_key, user_recreated), assessment)
    return _refuse(verdict.reason, verdict.message) if verdict else None


def _nothing_to_do(assessment: Assessment, offer: Offer | None) -> Decision | None:
    """Say that nothing is to be taken over: the user is managed, or has no key."""
    recorded = assessment.journal.current
    if assessment.journal.intent:
        return _nothing(
            Reason.INTERRUPTED, "twokey manages this user: the next `rotate` finishes an interrupted rotation."
        )
    if recorded and recorded == assessment.held:
        other = _offered(offer)
        unused = f" {other} was not taken from {offer.source}." if offer and other not in ("", recorded) else ""
        return _nothing(Reason.MANAGED, f"twokey manages this user already: CURRENT is {recorded}.{unused}", assessment)
    contradiction = rolled_back(assessment)
    if contradiction:
        return _refuse(contradiction.reason, contradiction.message)
    held = [holding for holding in assessment.observation.destinations.values() if not isinstance(holding, NotHeld)]
    if not (assessment.observation.keys or assessment.held or held or offer):
        return _nothing(Reason.NO_KEY, "The user has no key, so there is nothing to take over: `rotate` creates one.")
    return None


def _take_over(assessment: Assessment, sources: frozenset[str], offer: Offer | None) -> Decision:
    found = _in_store(assessment, offer) or _offered_key(assessment, offer) or _in_destinations(assessment, sources)
    if isinstance(found, Decision):
        return found
    current, source = found
    recorded = assessment.journal.current
    if recorded and recorded != current.id:
        return _refuse(
            Reason.ROLLED_BACK,
            f"{assessment.observation.store} {_without(assessment)}, its journal names {recorded} as CURRENT, and "
            f"{source} holds "
            f"{current.id}. Put {recorded} back into the store (--from, --stdin), or name the key that may be removed: "
            f"{rotate_command(assessment.observation.user.name, '--retire KEY_ID')}.",
        )
    return _roles(assessment, current, source)


def _without(assessment: Assessment) -> str:
    return f"holds {assessment.held}, which IAM no longer lists" if assessment.held else "is empty"


def _in_store(assessment: Assessment, offer: Offer | None) -> tuple[AccessKey, str] | Decision | None:
    """Find CURRENT in the store; None if the store has none, or a deleted one and the operator offers another."""
    other, store = _offered(offer), assessment.observation.store
    if not assessment.held or (assessment.current is None and other):
        return None
    if assessment.current is None:
        return _refuse(
            Reason.NOT_LISTED,
            f"{store} holds {assessment.held}, which IAM does not list for this user. {remedies(assessment)}",
        )
    if offer and other not in ("", assessment.held):
        return _refuse(
            Reason.DESTINATIONS_DIFFER,
            f"{store} holds {assessment.held}, and {offer.source} holds {other}. Jobs read what the store holds, so "
            f"twokey does not replace it. If {assessment.held} is the one in use, run again without --from and "
            f"--stdin. If {other} is, put it into the store yourself, or name the one that may be removed: "
            f"{rotate_command(assessment.observation.user.name, '--retire KEY_ID')}.",
        )
    return _usable(assessment, assessment.current, store)


def _offered_key(assessment: Assessment, offer: Offer | None) -> tuple[AccessKey, str] | Decision | None:
    """Find the key that the operator names."""
    if offer is None:
        return None
    match offer.holding:
        case CannotTell(why):
            return _refuse(Reason.UNREADABLE, f"{offer.source} cannot be read: {why}")
        case NotHeld():
            return _refuse(Reason.CANNOT_ATTRIBUTE, f"{offer.source} holds no key. {remedies(assessment)}")
    return _by_id(assessment, offer.holding.key_id, offer.source)


def _in_destinations(assessment: Assessment, sources: frozenset[str]) -> tuple[AccessKey, str] | Decision:
    """Find the one key in use by what the destinations show."""
    if assessment.unread:
        problems = " ".join(f"{name} cannot be read: {why}" for name, why in assessment.unread.items())
        return _refuse(Reason.UNREADABLE, f"{problems} The key in use may be held there.")
    shown = {
        name: holding.key_id
        for name, holding in assessment.observation.destinations.items()
        if isinstance(holding, Held)
    }
    active = {name: key_id for name, key_id in shown.items() if _is_active(assessment.observation.key(key_id))}
    if len(set(active.values())) > 1:
        return _refuse(
            Reason.DESTINATIONS_DIFFER,
            f"{assessment.observation.store} is empty, and {holdings_message(active)}. twokey cannot determine which "
            f"should be CURRENT. {remedies(assessment)}",
        )
    for name, key_id in active.items():
        if name in sources:
            return _by_id(assessment, key_id, name)
    if active:
        name, key_id = next(iter(active.items()))
        message = f"{name} holds {key_id}, but does not show its secret. {remedies(assessment)}"
        return _refuse(Reason.CANNOT_ATTRIBUTE, message)
    for name, key_id in shown.items():
        return _by_id(assessment, key_id, name)
    return _refuse(
        Reason.CANNOT_ATTRIBUTE,
        f"{assessment.observation.store} is empty, and no destination that can be read holds a key of this user, which "
        f"has {'; '.join(map(assessment.used, assessment.observation.keys)) or 'no key'}. {remedies(assessment)}",
    )


def _by_id(assessment: Assessment, key_id: str, source: str) -> tuple[AccessKey, str] | Decision:
    key = assessment.observation.key(key_id)
    if key is None:
        return _refuse(
            Reason.NOT_LISTED,
            f"{source} holds {key_id}, which IAM does not list for this user. (IAM lists a new key after some "
            f"seconds.) {remedies(assessment)}",
        )
    return _usable(assessment, key, source)


def _usable(assessment: Assessment, key: AccessKey, source: str) -> tuple[AccessKey, str] | Decision:
    if key.active:
        return key, source
    return _refuse(
        Reason.INACTIVE,
        f"{source} holds {key.id}, which is Inactive, so jobs that read it already fail. If it should work, reactivate "
        f"it and run again: aws iam update-access-key --user-name {assessment.observation.user.name} --access-key-id "
        f"{key.id} --status Active. If it should not, {remedy_without_credential(assessment)}",
    )


def _roles(assessment: Assessment, current: AccessKey, source: str) -> Decision:
    """Give the other keys their roles, as a rotation would with this key in the store; refuse if one is unmanaged."""
    record = replace(assessment.observation.record, holding=Held(current.id))
    then = assess(
        replace(assessment.observation, record=record), assessment.policy, assessment.now, assessment.overrides
    )
    last = then.last or _shown_elsewhere(then)
    unmanaged = [key for key in then.unmanaged if key != last]
    if unmanaged:
        return _refuse_unmanaged(assessment, current, source, unmanaged)
    kept = {current.id, last.id if last else ""}
    delivered = {
        name: holding.key_id
        for name, holding in assessment.observation.destinations.items()
        if isinstance(holding, Held) and holding.key_id in kept and not _is_recorded(assessment, name, holding.key_id)
    }
    put = assessment.held != current.id
    return Decision(
        Ending.ADOPTED,
        Reason.EXISTING_KEY,
        roles_message(then, current, last, source, put=put),
        current.id,
        last.id if last else "",
        source,
        put,
        delivered,
        _since(assessment, current, last),
        unknown(assessment, current, last),
    )


def _since(assessment: Assessment, current: AccessKey, last: AccessKey | None) -> datetime | None:
    """Say when CURRENT began to be CURRENT, for grace and period.

    Since when jobs read it is unknown. With a LAST, the safe moment is the latest one, now: LAST then keeps working for
    its whole grace. Without LAST there is no grace to keep, and the next rotation is due by CURRENT's age.
    """
    if assessment.journal.current == current.id:
        return assessment.journal.committed or current.created
    return None if last else current.created


def _shown_elsewhere(assessment: Assessment) -> AccessKey | None:
    """Return the one unmanaged key that a destination shows: it is known where jobs read it, so it may be LAST."""
    shown = [key for key in assessment.unmanaged if Held(key.id) in assessment.observation.destinations.values()]
    return shown[0] if len(shown) == 1 and assessment.last is None else None


def _refuse_unmanaged(assessment: Assessment, current: AccessKey, source: str, unmanaged: list[AccessKey]) -> Decision:
    ids, first = " and ".join(key.id for key in unmanaged), unmanaged[0].id
    return _refuse(
        Reason.UNMANAGED_KEY,
        f"{source} holds {current.id}, and nothing that can be read holds "
        f"{'; '.join(map(assessment.used, unmanaged))}. Find out what uses {ids}. If a destination holds one of them, "
        f"name that destination with --to. If no program uses {first}, remove it: "
        f"{rotate_command(assessment.observation.user.name, f'--retire {first}')}.",
    )


def _is_recorded(assessment: Assessment, name: str, key_id: str) -> bool:
    delivery = assessment.journal.delivered.get(name)
    return delivery is not None and delivery.key == key_id


def _offered(offer: Offer | None) -> str:
    return offer.holding.key_id if offer and isinstance(offer.holding, Held) else ""


def _is_active(key: AccessKey | None) -> bool:
    return key is not None and key.active


def _refuse(reason: Reason, message: str) -> Decision:
    return Decision(Ending.REFUSED, reason, message)


def _nothing(reason: Reason, message: str, managed: Assessment | None = None) -> Decision:
    if managed is None:
        return Decision(Ending.NOTHING, reason, message)
    last = managed.last.id if managed.last else ""
    return Decision(Ending.NOTHING, reason, message, managed.held, last)
