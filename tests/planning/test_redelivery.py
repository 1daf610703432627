"""What ``twokey deliver`` decides: CURRENT where it is asked for, and nothing else is changed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from support.builders import NOW, ago, journal, key, seen
from support.pipelines import TEN, Delivering, given, raising
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
    Plan,
    RecordDeliveries,
    RemoveOrphan,
    Resume,
)
from twokey.planning.policy import RotationPolicy
from twokey.planning.redelivery import deliver_plan

__all__ = ["given"]

POLICY = RotationPolicy()
SETTLED: dict[str, Any] = {"current": "K2", "last": "K1", "committed": ago(days=1)}
KEYS = (key("K1", days=16), key("K2", days=1))


def decide(observation: Any, *chosen: str) -> Plan:
    """Decide about the chosen destinations, or about all."""
    return deliver_plan(observation, POLICY, NOW, chosen=chosen or None)


class TestWhatIsDelivered:
    PLACES: dict[str, Holding] = {
        "a": Held("K2"),
        "b": Held("K1"),
        "c": NotHeld(),
        "d": CannotTell(stamp="v1"),
        "e": CannotTell("", True),
    }
    GIVEN = {"d": Delivery("K2", ago(days=1), "v1"), "e": Delivery("K2", ago(days=1))}

    def all_of_them(self, **fields: Any) -> Any:
        """Return a user whose places are in every condition."""
        said = journal(**{**SETTLED, "delivered": self.GIVEN, **fields})
        return seen(*KEYS, held="K2", said=said, destinations=self.PLACES)

    def test_goes_where_current_is_not_and_where_nobody_can_tell(self) -> None:
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
        found = decide(seen(*KEYS, held="K2", said=journal(**SETTLED), destinations={"c": NotHeld()}))
        assert found.actions[1] == Deliver(("c",))

    def test_is_nothing_where_every_chosen_place_shows_current(self) -> None:
        found = decide(self.all_of_them(), "a")
        assert (found.outcome, found.reason, found.actions) == (Outcome.NOT_DUE, Reason.HELD, ())
        assert found.message == "a: K2 is there already."

    def test_is_nothing_where_there_is_no_place(self) -> None:
        found = decide(seen(*KEYS, held="K2", said=journal(**SETTLED)))
        assert (found.outcome, found.message) == (Outcome.NOT_DUE, "No destination is configured.")

    def test_is_current_also_where_a_rotation_is_due_or_would_be_refused(self) -> None:
        keys = (key("K2", days=16), key("K9", days=2))
        said = journal(current="K2", committed=ago(days=16))
        observation = seen(*keys, held="K2", said=said, destinations={"c": NotHeld()})
        assert plan(observation, POLICY, NOW).reason is Reason.UNMANAGED_KEY
        assert decide(observation).actions == (Resume("K2"), Deliver(("c",)), RecordDeliveries())

    def test_leaves_a_stray_and_its_intent_to_the_next_rotation(self) -> None:
        said = journal(**{**SETTLED, "last": "", "intent": Intent(("K2",), ago(minutes=5))})
        keys = (key("K2", days=1), key("K3", created=ago(minutes=5)))
        found = decide(seen(*keys, held="K2", said=said, destinations={"c": NotHeld()}))
        assert found.actions == (Resume("K2"), Deliver(("c",)), RecordDeliveries())


class TestAnInterruptedRotation:
    INTENT = Intent(("K2",), ago(minutes=5))

    def test_is_finished_everywhere_and_chosen_places_that_cannot_tell_are_written_in_any_case(self) -> None:
        new = Delivery("K3", ago(minutes=4))
        said = journal(
            current="K2", committed=ago(days=15), intent=self.INTENT, delivered={"x": new, "y": new, "z": new}
        )
        places: dict[str, Holding] = {"a": Held("K2"), "x": CannotTell(), "y": CannotTell(), "z": Held("K3")}
        keys = (key("K2", days=15), key("K3", created=ago(minutes=5)))
        found = decide(seen(*keys, held="K3", said=said, destinations=places), "y", "z")
        assert (found.outcome, found.reason) == (Outcome.COMPLETED, Reason.INTERRUPTED)
        assert found.actions == (Resume("K3"), Deliver(("a", "y")), Commit("K2"))


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("observation", "reason"),
        [
            (seen(*KEYS, holding=CannotTell("no"), said=journal(**SETTLED)), Reason.UNREADABLE),
            (seen(*KEYS, held="K2", said=Journal(user="AIDAOTHER")), Reason.USER_RECREATED),
            (seen(*KEYS, held="K1", said=journal(**SETTLED)), Reason.ROLLED_BACK),
            (seen(*KEYS, held="K0", said=journal(current="K0")), Reason.KEY_GONE),
            (seen(*KEYS), Reason.STORE_EMPTY),
            (seen(), Reason.STORE_EMPTY),
            (seen(key("K2", days=1, active=False), held="K2", said=journal(**SETTLED)), Reason.CURRENT_INACTIVE),
        ],
        ids=lambda value: value.value if isinstance(value, Reason) else "",
    )
    def test_is_what_would_spread_a_key_that_does_not_work_or_is_not_current(
        self, observation: Any, reason: Reason
    ) -> None:
        found = decide(observation)
        assert (found.outcome, found.reason, found.actions) == (Outcome.REFUSED, reason, ())
        assert found.message

    def test_says_what_is_there_and_where_to_look(self) -> None:
        found = decide(seen(*KEYS, held="K0", said=journal(current="K0")))
        assert found.message == (
            "secretsmanager:machine-users/ci holds K0, which IAM no longer lists: jobs fail already. There is nothing "
            "to deliver. See what twokey plan says of this user."
        )

    def test_waits_while_a_list_may_lag(self) -> None:
        said = journal(**SETTLED, intent=Intent(("K1", "K2"), ago(seconds=5)))
        assert decide(seen(*KEYS, held="K2", said=said)).settles == ago(seconds=5) + POLICY.settle


class TestPerformed:
    """The plan, performed: on virtual time, with ten pipelines that cannot tell what they hold."""

    def test_writes_again_what_nobody_can_look_at_and_makes_no_key(self, given: Delivering) -> None:
        given.rotated()
        before = given.journal
        given.world.now += timedelta(days=2)
        result = given.rotated(deliver_plan)
        assert (result.outcome, result.reason, result.current) == (Outcome.COMPLETED, Reason.DELIVERY_REQUESTED, "N1")
        assert given.reached == list(TEN)
        assert given.world.made == 1
        assert given.world.stamps["ci:4"] == 5  # the first write, and two writes in each of two deliveries
        after = given.journal
        assert (after.current, after.last, after.committed) == (before.current, before.last, before.committed)
        assert (after.lease, after.intent, list(after.delivering)) == (None, None, [])

    def test_does_not_restart_grace_where_stamps_prove_that_current_was_there(self, given: Delivering) -> None:
        given.rotated()
        before = given.journal.delivered
        given.world.now += timedelta(days=2)
        given.world.stamps["ci:4"] += 1
        given.rotated(deliver_plan)
        after = given.journal.delivered
        assert {name for name in TEN if after[name].at != before[name].at} == {"ci:4"}
        assert all(after[name].stamp == str(given.world.stamps[name]) for name in TEN)
        assert given.rotated().outcome is Outcome.NOT_DUE

    def test_restarts_grace_where_nothing_proves_what_was_there(self, given: Delivering) -> None:
        given.world.stamps.clear()
        given.rotated()
        given.world.now += timedelta(days=2)
        given.rotated(deliver_plan)
        assert all(one.at > given.world.now - timedelta(minutes=1) for one in given.journal.delivered.values())

    def test_finishes_an_interrupted_rotation(self, given: Delivering) -> None:
        given.before["ci:4"] = raising(NotFound("The project is gone."))
        given.rotated()
        given.before.clear()
        result = given.rotated(deliver_plan)
        assert (result.outcome, result.reason) == (Outcome.COMPLETED, Reason.INTERRUPTED)
        assert given.journal.intent is None
        assert given.holding("N1") == list(TEN)

    def test_leaves_an_open_intent_open(self, given: Delivering) -> None:
        create = next(number for number, what in enumerate(given.effects()) if what.startswith("create"))
        given.world.faults = {create: "killed after"}
        assert given.run() is None
        given.world.faults = {}
        given.world.now += timedelta(minutes=5)
        result = given.rotated(deliver_plan)
        assert (result.outcome, result.current) == (Outcome.COMPLETED, "K2")
        assert given.journal.intent
        assert set(given.world.keys) == {"K2", "N1"}
        rotated = given.rotated()
        assert (rotated.outcome, rotated.removed) == (Outcome.ROTATED, ("N1",))


@pytest.mark.parametrize("action", [Create, Delete, Deactivate, RemoveOrphan])
def test_never_makes_or_removes_a_key(action: Any) -> None:
    """In no state in which ``rotate`` would."""
    orphan = Intent(("K2",), ago(minutes=5))
    states = [
        seen(key("K1", days=31), key("K2", days=16), held="K2", said=journal(**{**SETTLED, "committed": ago(days=16)})),
        seen(key("K2", days=1), key("K3", created=ago(minutes=5)), held="K2", said=journal(**SETTLED, intent=orphan)),
        seen(key("K2", days=1), key("K1", days=16), held="K2", said=journal(**SETTLED, removed={"K1": ago(hours=1)})),
        seen(),
        seen(key("K1", days=3)),
    ]
    made = [one for state in states for one in plan(state, POLICY, NOW).actions]
    assert action is Deactivate or any(isinstance(one, action) for one in made)
    assert not any(isinstance(one, action) for state in states for one in decide(state).actions)
