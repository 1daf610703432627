"""What ``twokey deliver`` decides: CURRENT where it is asked for, and nothing else is changed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from support.builders import NOW, STORE, ago, journal, key, observation_of
from support.pipelines import TEN, Delivering, pipelines, raising
from twokey.core.errors import NotFound
from twokey.core.journal import Delivery, Intent, Journal
from twokey.core.model import CannotTell, Held, Holding, NotHeld
from twokey.core.reasons import Outcome, Reason
from twokey.planning.decision import plan
from twokey.planning.plan import (
    Commit,
    Create,
    Deactivate,
    Delete,
    Deliver,
    Overrides,
    Plan,
    RecordDeliveries,
    RemoveOrphan,
    Resume,
)
from twokey.planning.policy import RotationPolicy
from twokey.planning.redelivery import deliver_plan

__all__ = ["pipelines"]

POLICY = RotationPolicy()
SETTLED: dict[str, Any] = {"current": "K2", "last": "K1", "committed": ago(days=1)}
KEYS = (key("K1", days=16), key("K2", days=1))


def decide(observation: Any, *chosen: str) -> Plan:
    """Decide about the chosen destinations, or about all."""
    return deliver_plan(observation, POLICY, NOW, chosen=chosen or None)


class TestWhatIsDelivered:
    DESTINATIONS: dict[str, Holding] = {
        "a": Held("K2"),
        "b": Held("K1"),
        "c": NotHeld(),
        "d": CannotTell(stamp="v1"),
        "e": CannotTell("", True),
    }
    GIVEN = {"d": Delivery("K2", ago(days=1), "v1"), "e": Delivery("K2", ago(days=1))}

    def all_of_them(self, **fields: Any) -> Any:
        """Return a user whose destinations are in every state."""
        recorded = journal(**{**SETTLED, "delivered": self.GIVEN, **fields})
        return observation_of(*KEYS, held="K2", journal=recorded, destinations=self.DESTINATIONS)

    def test_is_made_where_current_is_not_and_where_that_is_unknown(self) -> None:
        found = decide(self.all_of_them())
        assert (found.outcome, found.reason) == (Outcome.COMPLETED, Reason.DELIVERY_REQUESTED)
        assert found.actions == (Resume("K2"), Deliver(("b", "c", "d", "e"), instead_of="K1"), RecordDeliveries())
        assert found.message == "K2 is delivered to b, c, d, e."

    def test_goes_only_to_the_chosen_places(self) -> None:
        found = decide(self.all_of_them(), "a", "d")
        assert found.actions[1] == Deliver(("d",), instead_of="K1")

    def test_goes_also_to_a_place_that_shows_current_while_a_delivery_to_it_is_open(self) -> None:
        found = decide(self.all_of_them(delivering=("a",)), "a")
        assert found.actions[1] == Deliver(("a",), instead_of="K1")

    def test_names_no_key_to_be_replaced_where_no_place_may_hold_last(self) -> None:
        found = decide(observation_of(*KEYS, held="K2", journal=journal(**SETTLED), destinations={"c": NotHeld()}))
        assert found.actions[1] == Deliver(("c",))

    def test_is_nothing_where_every_chosen_place_shows_current(self) -> None:
        found = decide(self.all_of_them(), "a")
        assert (found.outcome, found.reason, found.actions) == (Outcome.NOT_DUE, Reason.HELD, ())
        assert found.message == "a already holds K2."
        seen = observation_of(
            *KEYS, held="K2", journal=journal(**SETTLED), destinations={"a": Held("K2"), "b": Held("K2")}
        )
        assert decide(seen).message == "a, b already hold K2."

    def test_is_nothing_where_there_is_no_place(self) -> None:
        found = decide(observation_of(*KEYS, held="K2", journal=journal(**SETTLED)))
        assert (found.outcome, found.message) == (Outcome.NOT_DUE, "No destination is configured.")

    def test_is_current_also_where_a_rotation_is_due_or_would_be_refused(self) -> None:
        keys = (key("K2", days=16), key("K9", days=2))
        recorded = journal(current="K2", committed=ago(days=16))
        observation = observation_of(*keys, held="K2", journal=recorded, destinations={"c": NotHeld()})
        assert plan(observation, POLICY, NOW).reason is Reason.UNMANAGED_KEY
        assert decide(observation).actions == (Resume("K2"), Deliver(("c",)), RecordDeliveries())

    def test_leaves_a_stray_and_its_intent_to_the_next_rotation(self) -> None:
        recorded = journal(**{**SETTLED, "last": "", "intent": Intent(("K2",), ago(minutes=5))})
        keys = (key("K2", days=1), key("K3", created=ago(minutes=5)))
        found = decide(observation_of(*keys, held="K2", journal=recorded, destinations={"c": NotHeld()}))
        assert found.actions == (Resume("K2"), Deliver(("c",)), RecordDeliveries())


class TestAnInterruptedRotation:
    INTENT = Intent(("K2",), ago(minutes=5))

    def test_is_finished_everywhere_and_chosen_places_that_cannot_tell_are_written_in_any_case(self) -> None:
        new = Delivery("K3", ago(minutes=4))
        recorded = journal(
            current="K2", committed=ago(days=15), intent=self.INTENT, delivered={"x": new, "y": new, "z": new}
        )
        destinations: dict[str, Holding] = {"a": Held("K2"), "x": CannotTell(), "y": CannotTell(), "z": Held("K3")}
        keys = (key("K2", days=15), key("K3", created=ago(minutes=5)))
        found = decide(observation_of(*keys, held="K3", journal=recorded, destinations=destinations), "y", "z")
        assert (found.outcome, found.reason) == (Outcome.COMPLETED, Reason.INTERRUPTED)
        assert found.actions == (Resume("K3"), Deliver(("a", "y")), Commit("K2"))


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("observation", "reason"),
        [
            (observation_of(*KEYS, holding=CannotTell("no"), journal=journal(**SETTLED)), Reason.UNREADABLE),
            (observation_of(*KEYS, held="K2", journal=Journal(user="AIDAOTHER")), Reason.USER_RECREATED),
            (observation_of(*KEYS, held="K1", journal=journal(**SETTLED)), Reason.ROLLED_BACK),
            (observation_of(*KEYS, held="K0", journal=journal(current="K0")), Reason.KEY_GONE),
            (observation_of(*KEYS), Reason.STORE_EMPTY),
            (observation_of(), Reason.STORE_EMPTY),
            (
                observation_of(key("K2", days=1, active=False), held="K2", journal=journal(**SETTLED)),
                Reason.CURRENT_INACTIVE,
            ),
        ],
        ids=lambda value: value.value if isinstance(value, Reason) else "",
    )
    def test_is_what_would_spread_a_key_that_does_not_work_or_is_not_current(
        self, observation: Any, reason: Reason
    ) -> None:
        found = decide(observation)
        assert (found.outcome, found.reason, found.actions) == (Outcome.REFUSED, reason, ())
        assert found.message

    @pytest.mark.parametrize(
        ("observation", "found"),
        [
            (
                observation_of(*KEYS, held="K0", journal=journal(current="K0")),
                f"{STORE} holds K0, which IAM no longer lists, so jobs already fail.",
            ),
            (observation_of(*KEYS), f"{STORE} holds no key."),
            (
                observation_of(key("K2", days=1, active=False), held="K2", journal=journal(**SETTLED)),
                f"K2, which {STORE} holds, is Inactive, so jobs already fail.",
            ),
        ],
        ids=["it is gone", "the store is empty", "it is Inactive"],
    )
    def test_says_what_is_there_and_where_to_look(self, observation: Any, found: str) -> None:
        assert decide(observation).message == f"{found} There is nothing to deliver. To see why: twokey plan ci."

    def test_is_no_contradiction_to_a_key_that_the_operator_names_as_one_that_no_job_uses(self) -> None:
        seen = observation_of(*KEYS, held="K1", journal=journal(**SETTLED), destinations={"c": NotHeld()})
        assert deliver_plan(seen, POLICY, NOW).reason is Reason.ROLLED_BACK
        named = Overrides(retire=frozenset({"K2"}))
        assert deliver_plan(seen, POLICY, NOW, named).reason is Reason.DELIVERY_REQUESTED

    def test_waits_while_a_list_may_lag(self) -> None:
        recorded = journal(**SETTLED, intent=Intent(("K1", "K2"), ago(seconds=5)))
        assert (
            decide(observation_of(*KEYS, held="K2", journal=recorded)).settles
            == ago(seconds=5) + timedelta(seconds=40 + 15) + POLICY.settle
        )


class TestPerformed:
    """The plan, performed: on virtual time, with ten pipelines that cannot tell what they hold."""

    def test_writes_again_what_cannot_be_read_and_creates_no_key(self, pipelines: Delivering) -> None:
        pipelines.rotated()
        before = pipelines.journal
        pipelines.world.now += timedelta(days=2)
        result = pipelines.rotated(deliver_plan)
        assert (result.outcome, result.reason, result.current) == (Outcome.COMPLETED, Reason.DELIVERY_REQUESTED, "N1")
        assert pipelines.reached == list(TEN)
        assert pipelines.world.made == 1
        assert pipelines.world.stamps["ci:4"] == 5  # the first write, and two writes in each of two deliveries
        after = pipelines.journal
        assert (after.current, after.last, after.committed) == (before.current, before.last, before.committed)
        assert (after.lease, after.intent, list(after.delivering)) == (None, None, [])

    def test_does_not_restart_grace_where_stamps_prove_that_current_was_there(self, pipelines: Delivering) -> None:
        pipelines.rotated()
        before = pipelines.journal.delivered
        pipelines.world.now += timedelta(days=2)
        pipelines.world.stamps["ci:4"] += 1
        pipelines.rotated(deliver_plan)
        after = pipelines.journal.delivered
        assert {name for name in TEN if after[name].at != before[name].at} == {"ci:4"}
        assert all(after[name].stamp == str(pipelines.world.stamps[name]) for name in TEN)
        assert pipelines.rotated().outcome is Outcome.NOT_DUE

    def test_restarts_grace_where_nothing_proves_what_was_there(self, pipelines: Delivering) -> None:
        pipelines.world.stamps.clear()
        pipelines.rotated()
        pipelines.world.now += timedelta(days=2)
        pipelines.rotated(deliver_plan)
        assert all(one.at > pipelines.world.now - timedelta(minutes=1) for one in pipelines.journal.delivered.values())

    def test_finishes_an_interrupted_rotation(self, pipelines: Delivering) -> None:
        pipelines.before["ci:4"] = raising(NotFound("The project is gone."))
        pipelines.rotated()
        pipelines.before.clear()
        result = pipelines.rotated(deliver_plan)
        assert (result.outcome, result.reason) == (Outcome.COMPLETED, Reason.INTERRUPTED)
        assert pipelines.journal.intent is None
        assert pipelines.holding("N1") == list(TEN)

    def test_leaves_an_open_intent_open(self, pipelines: Delivering) -> None:
        create = next(number for number, what in enumerate(pipelines.effects()) if what.startswith("create"))
        pipelines.world.faults = {create: "killed after"}
        assert pipelines.run() is None
        pipelines.world.faults = {}
        pipelines.world.now += timedelta(minutes=5)
        result = pipelines.rotated(deliver_plan)
        assert (result.outcome, result.current) == (Outcome.COMPLETED, "K2")
        assert pipelines.journal.intent
        assert set(pipelines.world.keys) == {"K2", "N1"}
        rotated = pipelines.rotated()
        assert (rotated.outcome, rotated.removed) == (Outcome.ROTATED, ("N1",))


@pytest.mark.parametrize("action", [Create, Delete, Deactivate, RemoveOrphan])
def test_never_makes_or_removes_a_key(action: Any) -> None:
    """In no state in which ``rotate`` would."""
    orphan = Intent(("K2",), ago(minutes=5))
    states = [
        observation_of(
            key("K1", days=31), key("K2", days=16), held="K2", journal=journal(**{**SETTLED, "committed": ago(days=16)})
        ),
        observation_of(
            key("K2", days=1), key("K3", created=ago(minutes=5)), held="K2", journal=journal(**SETTLED, intent=orphan)
        ),
        observation_of(
            key("K2", days=1), key("K1", days=16), held="K2", journal=journal(**SETTLED, removed={"K1": ago(hours=1)})
        ),
        observation_of(),
        observation_of(key("K1", days=3)),
    ]
    made = [one for state in states for one in plan(state, POLICY, NOW).actions]
    assert action is Deactivate or any(isinstance(one, action) for one in made)
    assert not any(isinstance(one, action) for state in states for one in decide(state).actions)
