"""How a user that was managed by hand is taken over, decided from an observation alone. No I/O, no clock, no boto.

Theory of operation
-------------------
Taking over means that the store holds the credential in use, and a journal that says who is who. Which one that is
must be shown, never guessed: by the store, by a destination that can be read, or by a person who hands the credential
over. ``decide`` asks, in order:

1. Is the user managed already, or is there no key at all? Then there is nothing to do.
2. Does the store hold a listed, Active key? That is CURRENT.
3. The store is empty: does exactly one listed, Active key lie in the destinations that can be read? That is CURRENT.
   Two keys in two places refuse, and so does a place that would tell and could not be read.
4. A place, or a credential, that a person points at (``--from``, ``--stdin``) stands in for 3.
5. The other key is LAST where a rotation would call it LAST, or where a destination shows that it holds it. Any other
   is unmanaged, and the user is refused.

Nothing here creates, deletes or deactivates a key.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from twokey.adoption.messages import listing, replacing, telling, unknown, ways
from twokey.core.model import CannotTell, Held, NotHeld
from twokey.core.reasons import Ending, Reason
from twokey.planning.assessment import assess
from twokey.planning.decision import own_key, rolled_back, unreadable, user_recreated
from twokey.planning.plan import Overrides

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from twokey.core.model import AccessKey, Holding, Observation
    from twokey.planning.assessment import Assessment
    from twokey.planning.policy import RotationPolicy


@dataclass(frozen=True, slots=True)
class Offer:
    """A credential that a person points at: where it is, and which key it is of."""

    place: str
    holding: Holding


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done for one user.

    ``source`` names the place that CURRENT's credential is read from; with ``put`` it is written to the store.
    ``delivered`` says which key each destination shows, for the journal. ``committed`` is when CURRENT began to be
    CURRENT; None stands for the moment of taking over. ``unknown`` says what nobody can tell.
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


def _essence(one: Decision) -> tuple[object, ...]:
    return one.ending, one.current, one.last, one.source, one.put, dict(one.delivered)


def decide(
    seen: Observation, policy: RotationPolicy, now: datetime, givers: frozenset[str], offer: Offer | None = None
) -> Decision:
    """Decide how a user is taken over. ``givers`` names the destinations that can give the credential they hold."""
    assessment = assess(seen, policy, now, Overrides())
    for rule in (unreadable, own_key, user_recreated):
        verdict = rule(assessment)
        if verdict is not None:
            return _refuse(verdict.reason, verdict.message)
    return _at_rest(assessment, offer) or _take_over(assessment, givers, offer)


def _at_rest(assessment: Assessment, offer: Offer | None) -> Decision | None:
    """Say that nothing is to be taken over: the user is managed, or has no key."""
    said = assessment.journal.current
    if assessment.journal.intent:
        return _nothing(
            Reason.INTERRUPTED, "twokey manages this user: an interrupted rotation is finished by the next `rotate`."
        )
    if said and said == assessment.held:
        other = _offered(offer)
        left = f" {other} was not taken from {offer.place}." if offer and other not in ("", assessment.held) else ""
        return _nothing(Reason.MANAGED, f"twokey manages this user already: CURRENT is {said}.{left}", said)
    contradiction = rolled_back(assessment)
    if contradiction:
        return _refuse(contradiction.reason, contradiction.message)
    held = [holding for holding in assessment.seen.destinations.values() if not isinstance(holding, NotHeld)]
    if not (assessment.seen.keys or assessment.held or held or offer):
        return _nothing(Reason.NO_KEY, "The user has no key, so there is nothing to take over: `rotate` creates one.")
    return None


def _take_over(assessment: Assessment, givers: frozenset[str], offer: Offer | None) -> Decision:
    found = _in_store(assessment, offer) or _offered_key(assessment, offer) or _in_destinations(assessment, givers)
    if isinstance(found, Decision):
        return found
    current, source = found
    said = assessment.journal.current
    if said and said != current.id:
        return _refuse(
            Reason.ROLLED_BACK,
            f"{assessment.seen.store} is empty, its journal says that CURRENT was {said}, and {source} holds "
            f"{current.id}. "
            f"Put {said} back (--from, --stdin), or name the key that may go: twokey rotate "
            f"{assessment.seen.user.name} "
            "--retire KEY_ID.",
        )
    return _roles(assessment, current, source)


def _in_store(assessment: Assessment, offer: Offer | None) -> tuple[AccessKey, str] | Decision | None:
    """Find CURRENT in the store; None where the store has none, or a dead one and a person offers another."""
    other = _offered(offer)
    if not assessment.held or (assessment.current is None and other):
        return None
    if assessment.current is None:
        return _refuse(
            Reason.NOT_LISTED,
            f"{assessment.seen.store} holds {assessment.held}, which is no key of this user. {ways(assessment)}",
        )
    if offer and other not in ("", assessment.held):
        return _refuse(
            Reason.DESTINATIONS_DIFFER,
            f"{assessment.seen.store} holds {assessment.held}, and {offer.place} holds {other}. What the store holds "
            "is read by "
            f"jobs, and is not replaced. If {assessment.held} is the one in use, run again without --from and "
            "--stdin; if "
            f"{other} is, put it into the store yourself, or name the one that may go: twokey rotate "
            f"{assessment.seen.user.name} --retire KEY_ID.",
        )
    return _usable(assessment, assessment.current, assessment.seen.store)


def _offered_key(assessment: Assessment, offer: Offer | None) -> tuple[AccessKey, str] | Decision | None:
    """Find the key that a person points at."""
    if offer is None:
        return None
    match offer.holding:
        case CannotTell(why):
            return _refuse(Reason.UNREADABLE, f"{offer.place} cannot be read: {why}")
        case NotHeld():
            return _refuse(Reason.CANNOT_ATTRIBUTE, f"{offer.place} holds no key. {ways(assessment)}")
    return _listed(assessment, offer.holding.key_id, offer.place)


def _in_destinations(assessment: Assessment, givers: frozenset[str]) -> tuple[AccessKey, str] | Decision:
    """Find the one key in use by what the destinations show."""
    if assessment.unread:
        places = " ".join(f"{name} cannot be read: {why}" for name, why in assessment.unread.items())
        return _refuse(Reason.UNREADABLE, f"{places} The key in use may be held there.")
    shown = {name: one.key_id for name, one in assessment.seen.destinations.items() if isinstance(one, Held)}
    active = {name: key_id for name, key_id in shown.items() if _is_active(assessment.seen.key(key_id))}
    if len(set(active.values())) > 1:
        return _refuse(
            Reason.DESTINATIONS_DIFFER,
            f"{assessment.seen.store} is empty, and {listing(active)}. Nobody can tell which should be CURRENT. "
            f"{ways(assessment)}",
        )
    for name, key_id in active.items():
        if name in givers:
            return _listed(assessment, key_id, name)
    if active:
        name, key_id = next(iter(active.items()))
        return _refuse(
            Reason.CANNOT_ATTRIBUTE,
            f"{name} holds {key_id}, but cannot give it back with its secret. {ways(assessment)}",
        )
    for name, key_id in shown.items():
        return _listed(assessment, key_id, name)
    return _refuse(
        Reason.CANNOT_ATTRIBUTE,
        f"{assessment.seen.store} is empty, and no place that can be read holds a key of this user, which has "
        f"{'; '.join(assessment.used(key) for key in assessment.seen.keys) or 'none'}. {ways(assessment)}",
    )


def _listed(assessment: Assessment, key_id: str, place: str) -> tuple[AccessKey, str] | Decision:
    key = assessment.seen.key(key_id)
    if key is None:
        return _refuse(
            Reason.NOT_LISTED,
            f"{place} holds {key_id}, which is no key of this user (IAM lists one that was made a moment ago some "
            f"seconds late). {ways(assessment)}",
        )
    return _usable(assessment, key, place)


def _usable(assessment: Assessment, key: AccessKey, place: str) -> tuple[AccessKey, str] | Decision:
    if key.active:
        return key, place
    return _refuse(
        Reason.INACTIVE,
        f"{place} holds {key.id}, which is Inactive: jobs that read it fail already. If it should work, switch it on, "
        f"and run again: aws iam update-access-key --user-name {assessment.seen.user.name} --access-key-id {key.id} "
        "--status Active. If it should not, " + replacing(assessment),
    )


def _roles(assessment: Assessment, current: AccessKey, source: str) -> Decision:
    """Give the other keys their roles, as a rotation would with this key in the store; refuse if one is unmanaged."""
    record = replace(assessment.seen.record, holding=Held(current.id))
    then = assess(replace(assessment.seen, record=record), assessment.policy, assessment.now, assessment.asked)
    last = then.last or _shown_elsewhere(then)
    unmanaged = [key for key in then.unmanaged if key != last]
    if unmanaged:
        return _foreign(assessment, current, source, unmanaged)
    kept = {current.id, last.id if last else ""}
    delivered = {
        name: one.key_id
        for name, one in assessment.seen.destinations.items()
        if isinstance(one, Held) and one.key_id in kept and not _noted(assessment, name, one.key_id)
    }
    put = assessment.held != current.id
    return Decision(
        Ending.ADOPTED,
        Reason.EXISTING_KEY,
        telling(then, current, last, source, put=put),
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

    Nobody knows since when jobs read it. With LAST there, the safe moment is the latest one, now: LAST then keeps
    working for its whole grace. Without LAST there is no grace to keep, and the next rotation is due by CURRENT's age.
    """
    if assessment.journal.current == current.id:
        return assessment.journal.committed or current.created
    return None if last else current.created


def _shown_elsewhere(assessment: Assessment) -> AccessKey | None:
    """Return the one unmanaged key that a destination shows: it is known who reads it, so it may be LAST."""
    shown = [key for key in assessment.unmanaged if Held(key.id) in assessment.seen.destinations.values()]
    return shown[0] if len(shown) == 1 and assessment.last is None else None


def _foreign(assessment: Assessment, current: AccessKey, source: str, unmanaged: list[AccessKey]) -> Decision:
    user = assessment.seen.user.name
    return _refuse(
        Reason.UNMANAGED_KEY,
        f"{source} holds {current.id}, and nothing that can be read holds "
        f"{'; '.join(map(assessment.used, unmanaged))}, which "
        f"is newer. Find out who uses it. If nobody does: twokey rotate {user} --retire {unmanaged[0].id}. If a place "
        "holds it, name that place with --to.",
    )


def _noted(assessment: Assessment, name: str, key_id: str) -> bool:
    given = assessment.journal.delivered.get(name)
    return given is not None and given.key == key_id


def _offered(offer: Offer | None) -> str:
    return offer.holding.key_id if offer and isinstance(offer.holding, Held) else ""


def _is_active(key: AccessKey | None) -> bool:
    return key is not None and key.active


def _refuse(reason: Reason, message: str) -> Decision:
    return Decision(Ending.REFUSED, reason, message)


def _nothing(reason: Reason, message: str, current: str = "") -> Decision:
    return Decision(Ending.NOTHING, reason, message, current)
