"""What each step of a plan is called where the table of sentences has no state with it."""

from __future__ import annotations

from typing import Any

import pytest

from support.builders import NOW
from twokey.planning.plan import Forget, RecordDeliveries, RecordRevoked


@pytest.mark.parametrize(
    ("action", "step"),
    [
        (RecordRevoked("K1", NOW), "record that K1 is revoked"),
        (RecordDeliveries(), "record the deliveries"),
        (Forget("ci:x"), "forget ci:x"),
    ],
)
def test_a_step_names_what_it_does_and_to_what(action: Any, step: str) -> None:
    assert str(action) == step
