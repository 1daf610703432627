"""How a user managed outside twokey is taken over: evidence decides, and nothing is guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.builders import NOW, STORE, ago, journal, key, observation_of
from twokey.adoption.decision import Decision, Offer, decide
from twokey.core.journal import Delivery, Intent
from twokey.core.model import CannotTell, Held, NotHeld
from twokey.core.reasons import Ending, Reason
from twokey.planning.policy import RotationPolicy

if TYPE_CHECKING:
    from twokey.core.model import AccessKey, Holding

OLD, NEW, GONE = "AKIAOLD", "AKIANEW", "AKIAGONE"
ONE, OTHER = "file:one/ci.json", "ssm:/two/ci"
TWO_KEYS = (key(OLD, days=40), key(NEW, days=16))
SILENT = CannotTell("it keeps that to itself")
UNREAD = CannotTell("Access denied.", failed=True)


def decided(*keys: AccessKey, offer: Holding | None = None, **fields: Any) -> Decision:
    """Decide; every destination but those that cannot tell provides its credential."""
    destinations = fields.get("destinations", {})
    sources = frozenset(name for name, one in destinations.items() if not isinstance(one, CannotTell))
    return decide(
        observation_of(*keys, **fields), RotationPolicy(), NOW, sources, Offer("the source", offer) if offer else None
    )


class TestAStoreThatHoldsAKey:
    def test_makes_it_current_and_the_older_one_last(self) -> None:
        found = decided(*TWO_KEYS, held=NEW)
        assert (found.ending, found.reason) == (Ending.ADOPTED, Reason.EXISTING_KEY)
        assert (found.current, found.last, found.source, found.put) == (NEW, OLD, STORE, False)

    def test_is_refused_beside_a_newer_key_that_nothing_shows(self) -> None:
        found = decided(*TWO_KEYS, held=OLD)
        assert (found.ending, found.reason) == (Ending.REFUSED, Reason.UNMANAGED_KEY)
        assert NEW in found.message
        assert f"--retire {NEW}" in found.message
        assert "--to" in found.message

    def test_takes_a_newer_key_for_last_where_a_destination_shows_that_it_holds_it(self) -> None:
        found = decided(*TWO_KEYS, held=OLD, destinations={ONE: Held(NEW)})
        assert (found.ending, found.current, found.last) == (Ending.ADOPTED, OLD, NEW)
        assert dict(found.delivered) == {ONE: NEW}
        assert f"{NEW}, which {ONE} holds" in found.message

    def test_takes_no_newer_key_for_last_by_a_place_that_may_hold_it(self) -> None:
        for silent in (SILENT, UNREAD):
            assert decided(*TWO_KEYS, held=OLD, destinations={ONE: silent}).reason is Reason.UNMANAGED_KEY

    def test_is_refused_where_the_key_is_inactive_unlisted_or_cannot_be_read(self) -> None:
        inactive = decided(key(NEW, days=16, active=False), held=NEW)
        assert inactive.reason is Reason.INACTIVE
        assert "--status Active" in inactive.message
        assert decided(key(OLD, days=40), held=GONE).reason is Reason.NOT_LISTED
        assert decided(*TWO_KEYS, holding=CannotTell("no JSON object")).reason is Reason.UNREADABLE

    def test_is_never_overwritten_by_what_the_operator_offers_while_it_is_listed(self) -> None:
        found = decided(*TWO_KEYS, held=OLD, offer=Held(NEW))
        assert (found.ending, found.reason) == (Ending.REFUSED, Reason.DESTINATIONS_DIFFER)
        assert OLD in found.message
        assert NEW in found.message

    def test_gives_way_to_what_the_operator_offers_where_its_key_is_gone(self) -> None:
        found = decided(*TWO_KEYS, held=GONE, offer=Held(NEW))
        assert (found.ending, found.current, found.put) == (Ending.ADOPTED, NEW, True)


class TestAnEmptyStore:
    def test_is_given_the_one_key_that_the_destinations_show(self) -> None:
        found = decided(*TWO_KEYS, destinations={ONE: Held(NEW), OTHER: Held(NEW)})
        assert (found.ending, found.current, found.last, found.put) == (Ending.ADOPTED, NEW, OLD, True)
        assert found.source == ONE
        assert dict(found.delivered) == {ONE: NEW, OTHER: NEW}

    def test_is_refused_where_two_destinations_hold_different_keys(self) -> None:
        found = decided(*TWO_KEYS, destinations={ONE: Held(NEW), OTHER: Held(OLD)})
        assert found.reason is Reason.DESTINATIONS_DIFFER
        for name in (ONE, OTHER, NEW, OLD, "--from", "--stdin", "--retire"):
            assert name in found.message

    def test_is_settled_by_the_place_that_a_person_points_at(self) -> None:
        found = decided(*TWO_KEYS, destinations={ONE: Held(NEW), OTHER: Held(OLD)}, offer=Held(NEW))
        assert (found.current, found.last, found.source) == (NEW, OLD, "the source")
        assert dict(found.delivered) == {ONE: NEW, OTHER: OLD}

    def test_is_refused_while_a_place_that_would_tell_cannot_be_read(self) -> None:
        found = decided(*TWO_KEYS, destinations={ONE: Held(NEW), OTHER: UNREAD})
        assert found.reason is Reason.UNREADABLE
        assert OTHER in found.message

    def test_is_refused_where_nothing_shows_the_key_in_use(self) -> None:
        for destinations in ({}, {ONE: NotHeld()}, {ONE: SILENT}):
            found = decided(*TWO_KEYS, destinations=destinations)
            assert found.reason is Reason.CANNOT_ATTRIBUTE
            assert "--retire KEY_ID" in found.message

    def test_is_refused_where_the_key_in_use_is_not_shown(self) -> None:
        found = decide(observation_of(*TWO_KEYS, destinations={ONE: Held(NEW)}), RotationPolicy(), NOW, frozenset())
        assert found.reason is Reason.CANNOT_ATTRIBUTE
        assert "--stdin" in found.message

    @pytest.mark.parametrize(
        ("offer", "reason"),
        [
            (Held(GONE), Reason.NOT_LISTED),
            (NotHeld(), Reason.CANNOT_ATTRIBUTE),
            (UNREAD, Reason.UNREADABLE),
            (Held(OLD), Reason.UNMANAGED_KEY),
        ],
    )
    def test_is_refused_where_what_the_operator_offers_proves_nothing(self, offer: Holding, reason: Reason) -> None:
        assert decided(*TWO_KEYS, offer=offer).reason is reason

    def test_is_not_given_an_inactive_key(self) -> None:
        keys = (key(OLD, days=40), key(NEW, days=16, active=False))
        assert decided(*keys, destinations={ONE: Held(NEW)}).reason is Reason.INACTIVE
        assert decided(*keys, offer=Held(NEW)).reason is Reason.INACTIVE

    def test_of_a_user_without_a_key_leaves_nothing_to_take_over(self) -> None:
        found = decided(destinations={ONE: NotHeld()})
        assert (found.ending, found.reason) == (Ending.NOTHING, Reason.NO_KEY)

    def test_that_was_emptied_gets_back_only_the_current_of_its_journal(self) -> None:
        recorded = journal(current=NEW, last=OLD, committed=ago(days=3))
        back = decided(*TWO_KEYS, journal=recorded, destinations={ONE: Held(NEW)})
        assert (back.ending, back.last, back.committed) == (Ending.ADOPTED, OLD, ago(days=3))
        other = decided(*TWO_KEYS, journal=recorded, destinations={ONE: Held(OLD)})
        assert (other.ending, other.reason) == (Ending.REFUSED, Reason.ROLLED_BACK)

    def test_that_holds_a_deleted_key_gets_back_only_the_current_of_its_journal(self) -> None:
        gone, recorded = "AKIAGONE", journal(current=NEW, last=OLD, committed=ago(days=3))
        assert decided(*TWO_KEYS, held=gone, journal=recorded).reason is Reason.NOT_LISTED
        assert decided(*TWO_KEYS, held=gone, journal=recorded, offer=Held(NEW)).ending is Ending.ADOPTED
        other = decided(*TWO_KEYS, held=gone, journal=recorded, offer=Held(OLD))
        assert (other.ending, other.reason) == (Ending.REFUSED, Reason.ROLLED_BACK)
        assert f"holds {gone}, which IAM no longer lists" in other.message


class TestCommitted:
    """When CURRENT began to be CURRENT, as the journal will say. Grace counts from it."""

    def test_is_the_takeover_where_there_is_last_because_since_when_it_was_not_read_is_unknown(self) -> None:
        assert decided(*TWO_KEYS, held=NEW).committed is None
        assert decided(*TWO_KEYS, offer=Held(NEW)).committed is None

    def test_is_the_creation_of_current_where_there_is_no_last_so_that_no_key_lives_longer_than_it_must(self) -> None:
        (only,) = (key(NEW, days=16),)
        assert decided(only, held=NEW).committed == only.created


class TestAManagedUser:
    def test_has_nothing_to_take_over(self) -> None:
        found = decided(*TWO_KEYS, held=NEW, journal=journal(current=NEW, last=OLD))
        assert (found.ending, found.reason, found.current) == (Ending.NOTHING, Reason.MANAGED, NEW)
        assert found.last == OLD

    def test_says_that_what_the_operator_offers_was_not_taken(self) -> None:
        found = decided(*TWO_KEYS, held=NEW, journal=journal(current=NEW, last=OLD), offer=Held(OLD))
        assert found.ending is Ending.NOTHING
        assert f"{OLD} was not taken from the source" in found.message

    def test_in_the_middle_of_a_rotation_is_left_to_rotate(self) -> None:
        found = decided(*TWO_KEYS, held=NEW, journal=journal(intent=Intent((OLD,), ago(minutes=5))))
        assert (found.ending, found.reason) == (Ending.NOTHING, Reason.INTERRUPTED)

    def test_whose_store_was_written_by_hand_is_refused_as_a_rotation_would_be(self) -> None:
        assert decided(*TWO_KEYS, held=OLD, journal=journal(current=NEW, last=OLD)).reason is Reason.ROLLED_BACK

    def test_that_was_made_again_or_that_twokey_runs_with_is_refused(self) -> None:
        assert decided(*TWO_KEYS, held=NEW, journal=journal(user="AIDAOTHER")).reason is Reason.USER_RECREATED
        assert decided(*TWO_KEYS, held=NEW, own_key=NEW).reason is Reason.OWN_KEY


class TestWhatIsUnknown:
    def test_names_destinations_that_cannot_tell_and_keys_that_no_job_is_known_to_use(self) -> None:
        found = decided(*TWO_KEYS, held=NEW, destinations={ONE: SILENT, OTHER: Held(GONE)})
        recorded = " ".join(found.unknown)
        for word in (
            ONE,
            "it keeps that to itself",
            OTHER,
            GONE,
            f"which jobs use {OLD}",
            f"since when jobs read {NEW}",
        ):
            assert word in recorded

    def test_is_nothing_where_everything_shows(self) -> None:
        assert decided(key(NEW, days=16), held=NEW, destinations={ONE: Held(NEW)}).unknown == ()

    def test_leaves_out_a_place_of_which_the_journal_knows(self) -> None:
        recorded = journal(delivered={ONE: Delivery(NEW, ago(days=1))})
        assert decided(key(NEW, days=16), held=NEW, journal=recorded, destinations={ONE: SILENT}).unknown == ()
