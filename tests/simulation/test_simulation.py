"""The short part of the proof: ``make prove`` plays all of it. And the proof of the proof: a broken rule is found."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from simulation import world
from simulation.play import Found, play
from simulation.prove import PLACES, enumerate_state, identifier, parse, table
from simulation.runners import schedule
from simulation.states import BLIND, HASTE, STATES
from simulation.world import FAULTS, MORE_FAULTS, Iam
from twokey import apply, plan, removal, rest, roles
from twokey.apply import Apply
from twokey.errors import Ambiguous
from twokey.model import Intent

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("places", PLACES)
@pytest.mark.parametrize("name", STATES)
def test_no_single_fault_breaks_an_invariant(name: str, places: int) -> None:
    proof = enumerate_state(name, places, depth=1)
    assert proof.violations == []
    assert proof.histories >= 1


@pytest.mark.parametrize("weather", [HASTE, BLIND])
@pytest.mark.parametrize("name", STATES)
def test_no_single_fault_in_haste_breaks_an_invariant(name: str, weather: str) -> None:
    for places in PLACES:
        assert enumerate_state(name + weather, places, depth=1, kinds=MORE_FAULTS).violations == []


@pytest.mark.parametrize(
    "name", ["two keys", "one key, empty store", "interrupted, with a stray", "two keys, with soak"]
)
def test_no_two_faults_break_an_invariant(name: str) -> None:
    proof = enumerate_state(name, 2, depth=2)
    assert proof.violations == []
    assert proof.histories > 250


def test_no_schedule_of_two_or_three_runners_breaks_an_invariant() -> None:
    for seed in range(300):
        schedule(list(STATES)[seed % len(STATES)], 1 + seed % 3, 2 + seed % 2, seed)


def test_every_fault_is_played_at_every_effect() -> None:
    effects = play("two keys", 1, {}).effects
    assert effects == 6
    assert enumerate_state("two keys", 1, depth=1).histories == 1 + effects * len(FAULTS)


def test_a_history_can_be_repeated_by_its_id_and_is_shown_as_a_table() -> None:
    again = parse(identifier("two keys", 2, {3: "lost", 7: "killed after"}))
    assert again == ("two keys", 2, {3: "lost", 7: "killed after"})
    shown = table(*again)
    assert "create N1" in shown
    assert "lost" in shown
    assert shown.endswith("Verdict: no invariant is broken")


def _never_barred(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(plan, "barred", lambda _case, _last: None)
    patch.setattr(rest, "barred", lambda _case, _last: None)
    patch.setattr(plan, "at_rest", lambda _case: None)
    patch.setattr(plan, "RULES", tuple(rule for rule in plan.RULES if rule.__name__ != "at_rest"))


def _unverified(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(apply, "verify", lambda *_: None)


def _no_intent(patch: pytest.MonkeyPatch) -> None:
    def intend(self: Any, known: tuple[str, ...]) -> Any:
        return Intent(known, self._clock.now()), self._clock.monotonic()

    patch.setattr(Apply, "_intend", intend)


def _no_attribution(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(roles, "_stray", lambda *_: None)


def _doubtful_write_undone(patch: pytest.MonkeyPatch) -> None:
    def put(self: Any, credential: Any) -> None:
        try:
            self._ledger.put(credential)
        except Ambiguous:
            self._undo(credential.access_key_id)
            raise

    patch.setattr(Apply, "_put", put)


def _creation_repeated(patch: pytest.MonkeyPatch) -> None:
    once: Callable[..., Any] = Iam.create_key

    def create(self: Any, *asked: Any, **named: Any) -> Any:
        try:
            return once(self, *asked, **named)
        except Ambiguous:
            return once(self, *asked, **named)

    patch.setattr(Iam, "create_key", create)


def _oldest_removed(patch: pytest.MonkeyPatch) -> None:
    def sort(*given: Any) -> Any:
        case = roles.sort(*given)
        oldest = min(case.seen.keys, key=lambda key: key.created, default=None)
        return replace(case, last=oldest, foreign=(), stray=None)

    patch.setattr(plan, "sort", sort)
    patch.setattr(plan, "barred", lambda _case, _last: None)
    patch.setattr(rest, "barred", lambda _case, _last: None)


def _no_soak(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(plan, "soak", lambda _case, *_keys: None)
    patch.setattr(rest, "soak", lambda _case, *_keys: None)
    patch.setattr(removal, "soak", lambda _case, *_keys: None)


BROKEN = {
    "LAST is removed while something may hold it": _never_barred,
    "a key is published unverified": _unverified,
    "no intent is written": _no_intent,
    "a stray is not attributed": _no_attribution,
    "a key is removed after a doubtful write": _doubtful_write_undone,
    "the creation is repeated after a lost answer": _creation_repeated,
    "the oldest key is removed": _oldest_removed,
    "the soak is left out": _no_soak,
}


@pytest.mark.parametrize("rule", BROKEN)
def test_the_judge_finds_that(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    BROKEN[rule](monkeypatch)
    found = []
    for name in STATES:
        for places in PLACES:
            try:
                found += enumerate_state(name, places, depth=1).violations
            except Found as violation:
                found.append((name, str(violation)))
        if found:
            return
    pytest.fail("no violation was found although the rule is broken")


def test_the_judge_finds_that_an_unconditional_store_loses_to_a_sleeper(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without compare-and-set a runner that wakes up late publishes a key that another one removed."""
    monkeypatch.setattr(world, "_same", lambda _now, _seen: None)
    with pytest.raises(Found, match=r"I1|I3|I5"):
        _many_schedules()


def _many_schedules() -> None:
    for seed in range(3_000):
        schedule("two keys", 1, 2, seed)
