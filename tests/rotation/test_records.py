"""What a run records in the journal, and what it compares before it goes on from what another run recorded."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from support.rig import DAY, IN_VAIN, POLICY, Rig
from twokey.core.journal import Delivery, Lease
from twokey.core.reasons import Outcome, Reason
from twokey.emulator import Rule
from twokey.rotation.leased_journal import LeasedJournal

if TYPE_CHECKING:
    from datetime import datetime

    from twokey.core.destination import Store
    from twokey.core.journal import Journal

COPY = "ssm:/copies/{user}"
SSM = "ssm:/machine-users/{user}"
STORES = ("secretsmanager:machine-users/{user}", SSM)


class Slow:
    """A store that takes a minute to write the journal."""

    def __init__(self, store: Store, rig: Rig) -> None:
        self._store = store
        self._rig = rig

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def save_journal(self, journal: Journal, revision: object) -> object:
        self._rig.sleep_through(60)
        return self._store.save_journal(journal, revision)


def moments(rig: Rig, *steps: str) -> dict[str, datetime]:
    """Return, once the run has ended, when each of these steps was done, by AWS's own time."""
    at: dict[str, datetime] = {}

    def watch(step: str) -> None:
        rig.at[(step, "done")] = lambda: at.update({step: rig.aws.now()})

    for step in steps:
        watch(step)
    return at


def planted(rig: Rig, **changes: object) -> Journal:
    """Let the journal say something else."""
    store = rig.store()
    record = store.load()
    journal = msgspec.structs.replace(record.journal, **changes)
    store.save_journal(journal, record.revision)
    return journal


class TestMoments:
    """The clock is up to a second behind, and nothing may seem to have taken place earlier than it did."""

    def test_that_grace_counts_from_are_never_too_early(self, rig: Rig) -> None:
        rig.settled()
        rig.deliver = (COPY,)
        at = moments(rig, "delete", "deliver to ssm:/copies/ci")
        assert rig.rotate().outcome is Outcome.ROTATED
        journal = rig.record().journal
        (removed,), (delivery,) = journal.removed.values(), journal.delivered.values()
        assert journal.committed is not None
        assert journal.committed >= at["deliver to ssm:/copies/ci"]
        assert removed >= at["delete"]
        assert delivery.at >= at["deliver to ssm:/copies/ci"]


class TestTheCommit:
    def test_drops_deliveries_of_keys_that_are_neither_current_nor_last(self, rig: Rig) -> None:
        rig.settled()
        rig.rotate()
        gone = Delivery("AKIAZZZZZZZZZZZZZZZZ", rig.aws.now() - timedelta(days=60))
        planted(rig, delivered={"file:/gone": gone})
        rig.later(days=16)
        assert rig.rotate().outcome is Outcome.ROTATED
        assert rig.record().journal.delivered == {}

    def test_keeps_what_was_deleted_so_that_a_list_that_lags_revives_nothing(self, rig: Rig) -> None:
        last, _ = rig.settled()
        rig.rotate()
        assert list(rig.record().journal.removed) == [last.access_key_id]

    def test_keeps_what_was_deleted_also_where_no_key_is_created(self, rig: Rig) -> None:
        last, current = rig.aws.make_user("ci", path="/machine-users/", keys=2, ages=(5 * DAY, 4 * DAY))
        rig.fill(current)
        assert rig.rotate(retire=frozenset({last.access_key_id})).outcome is Outcome.RETIRED
        assert list(rig.record().journal.removed) == [last.access_key_id]

    def test_keeps_the_promised_grace_of_both_keys(self, rig: Rig) -> None:
        rig.settled()
        result = rig.rotate()
        assert rig.record().journal.graces == {result.current: POLICY.grace, result.last: POLICY.grace}

    def test_keeps_that_last_soaks_so_that_its_soak_does_not_begin_again(self, rig: Rig) -> None:
        """CURRENT is deleted by the operator meanwhile: there is room for a key, and LAST goes on soaking."""
        last, current = rig.settled()
        rig.policy = replace(POLICY, soak=timedelta(days=2))
        assert rig.rotate().reason is Reason.SOAK
        soaking = rig.record().journal.retiring
        rig.aws.client("iam").delete_access_key(UserName="ci", AccessKeyId=current.access_key_id)
        assert rig.rotate().outcome is Outcome.ROTATED
        assert rig.record().journal.retiring == soaking
        assert list(soaking) == [last.access_key_id]

    def test_forgets_the_soak_of_a_key_that_was_deleted(self, rig: Rig) -> None:
        rig.settled()
        rig.policy = replace(POLICY, soak=timedelta(days=2))
        assert rig.rotate().reason is Reason.SOAK
        rig.later(days=3)
        assert rig.rotate().outcome is Outcome.ROTATED
        assert rig.record().journal.retiring == {}

    def test_keeps_an_open_delivery_to_a_destination_that_is_not_part_of_the_run(self, rig: Rig) -> None:
        rig.settled()
        rig.rotate()
        planted(rig, delivering=("ci:open",), delivered={"ci:open": Delivery(rig.held(), rig.aws.now())})
        rig.deliver = (COPY,)
        assert rig.rotate().outcome is Outcome.COMPLETED
        assert rig.record().journal.delivering == ("ci:open",)


class TestAKeyThatAnEarlierRunStored:
    def test_is_verified_before_it_is_delivered(self, rig: Rig) -> None:
        rig.settled()
        rig.deliver = (COPY,)
        assert rig.killed_at("store", "done")
        rig.policy = replace(POLICY, verification=IN_VAIN)
        unknown = Rule("sts:GetCallerIdentity", effect="error_before", status=403, code="InvalidClientTokenId")
        rig.aws.weather.add(replace(unknown, times=None))
        result = rig.rotate()
        assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.NOT_VERIFIED)
        rig.aws.weather.clear()
        assert not rig.aws.client("ssm").describe_parameters()["Parameters"]
        assert rig.record().journal.current != rig.held()
        assert rig.rotate().outcome is Outcome.COMPLETED

    def test_is_not_delivered_where_another_program_has_replaced_it_meanwhile(self, rig: Rig) -> None:
        _, current = rig.settled()
        rig.deliver = (COPY,)
        assert rig.killed_at("store", "done")
        rig.at[("preflight", "note")] = lambda: rig.fill(current)
        result = rig.rotate()
        assert result.outcome is Outcome.FAILED
        assert "no longer holds" in result.message
        assert not rig.aws.client("ssm").describe_parameters()["Parameters"]


@pytest.mark.parametrize("store", STORES)
class TestALease:
    def taken(self, rig: Rig, store: str, run: str = "one") -> LeasedJournal:
        rig.store_url = store
        rig.settled()
        user, world = rig.world(run=run)
        return LeasedJournal.take(world.store, world.clock, run, user.id, world.store.load())

    def test_counts_the_epoch_up(self, rig: Rig, store: str) -> None:
        leased = self.taken(rig, store)
        assert leased.journal.epoch == 1
        leased.release()
        user, world = rig.world(run="two")
        assert LeasedJournal.take(world.store, world.clock, "two", user.id, world.store.load()).journal.epoch == 2

    def test_ends_for_a_run_whose_journal_has_another_epoch_or_another_run(self, rig: Rig, store: str) -> None:
        leased = self.taken(rig, store)
        assert leased.journal.lease is not None
        for changes in (
            {"epoch": leased.journal.epoch + 1},
            {"epoch": leased.journal.epoch, "lease": msgspec.structs.replace(leased.journal.lease, run="two")},
        ):
            planted(rig, **changes)
            with pytest.raises(Exception, match="has taken over this user's lease"):
                leased.reread()

    def test_that_another_run_holds_is_not_taken(self, rig: Rig, store: str) -> None:
        self.taken(rig, store)
        lease = Lease("two", "elsewhere boot pid", 1, "1", rig.aws.now() + timedelta(minutes=2))
        planted(rig, lease=lease)
        user, world = rig.world(run="three")
        with pytest.raises(Exception, match="Another run is rotating this user"):
            LeasedJournal.take(world.store, world.clock, "three", user.id, world.store.load())

    def test_lasts_from_before_the_write_that_takes_or_renews_it(self, rig: Rig, store: str) -> None:
        """The response to that write may come a minute later; the journal has the time of the request."""
        rig.store_url = store
        rig.settled()
        user, world = rig.world(run="one")
        leased = LeasedJournal.take(Slow(world.store, rig), world.clock, "one", user.id, world.store.load())
        assert 114 < leased.left() <= 120
        leased.write()
        assert 114 < leased.left() <= 120
