"""What is to be done for one machine user, decided from an observation alone. No I/O, no clock, no boto.

Theory of operation
-------------------
Roles come from evidence, not from age. A key that the store holds is CURRENT. The key that the journal names as the
former CURRENT is LAST. A key that appeared right after an intent of ours, and that nothing holds, is our stray. A key
whose removal was decided before and that is still there is outgoing. Every other key is foreign, and a person decides
about it.

``plan`` sorts the listed keys into these roles and asks a chain of rules, in order; the first that has something to
say decides:

1. ``unreadable``       the store cannot tell what it holds: refuse.
2. ``own_key``          twokey runs with a key of this user: refuse, unless that is meant.
3. ``user_remade``      the journal belongs to a deleted user of the same name: refuse.
4. ``unsettled``        a key was made a moment ago, and the list may not show it yet: wait.
5. ``retire_held``      ``--retire`` names a key that something holds, or no key of this user: refuse.
6. ``unfinished``       the store holds the key of an interrupted run: deliver it everywhere and commit.
7. ``rolled_back``      the store holds another key than the journal says: refuse.
8. ``without_current``  no key is both held and listed: create where there is room, refuse where nobody can tell.
9. ``foreign``          there is a key of nobody's: refuse, naming it.
10. ``at_rest``         nothing is due: deliver what is behind, begin a soak, or do nothing.
11. ``make_room``       LAST stands in the way and may not go yet: refuse, or wait for the soak.

What is left is a rotation: remove LAST, write the intent, create, verify, store, deliver, commit.

A key is removed only when all of this is true: it is LAST by evidence (or our stray, or outgoing, or a person named
it); nothing holds it; its grace is over, counted from the latest moment at which a destination stopped holding it;
and it has not been used for ``idle``. The last use lags, so it can forbid a removal but never allow one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from twokey.core import durations
from twokey.core.model import CannotTell
from twokey.core.reasons import Outcome, Reason
from twokey.planning.assessment import Case, sort
from twokey.planning.between_rotations import at_rest, why_due, why_it_goes
from twokey.planning.plan import Action, Asked, Commit, Create, Delete, Deliver, Plan, RemoveStray, Resume
from twokey.planning.removal import barred, soak

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from twokey.core.model import AccessKey, Observation
    from twokey.planning.policy import Policy


def plan(seen: Observation, policy: Policy, now: datetime, asked: Asked | None = None) -> Plan:
    """Decide what is to be done. ``now`` is the services' time, never later than it really is."""
    case = sort(seen, policy, now, asked or Asked())
    for rule in RULES:
        verdict = rule(case)
        if verdict is not None:
            return verdict
    return rotation(case)


def unreadable(case: Case) -> Plan | None:
    """Refuse while the store does not tell which key it holds: unknown is never empty."""
    holding = case.seen.record.holding
    if isinstance(holding, CannotTell):
        return case.refuse(Reason.UNREADABLE, f"{case.seen.store} cannot be read: {holding.why}")
    return None


def own_key(case: Case) -> Plan | None:
    """Refuse to pull away the branch that twokey sits on."""
    if case.policy.rotate_self or not case.seen.own_key or case.seen.key(case.seen.own_key) is None:
        return None
    return case.refuse(
        Reason.OWN_KEY,
        f"twokey itself runs with {case.seen.own_key}, a key of this user. Run it as another principal, "
        "or set rotate_self: true for this user in twokey.yaml.",
    )


def user_remade(case: Case) -> Plan | None:
    """Refuse where the journal speaks of another user of the same name."""
    if not case.journal.user or case.journal.user == case.seen.user.id:
        return None
    return case.refuse(
        Reason.USER_REMADE,
        f"The journal in {case.seen.store} belongs to user id {case.journal.user}, but {case.seen.user.name} is now "
        f"{case.seen.user.id}: the user was deleted and made again. Give it another store, or remove the old "
        "credential and its journal from this one for good, and run again.",
    )


def unsettled(case: Case) -> Plan | None:
    """Wait while the list may lag behind a creation: what it does not show yet would be taken for gone."""
    moments = [case.journal.intent.at] if case.journal.intent else []
    if case.held and case.current is None and case.held == case.journal.current and case.journal.committed:
        moments.append(case.journal.committed)
    settles = max(moments) + case.policy.settle if moments else case.now
    if case.now >= settles or not case.policy.settle:
        return None
    left = durations.show(settles - case.now)
    message = f"A key was created a moment ago, and IAM's list may not show it yet: nothing can be decided for {left}."
    return replace(case.refuse(Reason.UNREADABLE, message), settles=settles)


def retire_held(case: Case) -> Plan | None:
    """Refuse to retire what is in use by evidence."""
    if case.retire and case.unread:
        return _unread(case)
    for key in case.retire:
        if key.id == case.seen.own_key:
            return case.refuse(
                Reason.OWN_KEY, f"twokey itself runs with {key.id}. Run it with another key before this one is retired."
            )
        holders = case.holders(key.id)
        if holders:
            silent = [name for name in holders if name in case.seen.destinations and case.holds(name) == "?"]
            out = f" Nobody knows what {', '.join(silent)} holds: leave it out of this run if it holds another."
            return case.refuse(
                Reason.RETIRE_HELD,
                f"{key.id} is, or may be, held by {', '.join(holders)}: jobs use it.{out if silent else ''}",
            )
    known = {key.id for key in case.retire} | {*case.journal.removed, case.journal.current, case.journal.last}
    unknown = sorted(case.asked.retire - known) if case.asked.all_theirs else []
    if unknown:
        return case.refuse(
            Reason.RETIRE_UNKNOWN,
            f"{', '.join(unknown)} is no key of {case.seen.user.name}, which has "
            f"{', '.join(key.id for key in case.seen.keys) or 'none'}. Check the id, or leave --retire out.",
        )
    return None


def unfinished(case: Case, also: tuple[str, ...] = ()) -> Plan | None:
    """Finish what an interrupted run began: its key is verified and in the store already.

    It is delivered where that is not known to be done, and to the places that are named in ``also``.
    """
    intent = case.journal.intent
    if intent is None or case.current is None or not case.current.active or case.held in intent.known:
        return None
    given = case.journal.delivered
    left = tuple(name for name in case.seen.destinations if case.behind(name) or name not in given or name in also)
    deliver = (Deliver(left),) if left else ()
    return case.conclude(
        Outcome.COMPLETED,
        Reason.INTERRUPTED,
        f"An interrupted run stored {case.held}; it is delivered and committed now.",
        Resume(case.held),
        *deliver,
        Commit(case.last.id if case.last else ""),
    )


def rolled_back(case: Case) -> Plan | None:
    """Refuse where the store and its journal contradict each other."""
    said = case.journal.current
    if not said or not case.held or said == case.held or said in {*case.asked.retire, *(k.id for k in case.outgoing)}:
        return None
    return case.refuse(
        Reason.ROLLED_BACK,
        f"{case.seen.store} holds {case.held}, but its journal says that CURRENT is {said}: somebody wrote the store "
        f"by hand. Put {said} back into the store. Only if nothing uses {said} any more, run twokey "
        f"rotate for this user with {case.retiring(said)}.",
    )


def without_current(case: Case) -> Plan | None:
    """Decide where no key is both held and listed: jobs have nothing that works."""
    if case.current is not None:
        return None
    rest = tuple(key for key in case.seen.keys if key not in case.going and key != case.stray)
    if len(rest) < len(case.seen.keys) and case.unread:
        return _unread(case)
    waiting = soak(case, *case.going)
    if waiting:
        return waiting
    if len(rest) < 2:
        reason = Reason.KEY_GONE if case.held else Reason.STORE_EMPTY if rest else Reason.NO_KEY
        return rotation(replace(case, reason=reason), message=_starting(case, reason, rest))
    return case.need(*rest) or case.refuse(
        Reason.CANNOT_ATTRIBUTE,
        f"{case.seen.store} holds {'the deleted key ' + case.held if case.held else 'no key'}, and the user has "
        f"{len(rest)}: {'; '.join(case.used(key) for key in rest)}. Nobody can tell which is in use. Put the one in "
        "use into the store (twokey adopt), or name the one that may go: run twokey rotate for this user with "
        "--retire KEY_ID.",
    )


def _starting(case: Case, reason: Reason, rest: tuple[AccessKey, ...]) -> str:
    said = (
        f"The store holds {case.held}, which IAM no longer lists: jobs fail already." if case.held else reason.sentence
    )
    return f"{said} {rest[0].id} becomes LAST." if rest else said


def foreign(case: Case) -> Plan | None:
    """Refuse while there is a key of nobody's; never touch it."""
    if not case.foreign:
        return None
    one = case.foreign[0]
    it = "it" if len(case.foreign) == 1 else "them"
    return case.need(*case.foreign) or case.refuse(
        Reason.FOREIGN_KEY,
        f"Not twokey's: {'; '.join(case.used(key) for key in case.foreign)}. {case.seen.store} holds "
        f"{case.held} and the journal does not name {it}. Find out who uses {it}. If nobody does, run twokey "
        f"rotate for this user with {case.retiring(one.id)}.",
    )


def make_room(case: Case) -> Plan | None:
    """Hold up a rotation while LAST stands in its way and may not go."""
    if case.unread:
        return _unread(case)
    waiting = soak(case, *case.going)
    if waiting:
        return waiting
    for key in case.outgoing:
        if key not in case.going:
            places = ", ".join(case.holders(key.id))
            return case.refuse(
                Reason.LAST_HELD,
                f"{key.id} is to go, but is, or may be, held by {places}, and there is no working CURRENT to deliver "
                "there.",
            )
    if case.last is None:
        return None
    return barred(case, case.last) or soak(case, case.last)


def _unread(case: Case) -> Plan:
    """Refuse to remove anything while a place that would tell what it holds cannot be read."""
    places = " ".join(f"{name} cannot be read: {why}" for name, why in case.unread.items())
    return case.refuse(Reason.UNREADABLE, f"{places} What is to be removed may be held there.")


def rotation(case: Case, message: str = "") -> Plan:
    """Remove what may go, create, verify, store, deliver, commit."""
    reason = case.reason if case.current is None else why_due(case) or Reason.RETIRE_ASKED
    removals: list[Action] = [RemoveStray(case.stray.id)] if case.stray else []
    removals += [Delete(key.id) for key in case.going]
    # A key that the store holds and the list lacks is probably gone; should it be there all the same, it is known.
    known = dict.fromkeys([*(key.id for key in case.seen.keys), *filter(None, [case.held])])
    successor_of = case.current or case.last
    if case.current is not None and case.last is not None:
        removals.append(Delete(case.last.id))
    deliver = (Deliver(tuple(case.seen.destinations)),) if case.seen.destinations else ()
    return case.conclude(
        Outcome.ROTATED,
        reason,
        message or _rotating(case, reason),
        *removals,
        Create(tuple(known)),
        *deliver,
        Commit(successor_of.id if successor_of else case.held),
    )


def _rotating(case: Case, reason: Reason) -> str:
    parts = [reason.sentence]
    if case.stray:
        parts.append(f"The stray {case.stray.id} of the interrupted run is removed.")
    parts += [why_it_goes(case, key) for key in case.going]
    if case.last and case.asked.ignore_last_use:
        parts.append(f"You accept that jobs which still use {case.last.id} fail.")
    return " ".join(parts)


RULES: tuple[Callable[[Case], Plan | None], ...] = (
    unreadable,
    own_key,
    user_remade,
    unsettled,
    retire_held,
    unfinished,
    rolled_back,
    without_current,
    foreign,
    at_rest,
    make_room,
)
