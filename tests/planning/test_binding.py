"""A decision counts under a plan only if it is the planned one, made of the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.builders import NOW, USER, journal, key, observation_of
from twokey.core.errors import Refused
from twokey.core.model import CannotTell, Held, NotHeld
from twokey.core.reasons import Outcome, Reason
from twokey.planning.binding import bound, differences, following
from twokey.planning.decision import plan
from twokey.planning.plan import Overrides
from twokey.planning.policy import RotationPolicy

if TYPE_CHECKING:
    from twokey.core.model import Holding, Observation
    from twokey.planning.plan import Plan

POLICY = RotationPolicy()
LATER = NOW + timedelta(hours=1)
LAST, CURRENT, THIRD = "AKIAAAAAAAAAAAAAAAAA", "AKIABBBBBBBBBBBBBBBB", "AKIACCCCCCCCCCCCCCCC"
COPY = "github:acme/site"


def found(*, days: float = 16, hook: str = "", holds: str = CURRENT) -> Observation:
    """Return a user with LAST and CURRENT."""
    book = journal(current=CURRENT, last=LAST, committed=NOW - timedelta(days=days), hook=hook)
    keys = key(LAST, days=days + 15), key(CURRENT, days=days)
    return observation_of(*keys, held=holds, journal=book, destinations={COPY: Held(CURRENT)})


def decided(then: Observation, now: Observation, *, hook: bool = False, overrides: Overrides | None = None) -> Plan:
    """Return what is decided now under a plan that was made of another observation."""
    planned = bound(then, plan(then, POLICY, NOW, overrides), hook=hook)
    return following(planned, "ci", LATER, hook=hook)(now, POLICY, NOW, overrides)


def test_the_planned_decision_stands() -> None:
    assert decided(found(), found()) == plan(found(), POLICY, NOW)
    assert decided(found(days=1), found(days=1)).outcome is Outcome.NOT_DUE


CHANGES = {
    "was deleted and created again": replace(found(), user=replace(USER, id="AIDAOTHER"), record=found().record),
    f"its keys were {LAST} (Active), {CURRENT} (Active) and are {CURRENT} (Active)": observation_of(
        key(CURRENT, days=16), held=CURRENT, journal=found().record.journal, destinations={COPY: Held(CURRENT)}
    ),
    f"{LAST} (Inactive)": replace(found(), keys=(key(LAST, days=31, active=False), key(CURRENT, days=16))),
    "its store was secretsmanager:machine-users/ci and is ssm:/ci": replace(found(), store="ssm:/ci"),
    "now it would be rotated (due): delete": replace(found(), destinations={}),
    "and now it would be not_due (not_due)": found(days=1),
}


@pytest.mark.parametrize("how", CHANGES)
def test_what_differs_from_the_plan_is_refused_and_named(how: str) -> None:
    now = CHANGES[how]
    if how.startswith("was deleted"):
        now = replace(now, record=replace(now.record, journal=journal(user="AIDAOTHER", current=CURRENT, last=LAST)))
    planned = found()
    if "delete" in how:
        planned = replace(found(), destinations={COPY: NotHeld()})
    with pytest.raises(Refused) as raised:
        decided(planned, now)
    assert raised.value.reason is Reason.PLAN_CHANGED
    assert how in raised.value.message
    assert "Nothing was changed for this user." in str(raised.value)


@pytest.mark.parametrize(
    ("then", "now"),
    [
        pytest.param(found(days=1), found(), id="a rotation that became due"),
        pytest.param(found(days=1), replace(found(days=1), destinations={COPY: Held(LAST)}), id="a delivery"),
        pytest.param(replace(found(), last_used={}), found(), id="what the plan would have refused"),
    ],
)
def test_no_step_is_taken_that_the_plan_does_not_show(then: Observation, now: Observation) -> None:
    if not then.last_used:
        then = replace(found(), record=replace(found().record, holding=CannotTell("no access", failed=True)))
        assert plan(then, POLICY, NOW).outcome is Outcome.REFUSED
    with pytest.raises(Refused, match="does not apply to ci any more"):
        decided(then, now)


def test_a_rule_that_refuses_now_says_why_itself() -> None:
    used = {LAST: NOW - timedelta(minutes=5), CURRENT: None}
    book = found().record.journal
    now = observation_of(*found().keys, held=CURRENT, journal=book, last_used=used, destinations={COPY: Held(CURRENT)})
    assert decided(found(), now).reason is Reason.IN_USE


def test_a_hook_is_a_step_too() -> None:
    quiet, due = found(days=1), found(days=1, hook=CURRENT)
    with pytest.raises(Refused, match="the hook `after`"):
        decided(quiet, due, hook=True)
    assert decided(due, due, hook=True).outcome is Outcome.NOT_DUE
    assert decided(quiet, due).outcome is Outcome.NOT_DUE, "the user has no such hook"
    unreadable = replace(due, record=replace(due.record, holding=CannotTell("no access", failed=True)))
    with pytest.raises(Refused, match="does not apply"):
        decided(quiet, unreadable, hook=True)


@pytest.mark.parametrize(
    ("holding", "holds"),
    [(Held(CURRENT), CURRENT), (NotHeld(), "nothing"), (CannotTell("no access", failed=True), "unknown")],
)
def test_a_decision_is_bound_to_what_the_store_holds(holding: Holding, holds: str) -> None:
    now = replace(found(), record=replace(found().record, holding=holding))
    assert bound(now, plan(now, POLICY, NOW), hook=False).holds == holds


def test_each_difference_is_named_alone() -> None:
    then = bound(found(), plan(found(), POLICY, NOW), hook=False)
    for now, how in (
        (replace(then, holds="unknown"), f"{then.store} held {CURRENT} and holds unknown"),
        (replace(then, keys={}), f"its keys were {LAST} (Active), {CURRENT} (Active) and are none"),
        (replace(then, outcome="not_due", actions=()), f"and now it would be not_due ({then.reason})"),
        (replace(then, hook=True), "; the hook `after`"),
        (then, ""),
    ):
        [*different] = differences(then, now)
        assert len(different) == bool(how)
        assert "".join(different).endswith(how)


def test_a_decision_is_made_with_what_the_operator_requested() -> None:
    requested = Overrides(force=True, ignore_last_use=True)
    assert decided(found(days=1), found(days=1), overrides=requested).outcome is Outcome.ROTATED


@pytest.mark.parametrize("waits", [{"needs": (LAST,)}, {"settles": NOW}])
def test_a_decision_that_waits_is_none_yet(waits: dict[str, Any]) -> None:
    planned = bound(found(), plan(found(), POLICY, NOW), hook=False)
    waiting = replace(plan(found(), POLICY, NOW), outcome=Outcome.NOT_DUE, **waits)
    decide = following(planned, "ci", NOW - timedelta(days=1), hook=False, decide=lambda *_: waiting)
    assert decide(found(), POLICY, NOW, None) is waiting


def test_what_cannot_be_decided_yet_is_not_compared() -> None:
    needs = replace(found(), last_used={})
    assert decided(found(), needs).needs
    assert decided(found(), needs) == plan(needs, POLICY, NOW)


def test_a_plan_that_is_too_old_is_refused_when_the_run_decides() -> None:
    planned = bound(found(), plan(found(), POLICY, NOW), hook=False)
    decide = following(planned, "ci", NOW, hook=False)
    assert decide(found(), POLICY, NOW, None).outcome is Outcome.ROTATED
    with pytest.raises(Refused) as raised:
        decide(found(), POLICY, NOW + timedelta(seconds=1), None)
    assert raised.value.reason is Reason.PLAN_EXPIRED
    assert "valid until 2026-06-01T12:00:00Z" in raised.value.message
