"""Deliveries to many destinations: what stops them, what does not, what is journaled, on virtual time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from simulation.states import ago
from simulation.world import START, Clock, Killed, SimulatedDestination
from support.pipelines import TEN, Delivering, pipelines, raising
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
from twokey.core.journal import Delivery, Journal, Revoked, stamp_of
from twokey.core.reasons import Outcome, Reason
from twokey.planning.redelivery import deliver_plan
from twokey.rotation.lease import LENGTH
from twokey.rotation.leased_journal import WRITE_LIMIT


def replace_delivery(journal: Journal, name: str, delivery: Delivery) -> Journal:
    """Return the journal with another delivery to one destination."""
    return msgspec.structs.replace(journal, delivered={**journal.delivered, name: delivery})


__all__ = ["pipelines"]


def show_stamps(pipelines: Delivering, monkeypatch: Any, length: int) -> None:
    """Let all destinations show stamps of this length; the journal knows them."""

    def stamp(destination: SimulatedDestination) -> str:
        return f"{pipelines.world.stamps[destination.name]:0{length}}"

    monkeypatch.setattr(SimulatedDestination, "_stamp", stamp)
    for name in TEN:
        delivery = Delivery("K2", ago(16), stamp_of(f"{1:0{length}}"))
        pipelines.world.journal = replace_delivery(pipelines.journal, name, delivery).encode()


class TestAPlaceThatFails:
    @pytest.mark.parametrize(
        "error",
        [
            BadCredentials("The token has expired."),
            AccessDenied("secrets:write", "acme/site", remedy="Give the token that permission."),
            NotFound("The project acme/site is gone."),
            Throttled("Slow down."),
            Conflict("Another run wrote it."),
            Ambiguous("No answer."),
            KeyError("a-secret"),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_stops_no_other_and_is_reported_under_its_own_name(
        self, pipelines: Delivering, error: ServiceError
    ) -> None:
        pipelines.before["ci:4"] = raising(error)
        result = pipelines.rotated()
        assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.DELIVERY_FAILED)
        assert pipelines.reached == list(TEN)
        assert pipelines.holding("N1") == [name for name in TEN if name != "ci:4"]
        assert {one.destination for one in result.destinations if one.outcome == "failed"} == {"ci:4"}
        message = getattr(
            error,
            "message",
            "ci:4: the code that reads or writes it has a bug, or received what it does not expect "
            "(KeyError at fail, line ",
        )
        assert f"N1 could not be delivered to 1 of 10 destinations: ci:4: {message}" in result.message
        assert "a-secret" not in result.message
        assert (result.current, result.last) == ("N1", "K2")

    def test_leaves_both_keys_valid_and_is_resumed_without_a_new_key(self, pipelines: Delivering) -> None:
        pipelines.before["ci:4"] = raising(NotFound("The project is gone."))
        pipelines.rotated()
        again = pipelines.rotated()
        assert again.outcome is Outcome.FAILED
        assert [(one.destination, one.outcome) for one in again.destinations] == [
            ("store", "held"),
            *((name, "failed" if name == "ci:4" else "held") for name in TEN),
        ]
        assert pipelines.reached == ["ci:4"]
        assert {key.id for key in pipelines.world.keys.values() if key.active} == {"K2", "N1"}
        del pipelines.before["ci:4"]
        result = pipelines.rotated()
        assert (result.outcome, result.current) == (Outcome.COMPLETED, "N1")
        assert pipelines.holding("N1") == list(TEN)
        assert pipelines.world.made == 1
        assert pipelines.rotated().outcome is Outcome.NOT_DUE

    def test_is_not_written_when_only_another_one_has_to_be(self, pipelines: Delivering) -> None:
        pipelines.before["ci:4"] = raising(NotFound("The project is gone."))
        pipelines.rotated()
        del pipelines.before["ci:4"]
        result = pipelines.rotated()
        assert pipelines.reached == ["ci:4"]
        assert [(one.destination, one.outcome) for one in result.destinations] == [
            ("store", "held"),
            *((name, "delivered" if name == "ci:4" else "held") for name in TEN),
        ]

    def test_stops_no_other_where_it_cannot_be_read_for_what_is_wrong_on_this_machine(
        self, pipelines: Delivering
    ) -> None:
        """For example a missing file of CA certificates: it is read with the destination's first request."""
        pipelines.world.held["ci:7"] = pipelines.world.secrets_at["ci:7"] = "K1"
        pipelines.world.journal = replace_delivery(pipelines.journal, "ci:7", Delivery("K1", ago(16), "1")).encode()
        pipelines.looked_at["ci:4"] = raising(UsageError("The CA certificates in ca.pem cannot be read."))
        result = pipelines.rotated()
        assert pipelines.reached == ["ci:7"]
        assert result.reason is Reason.OUT_OF_DATE

    def test_stops_no_other_where_its_answer_was_not_foreseen(self, pipelines: Delivering) -> None:
        pipelines.world.held["ci:7"] = pipelines.world.secrets_at["ci:7"] = "K1"
        pipelines.world.journal = replace_delivery(pipelines.journal, "ci:7", Delivery("K1", ago(16), "1")).encode()
        pipelines.looked_at["ci:4"] = raising(KeyError("a-secret"))
        pipelines.rotated()
        assert pipelines.reached == ["ci:7"]

    def test_is_warned_of_while_nothing_is_due_for_it_may_block_the_next_rotation(self, pipelines: Delivering) -> None:
        pipelines.rotated()
        pipelines.looked_at["ci:4"] = raising(BadCredentials("The token has expired.", remedy="Make another one."))
        result = pipelines.rotated()
        assert result.outcome is Outcome.NOT_DUE
        (warning,) = result.warnings
        assert warning == (
            "ci:4 could not be read, which may block the next rotation: The token has expired. Make another one."
        )

    def test_is_warned_of_when_others_are_delivered_to(self, pipelines: Delivering) -> None:
        pipelines.world.held["ci:7"] = pipelines.world.secrets_at["ci:7"] = "K1"
        pipelines.world.journal = replace_delivery(pipelines.journal, "ci:7", Delivery("K1", ago(16), "1")).encode()
        pipelines.looked_at["ci:4"] = raising(BadCredentials("The token has expired."))
        (warning,) = pipelines.rotated().warnings
        assert warning.startswith("ci:4 could not be read")

    def test_is_warned_of_also_where_another_place_begins_with_its_name(self, pipelines: Delivering) -> None:
        world = pipelines.world
        world.held["ci:10"], world.secrets_at["ci:10"] = "K1", "K1"
        world.telling["ci:10"] = False
        world.journal = replace_delivery(pipelines.journal, "ci:10", Delivery("K1", ago(16))).encode()
        pipelines.looked_at["ci:1"] = raising(BadCredentials("The token has expired."))
        result = pipelines.rotated()
        assert pipelines.reached == ["ci:10"]
        assert "ci:10" in result.message
        assert [warning.partition(" ")[0] for warning in result.warnings] == ["ci:1"]

    def test_is_not_warned_of_where_it_was_delivered_to_after_all(self, pipelines: Delivering) -> None:
        pipelines.world.held["ci:4"] = pipelines.world.secrets_at["ci:4"] = "K1"
        pipelines.world.journal = replace_delivery(pipelines.journal, "ci:4", Delivery("K1", ago(16), "1")).encode()
        pipelines.looked_at["ci:4"] = raising(BadCredentials("The token has expired."))
        result = pipelines.rotated()
        assert pipelines.reached == ["ci:4"]
        assert result.warnings == ()

    def test_in_the_preflight_refuses_where_its_answer_was_not_foreseen(
        self, pipelines: Delivering, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(SimulatedDestination, "preflight", lambda _: raising(KeyError("a-secret"))())
        result = pipelines.rotated()
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.PREFLIGHT)
        assert "a-secret" not in result.message

    def test_in_the_preflight_is_named_also_for_what_is_wrong_on_this_machine(
        self, pipelines: Delivering, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(
            SimulatedDestination, "preflight", lambda _: raising(UsageError("The CA file cannot be read."))()
        )
        result = pipelines.rotated()
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.PREFLIGHT)
        assert "CA file cannot be read" in result.message

    def test_in_the_preflight_is_named_as_what_refused(self, pipelines: Delivering, monkeypatch: Any) -> None:
        def preflight(destination: SimulatedDestination) -> None:
            if destination.name == "ci:4":
                raise BadCredentials("The token has expired.", remedy="Make another one.")

        monkeypatch.setattr(SimulatedDestination, "preflight", preflight)
        result = pipelines.rotated()
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.PREFLIGHT)
        assert result.message == (
            "ci:4: The token has expired. No key was changed, and nothing that jobs read; only the journal of store "
            "was written. Make another one."
        )

    def test_in_the_preflight_keeps_no_other_from_the_key_that_replaces_a_leaked_one(
        self, pipelines: Delivering, monkeypatch: Any
    ) -> None:
        def preflight(destination: SimulatedDestination) -> None:
            if destination.name == "ci:4":
                raise BadCredentials("The token has expired.", remedy="Make another one.")

        monkeypatch.setattr(SimulatedDestination, "preflight", preflight)
        pipelines.before["ci:4"] = raising(BadCredentials("The token has expired."))
        pipelines.world.keys["K2"].active = False
        marked = msgspec.structs.replace(pipelines.journal, revoked={"K2": Revoked(ago(1))})
        pipelines.world.journal = marked.encode()
        result = pipelines.rotated()
        assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.DELIVERY_FAILED)
        assert pipelines.holding("N1") == [name for name in TEN if name != "ci:4"]

    def test_is_said_to_have_the_revoked_key_also_where_no_commit_had_named_that_one(
        self, pipelines: Delivering
    ) -> None:
        pipelines.before["ci:4"] = raising(BadCredentials("The token has expired."))
        del pipelines.world.keys["K1"]
        pipelines.world.keys["K2"].active = False
        pipelines.world.journal = Journal(epoch=3, user="AIDACI", revoked={"K2": Revoked(ago(1))}).encode()
        result = pipelines.rotated()
        assert "CURRENT works where it was delivered; K2 was revoked, so jobs that read it elsewhere fail." in (
            result.message
        )


class TestATornPair:
    def test_is_journaled_before_the_first_of_its_writes(self, pipelines: Delivering) -> None:
        noted: list[tuple[str, ...]] = []
        pipelines.before["ci:0"] = lambda: noted.append(pipelines.journal.delivering)
        pipelines.rotated()
        assert noted == [TEN]
        assert not pipelines.journal.delivering

    def test_is_delivered_again_by_the_next_run(self, pipelines: Delivering) -> None:
        tear = next(number for number, what in enumerate(pipelines.effects()) if what == "deliver to ci:3 N1")
        pipelines.world.faults = {tear: "killed after"}
        assert pipelines.run() is None
        assert pipelines.world.torn("ci:3")
        assert "ci:3" in pipelines.journal.delivering
        pipelines.world.faults = {}
        assert pipelines.rotated().outcome is Outcome.COMPLETED
        assert pipelines.holding("N1") == list(TEN)
        assert pipelines.journal.delivering == ()

    def test_stays_in_the_journal_where_its_second_write_failed(self, pipelines: Delivering) -> None:
        second = next(number for number, what in enumerate(pipelines.effects()) if what == "deliver to ci:3, secret N1")
        pipelines.world.faults = {second: "refused"}
        assert pipelines.rotated().outcome is Outcome.FAILED
        assert set(pipelines.journal.delivering) == {"ci:3"}
        pipelines.rotated()
        assert pipelines.holding("N1") == list(TEN)
        assert not pipelines.journal.delivering

    def test_is_noted_no_more_where_nothing_was_written(self, pipelines: Delivering) -> None:
        """Otherwise a token that has expired would make every destination look torn, and LAST's grace begin again."""
        pipelines.before["ci:3"] = raising(BadCredentials("The token has expired."))
        assert pipelines.rotated().outcome is Outcome.FAILED
        assert pipelines.journal.delivering == ()

    def test_stays_noted_where_an_earlier_run_left_it_and_this_one_writes_nothing(self, pipelines: Delivering) -> None:
        second = next(number for number, what in enumerate(pipelines.effects()) if what == "deliver to ci:3, secret N1")
        pipelines.world.faults = {second: "refused"}
        pipelines.rotated()
        pipelines.before["ci:3"] = raising(BadCredentials("The token has expired."))
        pipelines.rotated()
        assert pipelines.journal.delivering == ("ci:3",)

    def test_of_a_place_that_is_readable_is_repaired_although_it_shows_current(self, pipelines: Delivering) -> None:
        pipelines.world.telling["ci:3"] = True
        second = next(number for number, what in enumerate(pipelines.effects()) if what == "deliver to ci:3, secret N1")
        pipelines.world.faults = {second: "refused"}
        pipelines.rotated()
        assert pipelines.world.held["ci:3"] == "N1"
        pipelines.rotated()
        assert pipelines.holding("N1") == list(TEN)

    def test_of_a_place_that_takes_one_write_cannot_be_and_is_not_noted(self, pipelines: Delivering) -> None:
        pipelines.world.secrets_at.clear()
        noted: list[tuple[str, ...]] = []
        pipelines.before["ci:0"] = lambda: noted.append(pipelines.journal.delivering)
        pipelines.rotated()
        assert not any(noted)

    def test_of_a_place_that_the_journal_does_not_name_is_noted_with_the_key_that_it_may_hold(
        self, pipelines: Delivering
    ) -> None:
        """As another program, or a person, may leave the journal: the delivery is open, and nothing else is known."""
        pipelines.rotated()
        known = {name: one for name, one in pipelines.journal.delivered.items() if name != "ci:3"}
        journal = msgspec.structs.replace(pipelines.journal, delivered=known, delivering=TEN)
        pipelines.world.journal = journal.encode()
        pipelines.before["ci:0"] = raising(Killed())
        assert pipelines.run(deliver_plan) is None
        assert "ci:3" in pipelines.journal.delivered

    def test_is_noted_together_with_what_the_places_may_hold_until_then(self, pipelines: Delivering) -> None:
        pipelines.rotated()
        pipelines.world.journal = msgspec.structs.replace(pipelines.journal, delivered={}).encode()
        pipelines.events.clear()
        pipelines.before["ci:0"] = raising(Killed())
        assert pipelines.run() is None
        assert pipelines.journal.delivering == TEN
        assert {one.key for one in pipelines.journal.delivered.values()} == {"K2"}
        assert len([one for one in pipelines.events if one.step == "record" and one.phase == "done"]) == 1


class TestALongDelivery:
    def test_keeps_its_lease_while_places_wait_for_their_service(self, pipelines: Delivering) -> None:
        pipelines.world.waits = dict.fromkeys(TEN, 400.0)
        assert pipelines.rotated().outcome is Outcome.ROTATED
        assert pipelines.world.now - START > timedelta(seconds=4000)

    def test_tells_of_each_long_wait_once_and_of_no_short_one(self, pipelines: Delivering) -> None:
        pipelines.world.waits = {"ci:0": 40.0, "ci:1": 7.0, "ci:2": 40.0}
        pipelines.rotated()
        limits = [one.detail for one in pipelines.events if one.step == "limit"]
        assert len(limits) == len(set(limits)) == 2

    @pytest.mark.parametrize(("seconds", "reported"), [(10.0, 0), (10.5, 1)])
    def test_tells_of_a_wait_of_more_than_ten_seconds(
        self, pipelines: Delivering, seconds: float, reported: int
    ) -> None:
        pipelines.world.waits = {"ci:0": seconds}
        pipelines.rotated()
        assert len([one for one in pipelines.events if one.step == "limit"]) == reported

    @pytest.mark.parametrize(("late", "reported"), [(10.0, 1), (10.5, 2)])
    def test_tells_again_of_a_wait_that_ends_more_than_ten_seconds_later_than_it_said(
        self, pipelines: Delivering, late: float, reported: int
    ) -> None:
        class Suspended(Clock):
            """One whose first sleep ends late."""

            slept = False

            def sleep(self, seconds: float) -> None:
                super().sleep(seconds if self.slept else seconds + late)
                self.slept = True

        pipelines.before["ci:0"] = lambda: waiting.pause(Suspended(pipelines.world), 40.0)
        pipelines.rotated()
        assert len([one for one in pipelines.events if one.step == "limit"]) == reported

    def test_is_written_down_half_a_minute_after_its_first_place_to_the_second(self, pipelines: Delivering) -> None:
        pipelines.world.waits = dict.fromkeys(TEN, 10.0)
        pipelines.before["ci:4"] = raising(Killed())
        assert pipelines.run() is None
        assert [name for name, one in pipelines.journal.delivered.items() if one.key == "N1"] == list(TEN[:4])

    def test_is_written_down_every_half_minute(self, pipelines: Delivering) -> None:
        pipelines.world.waits = dict.fromkeys(TEN, 7.0)
        pipelines.before["ci:9"] = raising(Killed())
        assert pipelines.run() is None
        written = [name for name, one in pipelines.journal.delivered.items() if one.key == "N1"]
        assert written == list(TEN[:5])
        assert pipelines.journal.delivering == TEN[5:]

    def test_that_is_killed_leaves_the_rest_to_the_next_run_and_what_was_written_a_moment_ago(
        self, pipelines: Delivering
    ) -> None:
        pipelines.world.waits = dict.fromkeys(TEN, 40.0)
        pipelines.before["ci:8"] = raising(Killed())
        assert pipelines.run() is None
        pipelines.before.clear()
        assert pipelines.rotated().outcome is Outcome.COMPLETED
        assert pipelines.reached == ["ci:7", "ci:8", "ci:9"]
        assert pipelines.holding("N1") == list(TEN)

    def test_writes_down_what_was_delivered_whenever_the_lease_is_renewed(self, pipelines: Delivering) -> None:
        """A guard that renews the lease anyway takes the news along, half a minute or not."""

        def sleep() -> None:
            pipelines.world.now += timedelta(seconds=175 - WRITE_LIMIT + 1)

        pipelines.before = {"ci:0": sleep, "ci:1": raising(Killed())}
        assert pipelines.run() is None
        assert pipelines.journal.delivered["ci:0"].key == "N1"

    def test_that_loses_its_lease_ends_and_does_not_call_it_the_places_failure(self, pipelines: Delivering) -> None:
        def overtaken() -> None:
            pipelines.world.now += timedelta(seconds=400)
            waiting.pause(Clock(pipelines.world), 1)

        pipelines.before["ci:2"] = overtaken
        result = pipelines.rotated()
        assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.LEASE_LOST)
        assert pipelines.reached == ["ci:0", "ci:1", "ci:2"]
        assert [one.outcome for one in result.destinations] == ["delivered"] * 3

    def test_that_loses_its_lease_ends_also_where_the_place_makes_another_error_of_it(
        self, pipelines: Delivering
    ) -> None:
        def overtaken() -> None:
            pipelines.world.now += timedelta(seconds=400)
            try:
                waiting.pause(Clock(pipelines.world), 1)
            except Conflict:
                raise Ambiguous("Something came between.") from None

        pipelines.before["ci:2"] = overtaken
        result = pipelines.rotated()
        assert result.reason is Reason.LEASE_LOST
        assert pipelines.reached == ["ci:0", "ci:1", "ci:2"]

    def test_that_stood_still_too_long_writes_no_second_value(self, pipelines: Delivering) -> None:
        """A suspended machine: others have delivered there meanwhile, and a late value would tear their pair."""

        def asleep() -> None:
            pipelines.world.now += timedelta(seconds=400)
            waiting.before_effect()

        pipelines.before["ci:2"] = asleep
        result = pipelines.rotated()
        assert result.reason is Reason.LEASE_LOST
        assert pipelines.reached == ["ci:0", "ci:1", "ci:2"]

    def test_that_stood_still_too_long_ends_also_where_the_place_calls_it_half_a_write(
        self, pipelines: Delivering
    ) -> None:
        """As a destination of two values does after the first one was written."""

        def asleep() -> None:
            pipelines.world.now += timedelta(seconds=400)
            try:
                waiting.before_effect()
            except Conflict:
                raise Ambiguous("One of two values was written.") from None

        pipelines.before["ci:2"] = asleep
        result = pipelines.rotated()
        assert result.reason is Reason.LEASE_LOST
        assert [one.outcome for one in result.destinations] == ["delivered"] * 3
        assert "ci:2" not in pipelines.holding("N1")
        assert "ci:2" in pipelines.journal.delivering


class TestADeliveryThatIsRequested:
    def test_has_written_also_where_the_journal_then_refuses(self, pipelines: Delivering) -> None:
        """It creates no key, so only its writes show that something was changed."""
        last = len(pipelines.effects(deliver_plan)) - 1
        pipelines.world.faults = {last: "refused"}
        result = pipelines.rotated(deliver_plan)
        assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.ERROR)
        assert pipelines.holding("K2") == list(TEN)
        assert result.message == "journal: refused"


class TestPlacesThatAreSlowToAnswer:
    """Three hundred pipelines at a third of a second for each request take longer to look at than a lease lasts."""

    LATENCY = 0.7 * LENGTH.total_seconds() / len(TEN)
    """To read ten destinations under the lease, and to check that they can be written, takes longer than that."""

    @pytest.fixture(autouse=True)
    def slow(self, pipelines: Delivering) -> None:
        """Make all destinations slow."""
        pipelines.latency = self.LATENCY

    def test_are_all_delivered_to_under_one_lease(self, pipelines: Delivering) -> None:
        assert pipelines.rotated().outcome is Outcome.ROTATED
        assert pipelines.holding("N1") == list(TEN)
        assert pipelines.runs == 1

    def test_are_all_checked_under_one_lease(self, pipelines: Delivering) -> None:
        pipelines.latency = 1.5 * self.LATENCY
        assert pipelines.rotated().outcome is Outcome.ROTATED
        assert pipelines.holding("N1") == list(TEN)

    def test_may_wait_for_their_service_while_they_are_checked(self, pipelines: Delivering) -> None:
        for name in TEN:
            pipelines.checked[name] = lambda: waiting.pause(Clock(pipelines.world), 2 * LENGTH.total_seconds())
        assert pipelines.rotated().outcome is Outcome.ROTATED

    def test_are_all_delivered_to_when_a_person_asks(self, pipelines: Delivering) -> None:
        pipelines.latency = 1.5 * self.LATENCY
        assert pipelines.rotated(deliver_plan).outcome is Outcome.COMPLETED
        assert pipelines.reached == list(TEN)


class TestARunThatIsStopped:
    def test_ends_its_waiting_begins_no_further_place_and_journals_what_was_done(self, pipelines: Delivering) -> None:
        pipelines.world.waits = dict.fromkeys(TEN, 60.0)
        pipelines.before["ci:6"] = pipelines.stop.set
        began = pipelines.world.now
        result = pipelines.rotated()
        assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.STOPPED)
        assert "The run was stopped: 4 of 10 destinations did not receive N1." in result.message
        assert "without creating another key" in result.message
        assert pipelines.reached == list(TEN[:7])
        assert pipelines.world.now - began < timedelta(seconds=400)
        assert [one.outcome for one in result.destinations] == ["delivered"] * 7 + ["failed"] * 4
        assert pipelines.journal.lease is None
        pipelines.before.clear()
        pipelines.stop.clear()
        assert pipelines.rotated().outcome is Outcome.COMPLETED
        assert pipelines.reached == list(TEN[6:])
        assert pipelines.holding("N1") == list(TEN)

    def test_goes_on_where_nothing_has_to_be_waited_for(self, pipelines: Delivering) -> None:
        pipelines.before["ci:2"] = pipelines.stop.set
        assert pipelines.rotated().outcome is Outcome.ROTATED
        assert pipelines.holding("N1") == list(TEN)


class TestGrace:
    def test_begins_again_where_a_place_may_have_held_last(self, pipelines: Delivering) -> None:
        pipelines.rotated()
        pipelines.world.now += timedelta(days=3)
        pipelines.world.stamps["ci:4"] += 1  # the operator has written there
        result = pipelines.rotated()
        assert (result.outcome, result.reason) == (Outcome.COMPLETED, Reason.OUT_OF_DATE)
        assert pipelines.journal.delivered["ci:4"].at > pipelines.world.now - timedelta(seconds=5)

    def test_begins_again_where_a_delivery_was_left_open_although_the_stamp_is_the_same(
        self, pipelines: Delivering
    ) -> None:
        """A time is a coarse stamp: two writes of one second have the same."""
        pipelines.rotated()
        pipelines.world.now += timedelta(days=3)
        pipelines.world.journal = msgspec.structs.replace(pipelines.journal, delivering=("ci:4",)).encode()
        assert pipelines.rotated().reason is Reason.OUT_OF_DATE
        assert pipelines.journal.delivered["ci:4"].at > pipelines.world.now - timedelta(seconds=5)

    def test_stays_where_it_is_for_destinations_that_were_not_written(self, pipelines: Delivering) -> None:
        pipelines.rotated()
        at = pipelines.journal.delivered["ci:5"].at
        pipelines.world.now += timedelta(days=3)
        pipelines.world.stamps["ci:4"] += 1
        pipelines.rotated()
        assert pipelines.journal.delivered["ci:5"].at == at


class TestAJournalThatIsTooShortForAllPlaces:
    def test_is_found_out_before_the_first_of_them_is_written(self, pipelines: Delivering, monkeypatch: Any) -> None:
        pipelines.rotated()
        pipelines.world.stamps["ci:4"] += 1

        def room_for(_destination: SimulatedDestination, journal: Journal) -> None:
            if len(journal.encode()) > 500:
                raise ServiceRejected("The journal would be too long.")

        monkeypatch.setattr(SimulatedDestination, "room_for", room_for)
        result = pipelines.rotated()
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.PREFLIGHT)
        assert pipelines.reached == []

    def test_is_a_refusal_also_where_the_store_does_not_respond(self, pipelines: Delivering, monkeypatch: Any) -> None:
        def room_for(_destination: SimulatedDestination, _journal: Journal) -> None:
            raise Throttled("Slow down.")

        monkeypatch.setattr(SimulatedDestination, "room_for", room_for)
        result = pipelines.rotated()
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.PREFLIGHT)

    @pytest.mark.parametrize("telling", [False, True], ids=["silent", "telling"])
    @pytest.mark.parametrize("length", [1, 41, 57, 200])
    def test_room_is_kept_for_what_will_be_written(
        self, pipelines: Delivering, monkeypatch: Any, length: int, *, telling: bool
    ) -> None:
        """GitHub's stamp of a pair is two times of 20 characters, a program's may have 200."""
        show_stamps(pipelines, monkeypatch, length)
        pipelines.world.telling = dict.fromkeys(TEN, telling)
        foreseen: list[int] = []
        monkeypatch.setattr(
            SimulatedDestination, "room_for", lambda _destination, journal: foreseen.append(len(journal.encode()))
        )
        lengths: list[int] = []
        save = SimulatedDestination.save_journal

        def measured(destination: SimulatedDestination, journal: Journal, revision: object) -> object:
            lengths.append(len(journal.encode()))
            return save(destination, journal, revision)

        monkeypatch.setattr(SimulatedDestination, "save_journal", measured)
        pipelines.world.waits = dict.fromkeys(TEN, 40.0)
        pipelines.rotated()
        assert max(lengths) <= foreseen[0]
        assert pipelines.rotated().outcome is Outcome.NOT_DUE

    def test_no_room_is_kept_for_stamps_of_destinations_that_confirm_nothing(
        self, pipelines: Delivering, monkeypatch: Any
    ) -> None:
        foreseen: list[Journal] = []
        monkeypatch.setattr(SimulatedDestination, "room_for", lambda _destination, journal: foreseen.append(journal))
        make = SimulatedDestination.__init__

        def silent(destination: SimulatedDestination, world: Any, run: str, name: str) -> None:
            make(destination, world, run, name)
            if name == "ci:4":
                destination.traits = replace(destination.traits, confirms="nothing")

        monkeypatch.setattr(SimulatedDestination, "__init__", silent)
        pipelines.rotated()
        stamps = {name: delivery.stamp for name, delivery in foreseen[0].delivered.items() if name in TEN}
        assert [name for name, stamp in stamps.items() if not stamp] == ["ci:4"]

    def test_a_long_stamp_tells_whether_another_program_has_written(
        self, pipelines: Delivering, monkeypatch: Any
    ) -> None:
        show_stamps(pipelines, monkeypatch, 100)
        pipelines.rotated()
        assert pipelines.rotated().outcome is Outcome.NOT_DUE
        pipelines.world.stamps["ci:4"] += 1
        pipelines.rotated()
        assert pipelines.reached == ["ci:4"]
