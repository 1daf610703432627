"""What each destination holds: as it shows it, or as the journal records it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.builders import NOW, STORE, ago, journal, key, observation_of
from twokey.core.journal import Delivery
from twokey.core.model import CannotTell, Held, NotHeld
from twokey.planning.assessment import assess
from twokey.planning.destination_states import DestinationState, destination_states
from twokey.planning.plan import Overrides
from twokey.planning.policy import RotationPolicy

if TYPE_CHECKING:
    from twokey.core.model import Holding

KEYS = (key("K1", days=16), key("K2", days=1))
RECORDED: dict[str, Any] = {"current": "K2", "last": "K1", "committed": ago(days=1)}
YESTERDAY = "2026-05-31T12:00:00Z"


def state_of(holding: Holding, delivery: Delivery | None = None, **recorded: Any) -> DestinationState:
    """Return the state of one destination of a settled user."""
    recorded = {**RECORDED, "delivered": {"ci:x": delivery} if delivery else {}, **recorded}
    observation = observation_of(*KEYS, held="K2", journal=journal(**recorded), destinations={"ci:x": holding})
    _, found = destination_states(assess(observation, RotationPolicy(), NOW, Overrides()))
    assert found.destination == "ci:x"
    return found


CURRENT, LAST = Delivery("K2", ago(days=1), "v1"), Delivery("K1", ago(days=1), "v1")


@pytest.mark.parametrize(
    ("holding", "delivery", "state", "message"),
    [
        (Held("K2"), CURRENT, "held", f"K2 since {YESTERDAY}"),
        (Held("K2"), None, "held", "K2"),
        (Held("K2"), LAST, "held", "K2"),
        (Held("K1"), CURRENT, "out_of_date", "holds K1"),
        (NotHeld(), CURRENT, "empty", ""),
        (CannotTell("no"), CURRENT, "held", f"received K2 at {YESTERDAY}"),
        (CannotTell("no", stamp="v1"), CURRENT, "held", f"received K2 at {YESTERDAY}"),
        (CannotTell("no"), LAST, "out_of_date", f"received K1 at {YESTERDAY}"),
        (CannotTell("no"), None, "cannot_tell", "it has received no key yet, and does not show what it holds (no)"),
        (
            CannotTell("no", stamp="v2"),
            CURRENT,
            "cannot_tell",
            f"another program has written there since it received K2 at {YESTERDAY} (no)",
        ),
        (CannotTell("The project is gone.", failed=True), CURRENT, "unreachable", "The project is gone."),
    ],
)
def test_a_destination_is_shown_as_one_word_and_which_key_since_when(
    holding: Holding, delivery: Delivery | None, state: str, message: str
) -> None:
    found = state_of(holding, delivery)
    assert (found.state, found.message) == (state, message)


@pytest.mark.parametrize("holding", [Held("K2"), NotHeld(), CannotTell(stamp="v1")])
def test_a_destination_with_an_open_delivery_is_behind_whatever_it_shows(holding: Holding) -> None:
    found = state_of(holding, CURRENT, delivering=("ci:x",))
    assert (found.state, found.message) == (
        "out_of_date",
        "a delivery was not finished: ID and secret may not belong together",
    )


def test_a_destination_that_cannot_be_read_says_so_although_a_delivery_is_open() -> None:
    assert state_of(CannotTell("gone", failed=True), CURRENT, delivering=("ci:x",)).state == "unreachable"


@pytest.mark.parametrize(
    ("holding", "recorded", "state", "message"),
    [
        (Held("K2"), RECORDED, "held", f"K2 since {YESTERDAY}"),
        (Held("K2"), {"current": "K9", "committed": ago(days=1)}, "held", "K2"),
        (NotHeld(), {}, "empty", ""),
        (CannotTell("no key in it"), {}, "cannot_tell", "no key in it"),
        (CannotTell("no answer", failed=True), {}, "unreachable", "no answer"),
    ],
)
def test_the_store_comes_first(holding: Holding, recorded: dict[str, Any], state: str, message: str) -> None:
    observation = observation_of(*KEYS, holding=holding, journal=journal(**recorded))
    (found,) = destination_states(assess(observation, RotationPolicy(), NOW + timedelta(0), Overrides()))
    assert (found.destination, found.state, found.message) == (STORE, state, message)


def test_a_destination_that_gives_no_reason_for_its_silence_is_not_said_to_give_one() -> None:
    assert state_of(CannotTell("")).message == "it has received no key yet, and does not show what it holds"
    assert state_of(CannotTell("It is write-only.")).message.endswith("what it holds (It is write-only)")
