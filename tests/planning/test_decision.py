"""What is decided, for every state that a user can be found in. Cases stand in the order of the theory in plan.py."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from support.builders import NOW, STORE, USER, ago, journal, key, observation_of
from twokey.core.journal import Delivery, Intent, Retiring
from twokey.core.model import CannotTell, Held, LastUse, NotHeld
from twokey.core.reasons import Outcome, Reason
from twokey.planning.decision import plan
from twokey.planning.plan import Commit, Create, Deactivate, Delete, Deliver, Overrides, RemoveOrphan, Resume
from twokey.planning.policy import RotationPolicy

POLICY = RotationPolicy()  # window 30 d: period 15 d, slack 15 h, grace 14 d 9 h, idle 1 d
SETTLED = {"current": "K2", "last": "K1", "committed": ago(days=16)}


def decide(observation: Any, policy: RotationPolicy = POLICY, **overrides: Any) -> Any:
    """Plan at NOW."""
    return plan(observation, policy, NOW, Overrides(**overrides))


class TestARotationThatIsDue:
    def test_removes_last_creates_stores_and_commits(self) -> None:
        found = decide(observation_of(key("K1", days=31), key("K2", days=16), held="K2", journal=journal(**SETTLED)))
        assert (found.outcome, found.reason) == (Outcome.ROTATED, Reason.DUE)
        assert found.actions == (Delete("K1"), Create(("K1", "K2")), Commit("K2"))

    def test_is_due_from_one_period_less_slack_after_the_commit(self) -> None:
        period_less_slack = timedelta(days=15) - timedelta(hours=15)
        just = journal(current="K1", committed=NOW - period_less_slack)
        early = journal(current="K1", committed=NOW - period_less_slack + timedelta(seconds=1))
        assert decide(observation_of(key("K1", days=40), held="K1", journal=just)).outcome is Outcome.ROTATED
        assert decide(observation_of(key("K1", days=40), held="K1", journal=early)).outcome is Outcome.NOT_DUE

    def test_counts_from_the_creation_where_there_is_no_journal(self) -> None:
        assert decide(observation_of(key("K1", days=14.374), held="K1")).outcome is Outcome.NOT_DUE
        assert decide(observation_of(key("K1", days=14.376), held="K1")).outcome is Outcome.ROTATED

    def test_with_one_key_removes_nothing(self) -> None:
        found = decide(observation_of(key("K1", days=20), held="K1"))
        assert found.actions == (Create(("K1",)), Commit("K1"))

    def test_delivers_to_every_destination_before_it_commits(self) -> None:
        found = decide(
            observation_of(key("K1", days=20), held="K1", destinations={"ssm:/a": Held("K1"), "ssm:/b": Held("K1")})
        )
        assert found.actions == (Create(("K1",)), Deliver(("ssm:/a", "ssm:/b")), Commit("K1"))

    def test_can_be_forced_and_then_still_obeys_every_other_rule(self) -> None:
        fresh = journal(current="K2", last="K1", committed=ago(days=1))
        found = decide(observation_of(key("K1", days=20), key("K2", days=1), held="K2", journal=fresh), force=True)
        assert (found.outcome, found.reason) == (Outcome.REFUSED, Reason.GRACE)
        alone = decide(observation_of(key("K2", days=1), held="K2", journal=fresh), force=True)
        assert (alone.outcome, alone.reason) == (Outcome.ROTATED, Reason.FORCED)

    def test_is_due_at_once_where_the_stored_key_is_inactive(self) -> None:
        found = decide(observation_of(key("K1", days=1, active=False), held="K1"))
        assert (found.outcome, found.reason) == (Outcome.ROTATED, Reason.CURRENT_INACTIVE)

    def test_follows_the_journal_and_not_the_age(self) -> None:
        """The store may hold the older key for a good reason: its journal says so."""
        recorded = journal(current="K1", last="K2", committed=ago(days=16))
        found = decide(observation_of(key("K1", days=31), key("K2", days=16), held="K1", journal=recorded))
        assert found.actions[0] == Delete("K2")


class TestWhatKeepsLast:
    def test_its_grace_counted_from_the_commit(self) -> None:
        policy = RotationPolicy(window=timedelta(days=30), requested_grace=timedelta(days=10))
        recorded = journal(current="K2", last="K1", committed=ago(days=9))
        found = decide(
            observation_of(key("K1", days=31), key("K2", days=16), held="K2", journal=recorded), policy, force=True
        )
        assert (found.outcome, found.reason) == (Outcome.REFUSED, Reason.GRACE)
        assert "1d" in found.message

    SHORT = RotationPolicy(window=timedelta(days=4))
    PROMISED = {"K1": timedelta(days=14), "K2": timedelta(days=14)}

    def test_the_grace_that_its_readers_were_promised_although_it_was_shortened_since(self) -> None:
        recorded = journal(current="K2", last="K1", committed=ago(days=13), graces=self.PROMISED)
        observation = observation_of(key("K1", days=31), key("K2", days=13), held="K2", journal=recorded)
        found = decide(observation, self.SHORT)
        assert (found.outcome, found.reason) == (Outcome.REFUSED, Reason.GRACE)
        assert (
            "its grace ends in 1d. LAST keeps the grace of 14d that its readers were promised; the grace of 1d 22h "
            "that is configured now is shorter."
        ) in found.message

    def test_not_the_promised_grace_once_it_is_over_or_where_a_longer_one_is_configured(self) -> None:
        recorded = journal(current="K2", last="K1", committed=ago(days=14), graces=self.PROMISED)
        observation = observation_of(key("K1", days=31), key("K2", days=14), held="K2", journal=recorded)
        assert decide(observation, self.SHORT).actions[0] == Delete("K1")
        found = decide(observation, force=True)
        assert found.reason is Reason.GRACE
        assert "promised" not in found.message

    def test_the_promised_grace_is_told_while_nothing_is_due(self) -> None:
        recorded = journal(current="K2", last="K1", committed=ago(days=1), graces=self.PROMISED)
        observation = observation_of(key("K1", days=31), key("K2", days=1), held="K2", journal=recorded)
        found = decide(observation, self.SHORT)
        assert (found.outcome, found.reason) == (Outcome.NOT_DUE, Reason.NOT_DUE)
        assert found.message.startswith("A rotation is due in 22h. LAST keeps the grace of 14d")
        assert "promised" not in decide(observation).message

    @pytest.mark.parametrize(("hours", "told"), [(23, True), (24, False)])
    def test_the_promised_grace_is_told_until_it_is_over(self, hours: float, *, told: bool) -> None:
        recorded = journal(current="K2", last="K1", committed=ago(hours=hours), graces={"K1": timedelta(days=1)})
        observation = observation_of(key("K1", days=31), key("K2", days=1), held="K2", journal=recorded)
        found = decide(observation, RotationPolicy(requested_grace=timedelta(hours=12)))
        assert (found.reason, "promised" in found.message) == (Reason.NOT_DUE, told)

    def test_its_grace_counted_from_the_latest_delivery(self) -> None:
        recorded = journal(**SETTLED, delivered={"ssm:/a": Delivery("K2", ago(days=2))})
        found = decide(
            observation_of(
                key("K1", days=31), key("K2", days=16), held="K2", journal=recorded, destinations={"ssm:/a": Held("K2")}
            )
        )
        assert (found.outcome, found.reason) == (Outcome.REFUSED, Reason.GRACE)

    def test_a_use_within_idle_by_any_job(self) -> None:
        observation = observation_of(
            key("K1", days=31),
            key("K2", days=16),
            held="K2",
            journal=journal(**SETTLED),
            last_used={"K1": ago(hours=23)},
        )
        found = decide(observation)
        assert (found.outcome, found.reason) == (Outcome.REFUSED, Reason.IN_USE)
        assert "s3" in found.message

    def test_not_a_use_before_that(self) -> None:
        observation = observation_of(
            key("K1", days=31),
            key("K2", days=16),
            held="K2",
            journal=journal(**SETTLED),
            last_used={"K1": ago(hours=25)},
        )
        assert decide(observation).outcome is Outcome.ROTATED

    def test_the_last_use_is_requested_before_anything_is_decided(self) -> None:
        observation = observation_of(
            key("K1", days=31), key("K2", days=16), held="K2", journal=journal(**SETTLED), last_used={}
        )
        assert decide(observation).needs == ("K1",)

    def test_no_last_use_is_requested_where_nothing_is_due(self) -> None:
        recorded = journal(current="K2", last="K1", committed=ago(days=1))
        observation = observation_of(key("K1", days=16), key("K2", days=1), held="K2", journal=recorded, last_used={})
        found = decide(observation)
        assert (found.outcome, found.needs, found.actions) == (Outcome.NOT_DUE, (), ())

    def test_enforce_window_ends_the_veto_when_the_key_is_as_old_as_the_window(self) -> None:
        policy = RotationPolicy(enforce_window=True)
        used = {"K1": ago(hours=1)}
        old = observation_of(
            key("K1", days=30), key("K2", days=16), held="K2", journal=journal(**SETTLED), last_used=used
        )
        young = observation_of(
            key("K1", days=29), key("K2", days=16), held="K2", journal=journal(**SETTLED), last_used=used
        )
        assert decide(old, policy).outcome is Outcome.ROTATED
        assert decide(young, policy).reason is Reason.IN_USE

    def test_ignore_last_use_overrides_the_veto_and_grace_and_says_so(self) -> None:
        recorded = journal(current="K2", last="K1", committed=ago(days=1))
        observation = observation_of(
            key("K1", days=16), key("K2", days=1), held="K2", journal=recorded, last_used={"K1": ago(minutes=1)}
        )
        found = decide(observation, force=True, ignore_last_use=True)
        assert found.actions[0] == Delete("K1")
        assert "--ignore-last-use" in found.message

    @pytest.mark.parametrize("overrides", [{}, {"ignore_last_use": True}, {"force": True}])
    def test_a_destination_that_still_holds_it_whatever_is_requested(self, overrides: dict[str, Any]) -> None:
        observation = observation_of(
            key("K1", days=31),
            key("K2", days=16, active=False),
            held="K2",
            journal=journal(**SETTLED),
            destinations={"ssm:/a": Held("K1")},
        )
        found = decide(observation, **overrides)
        assert (found.outcome, found.reason) == (Outcome.REFUSED, Reason.LAST_HELD)

    def test_twokeys_own_use_of_it(self) -> None:
        observation = observation_of(
            key("K1", days=31), key("K2", days=16), held="K2", journal=journal(**SETTLED), own_key="K1"
        )
        assert decide(observation).reason is Reason.OWN_KEY
        assert decide(observation, RotationPolicy(rotate_self=True)).reason is Reason.OWN_KEY


class TestWhereTheJournalSaysNothing:
    """The table of the same name in the design."""

    def test_no_key_and_an_empty_store_create(self) -> None:
        found = decide(observation_of())
        assert (found.outcome, found.reason) == (Outcome.ROTATED, Reason.NO_KEY)
        assert found.actions == (Create(()), Commit(""))

    def test_one_key_and_an_empty_store_create_and_the_key_becomes_last(self) -> None:
        found = decide(observation_of(key("K1", days=200)))
        assert (found.reason, found.actions) == (Reason.STORE_EMPTY, (Create(("K1",)), Commit("K1")))

    def test_one_key_and_a_stored_key_that_is_gone_create(self) -> None:
        found = decide(observation_of(key("K1", days=200), held="K0"))
        assert (found.reason, found.actions) == (Reason.KEY_GONE, (Create(("K1", "K0")), Commit("K1")))

    def test_no_key_and_a_stored_key_that_is_gone_create(self) -> None:
        found = decide(observation_of(held="K0"))
        assert (found.reason, found.actions) == (Reason.KEY_GONE, (Create(("K0",)), Commit("K0")))

    def test_two_keys_of_which_the_store_holds_the_newer_make_the_older_last(self) -> None:
        found = decide(observation_of(key("K1", days=40), key("K2", days=16), held="K2"))
        assert (found.last, found.actions[0]) == ("K1", Delete("K1"))

    def test_its_grace_counts_from_the_creation_of_the_newer(self) -> None:
        found = decide(observation_of(key("K1", days=40), key("K2", days=14), held="K2"), force=True)
        assert found.reason is Reason.GRACE

    def test_two_keys_of_which_the_store_holds_the_older_refuse_and_name_the_other(self) -> None:
        found = decide(observation_of(key("K1", days=40), key("K2", days=16), held="K1"))
        assert (found.outcome, found.reason) == (Outcome.REFUSED, Reason.UNMANAGED_KEY)
        assert "K2" in found.message

    def test_two_keys_of_the_same_second_refuse_because_age_tells_nothing(self) -> None:
        found = decide(observation_of(key("K1", days=16), key("K2", days=16), held="K2"))
        assert found.reason is Reason.UNMANAGED_KEY

    def test_a_third_key_refuses_and_is_named(self) -> None:
        found = decide(
            observation_of(
                key("K1", days=31), key("K2", days=16), key("K9", days=3), held="K2", journal=journal(**SETTLED)
            )
        )
        assert found.reason is Reason.UNMANAGED_KEY
        assert "K9" in found.message
        assert "--retire K9" in found.message

    def test_an_unmanaged_key_refuses_even_while_nothing_is_due(self) -> None:
        recorded = journal(current="K2", committed=ago(days=1))
        assert (
            decide(observation_of(key("K2", days=1), key("K9", days=3), held="K2", journal=recorded)).reason
            is Reason.UNMANAGED_KEY
        )

    def test_two_keys_and_an_empty_store_refuse_and_say_what_each_was_used_for(self) -> None:
        observation = observation_of(key("K1", days=40), key("K2", days=16), last_used={"K1": ago(days=2), "K2": None})
        found = decide(observation)
        assert (found.outcome, found.reason) == (Outcome.REFUSED, Reason.CANNOT_ATTRIBUTE)
        assert "last used 2d ago for s3" in found.message
        assert "--retire" in found.message

    def test_two_keys_and_an_empty_store_go_on_when_a_person_names_one(self) -> None:
        found = decide(observation_of(key("K1", days=40), key("K2", days=16)), retire=frozenset({"K1"}))
        assert found.actions == (Delete("K1"), Create(("K1", "K2")), Commit("K2"))

    def test_a_store_rolled_back_by_hand_refuses_and_names_both(self) -> None:
        found = decide(observation_of(key("K1", days=31), key("K2", days=16), held="K1", journal=journal(**SETTLED)))
        assert (found.outcome, found.reason) == (Outcome.REFUSED, Reason.ROLLED_BACK)
        assert "K1" in found.message
        assert "K2" in found.message

    def test_a_store_rolled_back_by_hand_goes_on_when_a_person_retires_the_other(self) -> None:
        observation = observation_of(key("K1", days=31), key("K2", days=16), held="K1", journal=journal(**SETTLED))
        found = decide(observation, retire=frozenset({"K2"}))
        assert found.actions == (Delete("K2"), Create(("K1", "K2")), Commit("K1"))

    def test_a_stored_key_that_is_gone_is_called_that_whatever_the_journal_names(self) -> None:
        """A run that slept published a key that another run has removed: no operator rolled anything back."""
        alone = decide(observation_of(key("K2", days=16), held="K9", journal=journal(**SETTLED)))
        assert (alone.outcome, alone.reason) == (Outcome.ROTATED, Reason.KEY_GONE)
        assert alone.actions == (Create(("K2", "K9")), Commit("K2"))
        both = observation_of(
            key("K1", days=31),
            key("K2", days=16),
            held="K9",
            journal=journal(**SETTLED),
            last_used={"K1": None, "K2": ago(days=1)},
        )
        refused = decide(both)
        assert (refused.outcome, refused.reason) == (Outcome.REFUSED, Reason.KEY_GONE)
        assert "holds K9, which IAM no longer lists, so jobs already fail" in refused.message
        assert "The journal names K2 as CURRENT." in refused.message
        assert "adopt ci --stdin" in refused.message
        retired = decide(both, retire=frozenset({"K1"}))
        assert retired.actions == (Delete("K1"), Create(("K1", "K2", "K9")), Commit("K2"))

    def test_a_store_that_cannot_be_read_refuses(self) -> None:
        found = decide(observation_of(key("K1", days=99), holding=CannotTell("it is binary")))
        assert (found.outcome, found.reason) == (Outcome.REFUSED, Reason.UNREADABLE)
        assert "it is binary" in found.message


class TestAnInterruptedRun:
    INTENT = Intent(("K2",), ago(minutes=5))

    def test_with_its_key_unheld_loses_the_stray_and_is_done_again(self) -> None:
        observation = observation_of(
            key("K2", days=16),
            key("K3", created=ago(minutes=5)),
            held="K2",
            journal=journal(**{**SETTLED, "intent": self.INTENT}),
        )
        found = decide(observation)
        assert (found.outcome, found.reason) == (Outcome.ROTATED, Reason.INTERRUPTED)
        assert found.actions == (RemoveOrphan("K3"), Create(("K2", "K3")), Commit("K2"))

    def test_whose_stored_key_is_inactive_is_not_finished_with_it(self) -> None:
        recorded = journal(**{**SETTLED, "intent": self.INTENT})
        keys = key("K2", days=16), key("K3", created=ago(minutes=5), active=False)
        assert decide(observation_of(*keys, held="K3", journal=recorded)).reason is not Reason.INTERRUPTED

    def test_delivers_also_where_its_key_is_held_but_not_recorded(self) -> None:
        recorded = journal(**{**SETTLED, "intent": self.INTENT})
        keys = key("K2", days=16), key("K3", created=ago(minutes=5))
        found = decide(observation_of(*keys, held="K3", journal=recorded, destinations={"ci:a": Held("K3")}))
        assert Deliver(("ci:a",)) in found.actions

    def test_before_its_key_was_made_is_done_again(self) -> None:
        found = decide(
            observation_of(key("K2", days=16), held="K2", journal=journal(**{**SETTLED, "intent": self.INTENT}))
        )
        assert found.actions == (Create(("K2",)), Commit("K2"))

    def test_with_its_key_stored_is_finished_without_another_key(self) -> None:
        observation = observation_of(
            key("K2", days=16),
            key("K3", created=ago(minutes=5)),
            held="K3",
            journal=journal(**{**SETTLED, "intent": self.INTENT}),
            destinations={"ssm:/a": Held("K2")},
        )
        found = decide(observation)
        assert (found.outcome, found.reason) == (Outcome.COMPLETED, Reason.INTERRUPTED)
        assert found.actions == (Resume("K3"), Deliver(("ssm:/a",)), Commit("K2"))

    @pytest.mark.parametrize("minutes", [7, 3])
    def test_does_not_claim_a_key_that_was_made_at_another_time(self, minutes: int) -> None:
        observation = observation_of(
            key("K2", days=16),
            key("K9", created=ago(minutes=minutes)),
            held="K2",
            journal=journal(**{**SETTLED, "intent": self.INTENT}),
        )
        assert decide(observation).reason is Reason.UNMANAGED_KEY

    def test_claims_none_of_two_keys_that_could_both_be_its_own(self) -> None:
        observation = observation_of(
            key("K2", days=16),
            key("K3", created=ago(minutes=5)),
            key("K4", created=ago(minutes=5)),
            held="K2",
            journal=journal(**{**SETTLED, "intent": self.INTENT}),
        )
        assert decide(observation).reason is Reason.UNMANAGED_KEY

    @pytest.mark.parametrize(("minutes", "is_open"), [(59, True), (60, False)])
    def test_that_is_the_eighth_within_an_hour_makes_no_other_key(self, minutes: float, is_open: bool) -> None:
        """None of them is forgotten while the list may still lack its key."""
        intent = Intent(("K2",), ago(minutes=2), (*(ago(minutes=3 + n) for n in range(6)), ago(minutes=minutes)))
        recorded = journal(**{**SETTLED, "intent": intent})
        found = decide(observation_of(key("K2", days=16), held="K2", journal=recorded))
        assert (found.reason is Reason.UNREADABLE) == is_open
        assert not is_open or "8 creations of a key were interrupted within 1h" in found.message
        assert not is_open or "no other key is created for 1m" in found.message
        late = observation_of(key("K2", days=16), key("K3", created=ago(minutes=4)), held="K2", journal=recorded)
        assert decide(late).actions[0] == RemoveOrphan("K3")

    def test_claims_the_key_of_an_earlier_attempt_that_comes_to_light_late(self) -> None:
        intent = Intent(("K2",), ago(minutes=5), (ago(hours=2),))
        observation = observation_of(
            key("K2", days=16),
            key("K3", created=ago(hours=2)),
            held="K2",
            journal=journal(**{**SETTLED, "intent": intent}),
        )
        assert decide(observation).actions[0] == RemoveOrphan("K3")

    def interrupted(self, last_used: Any = None, **fields: Any) -> Any:
        """Return what is observed after a run whose key K3 nothing is known to hold."""
        recorded = journal(**{**SETTLED, "last": "K1", "intent": self.INTENT, **fields.pop("journal", {})})
        found = observation_of(
            key("K2", days=16), key("K3", created=ago(minutes=5)), held="K2", journal=recorded, **fields
        )
        return replace(found, last_used={} if last_used is None else {"K3": last_used})

    def test_asks_for_the_last_use_of_its_key_before_it_is_removed(self) -> None:
        assert decide(self.interrupted()).needs == ("K3",)
        assert decide(self.interrupted(LastUse(None))).actions[0] == RemoveOrphan("K3")

    @pytest.mark.parametrize(
        ("use", "is_own"),
        [
            (LastUse(ago(minutes=5), "sts", "us-east-1"), True),
            (LastUse(ago(minutes=4), "sts", "us-east-1"), True),
            (LastUse(ago(minutes=5), "s3", "eu-central-1"), False),
            (LastUse(ago(days=1), "iam", ""), False),
        ],
    )
    def test_claims_no_key_that_was_used_for_more_than_its_own_verification(self, use: LastUse, is_own: bool) -> None:
        found = decide(self.interrupted(use))
        if is_own:
            assert found.actions[0] == RemoveOrphan("K3")
        else:
            assert (found.outcome, found.reason) == (Outcome.REFUSED, Reason.UNMANAGED_KEY)
            assert "K3 (Active, last used" in found.message

    @pytest.mark.parametrize(("minutes", "is_own"), [(6, True), (6.1, False)])
    def test_claims_no_key_that_was_used_for_sts_when_its_run_was_over(self, minutes: float, is_own: bool) -> None:
        """Five minutes, and the one that a verification may take."""
        recorded = journal(**{**SETTLED, "intent": Intent(("K2",), ago(minutes=50))})
        observation = observation_of(
            key("K2", days=16), key("K3", created=ago(minutes=50)), held="K2", journal=recorded
        )
        used = LastUse(ago(minutes=50 - minutes), "sts", "us-east-1")
        found = decide(replace(observation, last_used={"K3": used}))
        assert (found.reason is Reason.INTERRUPTED) == is_own

    @pytest.mark.parametrize(
        ("delivered", "delivering", "stamp"),
        [({}, (), ""), ({"ci:x": Delivery("K2", ago(days=16), "1")}, (), "2"), ({}, ("ci:x",), "1")],
    )
    def test_makes_its_key_last_while_it_is_unknown_what_a_destination_holds(
        self, delivered: dict[str, Delivery], delivering: tuple[str, ...], stamp: str
    ) -> None:
        found = decide(
            self.interrupted(
                LastUse(None),
                journal={"delivered": delivered, "delivering": delivering},
                destinations={"ci:x": CannotTell(stamp=stamp)},
            )
        )
        assert (found.outcome, found.reason, found.last) == (Outcome.COMPLETED, Reason.OUT_OF_DATE, "K3")
        assert found.actions == (Resume("K2"), Deliver(("ci:x",), "K3"), Commit("K3", renew=False))

    def test_removes_its_key_where_every_destination_is_known_to_hold_another(self) -> None:
        delivered = {"ci:x": Delivery("K2", ago(days=16), "1")}
        found = decide(
            self.interrupted(
                LastUse(None), journal={"delivered": delivered}, destinations={"ci:x": CannotTell(stamp="1")}
            )
        )
        assert found.actions[0] == RemoveOrphan("K3")

    def test_whose_key_became_last_keeps_it_as_last(self) -> None:
        """The run was killed while it delivered: the journal names K3 already, and the intent is still open."""
        recorded = {"last": "K3", "delivered": {"ci:x": Delivery("K3", ago(minutes=1))}}
        found = decide(self.interrupted(LastUse(None), journal=recorded, destinations={"ci:x": CannotTell()}))
        assert found.actions == (Resume("K2"), Deliver(("ci:x",), "K3"), Commit("K3", renew=False))
        without_current = {**recorded, "current": "", "committed": None}
        found = decide(self.interrupted(LastUse(None), journal=without_current, destinations={"ci:x": CannotTell()}))
        assert found.last == "K3"

    def test_without_a_current_makes_its_key_last_while_it_is_unknown_what_a_destination_holds(self) -> None:
        observation = observation_of(
            key("K3", created=ago(minutes=5)),
            journal=journal(intent=Intent((), ago(minutes=5))),
            destinations={"ci:x": CannotTell()},
        )
        assert decide(observation).actions == (Create(("K3",)), Deliver(("ci:x",)), Commit("K3"))

    def test_never_claims_a_key_that_a_destination_holds(self) -> None:
        observation = observation_of(
            key("K2", days=16),
            key("K3", created=ago(minutes=5)),
            held="K2",
            journal=journal(**{**SETTLED, "intent": self.INTENT}),
            destinations={"ssm:/a": Held("K3")},
        )
        assert decide(observation).reason is Reason.UNMANAGED_KEY

    def test_never_claims_a_key_that_a_destination_was_given(self) -> None:
        delivered = {"ci:x": Delivery("K3", ago(minutes=4))}
        observation = observation_of(
            key("K2", days=16),
            key("K3", created=ago(minutes=5)),
            held="K2",
            journal=journal(**{**SETTLED, "intent": self.INTENT}, delivered=delivered),
            destinations={"ci:x": CannotTell()},
        )
        assert decide(observation).reason is Reason.UNMANAGED_KEY

    def test_with_its_key_stored_is_delivered_only_where_that_is_not_known_to_be_done(self) -> None:
        new, old = Delivery("K3", ago(minutes=4), "v2"), Delivery("K2", ago(days=16), "v1")
        silent = CannotTell(stamp="v2")
        observation = observation_of(
            key("K2", days=16),
            key("K3", created=ago(minutes=5)),
            held="K3",
            journal=journal(
                **{**SETTLED, "intent": self.INTENT},
                delivered={"a": new, "b": new, "c": old, "d": old, "f": new, "h": new},
                delivering=("f",),
            ),
            destinations={
                "a": silent,
                "b": Held("K3"),
                "c": silent,
                "d": Held("K3"),
                "e": Held("K3"),
                "f": silent,
                "g": silent,
                "h": CannotTell(stamp="v3"),
            },
        )
        assert decide(observation).actions == (Resume("K3"), Deliver(tuple("cdefgh")), Commit("K2"))

    def test_with_its_key_stored_and_delivered_everywhere_is_only_committed(self) -> None:
        observation = observation_of(
            key("K2", days=16),
            key("K3", created=ago(minutes=5)),
            held="K3",
            journal=journal(**{**SETTLED, "intent": self.INTENT}, delivered={"ci:x": Delivery("K3", ago(minutes=4))}),
            destinations={"ci:x": CannotTell()},
        )
        assert decide(observation).actions == (Resume("K3"), Commit("K2"))

    def test_first_of_all_with_an_empty_store_loses_its_stray(self) -> None:
        observation = observation_of(
            key("K1", days=99),
            key("K3", created=ago(minutes=5)),
            journal=journal(intent=Intent(("K1",), ago(minutes=5))),
        )
        assert decide(observation).actions == (RemoveOrphan("K3"), Create(("K1", "K3")), Commit("K1"))

    def test_leaves_out_a_deleted_key_that_the_list_still_shows(self) -> None:
        recorded = journal(current="K3", last="K2", committed=ago(days=1), removed={"K1": ago(seconds=5)})
        found = decide(
            observation_of(key("K1", days=31), key("K2", days=16), key("K3", days=1), held="K3", journal=recorded)
        )
        assert found.outcome is Outcome.NOT_DUE


class TestTwoKeysWithoutCurrent:
    KEYS = (key("K1", days=31), key("K2", days=16))

    def test_are_told_apart_by_their_last_use_which_is_asked_for(self) -> None:
        asked = decide(replace(observation_of(*self.KEYS), last_used={}))
        assert asked.needs == ("K1", "K2")

    def test_are_not_told_apart_by_a_journal_while_the_store_holds_none(self) -> None:
        found = decide(observation_of(*self.KEYS, journal=journal(**SETTLED)))
        assert (found.outcome, found.reason) == (Outcome.REFUSED, Reason.CANNOT_ATTRIBUTE)

    def test_make_room_by_a_soak_where_one_is_named(self) -> None:
        found = decide(observation_of(*self.KEYS), RotationPolicy(soak=timedelta(days=2)), retire=frozenset({"K1"}))
        assert found.reason is Reason.SOAK
        assert [action.key_id for action in found.actions if isinstance(action, Deactivate)] == ["K1"]


def test_the_last_use_of_an_unmanaged_key_is_asked_for() -> None:
    asked = decide(replace(observation_of(key("K2", days=31), key("K9", days=1), held="K2"), last_used={}))
    assert asked.needs == ("K9",)


class TestAListThatLags:
    COMMITTED = {"current": "K3", "last": "K2", "committed": ago(seconds=5), "removed": {"K1": ago(seconds=9)}}

    def test_is_waited_for_where_it_does_not_show_current_yet(self) -> None:
        found = decide(
            observation_of(key("K1", days=31), key("K2", days=16), held="K3", journal=journal(**self.COMMITTED))
        )
        assert found.settles == ago(seconds=5) + POLICY.settle
        assert found.actions == ()

    def test_is_waited_for_while_an_intent_is_young_whatever_else_there_is_to_say(self) -> None:
        recorded = journal(**SETTLED, intent=Intent(("K1", "K2"), ago(seconds=5)))
        found = decide(observation_of(key("K1", days=31), key("K2", days=16), held="K1", journal=recorded))
        assert found.settles == ago(seconds=5) + timedelta(seconds=40 + 15) + POLICY.settle

    @pytest.mark.parametrize(("settle", "seconds"), [(30, 10 + 15 + 30), (15, 10 + 15 + 15), (1, 1 + 1)])
    def test_is_waited_for_from_the_latest_moment_at_which_the_key_can_have_been_created(
        self, settle: float, seconds: float
    ) -> None:
        """The creation may leave 10 s after this intent, and be under way for 15 s; an emulator is faster."""
        recorded = journal(**SETTLED, intent=Intent(("K2",), ago(seconds=1), within=10))
        found = decide(
            observation_of(key("K2", days=16), held="K2", journal=recorded),
            RotationPolicy(settle=timedelta(seconds=settle)),
        )
        assert found.settles == ago(seconds=1) + timedelta(seconds=seconds)

    def test_is_waited_for_from_the_later_of_an_intent_and_a_commit(self) -> None:
        recorded = journal(**self.COMMITTED, intent=Intent(("K2",), ago(seconds=20), within=10))
        found = decide(observation_of(key("K1", days=31), key("K2", days=16), held="K3", journal=recorded))
        assert found.settles == ago(seconds=20) + timedelta(seconds=10 + 15) + POLICY.settle

    @pytest.mark.parametrize(
        ("held", "recorded"),
        [
            ("K9", {"current": "K3", "committed": ago(seconds=5)}),
            (None, {"committed": ago(seconds=5)}),
            ("K3", {"current": "K3"}),
        ],
        ids=["another key is held", "no key is held", "no commit is recorded"],
    )
    def test_is_not_waited_for_where_no_commit_of_the_held_key_is_recent(
        self, held: str | None, recorded: dict[str, Any]
    ) -> None:
        found = decide(observation_of(key("K2", days=16), held=held, journal=journal(**recorded)))
        assert found.settles is None

    def test_is_not_waited_for_where_settle_says_so(self) -> None:
        """The services' time, as one process knows it, may lie a second before what another wrote down."""
        recorded = journal(**SETTLED, intent=Intent(("K1", "K2"), NOW + timedelta(seconds=1)))
        found = decide(
            observation_of(key("K1", days=31), key("K2", days=16), held="K2", journal=recorded),
            RotationPolicy(settle=timedelta(0)),
        )
        assert found.settles is None

    def test_is_believed_in_the_end_and_the_lacking_key_stays_known(self) -> None:
        recorded = journal(current="K3", last="K2", committed=ago(minutes=2))
        found = decide(observation_of(key("K2", days=16), held="K3", journal=recorded))
        assert found.reason is Reason.KEY_GONE
        assert found.actions == (Create(("K2", "K3")), Commit("K2"))
        assert decide(observation_of(held="K3", journal=recorded)).actions == (Create(("K3",)), Commit("K3"))


class TestAKeyThatWasDeletedAndIsStillThere:
    RECORDED = {"current": "K3", "last": "K2", "removed": {"K1": ago(minutes=2)}}
    KEYS = (key("K1", days=31), key("K2", days=16), key("K3", days=15))

    def test_is_deleted_again_although_nothing_is_due(self) -> None:
        found = decide(observation_of(*self.KEYS, held="K3", journal=journal(**self.RECORDED, committed=ago(days=1))))
        assert (found.outcome, found.reason) == (Outcome.RETIRED, Reason.STILL_LISTED)
        assert found.actions == (Delete("K1"), Commit("K2", renew=False))

    def test_is_deleted_before_a_rotation(self) -> None:
        found = decide(observation_of(*self.KEYS, held="K3", journal=journal(**self.RECORDED, committed=ago(days=15))))
        assert found.actions == (Delete("K1"), Delete("K2"), Create(("K1", "K2", "K3")), Commit("K3"))

    def test_stays_while_something_may_hold_it(self) -> None:
        places = {"ci:x": CannotTell()}
        recorded = journal(**self.RECORDED, committed=ago(days=1))
        found = decide(observation_of(*self.KEYS, held="K3", journal=recorded, destinations=places))
        assert found.actions == (Resume("K3"), Deliver(("ci:x",), instead_of="K2"), Commit("K2", renew=False))

    def test_soaks_once_more_if_it_is_active(self) -> None:
        recorded = journal(**self.RECORDED, committed=ago(days=1))
        found = decide(observation_of(*self.KEYS, held="K3", journal=recorded), RotationPolicy(soak=timedelta(days=1)))
        assert found.actions == (Deactivate("K1"),)

    def test_it_stays_while_a_destination_that_would_tell_cannot_be_read_also_without_current(self) -> None:
        recorded = journal(removed={"K1": ago(hours=1)}, delivered={"ssm:/a": Delivery("K0", ago(days=9))})
        silent = {"ssm:/a": CannotTell("no answer", failed=True)}
        found = decide(
            observation_of(key("K1", days=2), journal=recorded, destinations=silent),
            RotationPolicy(soak=timedelta(days=2)),
        )
        assert (found.outcome, found.reason, found.actions) == (Outcome.REFUSED, Reason.UNREADABLE, ())


class TestDestinations:
    FRESH = {"current": "K2", "last": "K1", "committed": ago(days=1)}

    def test_one_that_is_behind_is_delivered_to_although_nothing_is_due(self) -> None:
        observation = observation_of(
            key("K1", days=16),
            key("K2", days=1),
            held="K2",
            journal=journal(**self.FRESH),
            destinations={"ssm:/a": Held("K2"), "ssm:/b": Held("K1"), "ssm:/c": NotHeld()},
        )
        found = decide(observation)
        assert (found.outcome, found.reason) == (Outcome.COMPLETED, Reason.OUT_OF_DATE)
        assert found.actions == (
            Resume("K2"),
            Deliver(("ssm:/b", "ssm:/c"), instead_of="K1"),
            Commit("K1", renew=False),
        )

    def test_one_that_is_empty_where_there_is_no_last_held_nothing_before(self) -> None:
        recorded = journal(current="K2", committed=ago(days=1))
        found = decide(
            observation_of(key("K2", days=1), held="K2", journal=recorded, destinations={"ssm:/a": NotHeld()})
        )
        assert found.actions == (Resume("K2"), Deliver(("ssm:/a",)), Commit("", renew=False))

    def test_one_that_cannot_tell_is_believed_to_hold_what_it_was_last_given(self) -> None:
        recorded = journal(**self.FRESH, delivered={"ci:x": Delivery("K2", ago(days=1))})
        observation = observation_of(
            key("K1", days=16), key("K2", days=1), held="K2", journal=recorded, destinations={"ci:x": CannotTell()}
        )
        assert decide(observation).outcome is Outcome.NOT_DUE

    def test_one_that_cannot_tell_and_was_never_given_anything_is_delivered_to(self) -> None:
        observation = observation_of(
            key("K1", days=16),
            key("K2", days=1),
            held="K2",
            journal=journal(**self.FRESH),
            destinations={"ci:x": CannotTell()},
        )
        assert decide(observation).actions[1] == Deliver(("ci:x",), instead_of="K1")

    @pytest.mark.parametrize(
        ("noted", "shown"), [("", ""), ("", "v2"), ("v1", ""), ("v1", "v1")], ids=lambda stamp: stamp or "no stamp"
    )
    def test_one_that_cannot_tell_is_believed_as_long_as_its_stamp_does_not_speak_against_it(
        self, noted: str, shown: str
    ) -> None:
        recorded = journal(**self.FRESH, delivered={"ci:x": Delivery("K2", ago(days=1), noted)})
        places = {"ci:x": CannotTell("write-only", stamp=shown)}
        found = decide(
            observation_of(key("K1", days=16), key("K2", days=1), held="K2", journal=recorded, destinations=places)
        )
        assert found.outcome is Outcome.NOT_DUE

    def test_one_that_cannot_tell_and_that_another_program_wrote_may_hold_any_key(self) -> None:
        recorded = journal(**self.FRESH, delivered={"ci:x": Delivery("K2", ago(days=1), "v1")})
        places = {"ci:x": CannotTell("write-only", stamp="v2")}
        found = decide(
            observation_of(key("K1", days=16), key("K2", days=1), held="K2", journal=recorded, destinations=places)
        )
        assert (found.outcome, found.reason) == (Outcome.COMPLETED, Reason.OUT_OF_DATE)
        assert found.actions == (Resume("K2"), Deliver(("ci:x",), instead_of="K1"), Commit("K1", renew=False))

    @pytest.mark.parametrize("holding", [Held("K2"), CannotTell("write-only", stamp="v1")])
    def test_one_with_an_open_delivery_is_delivered_to_whatever_it_shows(self, holding: Any) -> None:
        delivered = {"ci:x": Delivery("K2", ago(days=1), "v1")}
        recorded = journal(**self.FRESH, delivered=delivered, delivering=("ci:x",))
        places = {"ci:x": holding, "ci:y": Held("K2")}
        found = decide(
            observation_of(key("K1", days=16), key("K2", days=1), held="K2", journal=recorded, destinations=places)
        )
        assert (found.outcome, found.reason) == (Outcome.COMPLETED, Reason.OUT_OF_DATE)
        assert found.actions[1].destinations == ("ci:x",)

    @pytest.mark.parametrize("delivering", [("ci:x",), ("ci:y",)])
    def test_one_with_an_open_delivery_that_cannot_tell_may_hold_last(self, delivering: tuple[str, ...]) -> None:
        delivered = {"ci:x": Delivery("K2", ago(days=15))}
        recorded = journal(**SETTLED, delivered=delivered, delivering=delivering)
        places = {"ci:x": CannotTell("write-only")}
        found = decide(
            observation_of(key("K1", days=31), key("K2", days=16), held="K2", journal=recorded, destinations=places)
        )
        assert (Delete("K1") in found.actions) is (delivering == ("ci:y",))

    @pytest.mark.parametrize("holding", [Held("K1"), CannotTell("write-only")])
    def test_one_that_may_hold_last_is_delivered_to_instead_of_rotating(self, holding: Any) -> None:
        observation = observation_of(
            key("K1", days=31),
            key("K2", days=16),
            held="K2",
            journal=journal(**SETTLED),
            destinations={"ssm:/b": holding},
        )
        found = decide(observation)
        assert (found.outcome, found.reason) == (Outcome.COMPLETED, Reason.OUT_OF_DATE)
        assert found.actions == (Resume("K2"), Deliver(("ssm:/b",), instead_of="K1"), Commit("K1", renew=False))

    @pytest.mark.parametrize("committed", [ago(days=1), ago(days=16)])
    def test_one_that_holds_current_while_the_journal_says_last_held_last_until_an_unknown_moment(
        self, committed: Any
    ) -> None:
        recorded = journal(
            current="K2", last="K1", committed=committed, delivered={"ssm:/b": Delivery("K1", ago(days=30))}
        )
        observation = observation_of(
            key("K1", days=31), key("K2", days=16), held="K2", journal=recorded, destinations={"ssm:/b": Held("K2")}
        )
        found = decide(observation)
        assert (found.outcome, found.reason) == (Outcome.COMPLETED, Reason.OUT_OF_DATE)
        assert found.actions == (Resume("K2"), Deliver(("ssm:/b",), instead_of="K1"), Commit("K1", renew=False))

    def test_one_that_is_left_out_of_a_run_keeps_the_key_that_it_was_last_given(self) -> None:
        recorded = journal(
            **SETTLED, delivered={"ci:x": Delivery("K1", ago(days=31)), "ci:y": Delivery("K2", ago(days=16))}
        )
        keys = (key("K1", days=31), key("K2", days=16))
        observation = observation_of(*keys, held="K2", journal=recorded, destinations={"ci:y": CannotTell()})
        found = decide(observation)
        assert (found.outcome, found.reason) == (Outcome.REFUSED, Reason.LAST_HELD)
        assert "ci:x is not among this run's destinations" in found.message
        assert decide(observation, ignore_last_use=True).actions[0] == Delete("K1")


class TestSoak:
    POLICY = RotationPolicy(requested_grace=timedelta(days=10), soak=timedelta(days=2))

    def test_takes_its_time_from_the_default_grace_so_that_no_key_outlives_the_window(self) -> None:
        policy = RotationPolicy(soak=timedelta(days=2))
        assert policy.grace == policy.period - policy.slack - timedelta(days=2)
        recorded = journal(current="K2", last="K1", committed=ago(days=12.4))
        found = decide(observation_of(key("K1", days=28), key("K2", days=13), held="K2", journal=recorded), policy)
        assert found.actions == (Deactivate("K1"),)

    def test_makes_last_inactive_first(self) -> None:
        found = decide(
            observation_of(key("K1", days=31), key("K2", days=16), held="K2", journal=journal(**SETTLED)), self.POLICY
        )
        assert (found.outcome, found.actions) == (Outcome.RETIRED, (Deactivate("K1"),))
        assert "--status Active" in found.message

    def test_begins_early_enough_for_the_rotation_to_be_on_time(self) -> None:
        recorded = journal(current="K2", last="K1", committed=ago(days=12.4))
        found = decide(observation_of(key("K1", days=28), key("K2", days=13), held="K2", journal=recorded), self.POLICY)
        assert found.actions == (Deactivate("K1"),)

    def test_begins_at_the_very_moment_from_which_it_ends_in_time(self) -> None:
        policy = RotationPolicy(soak=timedelta(days=2), requested_grace=timedelta(0))
        committed = NOW - (policy.period - policy.slack - policy.soak)
        for early, actions in ((timedelta(0), (Deactivate("K1"),)), (timedelta(seconds=1), ())):
            recorded = journal(current="K2", last="K1", committed=committed + early)
            found = decide(observation_of(key("K1", days=28), key("K2", days=13), held="K2", journal=recorded), policy)
            assert found.actions == actions

    def test_asks_for_the_last_use_before_it_begins_early(self) -> None:
        recorded = journal(current="K2", last="K1", committed=ago(days=12.4))
        found = decide(
            observation_of(key("K1", days=28), key("K2", days=13), held="K2", journal=recorded, last_used={}),
            self.POLICY,
        )
        assert found.needs == ("K1",)

    def test_does_not_begin_within_grace_or_while_last_is_used(self) -> None:
        within = journal(current="K2", last="K1", committed=ago(days=9))
        keys = (key("K1", days=28), key("K2", days=13))
        assert decide(observation_of(*keys, held="K2", journal=within), self.POLICY).outcome is Outcome.NOT_DUE
        used = observation_of(
            *keys,
            held="K2",
            journal=journal(current="K2", last="K1", committed=ago(days=12.4)),
            last_used={"K1": ago(hours=1)},
        )
        assert decide(used, self.POLICY).outcome is Outcome.NOT_DUE

    def test_waits_until_the_soak_is_over(self) -> None:
        recorded = journal(**SETTLED, retiring={"K1": Retiring(ago(days=1))})
        found = decide(
            observation_of(key("K1", days=31, active=False), key("K2", days=16), held="K2", journal=recorded),
            self.POLICY,
        )
        assert (found.outcome, found.reason) == (Outcome.NOT_DUE, Reason.SOAKING)

    def test_then_deletes_it_and_rotates(self) -> None:
        recorded = journal(**SETTLED, retiring={"K1": Retiring(ago(days=2))})
        found = decide(
            observation_of(key("K1", days=31, active=False), key("K2", days=16), held="K2", journal=recorded),
            self.POLICY,
        )
        assert found.actions[0] == Delete("K1")

    def test_begins_again_when_a_person_switched_the_key_on(self) -> None:
        recorded = journal(**SETTLED, retiring={"K1": Retiring(ago(days=2))})
        found = decide(observation_of(key("K1", days=31), key("K2", days=16), held="K2", journal=recorded), self.POLICY)
        assert found.actions == (Deactivate("K1"),)

    def test_holds_for_each_of_the_keys_that_a_person_retires(self) -> None:
        observation = observation_of(
            key("K2", days=16),
            key("K8", days=3, active=False),
            key("K9", days=3),
            held="K2",
            journal=journal(current="K2"),
        )
        overrides = frozenset({"K8", "K9"})
        found = decide(observation, self.POLICY, retire=overrides)
        assert found.actions == (Deactivate("K8", named=True), Deactivate("K9", named=True))
        soaking = {"K8": Retiring(ago(days=2), named=True), "K9": Retiring(ago(days=1), named=True)}
        both_off = (key("K2", days=16), key("K8", days=3, active=False), key("K9", days=3, active=False))
        observation = observation_of(*both_off, held="K2", journal=journal(current="K2", retiring=soaking))
        assert decide(observation, self.POLICY, retire=overrides).reason is Reason.SOAKING

    def test_of_a_key_that_a_person_named_ends_without_another_word(self) -> None:
        keys = (key("K2", days=1), key("K9", days=3, active=False))
        for days, reason in ((1, Reason.SOAKING), (2, Reason.RETIRE_REQUESTED)):
            recorded = journal(
                current="K2", committed=ago(days=1), retiring={"K9": Retiring(ago(days=days), named=True)}
            )
            assert decide(observation_of(*keys, held="K2", journal=recorded), self.POLICY).reason is reason

    def test_of_a_named_key_that_was_reactivated_makes_it_unmanaged_again(self) -> None:
        recorded = journal(current="K2", committed=ago(days=1), retiring={"K9": Retiring(ago(days=2), named=True)})
        observation = observation_of(key("K2", days=1), key("K9", days=3), held="K2", journal=recorded)
        assert decide(observation, self.POLICY).reason is Reason.UNMANAGED_KEY

    def test_holds_for_a_key_that_a_person_retires_too(self) -> None:
        observation = observation_of(key("K2", days=16), key("K9", days=3), held="K2", journal=journal(current="K2"))
        found = decide(observation, self.POLICY, retire=frozenset({"K9"}))
        assert found.actions == (Deactivate("K9", named=True),)


class TestRetire:
    def test_removes_an_unmanaged_key_although_nothing_is_due(self) -> None:
        recorded = journal(current="K2", last="K1", committed=ago(days=1))
        observation = observation_of(
            key("K1", days=16), key("K2", days=1), key("K9", days=3), held="K2", journal=recorded
        )
        found = decide(observation, retire=frozenset({"K9"}))
        assert (found.outcome, found.actions) == (Outcome.RETIRED, (Delete("K9"), Commit("K1", renew=False)))

    @pytest.mark.parametrize(("last", "commit"), [("K0", Commit("K0", renew=False)), ("K7", Commit("", renew=False))])
    def test_of_a_current_that_is_gone_makes_the_journal_agree_with_the_store(self, last: str, commit: Any) -> None:
        recorded = journal(current="K2", last=last, committed=ago(days=1))
        observation = observation_of(key("K0", days=40), key("K1", days=1), held="K1", journal=recorded)
        found = decide(observation, retire=frozenset({"K2", *(() if last == "K0" else ("K0",))}))
        assert found.actions[-1] == commit

    def test_stands_in_for_grace_and_the_veto(self) -> None:
        recorded = journal(current="K2", last="K1", committed=ago(hours=1))
        observation = observation_of(
            key("K1", days=16), key("K2", days=1), held="K2", journal=recorded, last_used={"K1": ago(minutes=1)}
        )
        assert decide(observation, retire=frozenset({"K1"})).actions[0] == Delete("K1")

    @pytest.mark.parametrize(
        ("held", "destinations"), [("K9", {}), ("K2", {"ssm:/a": Held("K9")}), ("K2", {"ci:x": CannotTell()})]
    )
    def test_is_refused_for_a_key_that_anything_may_hold(self, held: str, destinations: dict[str, Any]) -> None:
        observation = observation_of(key("K2", days=16), key("K9", days=3), held=held, destinations=destinations)
        found = decide(observation, retire=frozenset({"K9"}))
        assert (found.outcome, found.reason) == (Outcome.REFUSED, Reason.RETIRE_HELD)

    def test_of_a_key_of_no_user_is_refused_where_one_user_is_selected(self) -> None:
        recorded = journal(current="K2", last="K1", committed=ago(days=16))
        observation = observation_of(key("K1", days=31), key("K2", days=16), held="K2", journal=recorded)
        found = decide(observation, retire=frozenset({"K9"}), all_theirs=True)
        assert (found.outcome, found.reason) == (Outcome.REFUSED, Reason.RETIRE_UNKNOWN)
        assert "K1, K2" in found.message

    def test_of_a_key_that_an_earlier_run_removed_goes_on(self) -> None:
        recorded = journal(current="K2", last="K1", committed=ago(days=1), removed={"K9": ago(days=1)})
        observation = observation_of(key("K1", days=16), key("K2", days=1), held="K2", journal=recorded)
        assert decide(observation, retire=frozenset({"K9"}), all_theirs=True).outcome is Outcome.NOT_DUE

    def test_of_a_key_that_is_gone_already_changes_nothing_else(self) -> None:
        recorded = journal(current="K2", last="K1", committed=ago(days=1))
        observation = observation_of(key("K1", days=16), key("K2", days=1), held="K2", journal=recorded)
        assert decide(observation, retire=frozenset({"K9"})).outcome is Outcome.NOT_DUE


class TestWhoIsWho:
    def test_refuses_a_user_whose_key_twokey_runs_with(self) -> None:
        found = decide(observation_of(key("K1", days=20), held="K1", own_key="K1"))
        assert (found.outcome, found.reason) == (Outcome.REFUSED, Reason.OWN_KEY)

    def test_rotates_it_where_that_is_meant(self) -> None:
        found = decide(observation_of(key("K1", days=20), held="K1", own_key="K1"), RotationPolicy(rotate_self=True))
        assert found.outcome is Outcome.ROTATED

    def test_refuses_a_user_that_was_deleted_and_made_again(self) -> None:
        found = decide(observation_of(key("K1", days=20), held="K1", journal=journal(user="AIDAOLD", current="K1")))
        assert (found.outcome, found.reason) == (Outcome.REFUSED, Reason.USER_RECREATED)
        assert USER.id in found.message

    def test_names_current_last_and_when_the_next_rotation_is_due(self) -> None:
        recorded = journal(current="K2", last="K1", committed=ago(days=1))
        found = decide(observation_of(key("K1", days=16), key("K2", days=1), held="K2", journal=recorded))
        assert (found.current, found.last) == ("K2", "K1")
        assert found.next_due == ago(days=1) + timedelta(days=15) - timedelta(hours=15)
        assert STORE not in found.message
