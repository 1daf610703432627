"""A leaked CURRENT that is Inactive, and everything that may be in the way of the key that replaces it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from support.builders import NOW, ago, journal, key, observation_of
from twokey.core.journal import Delivery, Intent, Retiring, Revoked
from twokey.core.model import CannotTell, Held
from twokey.core.reasons import Outcome, Reason
from twokey.planning.assessment import assess
from twokey.planning.decision import plan
from twokey.planning.plan import Commit, Create, Deactivate, Delete, Deliver, Overrides, RemoveOrphan
from twokey.planning.policy import RotationPolicy
from twokey.planning.revoked import kept_revoked, reactivated

POLICY = RotationPolicy()
SOAK = RotationPolicy(soak=timedelta(days=2))
OLD: dict[str, Any] = {"current": "K2", "last": "K1", "committed": ago(days=16)}
FRESH: dict[str, Any] = {"current": "K2", "last": "K1", "committed": ago(days=1)}
LEAKED = key("K2", days=16, active=False)
KEPT, TO_DELETE = Revoked(ago(minutes=5)), Revoked(ago(minutes=5), ago(minutes=5))
NOT_REPLACED = (
    "K2 has leaked and is Inactive, but is NOT replaced, so jobs fail: IAM allows two keys for each user, and "
)


def decide(*others: Any, mark: Revoked = KEPT, policy: RotationPolicy = POLICY, **fields: Any) -> Any:
    """Plan at NOW for a user whose CURRENT has leaked."""
    seen = {name: fields.pop(name) for name in ("last_used", "destinations") if name in fields}
    overrides = Overrides(retire=frozenset(fields.pop("retire", ())))
    revoked = {"K2": mark, **fields.pop("revoked", {})}
    recorded = journal(revoked=revoked, **fields)
    return plan(observation_of(*others, LEAKED, held="K2", journal=recorded, **seen), policy, NOW, overrides)


class TestWhatMayMakeRoom:
    def test_last_by_its_own_rules_once_its_last_use_is_known(self) -> None:
        asked = decide(key("K1", days=31), last_used={}, **OLD)
        assert asked.needs == ("K1",)
        found = decide(key("K1", days=31), **OLD)
        assert found.actions == (Delete("K1"), Create(("K1", "K2"), urgent=True), Commit("K2"))
        assert found.message == "K2 has leaked and is Inactive; another key replaces it everywhere."

    def test_what_another_key_was_used_for_is_asked_before_it_is_named(self) -> None:
        assert decide(key("K9", days=3), last_used={}, current="K2").needs == ("K9",)
        refused = decide(key("K9", days=3), last_used={"K9": ago(days=2)}, current="K2")
        assert (refused.outcome, refused.reason) == (Outcome.REFUSED, Reason.LEAKED)
        assert refused.message == (
            f"{NOT_REPLACED}K9 has not leaked, and stays. To delete K2 and create another key in its place "
            "(recommended): twokey revoke K2 --delete. If K9 has leaked, too: twokey revoke K2 --both --delete. In the "
            "way: K9 (Active, last used 2d ago for s3 in eu-central-1)."
        )

    def test_last_that_stays_is_named_with_the_reason_and_the_ways_on(self) -> None:
        refused = decide(key("K1", days=31), **FRESH)
        assert refused.message == (
            f"{NOT_REPLACED}K1 has not leaked, and stays. To delete K2 and create another key in its place "
            "(recommended): twokey revoke K2 --delete. If K1 has leaked, too: twokey revoke K2 --both --delete. Jobs "
            "in flight may still use LAST (K1): its grace ends in 13d 9h. Wait until then, or accept that they fail: "
            "twokey rotate ci --ignore-last-use. Once LAST may be removed, twokey rotate ci creates another key."
        )

    def test_not_last_where_it_is_a_revoked_key_that_is_kept_or_another_key_would_stay(self) -> None:
        kept = decide(key("K1", days=31, active=False), revoked={"K1": KEPT}, **OLD)
        assert (kept.reason, kept.actions) == (Reason.LEAKED, ())
        beside = decide(key("K1", days=31), key("K9", days=3), **OLD)
        assert (beside.reason, beside.actions) == (Reason.LEAKED, ())

    def test_none_of_two_keys_that_have_leaked_until_the_operator_says_which_are_deleted(self) -> None:
        refused = decide(key("K1", days=31, active=False), revoked={"K1": KEPT}, **FRESH)
        assert refused.message == (
            "K2 and K1 have leaked and are Inactive, so jobs fail, and there is no room for another key. To delete K2 "
            "and create another key in its place: twokey revoke K2 --delete. To delete all of them: twokey revoke K2 "
            "--both --delete."
        )

    def test_not_a_revoked_key_beside_another_and_only_that_one_is_said_not_to_have_leaked(self) -> None:
        refused = decide(key("K1", days=31, active=False), key("K9", days=3), revoked={"K1": KEPT}, **FRESH)
        assert refused.message.startswith(f"{NOT_REPLACED}K9 has not leaked, and stays.")
        assert refused.message.endswith(
            "Remove one of K1 and K9 that no program uses; then run twokey revoke K2 again."
        )

    def test_a_key_that_the_operator_names(self) -> None:
        found = decide(key("K9", days=3), current="K2", retire={"K9"})
        assert found.actions == (Delete("K9"), Create(("K9", "K2"), urgent=True), Commit("K2"))

    @pytest.mark.parametrize("mark", [KEPT, TO_DELETE])
    def test_not_the_leaked_key_where_two_others_would_stay(self, mark: Revoked) -> None:
        refused = decide(key("K8", days=3), key("K9", days=3), mark=mark, current="K2")
        assert (refused.outcome, refused.reason, refused.actions) == (Outcome.REFUSED, Reason.LEAKED, ())
        assert refused.message.startswith(f"{NOT_REPLACED}K8 and K9 have not leaked, and stay.")
        assert refused.message.endswith(
            "Remove one of K8 and K9 that no program uses; then run twokey revoke K2 again."
        )

    def test_the_leaked_key_where_that_is_requested_and_what_stays_is_last_only_by_its_own_role(self) -> None:
        found = decide(key("K9", days=3), mark=TO_DELETE, current="K2")
        assert found.actions == (Delete("K2"), Create(("K9", "K2"), urgent=True), Commit(""))
        assert found.message.endswith(" K2 is deleted first, to make room for another key.")
        assert decide(key("K1", days=31), mark=TO_DELETE, **FRESH).actions[-1] == Commit("K1")


class TestADestinationThatCannotBeRead:
    UNREAD: dict[str, Any] = {
        "destinations": {"a": CannotTell("down", failed=True)},
        "delivered": {"a": Delivery("K2", ago(days=16))},
    }

    def test_keeps_the_user_from_another_key_only_where_a_key_goes_that_has_not_leaked(self) -> None:
        refused = decide(key("K1", days=31), **OLD, **self.UNREAD)
        assert (
            "--both --delete. a cannot be read: down The key to be removed may be held there. Once LAST"
            in refused.message
        )
        found = decide(key("K1", days=31), mark=TO_DELETE, **OLD, **self.UNREAD)
        assert found.actions == (
            Delete("K2"),
            Create(("K1", "K2"), urgent=True, last="K1"),
            Deliver(("a",)),
            Commit("K1"),
        )

    @pytest.mark.parametrize("beside", [(), (key("K8", days=3),)], ids=["", "beside an unmanaged key"])
    @pytest.mark.parametrize(
        "fields",
        [{"intent": Intent(("K2", "K8"), ago(minutes=5))}, {"removed": {"K9": ago(minutes=2)}}],
        ids=["an orphan", "a key that is still listed"],
    )
    def test_keeps_what_is_removed_besides_last_and_that_is_what_the_operator_reads(
        self, beside: Any, fields: dict[str, Any]
    ) -> None:
        created = key("K9", created=ago(minutes=5))
        found = decide(*beside, created, **fields, **{**OLD, "last": ""}, **self.UNREAD)
        assert (found.outcome, found.reason) == (Outcome.REFUSED, Reason.UNREADABLE)

    def test_does_not_keep_a_leaked_key_whose_deletion_was_requested(self) -> None:
        gone = key("K1", days=31, active=False)
        found = decide(gone, revoked={"K1": TO_DELETE}, **OLD, **self.UNREAD)
        assert found.actions == (Delete("K1"), Create(("K1", "K2"), urgent=True), Deliver(("a",)), Commit("K2"))

    def test_that_can_be_read_keeps_no_orphan(self) -> None:
        intent = Intent(("K2",), ago(minutes=5))
        created = key("K9", created=ago(minutes=5))
        found = decide(created, intent=intent, destinations={"a": Held("K2")}, **{**OLD, "last": ""})
        assert found.actions[:2] == (RemoveOrphan("K9"), Create(("K9", "K2"), urgent=True))


class TestAKeyOfACreationWithoutAResponse:
    """A destination cannot tell what it holds, so it may hold this key."""

    def test_becomes_last_with_the_next_intent_once_the_leaked_key_is_gone(self) -> None:
        recorded = journal(intent=Intent(("K2",), ago(minutes=5)), revoked={"K2": TO_DELETE})
        created = key("K9", created=ago(minutes=5))
        seen = observation_of(created, held="K2", journal=recorded, destinations={"a": CannotTell("no right")})
        found = plan(seen, POLICY, NOW, Overrides())
        assert found.actions == (Create(("K9", "K2"), last="K9"), Deliver(("a",)), Commit("K9"))

    def test_is_not_named_early_where_the_store_holds_a_key_that_has_not_leaked(self) -> None:
        seen = observation_of(key("K9", days=3), held="K2", destinations={"a": CannotTell("no right")})
        assert plan(seen, POLICY, NOW, Overrides()).actions == (Create(("K9", "K2")), Deliver(("a",)), Commit("K9"))


class TestASoak:
    def test_of_last_is_begun_where_nothing_else_bars_it(self) -> None:
        assert decide(key("K1", days=31), policy=SOAK, **OLD).actions == (Deactivate("K1"),)
        assert decide(key("K1", days=31), policy=SOAK, **FRESH).reason is Reason.LEAKED

    def test_of_a_named_key_is_begun_and_waited_for_before_there_is_room(self) -> None:
        begun = decide(key("K9", days=3), policy=SOAK, current="K2", retire={"K9"})
        assert begun.actions == (Deactivate("K9", named=True),)
        soaking: dict[str, Any] = {"retiring": {"K9": Retiring(ago(days=1), named=True)}, "current": "K2"}
        assert decide(key("K9", days=3, active=False), policy=SOAK, **soaking).reason is Reason.SOAKING

    def test_of_a_named_key_does_not_keep_a_leaked_one_from_making_room(self) -> None:
        found = decide(
            key("K9", days=3),
            key("K1", days=31, active=False),
            policy=SOAK,
            retire={"K9"},
            mark=TO_DELETE,
            revoked={"K1": TO_DELETE},
            **OLD,
        )
        assert [one for one in found.actions if isinstance(one, Delete)] == [Delete("K1"), Delete("K2")]


class TestWhatIsSaid:
    def said(self, what: Any, *keys: Any, **revoked: Revoked) -> str:
        seen = observation_of(*keys, held="K2", journal=journal(**FRESH, revoked=revoked))
        found: str = what(assess(seen, POLICY, NOW, Overrides()))
        return found

    @pytest.mark.parametrize(
        ("until", "said"),
        [
            (None, "is kept Inactive. To delete it: twokey revoke K1 --delete."),
            (NOW, "is Inactive, and is deleted once no destination may hold it."),
            (
                NOW + timedelta(seconds=1),
                "2026-06-01T12:00:01Z; a run deletes it then. To delete it: twokey revoke K1 --delete.",
            ),
        ],
    )
    def test_of_a_revoked_key_until_when_it_is_kept(self, until: Any, said: str) -> None:
        keys = key("K1", days=31, active=False), key("K2", days=1)
        found = self.said(kept_revoked, *keys, K1=Revoked(ago(days=1), until))
        assert found.startswith("K1 has leaked,")
        assert found.endswith(said)

    @pytest.mark.parametrize(("seconds", "told"), [(29, False), (30, True)])
    def test_that_a_leaked_key_is_active_again_once_no_list_can_lag(self, seconds: int, *, told: bool) -> None:
        found = self.said(reactivated, key("K1", days=31), key("K2", days=1), K1=Revoked(ago(seconds=seconds)))
        said = "K1 has leaked, and was made Active again outside twokey. To stop it: twokey revoke K1."
        assert found == (said if told else "")

    def test_that_a_leaked_key_is_active_again_although_no_rotation_is_due(self) -> None:
        recorded = journal(**FRESH, revoked={"K1": Revoked(ago(days=1))})
        found = plan(
            observation_of(key("K1", days=31), key("K2", days=1), held="K2", journal=recorded), POLICY, NOW, Overrides()
        )
        assert found.outcome is Outcome.NOT_DUE
        assert found.message.endswith(
            "K1 has leaked, and was made Active again outside twokey. To stop it: twokey revoke K1."
        )

    def test_nothing_of_a_leaked_key_that_is_inactive_and_of_a_key_that_has_not_leaked(self) -> None:
        keys = key("K1", days=31, active=False), key("K2", days=1)
        assert self.said(reactivated, *keys, K1=Revoked(ago(days=1))) == ""
        assert self.said(reactivated, *keys) == self.said(kept_revoked, *keys) == ""
