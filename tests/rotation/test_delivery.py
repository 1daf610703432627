"""Deliveries to many places: what stops them, what does not, what is journaled, on virtual time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from simulation.states import ago
from simulation.world import START, Clock, Killed, Place
from support.pipelines import TEN, Delivering, given, raising
from twokey.core import waiting
from twokey.core.errors import (
    AccessDenied,
    Ambiguous,
    BadCredentials,
    Conflict,
    NotFound,
    ServiceError,
    ServiceRejected,
    Throttled,
    UsageError,
)
from twokey.core.journal import Delivery, stamp_of
from twokey.core.reasons import Outcome, Reason
from twokey.planning.redelivery import deliver_plan
from twokey.rotation.lease import LENGTH
from twokey.rotation.leased_journal import WRITE_LIMIT

if TYPE_CHECKING:
    from twokey.core.journal import Journal


def replace_delivery(journal: Journal, name: str, delivery: Delivery) -> Journal:
    """Return the journal with another delivery to one place."""
    return msgspec.structs.replace(journal, delivered={**journal.delivered, name: delivery})


__all__ = ["given"]


def show_stamps(given: Delivering, monkeypatch: Any, length: int) -> None:
    """Let all places show stamps of this length; the journal knows them."""

    def stamp(place: Place) -> str:
        return f"{given.world.stamps[place.name]:0{length}}"

    monkeypatch.setattr(Place, "_stamp", stamp)
    for name in TEN:
        delivery = Delivery("K2", ago(16), stamp_of(f"{1:0{length}}"))
        given.world.journal = replace_delivery(given.journal, name, delivery).encode()


class TestAPlaceThatFails:
    @pytest.mark.parametrize(
        "error",
        [
            BadCredentials("The token has expired."),
            AccessDenied("secrets:write", "acme/site", remedy="Give the token that right."),
            NotFound("The project acme/site is gone."),
            Throttled("Slow down."),
            Conflict("Somebody else wrote it."),
            Ambiguous("No answer."),
            KeyError("a-secret"),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_stops_no_other_and_is_reported_under_its_own_name(self, given: Delivering, error: ServiceError) -> None:
        given.before["ci:4"] = raising(error)
        result = given.rotated()
        assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.DELIVERY_FAILED)
        assert given.reached == list(TEN)
        assert given.holding("N1") == [name for name in TEN if name != "ci:4"]
        assert {one.destination for one in result.destinations if one.outcome == "failed"} == {"ci:4"}
        said = getattr(
            error, "message", "ci:4: its service answered what nobody foresaw, or it has a defect (KeyError)."
        )
        assert f"1 of 10 destinations could not be given N1: ci:4: {said}" in result.message
        assert "a-secret" not in result.message
        assert (result.current, result.last) == ("N1", "K2")

    def test_leaves_both_keys_valid_and_is_resumed_without_a_new_key(self, given: Delivering) -> None:
        given.before["ci:4"] = raising(NotFound("The project is gone."))
        given.rotated()
        again = given.rotated()
        assert again.outcome is Outcome.FAILED
        assert [(one.destination, one.outcome) for one in again.destinations] == [
            ("store", "held"),
            *((name, "failed" if name == "ci:4" else "held") for name in TEN),
        ]
        assert given.reached == ["ci:4"]
        assert {key.id for key in given.world.keys.values() if key.active} == {"K2", "N1"}
        del given.before["ci:4"]
        result = given.rotated()
        assert (result.outcome, result.current) == (Outcome.COMPLETED, "N1")
        assert given.holding("N1") == list(TEN)
        assert given.world.made == 1
        assert given.rotated().outcome is Outcome.NOT_DUE

    def test_is_not_written_when_only_another_one_has_to_be(self, given: Delivering) -> None:
        given.before["ci:4"] = raising(NotFound("The project is gone."))
        given.rotated()
        del given.before["ci:4"]
        result = given.rotated()
        assert given.reached == ["ci:4"]
        assert [(one.destination, one.outcome) for one in result.destinations] == [
            ("store", "held"),
            *((name, "delivered" if name == "ci:4" else "held") for name in TEN),
        ]

    def test_stops_no_other_where_it_cannot_be_read_for_what_is_wrong_on_this_machine(self, given: Delivering) -> None:
        """A file of CA certificates that is gone, say: it is read when the place is first asked something."""
        given.world.places["ci:7"] = given.world.secrets_at["ci:7"] = "K1"
        given.world.journal = replace_delivery(given.journal, "ci:7", Delivery("K1", ago(16), "1")).encode()
        given.looked_at["ci:4"] = raising(UsageError("The CA certificates in ca.pem cannot be read."))
        result = given.rotated()
        assert given.reached == ["ci:7"]
        assert result.reason is Reason.OUT_OF_DATE

    def test_stops_no_other_where_its_answer_was_not_foreseen(self, given: Delivering) -> None:
        given.world.places["ci:7"] = given.world.secrets_at["ci:7"] = "K1"
        given.world.journal = replace_delivery(given.journal, "ci:7", Delivery("K1", ago(16), "1")).encode()
        given.looked_at["ci:4"] = raising(KeyError("a-secret"))
        given.rotated()
        assert given.reached == ["ci:7"]

    def test_is_warned_of_while_nothing_is_due_for_it_may_keep_the_next_rotation_from_beginning(
        self, given: Delivering
    ) -> None:
        given.rotated()
        given.looked_at["ci:4"] = raising(BadCredentials("The token has expired.", remedy="Make another one."))
        result = given.rotated()
        assert result.outcome is Outcome.NOT_DUE
        (warning,) = result.warnings
        assert warning == (
            "ci:4 could not be read, and may keep the next rotation from beginning. The token has expired. "
            "Make another one."
        )

    def test_is_warned_of_when_others_are_delivered_to(self, given: Delivering) -> None:
        given.world.places["ci:7"] = given.world.secrets_at["ci:7"] = "K1"
        given.world.journal = replace_delivery(given.journal, "ci:7", Delivery("K1", ago(16), "1")).encode()
        given.looked_at["ci:4"] = raising(BadCredentials("The token has expired."))
        (warning,) = given.rotated().warnings
        assert warning.startswith("ci:4 could not be read")

    def test_is_warned_of_also_where_another_place_begins_with_its_name(self, given: Delivering) -> None:
        world = given.world
        world.places["ci:10"], world.secrets_at["ci:10"] = "K1", "K1"
        world.telling["ci:10"] = False
        world.journal = replace_delivery(given.journal, "ci:10", Delivery("K1", ago(16))).encode()
        given.looked_at["ci:1"] = raising(BadCredentials("The token has expired."))
        result = given.rotated()
        assert given.reached == ["ci:10"]
        assert "ci:10" in result.message
        assert [warning.partition(" ")[0] for warning in result.warnings] == ["ci:1"]

    def test_is_not_warned_of_where_it_was_delivered_to_after_all(self, given: Delivering) -> None:
        given.world.places["ci:4"] = given.world.secrets_at["ci:4"] = "K1"
        given.world.journal = replace_delivery(given.journal, "ci:4", Delivery("K1", ago(16), "1")).encode()
        given.looked_at["ci:4"] = raising(BadCredentials("The token has expired."))
        result = given.rotated()
        assert given.reached == ["ci:4"]
        assert result.warnings == ()

    def test_in_the_preflight_refuses_where_its_answer_was_not_foreseen(
        self, given: Delivering, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(Place, "preflight", lambda _: raising(KeyError("a-secret"))())
        result = given.rotated()
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.PREFLIGHT)
        assert "a-secret" not in result.message

    def test_in_the_preflight_is_named_also_for_what_is_wrong_on_this_machine(
        self, given: Delivering, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(Place, "preflight", lambda _: raising(UsageError("The CA file cannot be read."))())
        result = given.rotated()
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.PREFLIGHT)
        assert "CA file cannot be read" in result.message

    def test_in_the_preflight_is_named_as_what_refused(self, given: Delivering, monkeypatch: Any) -> None:
        def preflight(place: Place) -> None:
            if place.name == "ci:4":
                raise BadCredentials("The token has expired.", remedy="Make another one.")

        monkeypatch.setattr(Place, "preflight", preflight)
        result = given.rotated()
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.PREFLIGHT)
        assert result.message == "ci:4: The token has expired. Nothing was changed. Make another one."


class TestATornPair:
    def test_is_journaled_before_the_first_of_its_writes(self, given: Delivering) -> None:
        noted: list[tuple[str, ...]] = []
        given.before["ci:0"] = lambda: noted.append(given.journal.delivering)
        given.rotated()
        assert noted == [TEN]
        assert not given.journal.delivering

    def test_is_delivered_again_by_the_next_run(self, given: Delivering) -> None:
        tear = next(number for number, what in enumerate(given.effects()) if what == "deliver to ci:3 N1")
        given.world.faults = {tear: "killed after"}
        assert given.run() is None
        assert given.world.torn("ci:3")
        assert "ci:3" in given.journal.delivering
        given.world.faults = {}
        assert given.rotated().outcome is Outcome.COMPLETED
        assert given.holding("N1") == list(TEN)
        assert given.journal.delivering == ()

    def test_stays_in_the_journal_where_its_second_write_failed(self, given: Delivering) -> None:
        second = next(number for number, what in enumerate(given.effects()) if what == "deliver to ci:3, secret N1")
        given.world.faults = {second: "refused"}
        assert given.rotated().outcome is Outcome.FAILED
        assert set(given.journal.delivering) == {"ci:3"}
        given.rotated()
        assert given.holding("N1") == list(TEN)
        assert not given.journal.delivering

    def test_is_noted_no_more_where_nothing_was_written(self, given: Delivering) -> None:
        """Otherwise a token that has expired would make every place look torn, and LAST's grace begin anew."""
        given.before["ci:3"] = raising(BadCredentials("The token has expired."))
        assert given.rotated().outcome is Outcome.FAILED
        assert given.journal.delivering == ()

    def test_stays_noted_where_an_earlier_run_left_it_and_this_one_writes_nothing(self, given: Delivering) -> None:
        second = next(number for number, what in enumerate(given.effects()) if what == "deliver to ci:3, secret N1")
        given.world.faults = {second: "refused"}
        given.rotated()
        given.before["ci:3"] = raising(BadCredentials("The token has expired."))
        given.rotated()
        assert given.journal.delivering == ("ci:3",)

    def test_of_a_place_that_is_readable_is_repaired_although_it_shows_current(self, given: Delivering) -> None:
        given.world.telling["ci:3"] = True
        second = next(number for number, what in enumerate(given.effects()) if what == "deliver to ci:3, secret N1")
        given.world.faults = {second: "refused"}
        given.rotated()
        assert given.world.places["ci:3"] == "N1"
        given.rotated()
        assert given.holding("N1") == list(TEN)

    def test_of_a_place_that_takes_one_write_cannot_be_and_is_not_noted(self, given: Delivering) -> None:
        given.world.secrets_at.clear()
        noted: list[tuple[str, ...]] = []
        given.before["ci:0"] = lambda: noted.append(given.journal.delivering)
        given.rotated()
        assert not any(noted)

    def test_is_noted_together_with_what_the_places_may_hold_until_then(self, given: Delivering) -> None:
        given.rotated()
        given.world.journal = msgspec.structs.replace(given.journal, delivered={}).encode()
        given.told.clear()
        given.before["ci:0"] = raising(Killed())
        assert given.run() is None
        assert given.journal.delivering == TEN
        assert {one.key for one in given.journal.delivered.values()} == {"K2"}
        assert len([one for one in given.told if one.step == "note" and one.phase == "done"]) == 1


class TestALongDelivery:
    def test_keeps_its_lease_while_places_wait_for_their_service(self, given: Delivering) -> None:
        given.world.waits = dict.fromkeys(TEN, 400.0)
        assert given.rotated().outcome is Outcome.ROTATED
        assert given.world.now - START > timedelta(seconds=4000)

    def test_tells_of_each_long_wait_once_and_of_no_short_one(self, given: Delivering) -> None:
        given.world.waits = {"ci:0": 40.0, "ci:1": 7.0, "ci:2": 40.0}
        given.rotated()
        limits = [one.detail for one in given.told if one.step == "limit"]
        assert len(limits) == len(set(limits)) == 2

    def test_is_written_down_every_half_minute(self, given: Delivering) -> None:
        given.world.waits = dict.fromkeys(TEN, 7.0)
        given.before["ci:9"] = raising(Killed())
        assert given.run() is None
        written = [name for name, one in given.journal.delivered.items() if one.key == "N1"]
        assert written == list(TEN[:5])
        assert given.journal.delivering == TEN[5:]

    def test_that_is_killed_leaves_the_rest_to_the_next_run_and_what_was_written_a_moment_ago(
        self, given: Delivering
    ) -> None:
        given.world.waits = dict.fromkeys(TEN, 40.0)
        given.before["ci:8"] = raising(Killed())
        assert given.run() is None
        given.before.clear()
        assert given.rotated().outcome is Outcome.COMPLETED
        assert given.reached == ["ci:7", "ci:8", "ci:9"]
        assert given.holding("N1") == list(TEN)

    def test_writes_down_what_was_delivered_whenever_the_lease_is_renewed(self, given: Delivering) -> None:
        """A guard that renews the lease anyway takes the news along, half a minute or not."""

        def sleep() -> None:
            given.world.now += timedelta(seconds=175 - WRITE_LIMIT + 1)

        given.before = {"ci:0": sleep, "ci:1": raising(Killed())}
        assert given.run() is None
        assert given.journal.delivered["ci:0"].key == "N1"

    def test_that_loses_its_lease_ends_and_does_not_call_it_the_places_failure(self, given: Delivering) -> None:
        def overtaken() -> None:
            given.world.now += timedelta(seconds=400)
            waiting.pause(Clock(given.world), 1)

        given.before["ci:2"] = overtaken
        result = given.rotated()
        assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.LEASE_LOST)
        assert given.reached == ["ci:0", "ci:1", "ci:2"]
        assert [one.outcome for one in result.destinations] == ["delivered"] * 3

    def test_that_loses_its_lease_ends_also_where_the_place_makes_another_error_of_it(self, given: Delivering) -> None:
        def overtaken() -> None:
            given.world.now += timedelta(seconds=400)
            try:
                waiting.pause(Clock(given.world), 1)
            except Conflict:
                raise Ambiguous("Something came between.") from None

        given.before["ci:2"] = overtaken
        result = given.rotated()
        assert result.reason is Reason.LEASE_LOST
        assert given.reached == ["ci:0", "ci:1", "ci:2"]

    def test_that_stood_still_too_long_writes_no_second_value(self, given: Delivering) -> None:
        """A suspended machine: others have delivered there meanwhile, and a late value would tear their pair."""

        def asleep() -> None:
            given.world.now += timedelta(seconds=400)
            waiting.before_effect()

        given.before["ci:2"] = asleep
        result = given.rotated()
        assert result.reason is Reason.LEASE_LOST
        assert given.reached == ["ci:0", "ci:1", "ci:2"]

    def test_that_stood_still_too_long_ends_also_where_the_place_calls_it_half_a_write(self, given: Delivering) -> None:
        """As a place of two values does, whose first one was written."""

        def asleep() -> None:
            given.world.now += timedelta(seconds=400)
            try:
                waiting.before_effect()
            except Conflict:
                raise Ambiguous("One of two values was written.") from None

        given.before["ci:2"] = asleep
        result = given.rotated()
        assert result.reason is Reason.LEASE_LOST
        assert [one.outcome for one in result.destinations] == ["delivered"] * 3
        assert "ci:2" not in given.holding("N1")
        assert "ci:2" in given.journal.delivering


class TestPlacesThatAreSlowToAnswer:
    """Three hundred pipelines at a third of a second for each request take longer to look at than a lease lasts."""

    LATENCY = 0.7 * LENGTH.total_seconds() / len(TEN)
    """Ten places take longer than that for being looked at under the lease, and then asked whether they take it."""

    @pytest.fixture(autouse=True)
    def slow(self, given: Delivering) -> None:
        """Make all places slow."""
        given.latency = self.LATENCY

    def test_are_all_delivered_to_under_one_lease(self, given: Delivering) -> None:
        assert given.rotated().outcome is Outcome.ROTATED
        assert given.holding("N1") == list(TEN)
        assert given.runs == 1

    def test_are_all_delivered_to_when_a_person_asks(self, given: Delivering) -> None:
        given.latency = 1.5 * self.LATENCY
        assert given.rotated(deliver_plan).outcome is Outcome.COMPLETED
        assert given.reached == list(TEN)


class TestARunThatIsStopped:
    def test_ends_its_waiting_begins_no_further_place_and_journals_what_was_done(self, given: Delivering) -> None:
        given.world.waits = dict.fromkeys(TEN, 60.0)
        given.before["ci:6"] = given.stop.set
        began = given.world.now
        result = given.rotated()
        assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.STOPPED)
        assert "The run was stopped: 4 of 10 destinations were not given N1." in result.message
        assert "without creating another key" in result.message
        assert given.reached == list(TEN[:7])
        assert given.world.now - began < timedelta(seconds=400)
        assert [one.outcome for one in result.destinations] == ["delivered"] * 7 + ["failed"] * 4
        assert given.journal.lease is None
        given.before.clear()
        given.stop.clear()
        assert given.rotated().outcome is Outcome.COMPLETED
        assert given.reached == list(TEN[6:])
        assert given.holding("N1") == list(TEN)

    def test_goes_on_where_nothing_has_to_be_waited_for(self, given: Delivering) -> None:
        given.before["ci:2"] = given.stop.set
        assert given.rotated().outcome is Outcome.ROTATED
        assert given.holding("N1") == list(TEN)


class TestGrace:
    def test_begins_anew_where_a_place_may_have_held_last(self, given: Delivering) -> None:
        given.rotated()
        given.world.now += timedelta(days=3)
        given.world.stamps["ci:4"] += 1  # somebody has written there by hand
        result = given.rotated()
        assert (result.outcome, result.reason) == (Outcome.COMPLETED, Reason.OUT_OF_DATE)
        assert given.journal.delivered["ci:4"].at > given.world.now - timedelta(seconds=5)

    def test_begins_anew_where_a_delivery_was_left_open_although_the_stamp_is_the_same(self, given: Delivering) -> None:
        """A time is a coarse stamp: two writes of one second have the same."""
        given.rotated()
        given.world.now += timedelta(days=3)
        given.world.journal = msgspec.structs.replace(given.journal, delivering=("ci:4",)).encode()
        assert given.rotated().reason is Reason.OUT_OF_DATE
        assert given.journal.delivered["ci:4"].at > given.world.now - timedelta(seconds=5)

    def test_stays_where_it_is_for_places_that_nobody_had_to_write(self, given: Delivering) -> None:
        given.rotated()
        at = given.journal.delivered["ci:5"].at
        given.world.now += timedelta(days=3)
        given.world.stamps["ci:4"] += 1
        given.rotated()
        assert given.journal.delivered["ci:5"].at == at


class TestAJournalThatIsTooShortForAllPlaces:
    def test_is_found_out_before_the_first_of_them_is_written(self, given: Delivering, monkeypatch: Any) -> None:
        given.rotated()
        given.world.stamps["ci:4"] += 1

        def room_for(_place: Place, journal: Journal) -> None:
            if len(journal.encode()) > 500:
                raise ServiceRejected("The journal would be too long.")

        monkeypatch.setattr(Place, "room_for", room_for)
        result = given.rotated()
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.PREFLIGHT)
        assert given.reached == []

    @pytest.mark.parametrize("telling", [False, True], ids=["silent", "telling"])
    @pytest.mark.parametrize("length", [1, 41, 57, 200])
    def test_room_is_kept_for_what_will_be_written(
        self, given: Delivering, monkeypatch: Any, length: int, *, telling: bool
    ) -> None:
        """GitHub's stamp of a pair is two times of 20 characters, a program's may have 200."""
        show_stamps(given, monkeypatch, length)
        given.world.telling = dict.fromkeys(TEN, telling)
        foreseen: list[int] = []
        monkeypatch.setattr(Place, "room_for", lambda _place, journal: foreseen.append(len(journal.encode())))
        lengths: list[int] = []
        save = Place.save_journal

        def measured(place: Place, journal: Journal, revision: object) -> object:
            lengths.append(len(journal.encode()))
            return save(place, journal, revision)

        monkeypatch.setattr(Place, "save_journal", measured)
        given.world.waits = dict.fromkeys(TEN, 40.0)
        given.rotated()
        assert max(lengths) <= foreseen[0]
        assert given.rotated().outcome is Outcome.NOT_DUE

    def test_a_long_stamp_tells_whether_somebody_else_has_written(self, given: Delivering, monkeypatch: Any) -> None:
        show_stamps(given, monkeypatch, 100)
        given.rotated()
        assert given.rotated().outcome is Outcome.NOT_DUE
        given.world.stamps["ci:4"] += 1
        given.rotated()
        assert given.reached == ["ci:4"]
