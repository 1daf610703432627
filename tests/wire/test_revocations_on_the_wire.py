"""Every mutating request of a revocation, with faults of a network and a service; then another run.

The leaked key is stopped for good, the key that has not leaked is never touched, and the end is a key that works.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from twokey.core.errors import TwokeyError
from twokey.emulator import Rule
from twokey.revocation.contain import contain
from twokey.revocation.decision import Leak
from twokey.revocation.revoke import revoke

if TYPE_CHECKING:
    from support.rig import Rig
    from twokey.revocation.results import RevokeResult

MUTATING = (
    ("iam:UpdateAccessKey", 1),
    ("secretsmanager:PutSecretValue", 1),
    ("secretsmanager:PutSecretValue", 3),
    ("secretsmanager:UpdateSecretVersionStage", 2),
    ("iam:DeleteAccessKey", 1),
    ("iam:CreateAccessKey", 1),
)


def revoked(rig: Rig, key_id: str, run: str) -> RevokeResult | None:
    """Revoke a key, and let it make room; None where it could not be contained."""
    user, world = rig.world(run=run)
    try:
        done = contain("ci", key_id, world.iam, world.clock)
    except TwokeyError:
        return None
    return revoke(user, rig.policy, world, Leak({key_id: done.at}, delete=True), [done])


@pytest.mark.parametrize("fault", ["lost_response", "error_before", "error_after", "html"])
@pytest.mark.parametrize(("operation", "nth"), MUTATING)
def test_stops_the_leaked_key_and_the_next_run_finishes(rig: Rig, operation: str, nth: int, fault: str) -> None:
    rig.settled()
    rig.rotate()
    last, leaked = rig.ids()
    stolen = rig.stored()
    assert stolen
    rule = Rule(operation, nth=nth, effect=fault, status=200 if fault == "html" else 500)
    rig.aws.weather.add(rule)
    revoked(rig, leaked, "disturbed")
    assert rule.hits == 1
    assert not rig.aws.authenticates(stolen)
    assert last in rig.ids()
    done = revoked(rig, leaked, "undisturbed")
    assert done
    assert done.outcome == "revoked", done
    stored = rig.stored()
    assert stored
    assert rig.aws.authenticates(stored)
    assert rig.ids() == [last, stored.access_key_id]
    journal = rig.record().journal
    assert (journal.intent, journal.lease, journal.current, journal.last) == (None, None, stored.access_key_id, last)
