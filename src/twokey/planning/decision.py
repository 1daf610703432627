"""What is to be done for one machine user, decided from an observation alone. No I/O, no clock, no boto.

Theory of operation
-------------------
Roles come from evidence, not from age. A key that the store holds is CURRENT. The key that the journal names as the
former CURRENT is LAST. A key that appeared right after an intent of ours, and that nothing holds, is our orphan. A key
whose removal was decided earlier and that still exists is outgoing. Every other key is unmanaged, and the operator
decides about it.

``plan`` sorts the listed keys into these roles and asks a chain of rules, in order. The first that applies decides:

1. ``unreadable``       the store cannot tell what it holds: refuse.
2. ``own_key``          twokey runs with a key of this user: refuse, unless that is configured.
3. ``user_recreated``   the journal belongs to a deleted user of the same name: refuse.
4. ``unsettled``        a key was created a moment ago, and the list may not show it yet: wait.
5. ``retire_held``      ``--retire`` names a key that something holds, or no key of this user: refuse.
6. ``unfinished``       the store holds the key of an interrupted run: deliver it everywhere and commit.
7. ``rolled_back``      the store holds another listed key than the journal names: refuse.
8. ``unproven``         the last use of an orphaned or outgoing key is not known yet: ask for it.
9. ``too_many_open``    many creations got no response, and the list shows none of their keys yet: refuse.
10. ``without_current`` no key is both held and listed: create one if there is room, refuse if the roles are unclear.
11. ``replace_leaked``  CURRENT was revoked: replace it, if LAST or the operator's word makes room.
12. ``unmanaged``       there is a key created outside twokey: refuse, naming it.
13. ``not_due``         no rotation is due: deliver what is out of date, begin a soak, or do nothing.
14. ``make_room``       LAST is in the way and may not be removed yet: refuse, or wait for the soak.

What is left is a rotation: remove LAST, write the intent, create, verify, store, deliver, commit.

A key is removed only when all of this is true: it is LAST by evidence (or our orphan, or outgoing, or the operator
named it); nothing holds it; its grace is over, counted from the latest moment at which a destination stopped holding
it; and it has not been used for ``idle``. The last use lags, so it can forbid a removal but never allow one.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from twokey.core import durations
from twokey.core.commands import command, rotate_command
from twokey.core.model import CannotTell
from twokey.core.reasons import Outcome, Reason
from twokey.planning.assessment import MOST_OPEN, SURELY_COMPLETE, Assessment, assess, open_attempts
from twokey.planning.between_rotations import not_due, why_due, why_removed
from twokey.planning.plan import Action, Commit, Create, Delete, Deliver, Overrides, Plan, RemoveOrphan, Resume
from twokey.planning.removal import NO_WORKING_CURRENT, removal_barred, soak, unread
from twokey.planning.retirement import retire_held
from twokey.planning.revoked import named_early, replace_leaked, revoked_in_the_way
from twokey.planning.rules import first_verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from twokey.core.journal import Intent
    from twokey.core.model import AccessKey, Observation
    from twokey.planning.policy import RotationPolicy

UNDER_WAY = timedelta(seconds=15)
"""How long the request that creates a key may be under way: connecting and waiting for the response."""


def plan(observation: Observation, policy: RotationPolicy, now: datetime, overrides: Overrides | None = None) -> Plan:
    """Decide what is to be done. ``now`` is the services' time, never later than it really is."""
    assessment = assess(observation, policy, now, overrides or Overrides())
    return first_verdict(RULES, assessment) or rotation(assessment)


def unreadable(assessment: Assessment) -> Plan | None:
    """Refuse while the store does not tell which key it holds: unknown is never empty."""
    holding = assessment.observation.record.holding
    if isinstance(holding, CannotTell):
        return assessment.refuse(Reason.UNREADABLE, f"{assessment.observation.store} cannot be read: {holding.why}")
    return None


def own_key(assessment: Assessment) -> Plan | None:
    """Refuse to rotate the key that twokey itself runs with, unless that is configured."""
    if (
        assessment.policy.rotate_self
        or not assessment.observation.own_key
        or assessment.observation.key(assessment.observation.own_key) is None
    ):
        return None
    return assessment.refuse(
        Reason.OWN_KEY,
        f"twokey itself runs with {assessment.observation.own_key}, a key of this user. Run it as another principal, "
        "or set rotate_self: true for this user in twokey.yaml.",
    )


def user_recreated(assessment: Assessment) -> Plan | None:
    """Refuse if the journal belongs to another user of the same name."""
    if not assessment.journal.user or assessment.journal.user == assessment.observation.user.id:
        return None
    return assessment.refuse(
        Reason.USER_RECREATED,
        f"The journal in {assessment.observation.store} belongs to user ID {assessment.journal.user}, but "
        f"{assessment.observation.user.name} is now {assessment.observation.user.id}: the user was deleted and created "
        "again. Configure another store for this user, or remove the old credential and its journal from this one for "
        "good. Then run again.",
    )


def unsettled(assessment: Assessment) -> Plan | None:
    """Wait while the list may lag behind a creation: twokey would take what it does not show yet for gone."""
    moments = [_created_by(assessment, assessment.journal.intent)] if assessment.journal.intent else []
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
    left = durations.left(settles - assessment.now)
    message = f"A key was created a moment ago, and IAM's list may not show it yet: nothing can be decided for {left}."
    return replace(assessment.refuse(Reason.UNREADABLE, message), settles=settles)


def _created_by(assessment: Assessment, intent: Intent) -> datetime:
    """Return the latest moment at which the open intent's key can have been created.

    The request may have left as long after the intent as that allows, and may have been under way for some time. Where
    ``settle`` is shorter than a request may take, the services are an emulator: nothing there takes longer than it.
    """
    longest, settle = timedelta(seconds=intent.within) + UNDER_WAY, assessment.policy.settle
    return intent.at + (longest if settle >= UNDER_WAY else min(longest, settle))


def unfinished(assessment: Assessment, also: tuple[str, ...] = ()) -> Plan | None:
    """Finish what an interrupted run began: its key is verified and in the store already.

    It is delivered to the destinations that are not known to have it, and to those that are named in ``also``.
    """
    intent = assessment.journal.intent
    if intent is None or assessment.current is None or not assessment.current.active or assessment.held in intent.known:
        return None
    delivered = assessment.journal.delivered
    left = tuple(
        name
        for name in assessment.observation.destinations
        if assessment.out_of_date(name) or name not in delivered or name in also
    )
    deliver = (Deliver(left),) if left else ()
    return assessment.conclude(
        Outcome.COMPLETED,
        Reason.INTERRUPTED,
        f"An interrupted run stored {assessment.held}; this run delivers and commits it.",
        Resume(assessment.held),
        *deliver,
        Commit(assessment.last.id if assessment.last else ""),
    )


def rolled_back(assessment: Assessment) -> Plan | None:
    """Refuse if the store and its journal contradict each other. A key that is gone contradicts nothing: jobs fail."""
    recorded = assessment.journal.current
    if (
        not recorded
        or assessment.current is None
        or recorded == assessment.held
        or recorded in {*assessment.overrides.retire, *(key.id for key in assessment.outgoing)}
        or _leaked_before_its_commit(assessment)
    ):
        return None
    return assessment.refuse(
        Reason.ROLLED_BACK,
        f"{assessment.observation.store} holds {assessment.held}, but its journal names {recorded} as CURRENT: the "
        f"operator or another program wrote to the store. Put {recorded} back into the store. Only if no job uses "
        f"{recorded} any more, remove it: {_rotate(assessment, assessment.retiring(recorded))}.",
    )


def _leaked_before_its_commit(assessment: Assessment) -> bool:
    """Say whether the store holds the key of an interrupted run, which is not finished because that key has leaked."""
    intent = assessment.journal.intent
    return intent is not None and assessment.held not in intent.known and assessment.held in assessment.journal.revoked


def unproven(assessment: Assessment) -> Plan | None:
    """Ask for the last use of what goes by the journal alone: a key that jobs use is neither orphaned nor outgoing."""
    return assessment.need(*filter(None, [assessment.claimed]), *assessment.outgoing)


def too_many_open(assessment: Assessment) -> Plan | None:
    """Refuse another creation while so many are open that one of them would have to be forgotten."""
    attempts = open_attempts(assessment.journal, assessment.now)
    if len(attempts) < MOST_OPEN or assessment.claimed:
        return None
    left = durations.left(min(attempts) + SURELY_COMPLETE - assessment.now)
    return assessment.refuse(
        Reason.UNREADABLE,
        f"{len(attempts)} creations of a key were interrupted within {durations.show(SURELY_COMPLETE)}, and IAM's list "
        f"may still show a key of each: no other key is created for {left}. Find out what interrupts the runs.",
    )


def without_current(assessment: Assessment) -> Plan | None:
    """Decide if no key is both held and listed: jobs have no working key."""
    if assessment.current is not None:
        return None
    rest = tuple(key for key in assessment.observation.keys if key not in (*assessment.removable, assessment.orphan))
    if len(rest) < len(assessment.observation.keys) and assessment.unread:
        return unread(assessment)
    waiting = soak(assessment, *assessment.removable)
    if waiting:
        return waiting
    if len(rest) < 2:
        reason = Reason.KEY_GONE if assessment.held else Reason.STORE_EMPTY if rest else Reason.NO_KEY
        return rotation(replace(assessment, reason=reason), message=_starting(assessment, reason, rest))
    return assessment.need(*rest) or _no_room(assessment, rest)


def _no_room(assessment: Assessment, rest: tuple[AccessKey, ...]) -> Plan:
    """Refuse: jobs have no working key, and both keys that the user has may be in use."""
    held, recorded = assessment.held, assessment.journal.current
    store, user = assessment.observation.store, assessment.observation.user.name
    keys = f"the user has {len(rest)}: {'; '.join(assessment.used(key) for key in rest)}."
    if held and recorded in {key.id for key in rest}:
        reason = Reason.KEY_GONE
        found = f"{store} holds {held}, which IAM no longer lists, so jobs already fail, and {keys}"
        which = f"The journal names {recorded} as CURRENT. If you have that credential"
    else:
        reason = Reason.CANNOT_ATTRIBUTE
        found = f"{store} holds {f'the deleted key {held}' if held else 'no key'}, and {keys}"
        which = "twokey cannot determine which is in use. If you have the credential in use"
    return assessment.refuse(
        reason,
        f"{found} {which}, put it into the store: {command('adopt', user, '--from URL')} reads it from another "
        f"destination, {command('adopt', user, '--stdin')} from standard input. If you know which key no program uses, "
        f"remove it, and twokey creates one in its place: {_rotate(assessment, '--retire KEY_ID')}.",
    )


def _starting(assessment: Assessment, reason: Reason, rest: tuple[AccessKey, ...]) -> str:
    message = (
        f"The store holds {assessment.held}, which IAM no longer lists, so jobs already fail."
        if assessment.held
        else reason.sentence
    )
    return f"{message} {rest[0].id} becomes LAST." if rest else message


def unmanaged(assessment: Assessment) -> Plan | None:
    """Refuse while there is a key created outside twokey; never touch it."""
    if not assessment.unmanaged:
        return None
    keys = "unmanaged keys" if len(assessment.unmanaged) > 1 else "an unmanaged key"
    ids, first = " or ".join(key.id for key in assessment.unmanaged), assessment.unmanaged[0].id
    return assessment.need(*assessment.unmanaged) or assessment.refuse(
        Reason.UNMANAGED_KEY,
        f"The user has {keys}: {'; '.join(assessment.used(key) for key in assessment.unmanaged)}. "
        f"{assessment.observation.store} holds {assessment.held}, and the journal does not name {ids}. Find out what "
        f"uses {ids}. If no program uses {first}, remove it: {_rotate(assessment, assessment.retiring(first))}.",
    )


def _rotate(assessment: Assessment, options: str) -> str:
    return rotate_command(assessment.observation.user.name, options)


def make_room(assessment: Assessment) -> Plan | None:
    """Hold up a rotation while LAST is in its way and may not be removed."""
    if assessment.unread:
        return unread(assessment)
    waiting = soak(assessment, *assessment.removable)
    if waiting:
        return waiting
    for key in assessment.outgoing:
        if key not in assessment.removable:
            return assessment.refuse(
                Reason.LAST_HELD,
                f"{key.id} is to be removed, but is held, or may be held, by {', '.join(assessment.holders(key.id))}. "
                f"{NO_WORKING_CURRENT}",
            )
    last = assessment.last
    if last is None:
        return None
    return revoked_in_the_way(assessment, last) or removal_barred(assessment, last) or soak(assessment, last)


def rotation(assessment: Assessment, message: str = "") -> Plan:
    """Remove what may be removed, create, verify, store, deliver, commit."""
    reason = assessment.reason if assessment.current is None else why_due(assessment) or Reason.RETIRE_REQUESTED
    removals: list[Action] = [RemoveOrphan(assessment.orphan.id)] if assessment.orphan else []
    removals += [Delete(key.id) for key in assessment.removable]
    # A key that the store holds and the list lacks is probably gone; if it exists after all, it counts as known.
    known = dict.fromkeys([*(key.id for key in assessment.observation.keys), *filter(None, [assessment.held])])
    successor_of = assessment.current or assessment.last
    if assessment.current is not None and assessment.last is not None:
        removals.append(Delete(assessment.last.id))
    deliver = (Deliver(tuple(assessment.observation.destinations)),) if assessment.observation.destinations else ()
    return assessment.conclude(
        Outcome.ROTATED,
        reason,
        message or _rotating(assessment, reason),
        *removals,
        Create(tuple(known), last=named_early(assessment, assessment.last)),
        *deliver,
        Commit(successor_of.id if successor_of else assessment.held),
    )


def _rotating(assessment: Assessment, reason: Reason) -> str:
    parts = [reason.sentence]
    if assessment.orphan:
        parts.append(f"The orphan {assessment.orphan.id} of the interrupted run is removed.")
    parts += [why_removed(assessment, key) for key in assessment.removable]
    if assessment.last and assessment.overrides.ignore_last_use:
        parts.append(f"With --ignore-last-use, jobs that still use {assessment.last.id} fail.")
    return " ".join(parts)


RULES: tuple[Callable[[Assessment], Plan | None], ...] = (
    unreadable,
    own_key,
    user_recreated,
    unsettled,
    retire_held,
    unfinished,
    rolled_back,
    unproven,
    too_many_open,
    without_current,
    replace_leaked,
    unmanaged,
    not_due,
    make_room,
)
