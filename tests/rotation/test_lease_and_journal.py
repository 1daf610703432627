"""What a lease allows and how the journal is written under it, one rule at a time, in memory."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from simulation.world import START, USER, Clock, Iam, Key, SimulatedDestination, Sts, World
from twokey.core import waiting
from twokey.core.errors import Ambiguous, Conflict, LeaseHeld
from twokey.core.journal import Intent, Journal, Lease
from twokey.core.secret import Credential
from twokey.rotation import lease as leases
from twokey.rotation.leased_journal import PUT_LIMIT, WRITE_LIMIT, LeasedJournal
from twokey.rotation.removals import DELETIONS, REMEMBERED, Removals
from twokey.rotation.world import World as RotationWorld

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from twokey.core.model import AccessKey

LENGTH = 175.0
"""Seconds that a run relies on a lease: three minutes less the margin."""
SECOND = timedelta(seconds=1)
KEY = Credential("N1", "x" * 40)


class Paused(SimulatedDestination):
    """A store whose process is paused right before each request that changes something leaves, and right after it."""

    def __init__(self, world: World, before: float = 0.0, after: float = 0.0) -> None:
        super().__init__(world, "one", "store")
        self.before, self.after = before, after

    def _write(self, *arguments: Any) -> None:
        clock = Clock(self._world)
        waiting.pause(clock, self.before)
        waiting.before_effect()
        super()._write(*arguments)
        clock.sleep(self.after)


@pytest.fixture
def world() -> World:
    return World(keys={"K1": Key("K1", START)}, held={"store": "K1"})


def taken(world: World, store: SimulatedDestination | None = None, run: str = "one", **changes: Any) -> LeasedJournal:
    store = store or SimulatedDestination(world, run, "store")
    return LeasedJournal.take(store, Clock(world), run, USER.id, store.load(), **changes)


def journal(world: World) -> Journal:
    return Journal.decode(world.journal)


def plant(world: World, **changes: Any) -> None:
    before = journal(world) if world.journal else Journal()
    world.journal = msgspec.structs.replace(before, **changes).encode()
    world.journal_revision += 1


def of_another(until: datetime, **fields: Any) -> Lease:
    return Lease(**{"run": "two", "host": "elsewhere boot pid", "process": 7, "start": "1", "until": until, **fields})


WRITES: dict[str, Callable[[LeasedJournal], object]] = {
    "write": lambda leased: leased.write(last="K0"),
    "put": lambda leased: leased.put(KEY),
    "fence": lambda leased: leased.fence(),
    "release": lambda leased: leased.release(),
}


class TestTaking:
    def test_records_this_run_and_process_the_next_epoch_and_the_user(self, world: World) -> None:
        leased = taken(world)
        lease = journal(world).lease
        assert lease is not None
        assert (lease.run, lease.process, lease.until) == ("one", os.getpid(), START + timedelta(minutes=3))
        assert (lease.host, lease.start) == (leases._host(), leases._start(os.getpid()))
        assert (journal(world).epoch, journal(world).user) == (1, USER.id)
        assert (leased.journal, leased.held, leased.left()) == (journal(world), "K1", LENGTH)

    def test_of_a_user_whose_store_is_empty_holds_no_key(self, world: World) -> None:
        world.held["store"] = ""
        assert taken(world).held == ""

    def test_keeps_what_the_journal_says_and_writes_changes_with_it(self, world: World) -> None:
        plant(world, epoch=4, user="AIDAOTHER", current="K1")
        taken(world, last="K0")
        found = journal(world)
        assert (found.epoch, found.user, found.current, found.last) == (5, "AIDAOTHER", "K1", "K0")

    def test_believes_no_moment_that_is_yet_to_come(self, world: World) -> None:
        plant(world, committed=START + timedelta(days=1))
        taken(world)
        assert journal(world).committed is None

    def test_is_refused_while_another_run_holds_the_lease_which_is_named(self, world: World) -> None:
        plant(world, lease=of_another(START + SECOND))
        with pytest.raises(LeaseHeld, match=r"until 2026-06-01T00:00:01Z at the latest \(process 7 on elsewhere\)"):
            taken(world)

    @pytest.mark.parametrize(
        ("until", "run"), [(START, "two"), (START - SECOND, "two"), (START + SECOND, "one")], ids=["now", "past", "own"]
    )
    def test_follows_a_lease_that_is_over_or_of_the_run_itself(self, world: World, until: datetime, run: str) -> None:
        plant(world, lease=of_another(until, run=run))
        assert taken(world).left() == LENGTH

    @pytest.mark.parametrize(("seconds", "believed"), [(240, True), (241, False)])
    def test_follows_a_lease_that_ends_later_than_any_run_can_have_taken_it_for(
        self, world: World, seconds: int, *, believed: bool
    ) -> None:
        plant(world, lease=of_another(START + seconds * SECOND))
        if not believed:
            assert taken(world)
            return
        with pytest.raises(LeaseHeld):
            taken(world)

    @pytest.mark.parametrize("conditional", [True, False])
    @pytest.mark.parametrize("creating", [True, False])
    def test_follows_that_of_a_dead_process_unless_a_late_request_of_it_could_not_be_refused(
        self, world: World, *, conditional: bool, creating: bool
    ) -> None:
        world.conditional = conditional
        dead = msgspec.structs.replace(leases.take("two", START), process=2**22 + 1, start="1")
        plant(world, lease=dead, intent=Intent((), START) if creating else None)
        if conditional or not creating:
            assert taken(world)
            return
        with pytest.raises(LeaseHeld):
            taken(world)

    def test_that_is_paused_until_the_lease_would_be_over_takes_none(self, world: World) -> None:
        with pytest.raises(Conflict):
            taken(world, Paused(world, before=200))
        assert world.journal == ""

    def test_counts_the_lease_from_before_the_write(self, world: World) -> None:
        assert taken(world, Paused(world, after=60)).left() == LENGTH - 60

    def test_is_refused_at_a_revision_that_is_not_the_newest(self, world: World) -> None:
        store = SimulatedDestination(world, "one", "store")
        record = store.load()
        plant(world, current="K1")
        with pytest.raises(Conflict):
            LeasedJournal.take(store, Clock(world), "one", USER.id, record)


def test_a_lease_that_is_not_taken_yet_shows_the_journal_as_it_will_be_and_writes_nothing(world: World) -> None:
    plant(world, current="K1", epoch=3)
    store = SimulatedDestination(world, "one", "store")
    leased = LeasedJournal.untaken(store, Clock(world), "one", store.load())
    assert (leased.journal.current, leased.journal.epoch, leased.held) == ("K1", 3, "K1")
    assert leased.journal.lease == leases.take("one", START)
    for write in WRITES.values():
        with pytest.raises(Conflict):
            write(leased)
    assert world.effects == 0


class TestReading:
    def test_again_shows_what_the_store_holds_now(self, world: World) -> None:
        leased = taken(world)
        plant(world, current="K1", committed=START + timedelta(days=1))
        world.held["store"] = "K2"
        record = leased.reread()
        assert (leased.held, leased.journal.current, leased.journal.committed) == ("K2", "K1", None)
        assert record == SimulatedDestination(world, "one", "store").load()
        leased.write(last="K0")
        assert (journal(world).current, journal(world).last) == ("K1", "K0")
        world.held["store"] = ""
        leased.reread()
        assert leased.held == ""

    @pytest.mark.parametrize("changed", [{"lease": None}, {"lease": of_another(START + SECOND)}, {"epoch": 2}])
    def test_again_ends_the_run_where_the_lease_is_not_the_one_that_it_took(
        self, world: World, changed: dict[str, Any]
    ) -> None:
        leased = taken(world)
        plant(world, **changed)
        with pytest.raises(Conflict, match="Another run has taken over this user's lease"):
            leased.reread()

    def test_again_ends_a_run_that_has_given_its_lease_back(self, world: World) -> None:
        leased = taken(world)
        leased.release()
        for lease in (None, leases.take("one", START)):
            plant(world, lease=lease)
            with pytest.raises(Conflict):
                leased.reread()

    def test_the_credential_is_reading_the_store(self, world: World) -> None:
        credential = taken(world).credential()
        assert credential is not None
        assert credential.access_key_id == "K1"


class TestWriting:
    def test_renews_the_lease_from_before_the_request(self, world: World) -> None:
        store = Paused(world)
        leased = taken(world, store)
        Clock(world).sleep(100)
        store.after = 20
        leased.write(last="K0")
        lease = journal(world).lease
        assert lease is not None
        assert (journal(world).last, leased.journal) == ("K0", journal(world))
        assert lease.until == START + timedelta(minutes=3, seconds=100)
        assert leased.left() == LENGTH - 20

    @pytest.mark.parametrize("write", WRITES)
    def test_ends_with_the_lease(self, world: World, write: str) -> None:
        leased = taken(world)
        before = world.effects
        Clock(world).sleep(LENGTH)
        with pytest.raises(Conflict, match="This run's lease expired"):
            WRITES[write](leased)
        assert world.effects == before

    @pytest.mark.parametrize("write", WRITES)
    def test_ends_with_a_lease_that_is_over_when_the_request_would_leave(self, world: World, write: str) -> None:
        store = Paused(world)
        leased = taken(world, store)
        before = world.effects
        store.before = LENGTH
        with pytest.raises(Conflict, match="This run's lease expired"):
            WRITES[write](leased)
        assert world.effects == before

    @pytest.mark.parametrize("write", WRITES)
    def test_goes_on_until_the_last_moment_of_the_lease(self, world: World, write: str) -> None:
        leased = taken(world)
        Clock(world).sleep(LENGTH - 0.5)
        WRITES[write](leased)

    def test_goes_on_after_each_write(self, world: World) -> None:
        leased = taken(world)
        leased.put(KEY)
        leased.fence()
        leased.put(Credential("N2", "x" * 40))
        leased.write(last="K0")
        leased.write(last="K1")
        assert (world.held["store"], journal(world).last) == ("N2", "K1")

    def test_is_refused_where_another_run_wrote_first(self, world: World) -> None:
        leased = taken(world)
        world.credential_revision += 1
        for write in (leased.fence, lambda: leased.put(KEY)):
            with pytest.raises(Conflict):
                write()
        plant(world, current="K9")
        with pytest.raises(Conflict):
            leased.write(last="K0")
        assert (world.held["store"], journal(world).last, leased.journal.last) == ("K1", "", "")


@pytest.mark.parametrize(
    ("act", "needed"),
    [
        (lambda leased: leased.guard(delivering=("ci:a",)), WRITE_LIMIT),
        (lambda leased: leased.guard(30.0, delivering=("ci:a",)), 30.0),
        (lambda leased: leased.put(KEY), PUT_LIMIT),
        (lambda leased: leased.fence(), WRITE_LIMIT),
    ],
    ids=["guard", "guard for 30 s", "put", "fence"],
)
class TestBeforeAStep:
    """A lease is renewed where it may end before the step does, and only there: a renewal costs a write."""

    def test_the_lease_is_renewed_where_it_may_be_too_short(
        self, world: World, act: Callable[[LeasedJournal], object], needed: float
    ) -> None:
        leased = taken(world)
        Clock(world).sleep(LENGTH - needed + 0.5)
        act(leased)
        assert leased.left() == LENGTH
        assert journal(world).delivering in ((), ("ci:a",))

    def test_the_lease_is_left_alone_where_it_is_long_enough(
        self, world: World, act: Callable[[LeasedJournal], object], needed: float
    ) -> None:
        leased = taken(world)
        before = world.journal
        Clock(world).sleep(LENGTH - needed)
        act(leased)
        assert (leased.left(), world.journal) == (needed, before)


def test_what_is_to_be_recorded_is_written_with_the_renewal(world: World) -> None:
    leased = taken(world)
    Clock(world).sleep(LENGTH - 1)
    leased.guard(delivering=("ci:a",))
    assert journal(world).delivering == ("ci:a",)


def test_a_renewal_that_took_the_whole_lease_ends_the_run(world: World) -> None:
    store = Paused(world)
    leased = taken(world, store)
    Clock(world).sleep(LENGTH - 1)
    store.after = LENGTH
    with pytest.raises(Conflict):
        leased.guard()
    with pytest.raises(Conflict):
        leased.check()


class TestGivingBack:
    def test_is_the_last_write_with_the_last_changes(self, world: World) -> None:
        leased = taken(world)
        leased.release(last="K0")
        before = world.effects
        leased.release(last="K9")
        assert (journal(world).lease, journal(world).last, world.effects) == (None, "K0", before)
        assert leased.released

    def test_is_tried_again_where_it_was_refused(self, world: World) -> None:
        leased = taken(world)
        world.faults = {world.effects: "refused"}
        with pytest.raises(Exception, match="refused"):
            leased.release()
        assert not leased.released
        leased.release()
        assert journal(world).lease is None

    @pytest.mark.parametrize("conditional", [True, False])
    def test_waits_for_the_end_of_the_lease_while_a_write_without_a_condition_is_in_doubt(
        self, world: World, *, conditional: bool
    ) -> None:
        world.conditional = conditional
        leased = taken(world)
        world.faults = {world.effects: "lost"}
        with pytest.raises(Ambiguous):
            leased.put(KEY)
        before = world.effects
        leased.release()
        assert (world.effects > before) == conditional
        assert leased.released == conditional


class Deaf(Iam):
    """An IAM whose servers do not know a key at first, though the list may show it."""

    def __init__(self, world: World, unknown: int, *, listed: bool) -> None:
        super().__init__(world, "one")
        self.unknown, self.listed, self.asked = unknown, listed, 0

    def delete_key(self, user: str, key_id: str) -> bool:
        self.asked += 1
        return self.asked > self.unknown and super().delete_key(user, key_id)

    def keys(self, user: str) -> tuple[AccessKey, ...]:
        assert user == "ci"
        return super().keys(user) if self.listed else ()


class TestADeletion:
    def removals(self, world: World, iam: Iam, recorded: dict[str, datetime] | None = None) -> Removals:
        store = SimulatedDestination(world, "one", "store")
        return Removals("ci", RotationWorld(iam, Sts(world), Clock(world), store), recorded or {})

    @pytest.mark.parametrize("unknown", range(DELETIONS + 1))
    def test_is_requested_again_while_the_list_shows_a_key_that_iam_does_not_know(
        self, world: World, unknown: int
    ) -> None:
        iam = Deaf(world, unknown, listed=True)
        assert self.removals(world, iam).delete("K1") == (unknown < DELETIONS)
        assert iam.asked == min(unknown + 1, DELETIONS)
        assert (world.now - START).total_seconds() == sum(range(iam.asked))
        assert ("K1" in world.keys) == (unknown >= DELETIONS)

    def test_is_not_requested_again_where_the_list_lacks_the_key(self, world: World) -> None:
        iam = Deaf(world, 9, listed=False)
        assert not self.removals(world, iam).delete("K1")
        assert iam.asked == 1

    def test_is_remembered_and_of_many_the_latest(self, world: World) -> None:
        earlier = {f"K{number}": START - number * SECOND for number in range(5)}
        removals = self.removals(world, Iam(world, "one"), earlier)
        assert removals.recorded == earlier
        removals.record("K9")
        assert list(removals.recorded) == ["K2", "K1", "K0", "K9"]
        assert len(removals.recorded) == REMEMBERED
        assert removals.recorded["K9"] >= world.now
        assert len(earlier) == 5
