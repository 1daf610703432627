"""One contract for the world in memory and for the real edge: the simulation is worth what its world is like.

Each test runs twice: against ``simulation.world``, and against the shipped AWS edge with the Secrets Manager store on
the strict emulator. What both do is what the proof may rest on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from simulation.world import USER, Clock, Iam, SimulatedDestination, Sts, World
from twokey.core.errors import AccessDenied, Ambiguous, Conflict, Failed, NotFound, ServiceError, ServiceRejected
from twokey.core.journal import Intent, Journal
from twokey.core.model import Held, NotHeld
from twokey.core.secret import Credential
from twokey.emulator import Rule

if TYPE_CHECKING:
    from support.rig import Rig
    from twokey.core.destination import Destination, Store

FIRST, SECOND = (Credential(f"AKIAIOSFODNN7EXAMPL{letter}", "no secret") for letter in "EF")


class Edge(ABC):
    """An edge of the engine: the ports, and what a test does to the world behind them."""

    iam: Any
    sts: Any
    clock: Any
    store: Store
    other: Destination
    user: str
    identity: tuple[str, str]

    @abstractmethod
    def fail(self, what: str, fault: str) -> None:
        """Let the next ``create``, ``delete``, ``deactivate`` or ``store`` end as ``refused`` or ``lost``."""

    @abstractmethod
    def heal(self) -> None:
        """Let nothing fail any more."""

    @abstractmethod
    def use(self, key_id: str) -> None:
        """Have a job use a key."""

    @abstractmethod
    def again(self) -> Store:
        """Return the store as another run sees it."""

    def listed(self) -> dict[str, bool]:
        """Return whether each listed key is Active."""
        return {key.id: key.active for key in self.iam.keys(self.user)}

    def works(self, credential: Credential) -> bool:
        """Say whether a credential authenticates, once it has had the time to propagate."""
        answers = [self.sts.identity_of(credential, None) for _ in range(3)]
        return bool(answers[-1] == self.identity)


class InMemory(Edge):
    """The world of the simulation."""

    def __init__(self) -> None:
        self.world = World(held={"store": "", "other": ""})
        self.iam, self.sts, self.clock = Iam(self.world, "run"), Sts(self.world), Clock(self.world)
        self.store, self.other = (
            SimulatedDestination(self.world, "run", "store"),
            SimulatedDestination(self.world, "run", "other"),
        )
        self.user, self.identity = USER.name, (USER.account, USER.arn)

    def fail(self, what: str, fault: str) -> None:
        self.world.faults = {self.world.effects: fault}

    def heal(self) -> None:
        self.world.faults = {}

    def use(self, key_id: str) -> None:
        self.world.keys[key_id].last_used = self.world.now

    def again(self) -> Store:
        return SimulatedDestination(self.world, "another", "store")


class OnTheEmulator(Edge):
    """The shipped edge, against the strict emulator."""

    OPERATIONS = {
        "create": "iam:CreateAccessKey",
        "delete": "iam:DeleteAccessKey",
        "deactivate": "iam:UpdateAccessKey",
        "store": "secretsmanager:*",
    }

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        rig.aws.make_user("ci", path="/machine-users/", keys=0)
        rig.deliver = ("secretsmanager:copies/{user}",)
        user, world = rig.world()
        self.iam, self.sts, self.clock, self.store = world.iam, world.sts, world.clock, world.store
        (self.other,) = world.destinations
        self.user, self.identity = user.name, (user.account, user.arn)

    def fail(self, what: str, fault: str) -> None:
        if fault == "refused":
            denied = Rule(self.OPERATIONS[what], effect="error_before", status=400, code="ValidationError", times=None)
            self.rig.aws.weather.add(denied)
        else:
            self.rig.aws.weather.add(Rule(self.OPERATIONS[what], effect="lost_response", times=None))

    def heal(self) -> None:
        self.rig.aws.weather.clear()

    def use(self, key_id: str) -> None:
        self.rig.aws.set_last_used(key_id, 0, service="s3")

    def again(self) -> Store:
        return self.rig.world()[1].store


@pytest.fixture(params=["in memory", "on the emulator"])
def edge(request: pytest.FixtureRequest) -> Edge:
    if request.param == "in memory":
        return InMemory()
    return OnTheEmulator(request.getfixturevalue("rig"))


class TestKeys:
    def test_begin_with_none(self, edge: Edge) -> None:
        assert edge.listed() == {}

    def test_that_are_created_are_listed_active_and_work_soon(self, edge: Edge) -> None:
        before = edge.clock.now()
        key, credential = edge.iam.create_key(edge.user)
        assert edge.listed() == {key.id: True}
        assert key.active
        assert credential.access_key_id == key.id
        assert abs(key.created - before) < timedelta(seconds=5)
        assert edge.works(credential)

    def test_are_two_at_most(self, edge: Edge) -> None:
        both = {edge.iam.create_key(edge.user)[0].id for _ in range(2)}
        with pytest.raises(ServiceRejected, match="LimitExceeded"):
            edge.iam.create_key(edge.user)
        assert edge.listed().keys() == both

    def test_are_not_created_if_the_caller_thinks_better_of_it_at_the_last_moment(self, edge: Edge) -> None:
        def stop() -> None:
            raise Failed("not now")

        with pytest.raises(Failed, match="not now"):
            edge.iam.create_key(edge.user, stop)
        assert edge.listed() == {}

    def test_that_are_inactive_stay_listed_and_work_no_more(self, edge: Edge) -> None:
        key, credential = edge.iam.create_key(edge.user)
        assert edge.works(credential)
        for _ in range(2):
            edge.iam.deactivate_key(edge.user, key.id)
        assert edge.listed() == {key.id: False}
        assert not edge.works(credential)

    def test_that_does_not_exist_cannot_be_made_inactive(self, edge: Edge) -> None:
        with pytest.raises(NotFound):
            edge.iam.deactivate_key(edge.user, "AKIAIOSFODNN7EXAMPLE")

    def test_that_are_deleted_are_gone_and_a_second_deletion_says_so(self, edge: Edge) -> None:
        key, credential = edge.iam.create_key(edge.user)
        assert edge.iam.delete_key(edge.user, key.id) is True
        assert edge.listed() == {}
        assert not edge.works(credential)
        assert edge.iam.delete_key(edge.user, key.id) is False

    def test_tell_when_they_were_used(self, edge: Edge) -> None:
        key, _ = edge.iam.create_key(edge.user)
        assert edge.iam.last_use(key.id).at is None
        edge.use(key.id)
        used = edge.iam.last_use(key.id)
        assert abs(used.at - edge.clock.now()) < timedelta(seconds=5)
        assert used.service == "s3"

    def test_that_are_gone_do_not_tell(self, edge: Edge) -> None:
        key, _ = edge.iam.create_key(edge.user)
        edge.iam.delete_key(edge.user, key.id)
        with pytest.raises(AccessDenied):
            edge.iam.last_use(key.id)


class TestARequestThatFails:
    def test_refused_creates_nothing_and_proves_it(self, edge: Edge) -> None:
        edge.fail("create", "refused")
        with pytest.raises(ServiceError) as failed:
            edge.iam.create_key(edge.user)
        assert not isinstance(failed.value, Ambiguous)
        assert edge.listed() == {}

    def test_without_an_answer_creates_a_key_whose_secret_is_lost(self, edge: Edge) -> None:
        edge.fail("create", "lost")
        with pytest.raises(Ambiguous):
            edge.iam.create_key(edge.user)
        assert list(edge.listed().values()) == [True]

    @pytest.mark.parametrize(("what", "left"), [("delete", {}), ("deactivate", {False})])
    def test_without_an_answer_takes_a_key_out_of_use(self, edge: Edge, what: str, left: Any) -> None:
        key, _ = edge.iam.create_key(edge.user)
        edge.fail(what, "lost")
        with pytest.raises(Ambiguous):
            getattr(edge.iam, f"{what}_key")(edge.user, key.id)
        edge.heal()
        assert set(edge.listed().values()) == set(left)

    @pytest.mark.parametrize("what", ["delete", "deactivate"])
    def test_refused_leaves_a_key_in_use(self, edge: Edge, what: str) -> None:
        key, _ = edge.iam.create_key(edge.user)
        edge.fail(what, "refused")
        with pytest.raises(ServiceRejected):
            getattr(edge.iam, f"{what}_key")(edge.user, key.id)
        edge.heal()
        assert edge.listed() == {key.id: True}

    @pytest.mark.parametrize("fault", ["refused", "lost"])
    def test_leaves_a_store_as_it_was_or_as_it_was_to_be(self, edge: Edge, fault: str) -> None:
        revision = edge.store.put(FIRST, edge.store.save_journal(Journal(epoch=1), edge.store.load().revision))
        edge.fail("store", fault)
        with pytest.raises(Ambiguous if fault == "lost" else ServiceError):
            edge.store.put(SECOND, revision)
        edge.heal()
        found = edge.again().load()
        allowed = {FIRST.access_key_id} if fault == "refused" else {FIRST.access_key_id, SECOND.access_key_id}
        assert isinstance(found.holding, Held)
        assert found.holding.key_id in allowed
        assert found.journal == Journal(epoch=1)


class TestAStore:
    JOURNAL = Journal(epoch=7, user="AIDACI", current=FIRST.access_key_id)

    def test_begins_empty(self, edge: Edge) -> None:
        found = edge.store.load()
        assert (found.holding, found.journal) == (NotHeld(), Journal())
        assert edge.store.credential() is None
        assert edge.other.held() == NotHeld()

    def test_keeps_credential_and_journal_side_by_side(self, edge: Edge) -> None:
        revision = edge.store.save_journal(self.JOURNAL, edge.store.load().revision)
        edge.store.put(FIRST, revision)
        found = edge.again().load()
        assert (found.holding, found.journal) == (Held(FIRST.access_key_id), self.JOURNAL)
        credential = edge.store.credential()
        assert credential
        assert credential.access_key_id == FIRST.access_key_id

    def test_replaces_what_it_held(self, edge: Edge) -> None:
        revision = edge.store.put(FIRST, edge.store.load().revision)
        edge.store.put(SECOND, revision)
        assert edge.again().held() == Held(SECOND.access_key_id)

    def test_refuses_a_journal_that_another_run_has_overtaken(self, edge: Edge) -> None:
        stale = edge.store.save_journal(Journal(epoch=1), edge.store.load().revision)
        again = edge.again()
        again.save_journal(self.JOURNAL, again.load().revision)
        with pytest.raises(Conflict):
            edge.store.save_journal(Journal(epoch=2), stale)
        assert edge.again().load().journal == self.JOURNAL

    def test_refuses_a_credential_that_another_run_has_overtaken(self, edge: Edge) -> None:
        stale = edge.store.save_journal(Journal(epoch=1), edge.store.load().revision)
        again = edge.again()
        again.put(SECOND, again.load().revision)
        with pytest.raises(Conflict):
            edge.store.put(FIRST, stale)
        assert edge.again().held() == Held(SECOND.access_key_id)

    def test_lets_a_credential_through_where_only_the_journal_was_overtaken(self, edge: Edge) -> None:
        """One call of Secrets Manager can compare one label only: that is what the fence is for."""
        stale = edge.store.put(FIRST, edge.store.save_journal(Journal(epoch=1), edge.store.load().revision))
        again = edge.again()
        again.save_journal(self.JOURNAL, again.load().revision)
        edge.store.put(SECOND, stale)
        assert edge.again().held() == Held(SECOND.access_key_id)

    def test_refuses_a_credential_after_a_fence_which_changes_nothing_else(self, edge: Edge) -> None:
        stale = edge.store.put(FIRST, edge.store.save_journal(self.JOURNAL, edge.store.load().revision))
        again = edge.again()
        later = again.fence(again.load().revision)
        with pytest.raises(Conflict):
            edge.store.put(SECOND, stale)
        found = edge.again().load()
        assert (found.holding, found.journal) == (Held(FIRST.access_key_id), self.JOURNAL)
        again.put(SECOND, later)
        assert edge.again().held() == Held(SECOND.access_key_id)

    def test_goes_on_from_what_each_of_its_writes_returns(self, edge: Edge) -> None:
        revision = edge.store.load().revision
        for number in range(1, 4):
            intent = Intent((), edge.clock.now().replace(microsecond=0))
            revision = edge.store.save_journal(Journal(epoch=number, intent=intent), revision)
            revision = edge.store.put((FIRST, SECOND)[number % 2], revision)
            revision = edge.store.fence(revision)
        assert edge.again().load().journal.epoch == 3


class TestADestination:
    def test_is_written_once_however_often_it_is_delivered_to(self, edge: Edge) -> None:
        assert edge.other.deliver(FIRST).written
        assert not edge.other.deliver(FIRST).written
        assert edge.other.held() == Held(FIRST.access_key_id)
        assert edge.other.deliver(SECOND).written
        assert edge.other.held() == Held(SECOND.access_key_id)


class TestTime:
    def test_passes_while_a_run_sleeps(self, edge: Edge) -> None:
        edge.iam.keys(edge.user)
        now, monotonic = edge.clock.now(), edge.clock.monotonic()
        edge.clock.sleep(0.2)
        assert edge.clock.monotonic() - monotonic >= 0.2
        assert edge.clock.now() - now >= timedelta(seconds=0.2)
        assert abs(edge.clock.skew()) < timedelta(seconds=5)
