"""Which keys may not be retired, where it depends on which key CURRENT is and whether it works."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from support.builders import NOW, ago, journal, key, observation_of
from twokey.core.errors import UsageError
from twokey.core.model import Held
from twokey.core.reasons import Outcome, Reason
from twokey.planning.decision import plan
from twokey.planning.plan import Overrides, requested
from twokey.planning.policy import RotationPolicy

SETTLED: dict[str, Any] = {"current": "K2", "last": "K1", "committed": ago(days=16)}


def retire(key_id: str, observation: Any, **policy: Any) -> Any:
    return plan(observation, RotationPolicy(**policy), NOW, Overrides(retire=frozenset({key_id})))


@pytest.mark.parametrize("retire", ["AKIAIOSFODNN7EXAMPLE", ["AKIAIOSFODNN7EXAMPLE"]])
def test_a_request_names_keys_by_their_ids(retire: Any) -> None:
    keys = frozenset({"AKIAIOSFODNN7EXAMPLE"})
    assert requested(force=False, ignore_last_use=True, retire=retire) == Overrides(ignore_last_use=True, retire=keys)
    assert requested(force=True, ignore_last_use=False, retire=retire) == Overrides(force=True, retire=keys)


@pytest.mark.parametrize("retire", ["", "ci", "AKIAIOSFODNN7EXAMPL\n", "akiaiosfodnn7example"])
def test_a_request_that_names_no_key_is_an_error(retire: str) -> None:
    with pytest.raises(UsageError) as caught:
        requested(force=False, ignore_last_use=False, retire=["AKIAIOSFODNN7EXAMPLE", retire])
    assert caught.value.message == f"--retire: expected an access key ID, got {retire!r}."


def test_current_that_twokey_itself_runs_with_is_refused_as_its_own() -> None:
    seen = observation_of(key("K1", days=31), key("K2", days=16), held="K2", own_key="K2", journal=journal(**SETTLED))
    found = retire("K2", seen, rotate_self=True)
    assert (found.outcome, found.reason) == (Outcome.REFUSED, Reason.OWN_KEY)


def test_a_held_key_has_to_be_replaced_there_by_current_only_where_that_works() -> None:
    destinations = {"ci:x": Held("K1")}
    deliver, other = "Deliver CURRENT there first: twokey deliver ci.", "To remove it, deliver another key there first."
    for keys, held, said in (
        ((key("K1", days=31), key("K2", days=16)), "K2", deliver),
        ((key("K1", days=31), key("K2", days=16, active=False)), "K2", other),
        ((key("K1", days=31),), None, other),
    ):
        found = retire("K1", observation_of(*keys, held=held, destinations=destinations))
        assert found.reason is Reason.RETIRE_HELD
        assert found.message.endswith(f"so jobs may use it. {said}")


@pytest.mark.parametrize(("soak", "deleted"), [(0, "deleted"), (2, "made Inactive, and deleted by a run 2d later")])
def test_current_without_a_last_soaks_before_it_is_deleted_where_that_is_configured(soak: int, deleted: str) -> None:
    seen = observation_of(key("K2", days=16), held="K2", journal=journal(current="K2", committed=ago(days=16)))
    found = retire("K2", seen, soak=timedelta(days=soak))
    assert f"has K2 {deleted}; jobs that read it before (1) and still run fail." in found.message
    assert "LAST" not in found.message
