"""What is said of each place: by its own word, or by the journal's."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.builders import NOW, STORE, ago, journal, key, seen
from twokey.core.journal import Delivery
from twokey.core.model import CannotTell, Held, NotHeld
from twokey.planning.assessment import assess
from twokey.planning.destination_states import DestinationState, destination_states
from twokey.planning.plan import Overrides
from twokey.planning.policy import RotationPolicy

if TYPE_CHECKING:
    from twokey.core.model import Holding

KEYS = (key("K1", days=16), key("K2", days=1))
SAID: dict[str, Any] = {"current": "K2", "last": "K1", "committed": ago(days=1)}
YESTERDAY = "2026-05-31T12:00:00Z"


def standing(holding: Holding, given: Delivery | None = None, **said: Any) -> DestinationState:
    """Return what is said of one destination of a settled user."""
    said = {**SAID, "delivered": {"ci:x": given} if given else {}, **said}
    observation = seen(*KEYS, held="K2", said=journal(**said), destinations={"ci:x": holding})
    _, found = destination_states(assess(observation, RotationPolicy(), NOW, Overrides()))
    assert found.place == "ci:x"
    return found


CURRENT, LAST = Delivery("K2", ago(days=1), "v1"), Delivery("K1", ago(days=1), "v1")


@pytest.mark.parametrize(
    ("holding", "given", "word", "message"),
    [
        (Held("K2"), CURRENT, "held", f"K2 since {YESTERDAY}"),
        (Held("K2"), None, "held", "K2"),
        (Held("K2"), LAST, "held", "K2"),
        (Held("K1"), CURRENT, "out_of_date", "holds K1"),
        (NotHeld(), CURRENT, "empty", ""),
        (CannotTell("no"), CURRENT, "held", f"given K2 at {YESTERDAY}"),
        (CannotTell("no", stamp="v1"), CURRENT, "held", f"given K2 at {YESTERDAY}"),
        (CannotTell("no"), LAST, "out_of_date", f"given K1 at {YESTERDAY}"),
        (CannotTell("no"), None, "cannot_tell", "it was never given a key, and does not show what it holds"),
        (
            CannotTell("no", stamp="v2"),
            CURRENT,
            "cannot_tell",
            f"somebody else has written there since it was given K2 at {YESTERDAY}",
        ),
        (CannotTell("The project is gone.", failed=True), CURRENT, "unreachable", "The project is gone."),
    ],
)
def test_a_destination_is_told_in_one_word_and_which_key_since_when(
    holding: Holding, given: Delivery | None, word: str, message: str
) -> None:
    found = standing(holding, given)
    assert (found.word, found.message) == (word, message)


@pytest.mark.parametrize("holding", [Held("K2"), NotHeld(), CannotTell(stamp="v1")])
def test_a_destination_with_an_open_delivery_is_behind_whatever_it_shows(holding: Holding) -> None:
    found = standing(holding, CURRENT, delivering=("ci:x",))
    assert (found.word, found.message) == (
        "out_of_date",
        "a delivery was not finished: id and secret may not belong together",
    )


def test_a_destination_that_cannot_be_read_says_so_although_a_delivery_is_open() -> None:
    assert standing(CannotTell("gone", failed=True), CURRENT, delivering=("ci:x",)).word == "unreachable"


@pytest.mark.parametrize(
    ("holding", "said", "word", "message"),
    [
        (Held("K2"), SAID, "held", f"K2 since {YESTERDAY}"),
        (Held("K2"), {"current": "K9", "committed": ago(days=1)}, "held", "K2"),
        (NotHeld(), {}, "empty", ""),
        (CannotTell("no key in it"), {}, "cannot_tell", "no key in it"),
        (CannotTell("no answer", failed=True), {}, "unreachable", "no answer"),
    ],
)
def test_the_store_comes_first(holding: Holding, said: dict[str, Any], word: str, message: str) -> None:
    observation = seen(*KEYS, holding=holding, said=journal(**said))
    (found,) = destination_states(assess(observation, RotationPolicy(), NOW + timedelta(0), Overrides()))
    assert (found.place, found.word, found.message) == (STORE, word, message)
