"""What the result of a run says, and the exit status of a whole run."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from simulation.states import PLAIN, ago
from simulation.world import START, USER
from twokey.core.errors import ExitCode, Unreachable
from twokey.core.journal import Delivery, Journal
from twokey.core.model import AccessKey, CannotTell, Held, Observation, Record, account_of
from twokey.core.reasons import Outcome, Reason
from twokey.planning.plan import Plan
from twokey.rotation import results
from twokey.rotation.results import DeliveryResult, Effects, Result, exit_code

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.core.model import Holding

DECIDED = Plan(Outcome.ROTATED, Reason.DUE, "It is due.", current="K2", last="K1", next_due=START + timedelta(days=1))
ROTATED = DeliveryResult("store", "delivered")


def observed(
    *keys: str, destinations: Mapping[str, Holding] | None = None, journal: Journal | None = None
) -> Observation:
    """Return what a run observed: these keys, and K2 in the store."""
    return Observation(
        USER,
        tuple(AccessKey(key, True, ago(20)) for key in keys),
        "store",
        Record(Held("K2"), journal or Journal(epoch=3, user=USER.id, current="K2", last="K1"), 1),
        destinations or {},
    )


@pytest.mark.parametrize(
    ("journal", "removed", "last"),
    [
        (Journal(current="K2", last="K0", committed=START), [], "K0"),
        # The journal's LAST is not listed, or its CURRENT is another key than this run's: the decision knows better.
        (Journal(current="K2", last="K9", committed=START), [], "K1"),
        (Journal(current="K0", last="K0", committed=START), [], "K1"),
        (Journal(current="K2", last="K0", committed=START), ["K0"], ""),
        (Journal(current="K0", last="K0", committed=START), ["K1"], ""),
    ],
)
def test_last_is_the_journals_while_it_is_listed_and_the_journal_has_the_runs_current(
    journal: Journal, removed: list[str], last: str
) -> None:
    result = results.performed(observed("K0", "K1", "K2"), DECIDED, PLAIN, Effects(removed=removed), journal)
    assert (result.current, result.last, result.removed) == ("K2", last, tuple(removed))


@pytest.mark.parametrize(
    ("current", "due"),
    [("K2", START + PLAIN.period - PLAIN.slack), ("K1", START + timedelta(days=1))],
)
def test_the_next_rotation_is_due_a_period_after_the_commit_of_the_runs_current(current: str, due: Any) -> None:
    """Until an interrupted run's key is committed, what the journal says is true of the key before."""
    journal = Journal(current=current, last="K1", committed=START)
    assert results.performed(observed("K1", "K2"), DECIDED, PLAIN, Effects(), journal).next_due == due


def test_a_failure_names_what_was_delivered_also_where_nothing_had_been_observed() -> None:
    """A move that fails has observed no rotation's world."""
    result = results.failed(USER, Unreachable("No response."), Effects(begun=True, delivered=[ROTATED]))
    assert (result.outcome, result.destinations) == (Outcome.FAILED, (ROTATED,))


def test_a_destination_with_an_open_delivery_is_not_said_to_hold_current_whatever_it_shows() -> None:
    """It may hold a torn pair."""
    journal = Journal(epoch=3, user=USER.id, current="K2", delivering=("ci:0",))
    found = observed("K2", destinations={"ci:0": Held("K2"), "ci:1": Held("K2")}, journal=journal)
    assert [one.destination for one in results.already_held(found, "K2")] == ["store", "ci:1"]


def test_a_key_that_belongs_to_another_account_by_its_id_is_warned_of() -> None:
    key = "ASIAY34FZKBOKMUTVV7A"
    assert account_of(key) == "609629065308"
    assert results.warnings(observed("K2", "AKIAIOSFODNN7EXAMPLE", key)) == (
        f"{key} encodes account 609629065308, but the user belongs to {USER.account}.",
    )
    own = replace(observed(key), user=replace(USER, account="609629065308"))
    assert results.warnings(own) == ()


@pytest.mark.parametrize(("removed", "names"), [((), ["gone"]), (("K1",), [])])
def test_a_destination_outside_the_run_is_named_while_its_key_exists(
    removed: tuple[str, ...], names: list[str]
) -> None:
    journal = Journal(epoch=3, user=USER.id, current="K2", last="K1", delivered={"gone": Delivery("K1", ago(16))})
    warnings = results.absent(observed("K1", "K2", journal=journal), DECIDED, removed)
    assert [warning.split()[0] for warning in warnings] == names


@pytest.mark.parametrize(
    ("message", "named"), [("It is due.", True), ("ci:0 cannot be read: the token has expired.", False)]
)
def test_a_destination_that_cannot_be_read_is_named_once(message: str, *, named: bool) -> None:
    """A refusal has named its own already."""
    found = observed("K2", destinations={"ci:0": CannotTell("the token has expired", failed=True)})
    warnings = results.unchanged(found, replace(DECIDED, message=message)).warnings
    expected = "ci:0 could not be read, which may block the next rotation: the token has expired"
    assert warnings == ((expected,) if named else ())


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ((), ExitCode.DONE),
        ((Outcome.ROTATED, Outcome.NOT_DUE), ExitCode.DONE),
        ((Outcome.ROTATED, Outcome.REFUSED), ExitCode.REFUSED),
        ((Outcome.REFUSED, Outcome.FAILED), ExitCode.FAILED),
    ],
)
def test_failed_beats_refused_and_refused_beats_done(outcomes: tuple[Outcome, ...], code: ExitCode) -> None:
    assert exit_code(Result(USER, outcome, Reason.ERROR, "") for outcome in outcomes) is code
