"""The role of each listed key at the edges of its rules, where a key is one thing a second earlier or later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.builders import NOW, ago, journal, key, observation_of
from twokey.core.journal import Delivery, Intent, Retiring, Revoked
from twokey.core.model import CannotTell, Held
from twokey.core.reasons import Outcome, Reason
from twokey.planning.decision import plan
from twokey.planning.plan import Commit, Create, Delete, Overrides, RemoveOrphan
from twokey.planning.policy import RotationPolicy

POLICY = RotationPolicy()
FRESH: dict[str, Any] = {"current": "K2", "last": "K1", "committed": ago(days=1)}
KEYS = (key("K1", days=31), key("K2", days=1))
UNREAD = {"ci:x": CannotTell("down", failed=True)}


def decide(observation: Any, policy: RotationPolicy = POLICY, **overrides: Any) -> Any:
    """Plan at NOW."""
    return plan(observation, policy, NOW, Overrides(**overrides))


class TestThePeriod:
    @pytest.mark.parametrize("committed", [None, datetime(2099, 1, 1, tzinfo=UTC)])
    def test_counts_from_the_creation_where_no_commit_is_recorded_that_can_be_true(self, committed: Any) -> None:
        recorded = journal(current="K2", committed=committed)
        assert decide(observation_of(key("K2", days=16), held="K2", journal=recorded)).reason is Reason.DUE
        assert decide(observation_of(key("K2", days=1), held="K2", journal=recorded)).reason is Reason.NOT_DUE


class TestGrace:
    def test_may_be_shorter_than_a_day(self) -> None:
        recorded = journal(current="K2", last="K1", committed=ago(hours=23))
        seen = observation_of(key("K1", days=2), key("K2", days=1), held="K2", journal=recorded)
        assert decide(seen, RotationPolicy(window=timedelta(days=2))).actions[0] == Delete("K1")


class TestAKeyThatWasDeleted:
    """It is deleted again only if the list still shows it when no list can lag any more, and nothing uses it."""

    @pytest.mark.parametrize(("seconds", "outcome"), [(29, Outcome.NOT_DUE), (30, Outcome.RETIRED)])
    def test_is_still_there_once_no_list_can_lag(self, seconds: int, outcome: Outcome) -> None:
        recorded = journal(**FRESH, removed={"K0": ago(seconds=seconds)})
        assert decide(observation_of(key("K0", days=40), *KEYS, held="K2", journal=recorded)).outcome is outcome

    @pytest.mark.parametrize("active", [True, False])
    @pytest.mark.parametrize(("used", "goes"), [(timedelta(hours=23), False), (timedelta(days=1), True), (None, True)])
    def test_is_deleted_again_unless_it_is_active_and_in_use(
        self, used: timedelta | None, *, active: bool, goes: bool
    ) -> None:
        seen = observation_of(
            key("K0", days=40, active=active),
            *KEYS,
            held="K2",
            journal=journal(**FRESH, removed={"K0": ago(days=2)}),
            last_used={"K0": NOW - used if used else None},
        )
        found = decide(seen)
        assert found.reason is (Reason.STILL_LISTED if goes or not active else Reason.UNMANAGED_KEY)

    def test_is_decided_upon_when_its_last_use_is_known(self) -> None:
        recorded = journal(**FRESH, removed={"K0": ago(days=2)})
        found = decide(observation_of(key("K0", days=40), *KEYS, held="K2", journal=recorded, last_used={}))
        assert (found.needs, found.reason) == (("K0",), Reason.UNREADABLE)

    @pytest.mark.parametrize(("created", "reason"), [(2, Reason.STILL_LISTED), (1.99, Reason.UNMANAGED_KEY)])
    def test_cannot_be_younger_than_its_deletion(self, created: float, reason: Reason) -> None:
        recorded = journal(**FRESH, removed={"K0": ago(days=2)})
        assert decide(observation_of(key("K0", days=created), *KEYS, held="K2", journal=recorded)).reason is reason

    def test_is_current_all_the_same_if_the_store_holds_it(self) -> None:
        recorded = journal(**FRESH, removed={"K2": ago(seconds=5)})
        found = decide(observation_of(*KEYS, held="K2", journal=recorded))
        assert (found.reason, found.current) == (Reason.NOT_DUE, "K2")

    def test_stays_between_rotations_while_a_destination_cannot_be_read(self) -> None:
        recorded = journal(**FRESH, removed={"K0": ago(days=2)}, delivered={"ci:x": Delivery("K2", ago(days=1))})
        seen = observation_of(key("K0", days=40), *KEYS, held="K2", journal=recorded, destinations=UNREAD)
        assert decide(seen).outcome is Outcome.NOT_DUE


class TestARevokedKey:
    @pytest.mark.parametrize(("until", "outcome"), [(NOW, Outcome.RETIRED), (None, Outcome.NOT_DUE)])
    def test_is_deleted_from_the_moment_on_that_the_operator_allowed(self, until: Any, outcome: Outcome) -> None:
        recorded = journal(**FRESH, revoked={"K1": Revoked(ago(days=3), until)})
        keys = key("K1", days=31, active=False), key("K2", days=1)
        assert decide(observation_of(*keys, held="K2", journal=recorded)).outcome is outcome

    def test_is_last_by_the_ordinary_rules_if_it_was_made_active_again(self) -> None:
        recorded = journal(current="K2", last="K1", committed=ago(days=16), revoked={"K1": Revoked(ago(days=3))})
        found = decide(observation_of(key("K1", days=31), key("K2", days=16), held="K2", journal=recorded))
        assert (found.outcome, found.actions[0]) == (Outcome.ROTATED, Delete("K1"))

    def test_that_an_interrupted_run_had_stored_leaves_the_key_before_it_last(self) -> None:
        recorded = journal(
            current="K1",
            committed=ago(days=16),
            intent=Intent(("K1",), ago(minutes=5)),
            revoked={"K2": Revoked(ago(minutes=1))},
        )
        keys = key("K1", days=16), key("K2", created=ago(minutes=5), active=False)
        found = decide(observation_of(*keys, held="K2", journal=recorded))
        assert (found.reason, found.last) == (Reason.LEAKED, "K1")

    def test_and_one_that_is_still_listed_are_removed_together(self) -> None:
        recorded = journal(**FRESH, revoked={"K1": Revoked(ago(days=3), NOW)}, removed={"K0": ago(days=2)})
        keys = key("K0", days=40), key("K1", days=31, active=False), key("K2", days=1)
        found = decide(observation_of(*keys, held="K2", journal=recorded))
        assert (found.outcome, found.reason) == (Outcome.RETIRED, Reason.REVOKED)
        assert found.message == (
            "K0 was deleted before and is still listed; it is deleted again. K1 was revoked, and is deleted as you "
            "requested."
        )


class TestTheKeyOfAnInterruptedRun:
    @pytest.mark.parametrize(("seconds", "is_own"), [(-3, False), (-2, True), (60, True), (61, False)])
    def test_was_created_within_a_minute_of_the_intent_as_clocks_in_seconds_show_it(
        self, seconds: int, *, is_own: bool
    ) -> None:
        intent = Intent(("K1", "K2"), ago(minutes=5))
        created = key("K3", created=ago(minutes=5) + timedelta(seconds=seconds))
        found = decide(observation_of(key("K2", days=1), created, held="K2", journal=journal(**FRESH, intent=intent)))
        assert (RemoveOrphan("K3") in found.actions) is is_own
        assert is_own or found.reason is Reason.UNMANAGED_KEY

    def test_was_not_known_to_the_intent(self) -> None:
        intent = Intent(("K2", "K9"), ago(minutes=5))
        seen = observation_of(
            key("K2", days=1),
            key("K9", created=ago(minutes=5)),
            held="K2",
            journal=journal(current="K2", committed=ago(days=1), intent=intent),
        )
        assert decide(seen).reason is Reason.UNMANAGED_KEY

    def test_makes_the_key_last_that_its_intent_knew_where_no_commit_names_one(self) -> None:
        intent = Intent(("K0", "K1"), ago(minutes=5))
        seen = observation_of(
            key("K1", days=31), key("K3", created=ago(minutes=5)), held="K3", journal=journal(intent=intent)
        )
        assert decide(seen).actions[-1] == Commit("K1")


class TestAStoreThatContradictsItsJournal:
    """It is no contradiction that the store holds the leaked key of an interrupted run; anything else is."""

    @pytest.mark.parametrize(
        ("known", "revoked", "reason"),
        [
            (("K1",), ("K2",), Reason.LEAKED),
            (("K1",), (), Reason.ROLLED_BACK),
            (("K1", "K2"), ("K2",), Reason.ROLLED_BACK),
        ],
        ids=["it leaked", "it is Inactive for another reason", "it was known before"],
    )
    def test_is_refused_although_an_intent_is_open(
        self, known: tuple[str, ...], revoked: tuple[str, ...], reason: Reason
    ) -> None:
        recorded = journal(
            current="K1",
            committed=ago(days=1),
            intent=Intent(known, ago(minutes=5)),
            revoked={one: Revoked(ago(minutes=1)) for one in revoked},
        )
        keys = key("K1", days=16), key("K2", created=ago(minutes=5), active=False)
        assert decide(observation_of(*keys, held="K2", journal=recorded)).reason is reason


class TestAnotherProgramThatWrites:
    @pytest.mark.parametrize(
        ("delivery", "holding"),
        [
            (Delivery("K1", ago(days=9), "v1", rewritten=2), Held("KX")),
            (Delivery("K2", ago(days=1), "v1", rewritten=2), CannotTell("down", failed=True, stamp="v2")),
        ],
        ids=["LAST was delivered there", "it cannot be read"],
    )
    def test_has_surely_written_only_after_a_delivery_of_current_and_where_that_was_read(
        self, delivery: Delivery, holding: Any
    ) -> None:
        recorded = journal(**FRESH, delivered={"ci:x": delivery})
        found = decide(observation_of(*KEYS, held="K2", journal=recorded, destinations={"ci:x": holding}))
        assert (found.outcome, found.reason) == (Outcome.COMPLETED, Reason.OUT_OF_DATE)


class TestWithoutCurrent:
    def test_the_soak_of_a_named_key_begins_before_anything_else_is_said(self) -> None:
        keys = key("K1", days=31), key("K2", days=16), key("K3", days=3)
        found = decide(observation_of(*keys), RotationPolicy(soak=timedelta(days=2)), retire=frozenset({"K1"}))
        assert (found.outcome, found.reason) == (Outcome.RETIRED, Reason.SOAK)


def test_the_accepted_risk_is_named_only_where_there_is_a_key_at_risk() -> None:
    found = decide(observation_of(key("K2", days=16), held="K2"), ignore_last_use=True)
    assert found.message == "CURRENT has reached the end of its period."


class TestWhatIsLeft:
    def test_a_use_exactly_idle_ago_keeps_last_no_longer(self) -> None:
        recorded = journal(current="K2", last="K1", committed=ago(days=16))
        seen = observation_of(
            key("K1", days=31), key("K2", days=16), held="K2", journal=recorded, last_used={"K1": ago(days=1)}
        )
        assert [type(one) for one in decide(seen).actions] == [Delete, Create, Commit]

    def test_a_named_key_that_soaks_is_removed_although_it_was_used_before(self) -> None:
        recorded = journal(**FRESH, retiring={"K9": Retiring(ago(days=3), named=True)})
        seen = observation_of(
            *KEYS, key("K9", days=9, active=False), held="K2", journal=recorded, last_used={"K9": ago(hours=2)}
        )
        assert decide(seen).actions[0] == Delete("K9")
