"""What no plan may ever do, whatever is observed. Found states are made up at random, sane or not.

The states are the same in every run; ``make explore`` looks at others, and at many more.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.builders import NOW, STORE, USER
from twokey.core.journal import Delivery, Intent, Journal, Retiring, Revoked
from twokey.core.model import AccessKey, CannotTell, Held, LastUse, NotHeld, Observation, Record
from twokey.core.reasons import Outcome
from twokey.planning.assessment import CREATION_WINDOW, lags
from twokey.planning.decision import plan
from twokey.planning.plan import Create, Deactivate, Delete, Overrides, RemoveOrphan
from twokey.planning.policy import RotationPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.first

MORE = 2000
"""As many states as these, or more, are looked at where each property is to have states of its own."""
MANY = settings(max_examples=settings().max_examples * (1 if settings().max_examples >= MORE else 20))
IDS = ("K1", "K2", "K3", "K4")
ids = st.sampled_from(IDS)
moments = st.integers(0, 40 * 86_400).map(lambda seconds: NOW - timedelta(seconds=seconds))
destination_names = st.sampled_from(("ssm:/a", "ci:x"))
policies = st.builds(
    RotationPolicy,
    requested_grace=st.sampled_from((None, timedelta(0), timedelta(days=5))),
    soak=st.sampled_from((timedelta(0), timedelta(days=2))),
    enforce_window=st.booleans(),
)
asks = st.builds(Overrides, force=st.booleans(), ignore_last_use=st.booleans(), retire=st.frozensets(ids, max_size=2))
stamps = st.sampled_from(("", "v1", "v2"))
holdings = st.one_of(ids.map(Held), st.just(NotHeld()), st.builds(CannotTell, st.just("no"), st.booleans(), stamps))
journals = st.builds(
    Journal,
    user=st.sampled_from(("", USER.id)),
    current=st.sampled_from(("", *IDS)),
    last=st.sampled_from(("", *IDS)),
    committed=st.none() | moments,
    intent=st.none() | st.builds(Intent, known=st.lists(ids, max_size=2, unique=True).map(tuple), at=moments),
    retiring=st.dictionaries(ids, st.builds(Retiring, at=moments, named=st.booleans()), max_size=2),
    removed=st.dictionaries(ids, moments, max_size=2),
    delivered=st.dictionaries(destination_names, st.builds(Delivery, key=ids, at=moments, stamp=stamps)),
    delivering=st.lists(destination_names, unique=True).map(tuple),
    revoked=st.dictionaries(ids, st.builds(Revoked, at=moments, until=st.none() | moments), max_size=2),
)


@st.composite
def observations(draw: Any) -> Observation:
    """Draw a state of the world: most are odd, some are what a real user looks like."""
    listed = draw(st.lists(ids, max_size=4, unique=True))
    keys = tuple(AccessKey(key_id, draw(st.booleans()), draw(moments)) for key_id in listed)
    return Observation(
        user=USER,
        keys=keys,
        store=STORE,
        record=Record(draw(holdings), draw(journals)),
        destinations=draw(st.dictionaries(destination_names, holdings)),
        last_used={key_id: LastUse(draw(st.none() | moments)) for key_id in IDS},
    )


@cache
def drawn() -> list[Any]:
    """Draw the states that all properties are checked on: drawing them is nearly all that a property costs."""
    states: list[Any] = []

    @MANY
    @given(st.tuples(observations(), policies, asks))
    def draw(state: Any) -> None:
        states.append(state)

    draw()
    return states


def always(holds: Callable[..., None]) -> Callable[[], None]:
    """Check a property on every state. Where one breaks it, Hypothesis looks for the smallest that does."""
    search = MANY(given(observations(), policies, asks)(holds))

    def check() -> None:
        if exploring():
            search()
            return
        try:
            for state in drawn():
                holds(*state)
        except AssertionError:
            search()
            raise

    check.__doc__ = holds.__doc__
    return check


def exploring() -> bool:
    """Say whether each property is to have states of its own."""
    return settings().max_examples >= MORE


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


@always
def test_no_plan_removes_what_anything_holds(
    observation: Observation, policy: RotationPolicy, overrides: Overrides
) -> None:
    held = {
        one.key_id for one in (observation.record.holding, *observation.destinations.values()) if isinstance(one, Held)
    }
    assert not of_others(observation, plan(observation, policy, NOW, overrides)) & held


@always
def test_no_plan_removes_anything_while_a_place_that_would_tell_cannot_be_read(
    observation: Observation, policy: RotationPolicy, overrides: Overrides
) -> None:
    if any(isinstance(one, CannotTell) and one.failed for one in observation.destinations.values()):
        assert not of_others(observation, plan(observation, policy, NOW, overrides))


@always
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


@always
def test_no_plan_creates_a_key_where_two_are_left(
    observation: Observation, policy: RotationPolicy, overrides: Overrides
) -> None:
    found = plan(observation, policy, NOW, overrides)
    if any(isinstance(action, Create) for action in found.actions):
        there = {key.id for key in observation.keys if not lags(key.id, observation.record.journal, policy, NOW)}
        assert len(there - removed(found)) < 2


@always
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
            and key_id in journal.intent.known
        )
        by_table = not journal.current and current is not None and key.created < current.created
        assert by_word or by_journal or by_intent or by_open_run or by_table or was_to_go(key_id, journal)


@always
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


@always
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


@always
def test_refusing_and_resting_do_nothing_and_say_why(
    observation: Observation, policy: RotationPolicy, overrides: Overrides
) -> None:
    found = plan(observation, policy, NOW, overrides)
    assert found.message
    assert bool(found.actions) == (found.outcome not in (Outcome.REFUSED, Outcome.NOT_DUE))
    assert found.needs == ()
