"""A key that a run created and could not publish: it is taken back, or the next run can tell that it is ours."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from support.rig import IN_VAIN, Rig
from twokey.core.errors import Ambiguous, ServiceRejected, Unreachable
from twokey.core.reasons import Outcome, Reason
from twokey.emulator import Rule
from twokey.rotation.rotate import rotate

if TYPE_CHECKING:
    from twokey.core.destination import Store
    from twokey.core.model import Holding
    from twokey.core.secret import Credential

DENIED: dict[str, Any] = {"effect": "error_before", "status": 403, "code": "AccessDenied"}
UNKNOWN: dict[str, Any] = {"effect": "error_before", "status": 404, "code": "NoSuchEntity"}


def steps(rig: Rig) -> list[tuple[str, str]]:
    return [(event.step, event.phase) for event in rig.events]


class TestOfARunThatLostItsLease:
    @pytest.fixture(autouse=True)
    def _lost(self, rig: Rig) -> None:
        rig.aws.make_user("ci", keys=0)
        rig.at[("verify", "done")] = lambda: rig.sleep_through(200)

    def test_is_deleted_again_where_no_write_of_ours_can_take_effect_any_more(self, rig: Rig) -> None:
        result = rig.rotate()
        assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.LEASE_LOST)
        assert "which this run created and no reader saw, was deleted again" in result.message
        assert ("remove unpublished", "done") in steps(rig)
        assert rig.ids() == []

    @pytest.mark.parametrize("response", [DENIED, UNKNOWN])
    def test_is_named_where_it_cannot_be_deleted(self, rig: Rig, response: dict[str, Any]) -> None:
        rig.aws.weather.add(Rule("iam:DeleteAccessKey", times=None, **response))
        if response is UNKNOWN:
            rig.aws.weather.list_lag = 1_000.0
        result = rig.rotate()
        (made,) = rig.ids()
        assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.LEASE_LOST)
        assert f"{made}, which this run created, still exists" in result.message


class TestThatDidNotWork:
    @pytest.fixture(autouse=True)
    def _in_vain(self, rig: Rig) -> None:
        rig.aws.make_user("ci", keys=0)
        rig.aws.weather.propagation = 300
        rig.policy = replace(rig.policy, verification=IN_VAIN)

    def test_is_deleted_again_and_its_intent_closed(self, rig: Rig) -> None:
        result = rig.rotate()
        assert result.reason is Reason.NOT_VERIFIED
        assert "was deleted again" in result.message
        assert ("remove unpublished", "done") in steps(rig)
        journal = rig.record().journal
        assert (journal.intent, len(journal.removed), rig.ids()) == (None, 1, [])

    def test_is_deleted_again_before_the_process_is_ended(self, rig: Rig) -> None:
        user, world = rig.world()
        result = rotate(user, rig.policy, replace(world, out_of_time=lambda: True))
        assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.STOPPED)
        assert "The time of this run was over before the created key" in result.message
        assert (rig.ids(), rig.record().journal.intent) == ([], None)

    def test_is_not_said_to_exist_where_the_lease_is_lost_after_its_deletion(self, rig: Rig) -> None:
        rig.at[("remove unpublished", "done")] = lambda: rig.sleep_through(200)
        result = rig.rotate()
        assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.LEASE_LOST)
        assert "was deleted again" in result.message
        assert rig.aws.count("iam:DeleteAccessKey") == 1
        assert rig.ids() == []


class Answering:
    """A store that answers ``put`` with an error, after it wrote or not; afterwards, it may be unreadable."""

    def __init__(
        self, store: Store, error: Exception, *, writes: bool = False, readable: bool = True, says: bool = True
    ) -> None:
        self._store = store
        self._error = error
        self._writes = writes
        self._readable = readable
        self._says = says

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put(self, credential: Credential, revision: object) -> object:
        if self._writes:
            self._store.put(credential, revision)
        raise self._error

    def held(self) -> Holding:
        if not self._readable:
            raise Unreachable("There is no route to it.")
        nothing: Any = None
        return self._store.held() if self._says else nothing


@pytest.mark.parametrize(
    ("error", "then", "kept"),
    [
        (ServiceRejected("It takes no more."), {}, False),
        (ServiceRejected("It takes no more."), {"writes": True}, True),
        (ServiceRejected("It takes no more."), {"readable": False}, True),
        (ServiceRejected("It takes no more."), {"says": False}, True),
        (Ambiguous("No response."), {}, True),
        (Ambiguous("No response."), {"writes": True}, True),
    ],
)
def test_a_key_that_could_not_be_stored_is_deleted_again_only_where_that_is_sure(
    rig: Rig, error: Exception, then: dict[str, bool], *, kept: bool
) -> None:
    """A write in doubt may take effect later. A refusal may be that of a second attempt, after one that was lost."""
    rig.aws.make_user("ci", keys=0)
    user, world = rig.world()
    store: Any = Answering(world.store, error, **then)
    result = rotate(user, rig.policy, replace(world, store=store))
    assert result.outcome is Outcome.FAILED
    assert str(error) in result.message
    assert len(rig.ids()) == kept
    assert (rig.record().journal.intent is not None) == kept
    rig.later(minutes=5)
    assert rig.rotate().outcome in (Outcome.ROTATED, Outcome.COMPLETED)
    assert rig.ids() == [rig.held()]


class TestTheIntent:
    def test_keeps_what_was_deleted_before_it(self, rig: Rig) -> None:
        last, _ = rig.settled()
        assert rig.killed_at("create", "begin")
        assert list(rig.record().journal.removed) == [last.access_key_id]

    def test_of_a_creation_that_is_throttled_serves_the_next_attempt(self, rig: Rig) -> None:
        rig.aws.make_user("ci", keys=0)
        rig.aws.weather.add(Rule("iam:CreateAccessKey", times=2, effect="error_before", status=400, code="Throttling"))
        assert rig.rotate().outcome is Outcome.ROTATED
        assert steps(rig).count(("intent", "done")) == 1

    def test_of_a_creation_that_is_refused_is_closed(self, rig: Rig) -> None:
        rig.aws.make_user("ci", keys=0)
        rig.aws.weather.add(Rule("iam:CreateAccessKey", times=1, **DENIED))
        result = rig.rotate()
        assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.ERROR)
        assert rig.record().journal.intent is None

    def test_that_can_explain_no_key_any_more_is_closed_by_the_next_one_that_is_refused(self, rig: Rig) -> None:
        rig.aws.make_user("ci", keys=0)
        assert rig.killed_at("create", "begin")
        rig.later(days=1)
        rig.aws.weather.add(Rule("iam:CreateAccessKey", times=1, **DENIED))
        assert rig.rotate().outcome is Outcome.FAILED
        assert rig.record().journal.intent is None
