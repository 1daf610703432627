"""The steps of a run in a simulated world: for whom they are reported, and what the second look decides."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from simulation.states import ago
from simulation.world import Key, SimulatedDestination
from support.pipelines import TEN, Delivering, pipelines, raising
from twokey.core.errors import ServiceRejected, Throttled
from twokey.core.hooks import NAMES, HookFacts, HookName
from twokey.core.reasons import Outcome, Reason
from twokey.rotation.lease import LENGTH

if TYPE_CHECKING:
    from collections.abc import Collection

    from twokey.core.journal import Journal

__all__ = ["pipelines"]


@dataclass
class Recording:
    """Hooks that succeed; ``calls`` are the names of those that ran."""

    configured: Collection[HookName] = NAMES
    calls: list[HookName] = field(default_factory=list)

    def run(self, name: HookName, _facts: HookFacts) -> str:
        """Run one."""
        self.calls.append(name)
        return ""


@pytest.fixture
def hooks(pipelines: Delivering) -> Recording:
    """The hooks of the user."""
    pipelines.hooks = found = Recording()
    return found


def without_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the store refuse every journal as too long."""

    def room_for(_destination: SimulatedDestination, _journal: Journal) -> None:
        raise ServiceRejected("The journal is too long.")

    monkeypatch.setattr(SimulatedDestination, "room_for", room_for)


@pytest.mark.parametrize("exists", [True, False], ids=["a store with a journal", "a store that is created"])
def test_every_step_is_reported_for_the_user(pipelines: Delivering, hooks: Recording, *, exists: bool) -> None:
    if not exists:
        pipelines.world.journal, pipelines.world.held = "", {"store": ""}
        pipelines.world.keys.clear()
    assert pipelines.rotated().outcome is Outcome.ROTATED
    assert hooks.calls == ["before", "after"]
    assert {one.user for one in pipelines.events} == {"ci"}
    assert {"lease", "preflight", "hook before", "hook after"} <= {one.step for one in pipelines.events}


def test_the_journal_that_a_store_has_to_have_room_for_names_the_run(
    pipelines: Delivering, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also before there is a store: its first journal is a lease."""
    pipelines.world.journal, pipelines.world.held = "", {"store": ""}
    pipelines.world.keys.clear()
    asked: list[Any] = []
    monkeypatch.setattr(SimulatedDestination, "room_for", lambda _store, journal: asked.append(journal.lease))
    pipelines.rotated()
    assert [lease.run for lease in asked] == ["run 1", "run 1"]


def test_a_hook_that_is_due_runs_also_where_the_store_has_no_room_for_a_rotation(
    pipelines: Delivering, hooks: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipelines.rotated()
    pipelines.world.journal = msgspec.structs.replace(pipelines.journal, hook="N1").encode()
    hooks.calls.clear()
    without_room(monkeypatch)
    result = pipelines.rotated()
    assert (result.outcome, result.reason) == (Outcome.COMPLETED, Reason.HOOK_DUE)
    assert hooks.calls == ["after"]


def test_no_hook_runs_after_a_failure_before_the_first_of_them(pipelines: Delivering, hooks: Recording) -> None:
    pipelines.checked["ci:4"] = raising(Throttled("Slow down."))
    assert pipelines.rotated().reason is Reason.PREFLIGHT
    assert hooks.calls == []


def test_a_key_of_the_user_that_twokey_runs_with_is_seen_under_the_lease_too(pipelines: Delivering) -> None:
    """IAM's list may show it only then."""
    pipelines.world.keys.pop("K1")
    pipelines.own_key = "OWN"
    pipelines.then["lease"] = lambda: pipelines.world.keys.update(OWN=Key("OWN", ago(1)))
    result = pipelines.rotated()
    assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.OWN_KEY)
    assert pipelines.world.made == 0


@pytest.mark.parametrize("method", ["load", "room_for", "preflight", "save_journal", "put", "credential", "fence"])
def test_a_store_whose_code_has_a_bug_ends_the_run_with_its_name_and_the_next_run_continues(
    pipelines: Delivering, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """As that of another package may: what it raises is none of twokey's errors, and its text may hold a secret."""
    interrupted_at = {"credential": "store N1", "fence": "create N1"}.get(method)
    if interrupted_at:  # only a run that continues another needs these
        number = pipelines.effects().index(interrupted_at)
        pipelines.world.faults = {number: "killed after"}
        assert pipelines.run() is None

    def fail(*_: Any) -> None:
        raise KeyError("a-secret")

    with monkeypatch.context() as patch:
        patch.setattr(SimulatedDestination, method, fail)
        result = pipelines.rotated()
    assert result.outcome in (Outcome.FAILED, Outcome.REFUSED)
    assert "store: the code that reads or writes it has a bug" in result.message
    assert "(KeyError at fail, line " in result.message
    assert "a-secret" not in result.message
    writes = method in ("save_journal", "put", "fence")
    assert ("Whether anything was written there is unknown." in result.message) == writes
    assert pipelines.journal.lease is None or method == "save_journal"
    pipelines.world.now += LENGTH
    assert pipelines.rotated().outcome in (Outcome.ROTATED, Outcome.COMPLETED)
    assert len(pipelines.world.keys) == 2
    assert len({pipelines.world.held[name] for name in (*TEN, "store")}) == 1
