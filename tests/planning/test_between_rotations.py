"""What is decided and said while no rotation is due, about destinations and keys in more than one state."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from support.builders import NOW, ago, journal, key, observation_of
from twokey.core.journal import Delivery
from twokey.core.model import CannotTell, Held, Holding, NotHeld
from twokey.core.reasons import Outcome, Reason
from twokey.planning.decision import plan
from twokey.planning.plan import Deliver, Overrides
from twokey.planning.policy import RotationPolicy

FRESH: dict[str, Any] = {"current": "K2", "last": "K1", "committed": ago(days=1)}
KEYS = (key("K1", days=16), key("K2", days=1))
GRACE = " Grace counts from this delivery."


def decide(observation: Any, policy: RotationPolicy | None = None, **overrides: Any) -> Any:
    """Plan at NOW."""
    return plan(observation, policy or RotationPolicy(), NOW, Overrides(**overrides))


@pytest.mark.parametrize(
    ("destinations", "said"),
    [
        ({"a": NotHeld()}, "a did not hold K2."),
        ({"a": Held("KX")}, "a did not hold K2."),
        ({"a": Held("K1")}, f"a did not hold K2.{GRACE}"),
        ({"a": NotHeld(), "b": Held("K1")}, f"a, b did not hold K2.{GRACE}"),
    ],
)
def test_grace_counts_from_a_delivery_unless_no_job_can_have_read_last_there(
    destinations: dict[str, Holding], said: str
) -> None:
    delivered = {name: Delivery("K2", ago(days=1)) for name in destinations}
    recorded = journal(**FRESH, delivered=delivered)
    found = decide(observation_of(*KEYS, held="K2", journal=recorded, destinations=destinations))
    assert (found.reason, found.message) == (Reason.OUT_OF_DATE, said)


def test_one_of_several_destinations_that_had_last_until_an_unknown_moment_is_enough() -> None:
    delivered = {"a": Delivery("K1", ago(days=16)), "b": Delivery("K2", ago(days=1))}
    seen = observation_of(
        *KEYS,
        held="K2",
        journal=journal(**FRESH, delivered=delivered),
        destinations={"a": Held("K2"), "b": Held("K2")},
    )
    assert Deliver(("a",), "K1") in decide(seen).actions


def test_a_key_that_the_operator_named_gives_the_reason_also_beside_one_that_is_still_listed() -> None:
    recorded = journal(**FRESH, removed={"K0": ago(days=2)})
    seen = observation_of(*KEYS, key("K0", days=40), key("K9", days=3), held="K2", journal=recorded)
    found = decide(seen, retire=frozenset({"K9"}))
    assert (found.outcome, found.reason) == (Outcome.RETIRED, Reason.RETIRE_REQUESTED)


@pytest.mark.parametrize(("failed", "reason"), [(False, Reason.SOAK), (True, Reason.NOT_DUE)])
def test_no_soak_begins_early_while_a_destination_cannot_be_read(reason: Reason, *, failed: bool) -> None:
    recorded = journal(
        current="K2", last="K1", committed=ago(days=13.5), delivered={"a": Delivery("K2", ago(days=13.5), "v1")}
    )
    seen = observation_of(
        key("K1", days=29),
        key("K2", days=14),
        held="K2",
        journal=recorded,
        destinations={"a": CannotTell("", failed, "v1")},
    )
    assert decide(seen, RotationPolicy(soak=timedelta(days=2))).reason is reason
