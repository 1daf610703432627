"""What is decided about leaked keys, for every role that a leaked key can have."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from support.builders import NOW, ago, journal, key, observation_of
from twokey.core.journal import Delivery, Intent, Revoked
from twokey.core.model import CannotTell, Held, Holding
from twokey.core.reasons import Outcome, Reason
from twokey.planning.decision import plan
from twokey.planning.plan import (
    Commit,
    Create,
    Deactivate,
    Delete,
    Deliver,
    Overrides,
    RecordRevoked,
    RemoveOrphan,
    Resume,
)
from twokey.planning.policy import RotationPolicy
from twokey.planning.redelivery import deliver_plan
from twokey.revocation.decision import Leak, revoke_plan

POLICY = RotationPolicy()
WEEK = timedelta(days=7)
OLD = {"current": "K2", "last": "K1", "committed": ago(days=16)}
FRESH = {"current": "K2", "last": "K1", "committed": ago(days=1)}
REMOVALS = (Delete, Deactivate, RemoveOrphan)


def decide(observation: Any, *leaked: str, policy: RotationPolicy = POLICY, **wish: Any) -> Any:
    return revoke_plan(observation, policy, NOW, leak=Leak(dict.fromkeys(leaked, ago(seconds=5)), **wish))


def marked(key_id: str, until: Any = None) -> RecordRevoked:
    return RecordRevoked(key_id, ago(seconds=5), until)


class TestCurrentHasLeaked:
    def test_alone_it_is_replaced_and_stays_as_last(self) -> None:
        """The list may still show it as Active."""
        found = decide(observation_of(key("K2", days=3), held="K2"), "K2")
        assert (found.outcome, found.reason) == (Outcome.ROTATED, Reason.LEAKED)
        assert found.actions == (marked("K2"), Create(("K2",), urgent=True), Commit("K2"))

    def test_last_makes_room_by_its_own_rules(self) -> None:
        found = decide(observation_of(key("K1", days=31), key("K2", days=16), held="K2", journal=journal(**OLD)), "K2")
        assert found.actions == (marked("K2"), Delete("K1"), Create(("K1", "K2"), urgent=True), Commit("K2"))

    @pytest.mark.parametrize(
        ("recorded", "used", "copies"),
        [
            (FRESH, None, {}),
            (OLD, ago(hours=1), {}),
            (OLD, None, {"ssm:/a": Held("K1")}),
            (OLD, None, {"ssm:/a": CannotTell("down", failed=True)}),
        ],
    )
    def test_last_that_is_still_needed_stays_and_with_delete_the_leaked_key_makes_room(
        self, recorded: Any, used: Any, copies: Any
    ) -> None:
        seen = observation_of(
            key("K1", days=31),
            key("K2", days=16),
            held="K2",
            journal=journal(**recorded),
            last_used={"K1": used, "K2": None},
            destinations=copies,
        )
        refused = decide(seen, "K2")
        assert (refused.outcome, refused.reason) == (Outcome.REFUSED, Reason.LEAKED)
        assert refused.actions == (marked("K2"),)
        for way in ("twokey revoke K2 --delete", "twokey rotate ci", "twokey revoke K2 --both --delete"):
            assert way in refused.message
        found = decide(seen, "K2", delete=True)
        assert [one for one in found.actions if isinstance(one, REMOVALS)] == [Delete("K2")]
        assert found.actions[-1] == Commit("K1")

    def test_an_unmanaged_key_is_never_touched(self) -> None:
        seen = observation_of(key("K2", days=3), key("K9", days=1), held="K2", journal=journal(current="K2"))
        assert "K9 has not leaked, and stays" in decide(seen, "K2").message
        found = decide(seen, "K2", delete=True)
        assert [one for one in found.actions if isinstance(one, REMOVALS)] == [Delete("K2")]

    def test_a_soak_that_last_needs_is_begun_unless_the_leaked_key_may_make_room(self) -> None:
        policy = RotationPolicy(soak=timedelta(days=2))
        seen = observation_of(key("K1", days=31), key("K2", days=16), held="K2", journal=journal(**OLD))
        assert decide(seen, "K2", policy=policy).actions == (marked("K2"), Deactivate("K1"))
        assert Delete("K2") in decide(seen, "K2", policy=policy, delete=True).actions

    def test_one_destination_that_is_down_keeps_no_other_from_the_new_key(self) -> None:
        copies: dict[str, Holding] = {"ssm:/a": CannotTell("down", failed=True), "ssm:/b": Held("K2")}
        found = decide(observation_of(key("K2", days=3), held="K2", destinations=copies), "K2")
        assert found.actions[1:3] == (Create(("K2",), urgent=True), Deliver(("ssm:/a", "ssm:/b")))

    def test_no_other_key_is_removed_while_a_destination_cannot_be_read(self) -> None:
        """An orphan, for example. If it stayed beside a new key, no later run could attribute it."""
        recorded = journal(
            **OLD,
            intent=Intent(("K1", "K2"), ago(minutes=5)),
            delivered={"ssm:/a": Delivery("K2", ago(days=16))},
        )
        seen = observation_of(
            key("K2", days=16),
            key("N", created=ago(minutes=5)),
            held="K2",
            journal=recorded,
            destinations={"ssm:/a": CannotTell("down", failed=True)},
        )
        for wish in (False, True):
            found = decide(seen, "K2", delete=wish)
            assert (found.outcome, found.reason) == (Outcome.REFUSED, Reason.UNREADABLE)
            assert [type(one) for one in found.actions] == [RecordRevoked]

    def test_both_keys_have_leaked_and_one_makes_room_only_with_delete(self) -> None:
        seen = observation_of(key("K1", days=31), key("K2", days=16), held="K2", journal=journal(**FRESH))
        refused = decide(seen, "K1", "K2")
        assert (refused.outcome, refused.actions) == (Outcome.REFUSED, (marked("K1"), marked("K2")))
        assert "not leaked" not in refused.message
        for way in ("twokey revoke K2 --delete", "twokey revoke K2 --both --delete"):
            assert way in refused.message
        recorded = {**FRESH, "revoked": {"K1": Revoked(ago(minutes=1)), "K2": Revoked(ago(minutes=1))}}
        later = observation_of(key("K1", days=31), key("K2", days=16), held="K2", journal=journal(**recorded))
        found = decide(later, "K2", delete=True)
        assert Delete("K2") in found.actions
        found = decide(seen, "K1", "K2", delete=True)
        assert found.actions[2:] == (Delete("K1"), Create(("K1", "K2"), urgent=True), Commit("K2"))

    def test_it_is_the_key_of_an_interrupted_run_and_is_not_resumed(self) -> None:
        recorded = journal(current="K1", committed=ago(days=16), intent=Intent(("K1",), ago(minutes=5)))
        seen = observation_of(key("K1", days=16), key("K2", created=ago(minutes=5)), held="K2", journal=recorded)
        found = decide(seen, "K2", delete=True)
        assert not any(isinstance(one, Resume) for one in found.actions)
        assert Delete("K2") in found.actions
        assert Delete("K1") not in found.actions

    def test_an_unmanaged_key_does_not_become_last_where_the_run_ended_after_the_leaked_one_was_deleted(self) -> None:
        recorded = journal(current="K2", revoked={"K2": Revoked(ago(minutes=5), ago(minutes=5))})
        found = plan(observation_of(key("K9", days=1), held="K2", journal=recorded), POLICY, NOW)
        assert found.actions == (Create(("K9", "K2")), Commit("K2"))
        kept = plan(
            observation_of(key("K1", days=31), held="K2", journal=msgspec.structs.replace(recorded, last="K1")),
            POLICY,
            NOW,
        )
        assert kept.actions[-1] == Commit("K1")


class TestAnotherKeyHasLeaked:
    @pytest.mark.parametrize("recorded", [OLD, FRESH])
    def test_current_stays_whether_or_not_a_rotation_is_due(self, recorded: Any) -> None:
        seen = observation_of(key("K1", days=31), key("K2", days=16), held="K2", journal=journal(**recorded))
        found = decide(seen, "K1")
        assert (found.outcome, found.actions, found.current) == (Outcome.NOT_DUE, (marked("K1"),), "K2")

    def test_with_delete_it_is_deleted_without_its_grace(self) -> None:
        seen = observation_of(key("K1", days=31), key("K2", days=1), held="K2", journal=journal(**FRESH))
        found = decide(seen, "K1", delete=True)
        assert (found.outcome, found.reason) == (Outcome.RETIRED, Reason.REVOKED)
        assert found.actions == (marked("K1", ago(seconds=5)), Delete("K1"), Commit("", renew=False))

    def test_what_still_holds_it_gets_current_first(self) -> None:
        seen = observation_of(
            key("K1", days=31),
            key("K2", days=16),
            held="K2",
            journal=journal(**OLD),
            destinations={"ssm:/a": Held("K1")},
        )
        found = decide(seen, "K1", delete=True)
        assert [type(one) for one in found.actions] == [RecordRevoked, Resume, Deliver, Commit]

    def test_an_unmanaged_one_is_contained_and_deleted_only_where_that_is_requested(self) -> None:
        seen = observation_of(key("K2", days=3), key("K9", days=1), held="K2", journal=journal(current="K2"))
        assert decide(seen, "K9").actions == (marked("K9"),)
        assert Delete("K9") in decide(seen, "K9", delete=True).actions


class TestEveryLaterRun:
    """What ``rotate`` and ``deliver`` do about the marks that a revocation left."""

    def seen(self, *keys: Any, until: Any = None, **fields: Any) -> Any:
        mark = Revoked(ago(hours=1), until)
        return observation_of(*keys, held="K2", journal=journal(revoked={fields.pop("leaked"): mark}, **fields))

    def test_finishes_a_revocation_that_was_interrupted_before_the_creation(self) -> None:
        found = plan(self.seen(key("K2", days=3, active=False), leaked="K2", current="K2"), POLICY, NOW)
        assert found.actions == (Create(("K2",), urgent=True), Commit("K2"))

    def test_does_not_deliver_a_leaked_key_even_if_it_was_made_active_again(self) -> None:
        for active in (True, False):
            seen = self.seen(key("K2", days=3, active=active), leaked="K2", current="K2")
            assert plan(seen, POLICY, NOW).reason is Reason.LEAKED
            refused = deliver_plan(seen, POLICY, NOW)
            assert (refused.outcome, refused.reason) == (Outcome.REFUSED, Reason.LEAKED)
            assert refused.message.endswith("it is not delivered. To replace it everywhere: twokey revoke K2.")

    def test_is_refused_while_a_revoked_key_is_kept_in_the_way(self) -> None:
        seen = self.seen(key("K1", days=31, active=False), key("K2", days=16), leaked="K1", **OLD)
        found = plan(seen, POLICY, NOW)
        assert (found.outcome, found.reason) == (Outcome.REFUSED, Reason.REVOKED_KEPT)
        assert "twokey revoke K1 --delete" in found.message
        assert plan(seen, POLICY, NOW, Overrides(ignore_last_use=True)).reason is Reason.REVOKED_KEPT

    def test_deletes_it_once_it_was_kept_for_long_enough(self) -> None:
        keys = key("K1", days=31, active=False), key("K2", days=1)
        early = self.seen(*keys, leaked="K1", until=NOW + WEEK, **FRESH)
        assert plan(early, POLICY, NOW).outcome is Outcome.NOT_DUE
        assert "kept Inactive until 2026-06-08" in plan(early, POLICY, NOW).message
        found = plan(self.seen(*keys, leaked="K1", until=ago(seconds=1), **FRESH), POLICY, NOW)
        assert (found.reason, found.actions) == (Reason.REVOKED, (Delete("K1"), Commit("", renew=False)))

    def test_takes_last_that_was_made_active_again_for_last(self) -> None:
        seen = self.seen(key("K1", days=31), key("K2", days=1), leaked="K1", until=ago(seconds=1), **FRESH)
        assert plan(seen, POLICY, NOW).outcome is Outcome.NOT_DUE

    def test_no_soak_is_begun_for_a_key_that_is_inactive_already(self) -> None:
        keys = key("K1", days=31, active=False), key("K2", days=1)
        policy = RotationPolicy(soak=timedelta(days=2))
        found = plan(self.seen(*keys, leaked="K1", until=ago(seconds=1), **FRESH), policy, NOW)
        assert Delete("K1") in found.actions


class TestTheMark:
    def test_is_written_once_and_keeps_the_moment_of_the_containment(self) -> None:
        at = ago(hours=2)
        recorded = journal(**FRESH, revoked={"K1": Revoked(at)})
        seen = observation_of(key("K1", active=False, days=31), key("K2", days=1), held="K2", journal=recorded)
        assert decide(seen, "K1").actions == ()
        (mark,) = decide(seen, "K1", keep=WEEK).actions
        assert mark == RecordRevoked("K1", at, ago(seconds=5) + WEEK)

    def test_is_not_written_for_a_store_that_cannot_be_read(self) -> None:
        seen = observation_of(key("K2"), holding=CannotTell("down"))
        assert decide(seen, "K2").actions == ()

    def test_is_written_before_deliveries_are_recorded_that_name_the_leaked_key(self) -> None:
        given = {"ssm:/a": Delivery("K1", ago(days=20))}
        seen = observation_of(
            key("K1", days=31), key("K2", days=16), held="K2", journal=journal(**OLD, delivered=given)
        )
        assert decide(seen, "K1").actions == (marked("K1"),)
