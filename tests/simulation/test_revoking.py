"""A leaked key is stopped for good, and no other key is lost: each fault at each effect; ``make prove`` plays more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from simulation import revoking
from simulation.judge import Violation
from simulation.play import BETWEEN, one_run, virtual_leases
from simulation.prove import enumerate_state, parse
from simulation.revoking import CASES, FRESH, IN_HASTE, PLAIN, WITHOUT_CONDITIONS, Case
from simulation.runners import schedule_revocation
from simulation.world import FAULTS, MORE_FAULTS, copy_of
from twokey.planning import assessment
from twokey.revocation import contain as containing

if TYPE_CHECKING:
    from simulation.world import World


SHORT = [name for name, case in PLAIN.items() if case.leaked == ("K2",) or case.state in (FRESH, "one key, stored")]
"""Where the most can go wrong; ``make prove`` plays the others too."""


@pytest.mark.parametrize("name", SHORT)
def test_no_single_fault_breaks_an_invariant(name: str) -> None:
    proof = enumerate_state(name, 3, depth=1)
    assert proof.violations == []
    assert proof.histories > 4


@pytest.mark.parametrize("name", [*IN_HASTE, *WITHOUT_CONDITIONS])
def test_no_single_fault_in_haste_breaks_an_invariant(name: str) -> None:
    assert enumerate_state(name, 2, depth=1, kinds=MORE_FAULTS).violations == []


def test_no_two_faults_break_an_invariant() -> None:
    """Where the leaked key makes room, and a schedule finishes what was interrupted."""
    proof = enumerate_state(str(Case(FRESH, ("K2",), delete=True, rotates=True)), 1, depth=2)
    assert proof.violations == []
    assert proof.histories > 100


@pytest.mark.parametrize("state", ["two keys", "one key, stored"])
def test_a_rotation_that_is_under_way_while_the_key_is_stopped_loses_no_other_key(state: str) -> None:
    """At each effect of a rotation, the operator revokes CURRENT; the two runs, and one more, end well."""
    for number in range(12):
        case = Case(state, ("K1",) if state == "one key, stored" else ("K2",), delete=True, rotates=False)
        world, policy = _copied(case)
        with virtual_leases(world):
            _interrupted_by_a_revocation(world, number, policy, case)
            one_run(world, policy, "rotation")
            world.judge = revoking.judging_leak(policy, revoking.start_of(case, 2)[0], case)
            for again in range(3):
                world.now += BETWEEN
                result = revoking.one_revocation(world, policy, f"revocation {again}", case)
            assert result is not None
            revoking.at_the_end(world, case, result)


def _copied(case: Case) -> tuple[World, Any]:
    start, policy = revoking.start_of(case, 2)
    return copy_of(start, judge=revoking.judging_leak(policy, start, case)), policy


def _interrupted_by_a_revocation(world: World, number: int, policy: Any, case: Case) -> None:
    """Let another run revoke after the effect with this number, without waiting for the lease of the first."""
    judge, seen = world.judge, [0]

    def at(now: World, what: str, key_id: str) -> None:
        if what != "about to delete":
            seen[0] += 1
        judge(now, what, key_id)
        if seen[0] == number + 1 and what != "about to delete":
            seen[0] += 100
            # What the rotation had planned before the key was stopped, it may still do: it does not know.
            now.judge = lambda _world, _what, _key: None
            revoking.one_revocation(now, policy, "revocation", case, wait=False)

    world.judge = at


def test_revocations_beside_a_rotation_break_no_invariant() -> None:
    """Two and three runners at once; a scheduler chooses at each effect which one continues."""
    for seed, name in enumerate(list(PLAIN) * 4):
        schedule_revocation(name, 2 + seed // 3 % 2, seed)


def test_an_id_repeats_a_history() -> None:
    name = next(iter(CASES))
    assert parse(f"{name}/3/4=lost") == (name, 3, {4: "lost"})


@pytest.mark.parametrize("between", ["9=lost", "9=killed after", "9=lost,13=lost", "8=killed after,12=lost"])
@pytest.mark.parametrize("created", ["4=lost", "4=killed after"])
def test_a_key_without_a_known_secret_is_attributed_after_the_leaked_key_is_gone(created: str, between: str) -> None:
    """A destination that cannot tell may hold the key of the first creation, and only the journal can name it."""
    name, destinations, faults = parse(f"one key, stored: K1 leaked, deleted, revoked again/3/{created},{between}")
    revoking.play(name, destinations, faults)


def test_a_key_that_is_made_active_again_is_found() -> None:
    """The check itself."""
    case = Case("two keys", ("K2",), delete=False, rotates=False)
    world, policy = _copied(case)
    with virtual_leases(world):
        revoking.one_revocation(world, policy, "run", case)
        world.keys["K2"].active = True
        with pytest.raises(Violation, match="L1"):
            world.judge(world, "journal", "")


def test_the_end_without_containment_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof of the proof: a rule that is left out breaks an invariant."""
    monkeypatch.setattr(
        revoking, "contain", lambda _user, key_id, _iam, clock: containing.Contained(key_id, clock.now())
    )
    name = str(Case("two keys", ("K1",), delete=False, rotates=False))
    assert enumerate_state(name, 2, depth=0).violations


def test_a_mark_that_is_not_believed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assessment, "kept_until_over", lambda *_: False)
    name = str(Case("one key, stored", ("K1",), delete=True, rotates=False))
    assert enumerate_state(name, 2, depth=0, kinds=FAULTS).violations
