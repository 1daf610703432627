"""A destination that another program rewrites between the runs: it is named, and it never silently stops rotations."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from support.pipelines import TEN, Delivering, pipelines
from twokey.core.reasons import Outcome, Reason
from twokey.planning.redelivery import deliver_plan

if TYPE_CHECKING:
    from twokey.rotation.results import Result

__all__ = ["pipelines"]
NAME, PERIOD = "ci:4", timedelta(days=15)


def rewrite(test: Delivering, key_id: str = "K2", name: str = NAME) -> None:
    """Let another program write a key there."""
    test.world.held[name] = test.world.secrets_at[name] = key_id
    test.world.stamps[name] += 1


def ended(result: Result) -> tuple[Outcome, Reason]:
    return result.outcome, result.reason


FIRST = (Outcome.COMPLETED, Reason.OUT_OF_DATE)
AGAIN = (Outcome.FAILED, Reason.CONTESTED)
OVERDUE = (Outcome.REFUSED, Reason.CONTESTED)


class TestADestinationThatDoesNotShowWhatItHolds:
    def test_is_delivered_to_again_and_named_from_the_second_time_on(self, pipelines: Delivering) -> None:
        pipelines.rotated()
        for expected in (FIRST, AGAIN, AGAIN):
            rewrite(pipelines)
            result = pipelines.rotated()
            assert ended(result) == expected
            assert pipelines.holding("N1") == list(TEN)
        assert f"Another program keeps writing to {NAME}" in result.message
        assert f"twokey forget ci --destination {NAME}" in result.message
        assert pipelines.rotated().outcome is Outcome.NOT_DUE

    def test_is_refused_when_a_rotation_is_due_and_nothing_is_removed(self, pipelines: Delivering) -> None:
        pipelines.rotated()
        rewrite(pipelines)
        pipelines.rotated()
        pipelines.world.now += PERIOD
        rewrite(pipelines)
        for _ in range(2):
            result = pipelines.rotated()
            assert ended(result) == OVERDUE
            assert pipelines.reached == []
        assert set(pipelines.world.keys) == {"K2", "N1"}
        assert f"twokey deliver ci --to {NAME}" in result.message

    def test_is_rotated_again_once_the_operator_has_stopped_the_program_and_delivered(
        self, pipelines: Delivering
    ) -> None:
        pipelines.rotated()
        rewrite(pipelines)
        pipelines.rotated()
        pipelines.world.now += PERIOD
        rewrite(pipelines)
        assert ended(pipelines.rotated()) == OVERDUE
        assert pipelines.rotated(deliver_plan).outcome is Outcome.COMPLETED
        assert pipelines.rotated().reason is Reason.GRACE
        pipelines.world.now += PERIOD
        assert pipelines.rotated().outcome is Outcome.ROTATED

    def test_is_remembered_across_a_rotation(self, pipelines: Delivering) -> None:
        pipelines.rotated()
        rewrite(pipelines)
        assert ended(pipelines.rotated()) == FIRST
        pipelines.world.now += PERIOD
        assert pipelines.rotated().outcome is Outcome.ROTATED
        rewrite(pipelines)
        assert ended(pipelines.rotated()) == AGAIN

    def test_is_no_longer_suspected_after_two_rotations_without_another_writer(self, pipelines: Delivering) -> None:
        pipelines.rotated()
        rewrite(pipelines)
        pipelines.rotated()
        for _ in range(2):
            pipelines.world.now += PERIOD
            assert pipelines.rotated().outcome is Outcome.ROTATED
        assert NAME in pipelines.journal.delivered
        assert pipelines.journal.delivered[NAME].rewritten == 0
        rewrite(pipelines)
        assert ended(pipelines.rotated()) == FIRST

    def test_is_not_suspected_for_its_first_delivery_or_for_one_that_a_killed_run_did_not_record(
        self, pipelines: Delivering
    ) -> None:
        pipelines.world.secrets_at.clear()
        effects = pipelines.effects()
        last = max(number for number, what in enumerate(effects) if what.startswith("deliver to"))
        pipelines.world.faults = {last: "killed after"}
        assert pipelines.run() is None
        pipelines.world.faults = {}
        assert pipelines.rotated().outcome is Outcome.COMPLETED
        assert {delivery.rewritten for delivery in pipelines.journal.delivered.values()} == {0}

    def test_is_not_suspected_for_a_delivery_of_ours_that_was_interrupted(self, pipelines: Delivering) -> None:
        pipelines.rotated()
        for _ in range(3):
            pipelines.world.held[NAME] = pipelines.world.secrets_at[NAME] = "K2"
            pipelines.world.stamps[NAME] += 1
            pipelines.world.journal = pipelines.world.journal.replace(
                '"delivered"', f'"delivering":["{NAME}"],"delivered"'
            )
            assert ended(pipelines.rotated()) == FIRST


class TestADestinationThatShowsWhatItHolds:
    def test_does_not_restart_grace_if_it_is_no_key_of_the_user_and_the_rotation_goes_on(
        self, pipelines: Delivering
    ) -> None:
        pipelines.world.telling[NAME] = True
        pipelines.rotated()
        for expected in (FIRST, AGAIN):
            pipelines.world.now += timedelta(days=5)
            rewrite(pipelines, "")
            assert ended(pipelines.rotated()) == expected
        pipelines.world.now += timedelta(days=5)
        rewrite(pipelines, "")
        assert pipelines.rotated().outcome is Outcome.ROTATED

    def test_restarts_grace_if_it_is_last(self, pipelines: Delivering) -> None:
        pipelines.world.telling[NAME] = True
        pipelines.rotated()
        pipelines.world.now += timedelta(days=5)
        rewrite(pipelines, "K2")
        assert ended(pipelines.rotated()) == FIRST
        pipelines.world.now += timedelta(days=10)
        assert pipelines.rotated().reason is Reason.GRACE
