"""What no plan may ever do, whatever is observed. Found states are made up at random, sane or not.

The states are the same in every run; ``make explore`` looks at others, and at many more.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.builders import NOW, STORE, USER
from support.made_up import always, maybe, some
from twokey.core.journal import Delivery, Intent, Journal, Retiring, Revoked
from twokey.core.model import AccessKey, CannotTell, Held, LastUse, NotHeld, Observation, Record
from twokey.core.reasons import Outcome
from twokey.planning.assessment import CREATION_WINDOW, lags
from twokey.planning.decision import plan
from twokey.planning.plan import Create, Deactivate, Delete, Overrides, RemoveOrphan
from twokey.planning.policy import RotationPolicy

if TYPE_CHECKING:
    from datetime import datetime
    from random import Random

    from twokey.core.model import Holding

pytestmark = pytest.mark.first

IDS = ("K1", "K2", "K3", "K4")
NAMES = ("ssm:/a", "ci:x")
STAMPS = ("", "v1", "v2")


def moment(choose: Random) -> datetime:
    return NOW - timedelta(seconds=choose.randint(0, 40 * 86_400))


def boolean(choose: Random) -> bool:
    return choose.random() < 0.5


def holding(choose: Random) -> Holding:
    return choose.choice(
        (
            Held(choose.choice(IDS)),
            NotHeld(),
            CannotTell("no", boolean(choose), choose.choice(STAMPS)),
        )
    )


def journal(choose: Random) -> Journal:
    return Journal(
        user=choose.choice(("", USER.id)),
        current=choose.choice(("", *IDS)),
        last=choose.choice(("", *IDS)),
        committed=maybe(choose, moment),
        intent=maybe(choose, lambda choose: Intent(known=tuple(some(choose, IDS, 2)), at=moment(choose))),
        retiring={key_id: Retiring(moment(choose), named=boolean(choose)) for key_id in some(choose, IDS, 2)},
        removed={key_id: moment(choose) for key_id in some(choose, IDS, 2)},
        delivered={
            name: Delivery(choose.choice(IDS), moment(choose), choose.choice(STAMPS)) for name in some(choose, NAMES, 2)
        },
        delivering=tuple(some(choose, NAMES, 2)),
        revoked={key_id: Revoked(moment(choose), until=maybe(choose, moment)) for key_id in some(choose, IDS, 2)},
    )


def observation(choose: Random) -> Observation:
    """Make up a state of the world: most are odd, some are what a real user looks like."""
    return Observation(
        user=USER,
        keys=tuple(AccessKey(key_id, boolean(choose), moment(choose)) for key_id in some(choose, IDS, 4)),
        store=STORE,
        record=Record(holding(choose), journal(choose)),
        destinations={name: holding(choose) for name in some(choose, NAMES, 2)},
        last_used={key_id: LastUse(maybe(choose, moment)) for key_id in IDS},
    )


def policy(choose: Random) -> RotationPolicy:
    return RotationPolicy(
        requested_grace=choose.choice((None, timedelta(0), timedelta(days=5))),
        soak=choose.choice((timedelta(0), timedelta(days=2))),
        enforce_window=boolean(choose),
    )


def overrides(choose: Random) -> Overrides:
    return Overrides(force=boolean(choose), ignore_last_use=boolean(choose), retire=frozenset(some(choose, IDS, 2)))


always_holds = always(lambda choose: (observation(choose), policy(choose), overrides(choose)))


def removed(found: Any) -> set[str]:
    """Return the ids that a plan takes out of use."""
    return {action.key_id for action in found.actions if isinstance(action, Delete | Deactivate | RemoveOrphan)}


def of_others(observation: Observation, found: Any) -> set[str]:
    """Return the ids that a plan takes out of use, without leaked keys: Inactive, and no longer to be kept."""
    marks = observation.record.journal.revoked
    inactive = {key.id for key in observation.keys if not key.active}
    return removed(found) - {key_id for key_id, mark in marks.items() if mark.until and key_id in inactive}


def was_to_go(key_id: str, journal: Journal) -> bool:
    """Say whether the journal tells that the removal of a key was decided before."""
    return key_id in journal.removed or (key_id in journal.retiring and journal.retiring[key_id].named)


@always_holds
def test_no_plan_removes_what_anything_holds(
    observation: Observation, policy: RotationPolicy, overrides: Overrides
) -> None:
    held = {
        one.key_id for one in (observation.record.holding, *observation.destinations.values()) if isinstance(one, Held)
    }
    assert not of_others(observation, plan(observation, policy, NOW, overrides)) & held


@always_holds
def test_no_plan_removes_anything_while_a_place_that_would_tell_cannot_be_read(
    observation: Observation, policy: RotationPolicy, overrides: Overrides
) -> None:
    if any(isinstance(one, CannotTell) and one.failed for one in observation.destinations.values()):
        assert not of_others(observation, plan(observation, policy, NOW, overrides))


@always_holds
def test_no_plan_removes_anything_but_an_orphan_while_what_a_destination_holds_is_unknown(
    observation: Observation, policy: RotationPolicy, overrides: Overrides
) -> None:
    journal = observation.record.journal
    for name, one in observation.destinations.items():
        given = journal.delivered.get(name)
        others_wrote = given is not None and len({given.stamp, getattr(one, "stamp", ""), ""}) == 3
        if isinstance(one, CannotTell) and (given is None or others_wrote or name in journal.delivering):
            found = plan(observation, policy, NOW, overrides)
            orphans = {action.key_id for action in found.actions if isinstance(action, RemoveOrphan)}
            assert not of_others(observation, found) - orphans


@always_holds
def test_no_plan_creates_a_key_where_two_are_left(
    observation: Observation, policy: RotationPolicy, overrides: Overrides
) -> None:
    found = plan(observation, policy, NOW, overrides)
    if any(isinstance(action, Create) for action in found.actions):
        there = {key.id for key in observation.keys if not lags(key.id, observation.record.journal, policy, NOW)}
        assert len(there - removed(found)) < 2


@always_holds
def test_every_removal_has_evidence(observation: Observation, policy: RotationPolicy, overrides: Overrides) -> None:
    """LAST by the journal, an open run or the table, an orphan by the intent, or the operator's word; else it stays."""
    journal = observation.record.journal
    current = next((key for key in observation.keys if observation.record.holding == Held(key.id)), None)
    for key_id in of_others(observation, plan(observation, policy, NOW, overrides)):
        key = observation.key(key_id)
        assert key
        by_word = key_id in overrides.retire
        by_journal = key_id == journal.last
        by_intent = (
            journal.intent is not None
            and key_id not in journal.intent.known
            and abs(key.created - journal.intent.at) <= CREATION_WINDOW
        )
        by_open_run = (
            journal.intent is not None
            and current is not None
            and current.id not in journal.intent.known
            and key_id in (journal.current, *journal.intent.known)
        )
        by_table = not journal.current and current is not None and key.created < current.created
        assert by_word or by_journal or by_intent or by_open_run or by_table or was_to_go(key_id, journal)


@always_holds
def test_last_is_left_alone_within_grace_and_while_in_use(
    observation: Observation, policy: RotationPolicy, overrides: Overrides
) -> None:
    journal = observation.record.journal
    if (
        overrides.ignore_last_use
        or not journal.committed
        or journal.current != getattr(observation.record.holding, "key_id", "")
    ):
        return
    gone = of_others(observation, plan(observation, policy, NOW, overrides)) - overrides.retire
    gone = {key_id for key_id in gone if not was_to_go(key_id, journal)}
    orphans = {key for key in gone if journal.intent and key not in journal.intent.known}
    for key_id in gone - orphans:
        assert journal.committed + policy.grace <= NOW
        at = observation.last_used[key_id].at
        key = observation.key(key_id)
        assert key
        enforced = policy.enforce_window and NOW - key.created >= policy.window
        assert at is None or NOW - at >= policy.idle or enforced


@always_holds
def test_with_soak_nothing_active_is_deleted_but_strays(
    observation: Observation, policy: RotationPolicy, overrides: Overrides
) -> None:
    if not policy.soak:
        return
    found = plan(observation, policy, NOW, overrides)
    for action in found.actions:
        if isinstance(action, Delete) and action.key_id in of_others(observation, found):
            key = observation.key(action.key_id)
            assert key
            assert not key.active
            journal = observation.record.journal
            assert key.id in journal.revoked or NOW - journal.retiring[key.id].at >= policy.soak


@always_holds
def test_refusing_and_resting_do_nothing_and_say_why(
    observation: Observation, policy: RotationPolicy, overrides: Overrides
) -> None:
    found = plan(observation, policy, NOW, overrides)
    assert found.message
    assert bool(found.actions) == (found.outcome not in (Outcome.REFUSED, Outcome.NOT_DUE))
    assert found.needs == ()
