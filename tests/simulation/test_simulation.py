"""The short part of the proof: ``make prove`` plays all of it. And the proof of the proof: a broken rule is found."""

from __future__ import annotations

import random
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from simulation import world
from simulation.play import Found, one_run, play, state_of, virtual_leases
from simulation.prove import DESTINATIONS, enumerate_state, identifier, parse, table
from simulation.runners import schedule
from simulation.states import HASTE, LAGGING, LOCKED, PIPELINES, STATES, THROTTLED, UNCONDITIONAL, WITH_CURRENT, initial
from simulation.world import DESTINATION_FAULTS, EXPIRED, FAULTS, MORE_FAULTS, Iam, Pointless, World
from twokey.core import waiting
from twokey.core.errors import Ambiguous
from twokey.core.journal import Intent
from twokey.planning import assessment, between_rotations, decision, removal
from twokey.rotation import creation, delivery
from twokey.rotation.creation import Creation
from twokey.rotation.leased_journal import LeasedJournal

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("destinations", DESTINATIONS[""])
@pytest.mark.parametrize("name", STATES)
def test_no_single_fault_breaks_an_invariant(name: str, destinations: int) -> None:
    proof = enumerate_state(name, destinations, depth=1)
    assert proof.violations == []
    assert proof.histories >= 1


@pytest.mark.parametrize("weather", [HASTE, UNCONDITIONAL, LOCKED, THROTTLED])
@pytest.mark.parametrize("name", STATES)
def test_no_single_fault_in_haste_breaks_an_invariant(name: str, weather: str) -> None:
    for destinations in DESTINATIONS[THROTTLED if weather == THROTTLED else ""]:
        assert enumerate_state(name + weather, destinations, depth=1, kinds=MORE_FAULTS).violations == []


@pytest.mark.parametrize("name", WITH_CURRENT)
def test_no_single_fault_while_lists_lag_for_minutes_breaks_an_invariant(name: str) -> None:
    for destinations in DESTINATIONS[LAGGING]:
        assert enumerate_state(name + LAGGING, destinations, depth=1, kinds=MORE_FAULTS).violations == []


@pytest.mark.parametrize(
    "name", ["two keys", "one key, empty store", "interrupted, with an orphan", "two keys, with soak"]
)
def test_no_two_faults_break_an_invariant(name: str) -> None:
    proof = enumerate_state(name, 2, depth=2)
    assert proof.violations == []
    assert proof.histories > 250


@pytest.mark.parametrize("destinations", [2, 5, 21])
@pytest.mark.parametrize("name", PIPELINES)
def test_no_single_fault_among_pipelines_breaks_an_invariant(name: str, destinations: int) -> None:
    proof = enumerate_state(name, destinations, depth=1, kinds=DESTINATION_FAULTS)
    assert proof.violations == []
    assert proof.histories > 10


def test_no_two_faults_among_pipelines_break_an_invariant() -> None:
    for name in PIPELINES:
        assert enumerate_state(name, 3, depth=2, kinds=DESTINATION_FAULTS).violations == []


def test_no_failures_in_the_middle_of_twenty_pipelines_break_an_invariant() -> None:
    """Up to nine at once, of every kind, chosen by seed; some seeds choose what cannot strike where it should."""
    played, effects = 0, play("pipelines", 21, {}).effects
    for seed in range(150):
        choose = random.Random(seed)
        numbers = sorted(choose.sample(range(5, effects), choose.randrange(2, 10)))
        try:
            play("pipelines", 21, {number: choose.choice(DESTINATION_FAULTS) for number in numbers})
            played += 1
        except Pointless:
            continue
    assert played > 80


def test_a_pair_is_torn_between_its_two_writes_and_by_a_crash_until_the_next_run() -> None:
    observation: list[tuple[str, bool]] = []

    def watch(world: World, what: str, _key: str) -> None:
        observation.append((what, world.torn("p1")))

    world, policy = initial("pipelines", 2)
    world.judge = watch
    with virtual_leases(world):
        one_run(world, policy, "run")
    assert [what for what, torn in observation if torn] == ["deliver to p1"]
    killed = play("pipelines", 2, {6: "killed after"}, recording=True)
    torn = [step.run for step in killed.steps if "deliver to p1 " in step.what]
    assert torn == ["run 1", "run 2"]


def test_a_token_that_expires_midway_fails_every_later_delivery_of_its_kind_until_it_is_mended() -> None:
    world, policy = initial("pipelines", 5)
    first = next(number for number, what in enumerate(_effects("pipelines", 5)) if what.startswith("deliver to p2"))
    world.faults = {first: "expired"}
    with virtual_leases(world):
        failed = one_run(world, policy, "run 1")
        assert failed
        assert {one.destination: one.outcome for one in failed.destinations} == {
            "store": "delivered",
            "p1": "delivered",
            "p2": "failed",
            "p3": "delivered",
            "p4": "failed",
        }
        assert "p2: The token has expired." in failed.message
        world.now += EXPIRED
        token_renewed = one_run(world, policy, "run 2")
    assert token_renewed
    assert (token_renewed.outcome, world.made) == ("completed", 1)
    assert {world.held[name] for name in world.held} == {"N1"}


def test_a_deleted_project_fails_for_good_leaves_both_keys_valid_and_everything_else_with_current() -> None:
    gone = next(number for number, what in enumerate(_effects("pipelines", 21)) if what.startswith("deliver to p9"))
    world, policy = initial("pipelines", 21)
    world.faults = {gone: "gone"}
    with virtual_leases(world):
        for run in ("run 1", "run 2", "run 3"):
            result = one_run(world, policy, run)
            assert result
            assert (result.outcome, result.reason) == ("failed", "delivery_failed")
            assert "1 of " in result.message
            assert "p9: p9 is gone." in result.message
            world.now += timedelta(hours=1)
    assert {name for name in world.held if world.held[name] != "N1"} == {"p9"}
    assert {key.id for key in world.keys.values() if key.active and key.works} == {"K2", "N1"}


def _effects(name: str, destinations: int) -> list[str]:
    return [step.what for step in play(name, destinations, {}, recording=True).steps]


def test_no_schedule_of_two_or_three_runners_breaks_an_invariant() -> None:
    for seed in range(300):
        schedule(list(STATES)[seed % len(STATES)], 1 + seed % 3, 2 + seed % 2, seed)
    for seed in range(60):
        schedule(list(PIPELINES)[seed % len(PIPELINES)], 2 + seed % 4, 2 + seed % 2, seed)


def test_no_schedule_on_a_store_with_a_lock_breaks_an_invariant() -> None:
    for seed in range(300):
        schedule(list(STATES)[seed % len(STATES)] + LOCKED, 1 + seed % 2, 2 + seed % 2, seed)


def test_the_lock_alone_fences_a_machine_whose_clock_stood_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """No lease is ever over by time there; without the check right before each request, a deleted key is published."""
    monkeypatch.setattr(LeasedJournal, "left", lambda _self: 180.0)
    assert not any(_fails_with_a_lock(seed) for seed in range(400))
    monkeypatch.setattr(waiting, "also_before_effect", lambda _check: nullcontext())
    assert any(_fails_with_a_lock(seed) for seed in range(400))


def _fails_with_a_lock(seed: int) -> bool:
    try:
        schedule(list(STATES)[seed % len(STATES)] + LOCKED, 1, 2 + (seed // 3) % 2, seed)
    except Found:
        return True
    return False


def test_every_fault_is_played_at_every_effect() -> None:
    world = play("two keys", 1, {})
    assert world.effects == 6
    assert enumerate_state("two keys", 1, depth=1).histories == 1 + 6 * len(FAULTS) - len(world.still)


@pytest.mark.parametrize(("name", "destinations"), [("two keys", 1), ("one key, empty store", 2), ("pipelines", 3)])
def test_being_killed_before_an_effect_is_left_out_only_where_it_is_being_killed_after_the_one_before(
    name: str, destinations: int
) -> None:
    world = play(name, destinations, {})
    assert 0 not in world.still
    assert len(world.still) >= 3
    assert _effects(name, destinations).index("store N1") not in world.still
    for number in world.still:
        killed = [
            play(name, destinations, {at: kind}, known=_is_over)
            for at, kind in ((number - 1, "killed after"), (number, "killed before"))
        ]
        assert state_of(killed[0]) == state_of(killed[1])


def _is_over(number: int, _world: World) -> bool:
    return number == 1


def test_writes_of_ours_that_take_effect_late_are_not_those_of_another_program() -> None:
    """Two deliveries without a response reach the destination after the run that followed each: it is not contested."""
    play(*parse(f"store from a backup{HASTE}/3/3=late,9=late"))


def test_a_history_can_be_repeated_by_its_id_and_is_shown_as_a_table() -> None:
    again = parse(identifier("two keys", 2, {3: "lost", 7: "killed after"}))
    assert again == ("two keys", 2, {3: "lost", 7: "killed after"})
    shown = table(*again)
    assert "create N1" in shown
    assert "lost" in shown
    assert shown.endswith("Verdict: no invariant is broken")


def _never_barred(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decision, "removal_barred", lambda _case, _last: None)
    patch.setattr(between_rotations, "removal_barred", lambda _case, _last: None)
    patch.setattr(decision, "not_due", lambda _case: None)
    patch.setattr(decision, "RULES", tuple(rule for rule in decision.RULES if rule.__name__ != "not_due"))


def _unverified(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(creation, "verify", lambda *_: None)


def _no_intent(patch: pytest.MonkeyPatch) -> None:
    def intend(self: Any, known: tuple[str, ...], _last: str) -> Any:
        return Intent(known, self._world.clock.now()), self._world.clock.monotonic()

    patch.setattr(Creation, "_intend", intend)


def _no_attribution(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(assessment, "_claimed", lambda *_: None)


def _doubtful_write_undone(patch: pytest.MonkeyPatch) -> None:
    def put(self: Any, credential: Any) -> None:
        try:
            self._leased.put(credential)
        except Ambiguous:
            self._undo(credential.access_key_id)
            raise

    patch.setattr(Creation, "_put", put)


def _creation_repeated(patch: pytest.MonkeyPatch) -> None:
    once: Callable[..., Any] = Iam.create_key

    def create(self: Any, *overrides: Any, **named: Any) -> Any:
        try:
            return once(self, *overrides, **named)
        except Ambiguous:
            return once(self, *overrides, **named)

    patch.setattr(Iam, "create_key", create)


def _oldest_removed(patch: pytest.MonkeyPatch) -> None:
    def oldest_is_last(*given: Any) -> Any:
        found = assessment.assess(*given)
        oldest = min(found.observation.keys, key=lambda key: key.created, default=None)
        return replace(found, last=oldest, unmanaged=(), orphan=None)

    patch.setattr(decision, "assess", oldest_is_last)
    patch.setattr(decision, "removal_barred", lambda _case, _last: None)
    patch.setattr(between_rotations, "removal_barred", lambda _case, _last: None)


def _no_soak(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decision, "soak", lambda _case, *_keys: None)
    patch.setattr(between_rotations, "soak", lambda _case, *_keys: None)
    patch.setattr(removal, "soak", lambda _case, *_keys: None)


def _torn_pair_not_recorded(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(delivery.Deliveries, "_torn_between_writes", lambda _self, _names: [])


def _torn_pair_forgotten(patch: pytest.MonkeyPatch) -> None:
    """As if an open delivery did not matter to the next run."""
    patch.setattr(assessment.Assessment, "out_of_date", lambda found, name: found.holds(name) != found.held)
    patch.setattr(assessment, "holds", _holds_by_the_journal(assessment.holds))


def _stamps_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(assessment, "written_since", lambda _given, _holding: False)


def _holds_by_the_journal(holds: Any) -> Any:
    def believe(observation: Any, name: str) -> Any:
        journal = msgspec.structs.replace(observation.record.journal, delivering=())
        return holds(replace(observation, record=replace(observation.record, journal=journal)), name)

    return believe


def _failure_stops_the_others(patch: pytest.MonkeyPatch) -> None:
    once = delivery.Deliveries._deliver_to

    def deliver(self: Any, destination: Any, credential: Any) -> None:
        once(self, destination, credential)
        self._stopped = self._effects.delivered[-1].outcome == "failed"

    patch.setattr(delivery.Deliveries, "_deliver_to", deliver)


def _failed_destination_counts_as_done(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(delivery.Deliveries, "_conclude_failed", lambda *_: None)


AMONG_PIPELINES = {
    "destinations that may be torn are not recorded": _torn_pair_not_recorded,
    "an open delivery is forgotten": _torn_pair_forgotten,
    "the stamp of a destination is ignored": _stamps_ignored,
    "one failure stops all other deliveries": _failure_stops_the_others,
    "a run with a failed delivery commits": _failed_destination_counts_as_done,
}


@pytest.mark.parametrize("rule", AMONG_PIPELINES)
def test_the_judge_finds_among_pipelines_that(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    AMONG_PIPELINES[rule](monkeypatch)
    found = (enumerate_state(name, 5, depth=1, kinds=DESTINATION_FAULTS).violations for name in PIPELINES)
    assert any(found), "no violation was found although the rule is broken"


BROKEN = {
    "LAST is removed while a destination may hold it": _never_barred,
    "a key is published unverified": _unverified,
    "no intent is written": _no_intent,
    "an orphaned key is not attributed": _no_attribution,
    "a key is removed after a store write in doubt": _doubtful_write_undone,
    "the creation is repeated after a lost response": _creation_repeated,
    "the oldest key is removed": _oldest_removed,
    "the soak is left out": _no_soak,
}


@pytest.mark.parametrize("rule", BROKEN)
def test_the_judge_finds_that(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    BROKEN[rule](monkeypatch)
    found = []
    for name in STATES:
        for destinations in DESTINATIONS[""]:
            try:
                found += enumerate_state(name, destinations, depth=1).violations
            except Found as violation:
                found.append((name, str(violation)))
        if found:
            return
    pytest.fail("no violation was found although the rule is broken")


def test_the_judge_finds_that_an_unconditional_store_loses_to_a_sleeper(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without compare-and-set a runner that continues late publishes a key that another one removed."""
    monkeypatch.setattr(world, "_same", lambda _now, _seen: None)
    assert any(_breaks(seed, ("I1", "I3", "I5")) for seed in range(3_000))


def _breaks(seed: int, invariants: tuple[str, ...]) -> bool:
    """Say whether a schedule breaks one of these invariants; it may break another one first."""
    try:
        schedule("two keys", 1, 2, seed)
    except Found as found:
        return str(found).startswith(invariants)
    return False
