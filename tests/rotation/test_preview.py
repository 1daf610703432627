"""What a dry run foresees where it cannot, or need not, decide about a rotation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from twokey.core.reasons import Outcome, Reason
from twokey.rotation import lease
from twokey.rotation.preview import preview

if TYPE_CHECKING:
    from support.rig import Rig


def test_a_user_that_another_run_works_on_is_refused_with_its_keys(rig: Rig) -> None:
    last, current = rig.settled()
    user, world = rig.world()
    record = world.store.load()
    held = lease.take("another run", world.clock.now())
    world.store.save_journal(msgspec.structs.replace(record.journal, lease=held), record.revision)
    foreseen = preview(user, rig.policy, world)
    result = foreseen.result
    assert (result.user, result.outcome, result.reason) == (user, Outcome.REFUSED, Reason.LEASE_HELD)
    assert (result.current, result.last) == (current.access_key_id, last.access_key_id)
    assert foreseen.plan is None
