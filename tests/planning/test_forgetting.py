"""What may be forgotten, and what that means for the keys of jobs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from support.builders import NOW, STORE, ago, journal, key, observation_of
from twokey.core.journal import Delivery
from twokey.core.model import CannotTell, Held, NotHeld
from twokey.core.reasons import Outcome, Reason
from twokey.planning.decision import plan
from twokey.planning.forgetting import forget_plan
from twokey.planning.plan import Create, Delete, Forget, Overrides
from twokey.planning.policy import RotationPolicy

if TYPE_CHECKING:
    from twokey.core.model import Holding, Observation
    from twokey.planning.plan import Plan

POLICY = RotationPolicy()


def observed(received: str = "K2", *, holding: Holding | None = None, **fields: Any) -> Observation:
    """Return a settled user whose journal names the destination ci:old, which is not configured."""
    delivered = {"ci:old": Delivery(received, ago(days=10)), "ci:new": Delivery("K2", ago(days=10))}
    return observation_of(
        key("K1", days=30),
        key("K2", days=15),
        held="K2",
        journal=journal(current="K2", last="K1", committed=ago(days=15), delivered=delivered, **fields),
        destinations={"ci:new": CannotTell("write-only")} | ({"ci:old": holding} if holding else {}),
    )


def decide(observation: Observation, name: str = "ci:old", *, confirmed: bool = False) -> Plan:
    requested = Overrides(forget=name)
    return forget_plan(observation, POLICY, NOW, requested, configured=("ci:new",), confirmed=confirmed)


class TestADestinationIsForgotten:
    @pytest.mark.parametrize("holding", [NotHeld(), Held("KX")])
    def test_if_it_shows_that_it_holds_no_key_of_the_user(self, holding: Holding) -> None:
        decision = decide(observed(holding=holding))
        assert (decision.outcome, decision.reason) == (Outcome.COMPLETED, Reason.FORGET_REQUESTED)
        assert decision.actions == (Forget("ci:old"),)

    @pytest.mark.parametrize("holding", [Held("K1"), Held("K2"), CannotTell("write-only"), None])
    def test_only_if_the_operator_confirms_it_where_it_may_hold_one(self, holding: Holding | None) -> None:
        refused = decide(observed(holding=holding))
        assert (refused.outcome, refused.reason) == (Outcome.REFUSED, Reason.UNCONFIRMED)
        assert "twokey forget ci --destination ci:old --yes" in refused.message
        assert decide(observed(holding=holding), confirmed=True).outcome is Outcome.COMPLETED

    def test_with_the_grace_of_last_from_now_on_if_jobs_may_have_read_it_there(self) -> None:
        assert decide(observed("K1"), confirmed=True).actions == (Forget("ci:old", restarts_grace=True),)
        assert decide(observed("K1", holding=NotHeld())).actions == (Forget("ci:old", restarts_grace=True),)
        assert decide(observed("K2", delivering=("ci:old",)), confirmed=True).actions == (
            Forget("ci:old", restarts_grace=True),
        )

    def test_without_that_if_it_received_current(self) -> None:
        assert decide(observed("K2"), confirmed=True).actions == (Forget("ci:old"),)


class TestItIsRefused:
    @pytest.mark.parametrize("name", ["ci:new", STORE])
    def test_for_a_destination_that_is_configured(self, name: str) -> None:
        assert decide(observed(), name, confirmed=True).reason is Reason.STILL_CONFIGURED

    def test_for_one_that_the_journal_does_not_name(self) -> None:
        refused = decide(observed(), "ci:odl", confirmed=True)
        assert (refused.outcome, refused.reason) == (Outcome.REFUSED, Reason.NOT_RECORDED)
        assert "not configured: ci:old." in refused.message

    def test_where_no_destination_is_named(self) -> None:
        assert forget_plan(observed(), POLICY, NOW, configured=("ci:new",)).reason is Reason.NOT_RECORDED

    def test_while_the_store_cannot_be_read(self) -> None:
        found = observed()
        record = replace(found.record, holding=CannotTell("down"))
        assert decide(replace(found, record=record), confirmed=True).reason is Reason.UNREADABLE


class TestADestinationWhoseFirstDeliveryIsOpen:
    def test_is_forgotten_as_one_that_jobs_may_have_read_last_from(self) -> None:
        decision = decide(observed(delivering=("ci:first",)), "ci:first", confirmed=True)
        assert decision.actions == (Forget("ci:first", restarts_grace=True),)

    @pytest.mark.parametrize(("why", "shown"), [("It is write-only.", " (It is write-only)"), ("", "")])
    def test_says_so_to_the_operator(self, why: str, shown: str) -> None:
        found = observed(delivering=("ci:first",))
        seen = replace(found, destinations={**found.destinations, "ci:first": CannotTell(why)})
        assert decide(seen, "ci:first").message == (
            f"According to the journal, ci:first was being written, and twokey cannot see what it holds now{shown}. "
            "Jobs that read a key there fail once twokey removes it. If no job reads a key there, confirm it: twokey "
            "forget ci --destination ci:first --yes. Otherwise empty it first, or configure it again."
        )

    def test_is_not_said_to_hold_current_where_the_store_holds_no_key(self) -> None:
        seen = observation_of(key("K2", days=15), journal=journal(delivering=("ci:first",)))
        assert "CURRENT" not in decide(seen, "ci:first").message

    def test_is_the_same_to_a_user_who_has_no_last(self) -> None:
        recorded = journal(current="K2", committed=ago(days=15), delivering=("ci:first",))
        seen = observation_of(key("K2", days=15), held="K2", journal=recorded)
        assert "Jobs that read a key there fail once twokey removes it." in decide(seen, "ci:first").message
        decision = decide(seen, "ci:first", confirmed=True)
        assert decision.actions == (Forget("ci:first"),)
        assert decision.message.endswith("Every key keeps its role, its grace and the protection by its last use.")


class TestTheSentence:
    def test_says_what_jobs_that_read_last_there_experience(self) -> None:
        message = decide(observed("K1")).message
        assert "ci:old received K1" in message
        assert "That is LAST" in message
        assert "jobs that read it there then fail" in message

    def test_says_what_jobs_that_read_current_there_experience(self) -> None:
        assert "the rotation after the next one removes the key" in decide(observed("K2")).message

    def test_does_not_call_a_key_current_that_is_neither_current_nor_last(self) -> None:
        message = decide(observed("K0")).message
        assert "received K0" in message
        assert "Jobs that read a key there fail once twokey removes it." in message


class TestAfterwards:
    def forgotten(self, days: float) -> Observation:
        """Return what is observed that long after a destination was forgotten that had received LAST."""
        found = observed("K2", forgotten=ago(days=days))
        left = {"ci:new": found.record.journal.delivered["ci:new"]}
        record = found.record.__class__(
            found.record.holding, msgspec.structs.replace(found.record.journal, delivered=left), "r2"
        )
        return observation_of(
            *found.keys, held="K2", journal=record.journal, destinations={"ci:new": CannotTell("write-only")}
        )

    def test_last_is_kept_for_its_grace(self) -> None:
        assert plan(self.forgotten(1), POLICY, NOW).reason is Reason.GRACE

    def test_last_is_removed_when_that_is_over(self) -> None:
        decision = plan(self.forgotten(1), POLICY, NOW + timedelta(days=15))
        assert [type(action) for action in decision.actions][:2] == [Delete, Create]
