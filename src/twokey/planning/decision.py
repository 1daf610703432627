"""What is to be done for one machine user, decided from an observation alone. No I/O, no clock, no boto.

Theory of operation
-------------------
Roles come from evidence, not from age. A key that the store holds is CURRENT. The key that the journal names as the
former CURRENT is LAST. A key that appeared right after an intent of ours, and that nothing holds, is our orphan. A key
whose removal was decided before and that is still there is outgoing. Every other key is unmanaged, and a person decides
about it.

``plan`` sorts the listed keys into these roles and asks a chain of rules, in order; the first that has something to
say decides:

1. ``unreadable``       the store cannot tell what it holds: refuse.
2. ``own_key``          twokey runs with a key of this user: refuse, unless that is meant.
3. ``user_recreated``      the journal belongs to a deleted user of the same name: refuse.
4. ``unsettled``        a key was made a moment ago, and the list may not show it yet: wait.
5. ``retire_held``      ``--retire`` names a key that something holds, or no key of this user: refuse.
6. ``unfinished``       the store holds the key of an interrupted run: deliver it everywhere and commit.
7. ``rolled_back``      the store holds another key than the journal says: refuse.
8. ``without_current``  no key is both held and listed: create where there is room, refuse where nobody can tell.
9. ``unmanaged``          there is a key of nobody's: refuse, naming it.
10. ``at_rest``         nothing is due: deliver what is behind, begin a soak, or do nothing.
11. ``make_room``       LAST stands in the way and may not go yet: refuse, or wait for the soak.

What is left is a rotation: remove LAST, write the intent, create, verify, store, deliver, commit.

A key is removed only when all of this is true: it is LAST by evidence (or our orphan, or outgoing, or a person named
it); nothing holds it; its grace is over, counted from the latest moment at which a destination stopped holding it;
and it has not been used for ``idle``. The last use lags, so it can forbid a removal but never allow one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from twokey.core import durations
from twokey.core.model import CannotTell
from twokey.core.reasons import Outcome, Reason
from twokey.planning.assessment import Assessment, assess
from twokey.planning.between_rotations import at_rest, why_due, why_it_goes
from twokey.planning.plan import Action, Commit, Create, Delete, Deliver, Overrides, Plan, RemoveOrphan, Resume
from twokey.planning.removal import barred, soak

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from twokey.core.model import AccessKey, Observation
    from twokey.planning.policy import RotationPolicy


def plan(seen: Observation, policy: RotationPolicy, now: datetime, asked: Overrides | None = None) -> Plan:
    """Decide what is to be done. ``now`` is the services' time, never later than it really is."""
    assessment = assess(seen, policy, now, asked or Overrides())
    for rule in RULES:
        verdict = rule(assessment)
        if verdict is not None:
            return verdict
    return rotation(assessment)


def unreadable(assessment: Assessment) -> Plan | None:
    """Refuse while the store does not tell which key it holds: unknown is never empty."""
    holding = assessment.seen.record.holding
    if isinstance(holding, CannotTell):
        return assessment.refuse(Reason.UNREADABLE, f"{assessment.seen.store} cannot be read: {holding.why}")
    return None


def own_key(assessment: Assessment) -> Plan | None:
    """Refuse to pull away the branch that twokey sits on."""
    if (
        assessment.policy.rotate_self
        or not assessment.seen.own_key
        or assessment.seen.key(assessment.seen.own_key) is None
    ):
        return None
    return assessment.refuse(
        Reason.OWN_KEY,
        f"twokey itself runs with {assessment.seen.own_key}, a key of this user. Run it as another principal, "
        "or set rotate_self: true for this user in twokey.yaml.",
    )


def user_recreated(assessment: Assessment) -> Plan | None:
    """Refuse where the journal speaks of another user of the same name."""
    if not assessment.journal.user or assessment.journal.user == assessment.seen.user.id:
        return None
    return assessment.refuse(
        Reason.USER_RECREATED,
        f"The journal in {assessment.seen.store} belongs to user id {assessment.journal.user}, but "
        f"{assessment.seen.user.name} is now "
        f"{assessment.seen.user.id}: the user was deleted and made again. Give it another store, or remove the old "
        "credential and its journal from this one for good, and run again.",
    )


def unsettled(assessment: Assessment) -> Plan | None:
    """Wait while the list may lag behind a creation: what it does not show yet would be taken for gone."""
    moments = [assessment.journal.intent.at] if assessment.journal.intent else []
    if (
        assessment.held
        and assessment.current is None
        and assessment.held == assessment.journal.current
        and assessment.journal.committed
    ):
        moments.append(assessment.journal.committed)
    settles = max(moments) + assessment.policy.settle if moments else assessment.now
    if assessment.now >= settles or not assessment.policy.settle:
        return None
    left = durations.show(settles - assessment.now)
    message = f"A key was created a moment ago, and IAM's list may not show it yet: nothing can be decided for {left}."
    return replace(assessment.refuse(Reason.UNREADABLE, message), settles=settles)


def retire_held(assessment: Assessment) -> Plan | None:
    """Refuse to retire what is in use by evidence."""
    if assessment.retire and assessment.unread:
        return _unread(assessment)
    for key in assessment.retire:
        if key.id == assessment.seen.own_key:
            return assessment.refuse(
                Reason.OWN_KEY, f"twokey itself runs with {key.id}. Run it with another key before this one is retired."
            )
        holders = assessment.holders(key.id)
        if holders:
            silent = [
                name for name in holders if name in assessment.seen.destinations and assessment.holds(name) == "?"
            ]
            out = f" Nobody knows what {', '.join(silent)} holds: leave it out of this run if it holds another."
            return assessment.refuse(
                Reason.RETIRE_HELD,
                f"{key.id} is, or may be, held by {', '.join(holders)}: jobs use it.{out if silent else ''}",
            )
    known = {key.id for key in assessment.retire} | {
        *assessment.journal.removed,
        assessment.journal.current,
        assessment.journal.last,
    }
    unknown = sorted(assessment.asked.retire - known) if assessment.asked.all_theirs else []
    if unknown:
        return assessment.refuse(
            Reason.RETIRE_UNKNOWN,
            f"{', '.join(unknown)} is no key of {assessment.seen.user.name}, which has "
            f"{', '.join(key.id for key in assessment.seen.keys) or 'none'}. Check the id, or leave --retire out.",
        )
    return None


def unfinished(assessment: Assessment, also: tuple[str, ...] = ()) -> Plan | None:
    """Finish what an interrupted run began: its key is verified and in the store already.

    It is delivered where that is not known to be done, and to the places that are named in ``also``.
    """
    intent = assessment.journal.intent
    if intent is None or assessment.current is None or not assessment.current.active or assessment.held in intent.known:
        return None
    given = assessment.journal.delivered
    left = tuple(
        name
        for name in assessment.seen.destinations
        if assessment.out_of_date(name) or name not in given or name in also
    )
    deliver = (Deliver(left),) if left else ()
    return assessment.conclude(
        Outcome.COMPLETED,
        Reason.INTERRUPTED,
        f"An interrupted run stored {assessment.held}; it is delivered and committed now.",
        Resume(assessment.held),
        *deliver,
        Commit(assessment.last.id if assessment.last else ""),
    )


def rolled_back(assessment: Assessment) -> Plan | None:
    """Refuse where the store and its journal contradict each other."""
    said = assessment.journal.current
    if (
        not said
        or not assessment.held
        or said == assessment.held
        or said in {*assessment.asked.retire, *(k.id for k in assessment.outgoing)}
    ):
        return None
    return assessment.refuse(
        Reason.ROLLED_BACK,
        f"{assessment.seen.store} holds {assessment.held}, but its journal says that CURRENT is {said}: somebody "
        "wrote the store "
        f"by hand. Put {said} back into the store. Only if nothing uses {said} any more, run twokey "
        f"rotate for this user with {assessment.retiring(said)}.",
    )


def without_current(assessment: Assessment) -> Plan | None:
    """Decide where no key is both held and listed: jobs have nothing that works."""
    if assessment.current is not None:
        return None
    rest = tuple(key for key in assessment.seen.keys if key not in assessment.going and key != assessment.orphan)
    if len(rest) < len(assessment.seen.keys) and assessment.unread:
        return _unread(assessment)
    waiting = soak(assessment, *assessment.going)
    if waiting:
        return waiting
    if len(rest) < 2:
        reason = Reason.KEY_GONE if assessment.held else Reason.STORE_EMPTY if rest else Reason.NO_KEY
        return rotation(replace(assessment, reason=reason), message=_starting(assessment, reason, rest))
    return assessment.need(*rest) or assessment.refuse(
        Reason.CANNOT_ATTRIBUTE,
        f"{assessment.seen.store} holds {'the deleted key ' + assessment.held if assessment.held else 'no key'}, and "
        "the user has "
        f"{len(rest)}: {'; '.join(assessment.used(key) for key in rest)}. Nobody can tell which is in use. Put the "
        "one in "
        "use into the store (twokey adopt), or name the one that may go: run twokey rotate for this user with "
        "--retire KEY_ID.",
    )


def _starting(assessment: Assessment, reason: Reason, rest: tuple[AccessKey, ...]) -> str:
    said = (
        f"The store holds {assessment.held}, which IAM no longer lists: jobs fail already."
        if assessment.held
        else reason.sentence
    )
    return f"{said} {rest[0].id} becomes LAST." if rest else said


def unmanaged(assessment: Assessment) -> Plan | None:
    """Refuse while there is a key of nobody's; never touch it."""
    if not assessment.unmanaged:
        return None
    one = assessment.unmanaged[0]
    it = "it" if len(assessment.unmanaged) == 1 else "them"
    return assessment.need(*assessment.unmanaged) or assessment.refuse(
        Reason.UNMANAGED_KEY,
        f"Not twokey's: {'; '.join(assessment.used(key) for key in assessment.unmanaged)}. {assessment.seen.store} "
        "holds "
        f"{assessment.held} and the journal does not name {it}. Find out who uses {it}. If nobody does, run twokey "
        f"rotate for this user with {assessment.retiring(one.id)}.",
    )


def make_room(assessment: Assessment) -> Plan | None:
    """Hold up a rotation while LAST stands in its way and may not go."""
    if assessment.unread:
        return _unread(assessment)
    waiting = soak(assessment, *assessment.going)
    if waiting:
        return waiting
    for key in assessment.outgoing:
        if key not in assessment.going:
            places = ", ".join(assessment.holders(key.id))
            return assessment.refuse(
                Reason.LAST_HELD,
                f"{key.id} is to go, but is, or may be, held by {places}, and there is no working CURRENT to deliver "
                "there.",
            )
    if assessment.last is None:
        return None
    return barred(assessment, assessment.last) or soak(assessment, assessment.last)


def _unread(assessment: Assessment) -> Plan:
    """Refuse to remove anything while a place that would tell what it holds cannot be read."""
    places = " ".join(f"{name} cannot be read: {why}" for name, why in assessment.unread.items())
    return assessment.refuse(Reason.UNREADABLE, f"{places} What is to be removed may be held there.")


def rotation(assessment: Assessment, message: str = "") -> Plan:
    """Remove what may go, create, verify, store, deliver, commit."""
    reason = assessment.reason if assessment.current is None else why_due(assessment) or Reason.RETIRE_REQUESTED
    removals: list[Action] = [RemoveOrphan(assessment.orphan.id)] if assessment.orphan else []
    removals += [Delete(key.id) for key in assessment.going]
    # A key that the store holds and the list lacks is probably gone; should it be there all the same, it is known.
    known = dict.fromkeys([*(key.id for key in assessment.seen.keys), *filter(None, [assessment.held])])
    successor_of = assessment.current or assessment.last
    if assessment.current is not None and assessment.last is not None:
        removals.append(Delete(assessment.last.id))
    deliver = (Deliver(tuple(assessment.seen.destinations)),) if assessment.seen.destinations else ()
    return assessment.conclude(
        Outcome.ROTATED,
        reason,
        message or _rotating(assessment, reason),
        *removals,
        Create(tuple(known)),
        *deliver,
        Commit(successor_of.id if successor_of else assessment.held),
    )


def _rotating(assessment: Assessment, reason: Reason) -> str:
    parts = [reason.sentence]
    if assessment.orphan:
        parts.append(f"The orphan {assessment.orphan.id} of the interrupted run is removed.")
    parts += [why_it_goes(assessment, key) for key in assessment.going]
    if assessment.last and assessment.asked.ignore_last_use:
        parts.append(f"You accept that jobs which still use {assessment.last.id} fail.")
    return " ".join(parts)


RULES: tuple[Callable[[Assessment], Plan | None], ...] = (
    unreadable,
    own_key,
    user_recreated,
    unsettled,
    retire_held,
    unfinished,
    rolled_back,
    without_current,
    unmanaged,
    at_rest,
    make_room,
)
