"""Destinations and stores that break their contract: what they hold is unknown, and they are named."""

from __future__ import annotations

from typing import Any

import pytest

from simulation.states import ago
from simulation.world import USER, Clock, Iam, Key, World
from twokey.core import waiting
from twokey.core.errors import Refused, Stopped, Unreachable
from twokey.core.journal import Journal
from twokey.core.model import CannotTell, Held, NotHeld, Record
from twokey.core.reasons import Reason
from twokey.rotation.observe import holding, observe


class Faulty:
    """A destination, or a store, whose methods return this, or raise it."""

    def __init__(self, name: str, value: object) -> None:
        self.name = name
        self._value: Any = value

    def held(self) -> Any:
        if isinstance(self._value, Exception):
            raise self._value
        return self._value

    load = held


def seen(store: object, *destinations: object) -> Any:
    keys: Any = Iam(World(keys={"K1": Key("K1", ago(1))}), "run")
    given: Any = store
    others: Any = destinations
    return observe(USER, keys, given, others)


STORE = Faulty("store", Record(Held("K1"), Journal()))
BUG = "the code that reads or writes it has a bug"


class TestADestination:
    @pytest.mark.parametrize(
        ("value", "why"),
        [
            (None, f"ci: {BUG} (`held` returned None; expected Held, NotHeld or CannotTell)."),
            ("K1", f"ci: {BUG} (`held` returned a value of the type str; expected Held, NotHeld or CannotTell)."),
            (Held(None), f"ci: {BUG} (Held: the field `key_id` has the type NoneType; expected str)."),  # type: ignore[arg-type]
        ],
    )
    def test_that_returns_no_holding_is_one_of_which_nothing_is_known(self, value: object, why: str) -> None:
        observation = seen(STORE, Faulty("ci", value), Faulty("good", NotHeld()))
        assert observation.destinations == {"ci": CannotTell(why, failed=True), "good": NotHeld()}

    def test_that_raises_what_no_destination_may_raise_is_named_without_its_text(self) -> None:
        found = holding(Faulty("ci", KeyError("a secret")))
        assert isinstance(found, CannotTell)
        assert found.failed
        assert found.why.startswith(f"ci: {BUG}, or received what it does not expect (KeyError at held, line ")
        assert "a secret" not in found.why

    def test_that_cannot_be_read_says_what_to_do(self) -> None:
        error = Unreachable("No route to ci.", remedy="Check the network.")
        assert holding(Faulty("ci", error)) == CannotTell("No route to ci. Check the network.", failed=True)

    def test_that_ends_the_run_does(self) -> None:
        with pytest.raises(Stopped):
            holding(Faulty("ci", Stopped()))

    def test_that_waits_for_its_service_lets_the_run_go_on_meanwhile(self) -> None:
        clock, calls = Clock(World()), []

        class Waiting(Faulty):
            def held(self) -> Any:
                waiting.pause(clock, 3 * waiting.SLICE)
                return super().held()

        assert holding(Waiting("ci", NotHeld()), lambda: calls.append(clock.monotonic())) == NotHeld()
        start = calls[0]
        assert [at - start for at in calls] == [0, 0, waiting.SLICE, 2 * waiting.SLICE]


class TestAStore:
    @pytest.mark.parametrize(
        ("value", "why"),
        [
            (None, "`load` returned None; expected Record"),
            (Record(None, Journal()), "Record: the field `holding` has the type NoneType; expected Held, NotHeld or"),  # type: ignore[arg-type]
            (Record(NotHeld(), {}), "Record: the field `journal` has the type dict; expected Journal"),  # type: ignore[arg-type]
        ],
    )
    def test_that_returns_no_record_is_unreadable(self, value: object, why: str) -> None:
        with pytest.raises(Refused) as refused:
            seen(Faulty("store", value))
        assert refused.value.reason is Reason.UNREADABLE
        assert refused.value.message.startswith(f"store: {BUG} ({why}")
        assert refused.value.state == "Nothing was changed."
