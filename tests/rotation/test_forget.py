"""A destination that is no longer configured: its key is kept until it is forgotten, and LAST keeps its grace."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from support.rig import DAY, Rig
from twokey.core.reasons import Outcome, Reason
from twokey.planning.forgetting import forget_plan
from twokey.planning.plan import Overrides
from twokey.rotation import rotate

if TYPE_CHECKING:
    from pathlib import Path

    from twokey.rotation.results import Result

PERIOD = 16 * DAY
OLD, NEW = "ssm:/jobs/old", "ssm:/jobs/new"


@pytest.fixture
def removed(rig: Rig) -> Rig:
    """A user with a destination that was taken out of the configuration a rotation ago: it holds LAST."""
    rig.settled()
    rig.deliver = (OLD, NEW)
    rig.rotate()
    rig.deliver = (NEW,)
    rig.later(seconds=PERIOD)
    assert rig.rotate().outcome is Outcome.ROTATED
    return rig


def forget(rig: Rig, name: str = OLD, run: str = "forget") -> Result:
    """Forget a destination; the operator has confirmed it."""
    user, world = rig.world(run=run)
    decide = partial(forget_plan, configured=rig.deliver, confirmed=True)
    return rotate.rotate(user, rig.policy, world, Overrides(forget=name), decide)


class TestADestinationThatIsNotConfigured:
    def test_keeps_its_key_and_every_run_says_so(self, removed: Rig) -> None:
        (last, _) = removed.ids()
        (warning,) = removed.rotate().warnings
        assert f"{OLD} is not a destination of this run, and holds {last}" in warning
        removed.later(seconds=PERIOD)
        refused = removed.rotate()
        assert (refused.outcome, refused.reason) == (Outcome.REFUSED, Reason.LAST_HELD)
        assert f"twokey forget ci --destination {OLD}" in refused.message
        assert last in removed.ids()

    def test_lets_go_of_its_key_a_grace_after_it_is_forgotten(self, removed: Rig) -> None:
        (last, _) = removed.ids()
        removed.later(seconds=PERIOD)
        assert forget(removed).outcome is Outcome.COMPLETED
        assert removed.rotate().reason is Reason.GRACE
        assert last in removed.ids()
        removed.later(seconds=PERIOD)
        rotated = removed.rotate()
        assert (rotated.outcome, rotated.removed) == (Outcome.ROTATED, (last,))
        assert removed.record().journal.forgotten is None

    def test_that_is_forgotten_does_not_let_go_of_a_key_that_is_in_use(self, removed: Rig) -> None:
        removed.later(seconds=PERIOD)
        forget(removed)
        removed.later(seconds=PERIOD)
        removed.aws.set_last_used(removed.ids()[0], 3600)
        assert removed.rotate().reason is Reason.IN_USE

    def test_can_be_forgotten_after_an_interrupted_run_which_stays_open(self, removed: Rig) -> None:
        removed.later(seconds=PERIOD)
        forget(removed)
        removed.later(seconds=PERIOD)
        assert removed.killed_at("create", "done")
        intent = removed.record().journal.intent
        assert forget(removed).reason is Reason.NOT_RECORDED
        assert removed.record().journal.intent == intent

    def test_is_forgotten_by_a_write_that_another_run_cannot_overtake(self, removed: Rig, tmp_path: Path) -> None:
        before = removed.record().journal.epoch
        forget(removed)
        after = removed.record().journal
        assert (after.epoch, after.lease) == (before + 1, None)
