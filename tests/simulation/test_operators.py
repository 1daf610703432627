"""Operators interfere: a hypothesis state machine in which twokey runs between, and during, what they do.

More examples: ``EXAMPLES=20000 .venv/bin/pytest --timeout=0 tests/simulation/test_operators.py`` (not derandomized
then).
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from simulation import interference
from simulation.blame import after_a_run, at_any_time, judging_twokey
from simulation.operators import PERMISSIONS, OperatedWorld, another, with_operators
from simulation.remedies import CONDUCTS, recovers
from simulation.running import run_twokey
from simulation.states import PLAIN, SOAK, STATES, VERIFICATION, initial
from simulation.world import FAULTS
from twokey.planning.plan import Overrides
from twokey.planning.policy import RotationPolicy

MORE = int(os.environ.get("EXAMPLES", "0"))
SETTINGS = settings(
    max_examples=MORE or 200,
    stateful_step_count=30,
    deadline=None,
    derandomize=not MORE,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
DAY = timedelta(days=1)
POLICIES = {
    "plain": PLAIN,
    "soak": SOAK,
    "enforced": RotationPolicy(verification=VERIFICATION, enforce_window=True),
    "short grace": RotationPolicy(
        verification=VERIFICATION, requested_grace=2 * DAY, requested_idle=timedelta(hours=6)
    ),
}
BEGINNINGS = [name for name in STATES if name not in ("journal of another version", "three keys")]
"""Without the one that only another twokey version can read, and the one that AWS's quota of two does not allow."""
NAMES = {"second": True, "third": False, "fourth": True}
"""The destinations that there may be, and whether each can tell what it holds."""
number = st.integers(0, 9)
"""Chooses among what exists: the keys, the destinations, the effects of a run."""
options = st.sampled_from(("", "", "", "force", "ignore_last_use"))
names = st.sampled_from(("store", *NAMES))


class Operators(RuleBasedStateMachine):
    """twokey, and operators."""

    world: OperatedWorld
    policy: RotationPolicy
    sound = False
    """No invariant was broken so far."""

    @initialize(
        name=st.sampled_from(BEGINNINGS), destinations=st.integers(1, 3), policy=st.sampled_from(list(POLICIES))
    )
    def begin(self, name: str, destinations: int, policy: str) -> None:
        self.policy = POLICIES[policy]
        world, _ = initial(name, destinations)
        self.world = with_operators(world, judge=judging_twokey(self.policy))
        if "third" in world.held:
            interference.take_pairs(self.world, "third")
        self.sound = True

    @rule(option=options)
    def twokey_runs(self, option: str) -> None:
        self._run(option)

    @rule(option=options, effect=st.integers(0, 12), fault=st.sampled_from(FAULTS))
    def twokey_runs_and_something_fails(self, option: str, effect: int, fault: str) -> None:
        self.world.faults = {self.world.effects + effect: fault}
        self._run(option)

    @rule(option=options, effect=st.integers(0, 12), act=st.sampled_from(list(interference.ACTS)), which=number)
    def twokey_runs_and_the_operator_acts_midway(self, option: str, effect: int, act: str, which: int) -> None:
        self.world.midway = {self.world.effects + effect: lambda: interference.act_midway(self.world, act, which)}
        self._run(option)

    @rule(which=number)
    def twokey_is_run_with_retire(self, which: int) -> None:
        known = self.world.known
        self._run(retire=known[which % len(known)])

    def _run(self, option: str = "", retire: str = "") -> None:
        interference.pass_time(self.world)
        before = None if self.world.midway else another(self.world)
        overrides: dict[str, Any] = {option: True} if option else {}
        if retire:
            overrides = {"retire": frozenset({retire}), "all_theirs": True}
        self.sound = False
        result = run_twokey(self.world, self.policy, Overrides(**overrides))
        note(f"   {result.outcome} ({result.reason}): {result.message}" if result else "   killed")
        note(f"   {self.world.show()}")
        if before:
            after_a_run(before, self.world, result)
        self.sound = True

    @rule(hours=st.sampled_from((0.01, 1, 13, 24, 8 * 24, 15 * 24, 40 * 24)))
    def time_passes(self, hours: float) -> None:
        interference.pass_time(self.world, timedelta(hours=hours))

    @rule()
    def the_operator_creates_a_key(self) -> None:
        interference.pass_time(self.world)
        interference.create_key(self.world)

    @precondition(lambda self: self.world.keys)
    @rule(which=number)
    def the_operator_deletes_a_key(self, which: int) -> None:
        interference.pass_time(self.world)
        interference.delete_key(self.world, self._key(which))

    @precondition(lambda self: self.world.keys)
    @rule(which=number)
    def the_operator_switches_a_key_off_or_on(self, which: int) -> None:
        interference.pass_time(self.world)
        interference.switch(self.world, self._key(which))

    @rule(name=names, which=number)
    def the_operator_writes_a_key_into_a_destination(self, name: str, which: int) -> None:
        interference.pass_time(self.world)
        if name in self.world.held:
            interference.write(self.world, name, self.world.secrets[which % len(self.world.secrets)])

    @rule(name=names)
    def the_operator_empties_a_destination(self, name: str) -> None:
        interference.pass_time(self.world)
        if name in self.world.held:
            interference.write(self.world, name, "")

    @precondition(lambda self: self.world.journal)
    @rule()
    def the_operator_deletes_the_journal(self) -> None:
        interference.pass_time(self.world)
        interference.forget_journal(self.world)

    @rule()
    def the_operator_deletes_the_user_and_makes_it_again(self) -> None:
        interference.pass_time(self.world)
        interference.recreate_user(self.world)

    @rule(name=st.sampled_from(list(NAMES)))
    def the_operator_adds_a_destination(self, name: str) -> None:
        interference.pass_time(self.world)
        interference.add_destination(self.world, name, NAMES[name])

    @rule(name=st.sampled_from(list(NAMES)))
    def the_operator_removes_a_destination(self, name: str) -> None:
        interference.pass_time(self.world)
        interference.remove_destination(self.world, name)

    @rule(name=names)
    def a_job_reads_a_destination(self, name: str) -> None:
        interference.pass_time(self.world)
        if name in self.world.held:
            interference.start_job(self.world, name, self.policy)

    @precondition(lambda self: self.world.keys)
    @rule(which=number)
    def a_job_uses_a_key(self, which: int) -> None:
        interference.pass_time(self.world)
        interference.use(self.world, self._key(which))

    @rule(permissions=st.sets(st.sampled_from(PERMISSIONS), min_size=1, max_size=2), effect=st.integers(0, 8))
    def permissions_are_revoked(self, permissions: set[str], effect: int) -> None:
        self.world.denied, self.world.denied_from = frozenset(permissions), self.world.effects + effect

    @precondition(lambda self: self.world.denied)
    @rule()
    def rights_are_given_back(self) -> None:
        self.world.denied = frozenset()

    @rule(seconds=st.sampled_from((0, 50, -59, 300, -7200)))
    def the_clock_jumps(self, seconds: int) -> None:
        self.world.skew = timedelta(seconds=seconds)

    @invariant()
    def twokey_costs_no_job_its_key(self) -> None:
        if self.sound:
            self.sound = False
            at_any_time(self.world)
            self.sound = True

    def teardown(self) -> None:
        """Once the interference stops, each way that a refusal offers leads back to order."""
        if self.sound:
            for conduct in CONDUCTS:
                recovers(another(self.world), self.policy, conduct)

    def _key(self, which: int) -> str:
        return list(self.world.keys)[which % len(self.world.keys)]


Operators.TestCase.settings = SETTINGS
TestPeople = Operators.TestCase
