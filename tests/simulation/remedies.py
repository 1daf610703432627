"""An operator who stops interfering and does what each refusal says, until everything is in order again.

If that does not help, twokey is wrong, not the operator. What is known to be wrong is marked DEFECT, with what the
operator has to do although no message says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from simulation import interference
from simulation.blame import clean
from simulation.judge import Violation
from simulation.running import run_twokey
from twokey.planning.plan import Overrides

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulation.operators import OperatedWorld
    from twokey.planning.policy import RotationPolicy
    from twokey.rotation.results import Result

MOST_RUNS = 12
"""Runs, each with what the one before it said, after which everything must be in order."""
NAMED = re.compile(r"--retire ([A-Z]\d+)")
KEY = re.compile(r"\b[A-Z]\d+\b")
NOTHING = Overrides()


@dataclass(frozen=True, slots=True)
class Conduct:
    """Which of the ways that a message offers the operator takes, and whether they wait or accept that jobs fail."""

    name: str
    puts_back: bool
    waits: bool


CONDUCTS = (
    Conduct("retires the key, waits", puts_back=False, waits=True),
    Conduct("puts the key back, waits", puts_back=True, waits=True),
    Conduct("retires the key, does not wait", puts_back=False, waits=False),
)


def recovers(world: OperatedWorld, policy: RotationPolicy, conduct: Conduct) -> None:
    """Follow the remedies until all is in order, and twice more after a period; raises ``Violation`` otherwise."""
    world.denied, world.skew = frozenset(), timedelta(0)
    Operator(world, policy, conduct).until_recovered()
    for _ in range(2):
        interference.pass_time(world, policy.period)
        Operator(world, policy, conduct).until_recovered("rotated")


class Operator:
    """An operator who runs twokey and reads what it says."""

    def __init__(self, world: OperatedWorld, policy: RotationPolicy, conduct: Conduct) -> None:
        self._world = world
        self._policy = policy
        self._conduct = conduct
        self._overrides = NOTHING
        self._runs: list[str] = []
        self._in_vain: frozenset[str] = frozenset()

    def until_recovered(self, expected: str = "") -> None:
        """Run until the world is clean and, if an outcome is expected, it has occurred."""
        world, wrong = self._world, ""
        for _ in range(MOST_RUNS):
            result = self._run()
            expected = "" if result.outcome == expected else expected
            wrong = clean(world)
            if (
                not expected
                and not wrong
                and result.outcome not in ("refused", "failed")
                and result.reason != "soaking"
            ):
                return
            self._overrides = self._next(result)
        raise Violation(f"I4: {self._story()}\nIn the end {wrong or 'it is not ' + expected}: {world.show()}")

    def _run(self) -> Result:
        world, configured = self._world, self._world.destinations
        if self._leaves_out:
            world.destinations = tuple(name for name in configured if name not in self._leaves_out)
        interference.pass_time(world)
        try:
            result = run_twokey(world, self._policy, self._overrides)
        except Violation as violation:
            raise Violation(f"{violation}\n  on the way of {self._story()}") from None
        finally:
            world.destinations, self._leaves_out = configured, frozenset()
        assert result
        options = " ".join(f"--retire {key_id}" for key_id in sorted(self._overrides.retire))
        self._runs.append(f"\n  twokey {options} -> {result.outcome} ({result.reason}): {result.message}")
        return result

    _leaves_out: frozenset[str] = frozenset()
    """Destinations that the next run is not given."""

    def _story(self) -> str:
        return f"an operator who {self._conduct.name}:{''.join(self._runs)}"

    def _next(self, result: Result) -> Overrides:
        """Do what a result says, and return the options of the next run."""
        if result.outcome == "not_due":
            self._in_vain = self._overrides.retire
        overrides = REMEDIES.get(result.reason, Operator._run_again)(self, result.message)
        if overrides == NOTHING:
            return NOTHING
        # DEFECT "named in vain": rolled_back and unmanaged_key may each name a key and refuse without it; only both in
        # one run help, and neither message says so.
        return replace(overrides, retire=overrides.retire | self._overrides.retire)

    def _run_again(self, _message: str) -> Overrides:
        return NOTHING

    def _rolled_back(self, message: str) -> Overrides:
        """Follow "Put K back into the store. Only if no job uses K any more, … --retire K.".

        DEFECT "named in vain": if K is gone, ``--retire K`` is accepted and not recorded, so the next plain run
        refuses again. K is put back although it is gone: that ends it.
        """
        key_id = NAMED.findall(message)[0]
        delivered = key_id in (self._world.held[name] for name in self._world.destinations)
        there = key_id in self._world.keys
        if (there and (self._conduct.puts_back or delivered)) or (not there and key_id in self._in_vain):
            interference.write(self._world, "store", key_id)
            return NOTHING
        return _retire(key_id)

    def _unmanaged_key(self, message: str) -> Overrides:
        """Follow "If no program uses K, remove it: … --retire K"."""
        return _retire(*NAMED.findall(message))

    def _cannot_attribute(self, message: str) -> Overrides:
        """Follow "If you have the credential in use, put it into the store … If you know which key …, remove it"."""
        ids = [key_id for key_id in dict.fromkeys(KEY.findall(message)) if key_id in self._world.keys]
        if self._conduct.puts_back:
            interference.write(self._world, "store", ids[0])
            return NOTHING
        free = [key_id for key_id in ids if key_id not in self._world.held.values()]
        return _retire((free or ids)[0])

    def _in_flight(self, _message: str) -> Overrides:
        """Follow ``grace`` and ``in_use``: wait until the jobs are done, or accept that they fail."""
        if not self._conduct.waits:
            return Overrides(ignore_last_use=True)
        interference.pass_time(self._world, max(self._policy.grace, self._policy.idle))
        return NOTHING

    def _soak(self, _message: str) -> Overrides:
        interference.pass_time(self._world, self._policy.soak)
        return NOTHING

    def _last_held(self, message: str) -> Overrides:
        """Follow "Put one into the store, or empty that destination" (docs/reference/reasons.md)."""
        if "--ignore-last-use" in message:
            return Overrides(ignore_last_use=True)
        current = self._world.keys.get(self._world.held["store"])
        if current is not None and not current.active:
            interference.switch(self._world, current.id)
        else:
            self._bring(message, "")
        return self._overrides

    def _retire_held(self, message: str) -> Overrides:
        """Follow "Deliver another key there first" (docs/how-to/when-it-refuses.md)."""
        store = self._world.held["store"]
        self._bring(message, store if self._world.works(store) else "")
        return _retire(KEY.findall(message)[0])

    def _bring(self, message: str, key_id: str) -> None:
        """Write a key into the destinations that a message names.

        DEFECT "write-only and unmanaged": twokey cannot learn what a destination holds that cannot tell and has never
        received a key. Leaving it out of the run is the only way, and not every message says so.
        """
        for name in self._world.destinations:
            if name in message and self._world.telling.get(name, True):
                interference.write(self._world, name, key_id)
            elif name in message:
                self._leaves_out |= {name}

    def _user_recreated(self, _message: str) -> Overrides:
        """Follow "remove the old credential and its journal from this one for good"."""
        interference.write(self._world, "store", "")
        interference.forget_journal(self._world)
        return NOTHING


def _retire(*key_ids: str) -> Overrides:
    return Overrides(retire=frozenset(key_ids), all_theirs=True)


REMEDIES: dict[str, Callable[[Operator, str], Overrides]] = {
    "rolled_back": Operator._rolled_back,
    "unmanaged_key": Operator._unmanaged_key,
    "cannot_attribute": Operator._cannot_attribute,
    "key_gone": Operator._cannot_attribute,
    "grace": Operator._in_flight,
    "in_use": Operator._in_flight,
    "soak": Operator._soak,
    "soaking": Operator._soak,
    "last_held": Operator._last_held,
    "retire_held": Operator._retire_held,
    "user_recreated": Operator._user_recreated,
}
"""What the operator does next, by the reason; for any other, they run again without options."""
