"""A person who stops interfering and does what each refusal says, until everything is well again.

Where that does not help, twokey is wrong, not the person. What is known to be wrong is marked DEFECT, with what a
person has to do today although no message says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from simulation import hands
from simulation.blame import clean
from simulation.judge import Violation
from simulation.running import run_twokey
from twokey.planning.plan import Overrides

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulation.people import Peopled
    from twokey.planning.policy import RotationPolicy
    from twokey.rotation.results import Result

MOST_RUNS = 12
"""Runs, each with what the one before it said, after which everything must be well."""
NAMED = re.compile(r"--retire ([A-Z]\d+)")
KEY = re.compile(r"\b[A-Z]\d+\b")
NOTHING = Overrides()


@dataclass(frozen=True, slots=True)
class Manner:
    """Which of the ways that a message offers a person takes, and whether they wait or accept that jobs fail."""

    name: str
    puts_back: bool
    waits: bool


MANNERS = (
    Manner("lets go, waits", puts_back=False, waits=True),
    Manner("puts back, waits", puts_back=True, waits=True),
    Manner("lets go, does not wait", puts_back=False, waits=False),
)


def becomes_well(world: Peopled, policy: RotationPolicy, manner: Manner) -> None:
    """Follow the remedies until all is well, then twice more after a period; raises ``Violation`` where it never is."""
    world.denied, world.skew = frozenset(), timedelta(0)
    Person(world, policy, manner).until_well()
    for _ in range(2):
        hands.pass_time(world, policy.period)
        Person(world, policy, manner).until_well("rotated")


class Person:
    """Somebody who runs twokey and reads what it says."""

    def __init__(self, world: Peopled, policy: RotationPolicy, manner: Manner) -> None:
        self._world = world
        self._policy = policy
        self._manner = manner
        self._asked = NOTHING
        self._said: list[str] = []
        self._in_vain: frozenset[str] = frozenset()

    def until_well(self, wanted: str = "") -> None:
        """Run until the world is clean, and, where an outcome is wanted, that has come."""
        world, wrong = self._world, ""
        for _ in range(MOST_RUNS):
            result = self._run()
            wanted = "" if result.outcome == wanted else wanted
            wrong = clean(world)
            if not wanted and not wrong and result.outcome not in ("refused", "failed") and result.reason != "soaking":
                return
            self._asked = self._next(result)
        raise Violation(f"I4: {self._story()}\nIn the end {wrong or 'it is not ' + wanted}: {world.show()}")

    def _run(self) -> Result:
        world, configured = self._world, self._world.destinations
        if self._leaves_out:
            world.destinations = tuple(name for name in configured if name not in self._leaves_out)
        hands.pass_time(world)
        try:
            result = run_twokey(world, self._policy, self._asked)
        except Violation as violation:
            raise Violation(f"{violation}\n  on the way of {self._story()}") from None
        finally:
            world.destinations, self._leaves_out = configured, frozenset()
        assert result
        options = " ".join(f"--retire {key_id}" for key_id in sorted(self._asked.retire))
        self._said.append(f"\n  twokey {options} -> {result.outcome} ({result.reason}): {result.message}")
        return result

    _leaves_out: frozenset[str] = frozenset()
    """Destinations that the next run is not given."""

    def _story(self) -> str:
        return f"a person who {self._manner.name}:{''.join(self._said)}"

    def _next(self, result: Result) -> Overrides:
        """Do what a result says, and return the options of the next run."""
        if result.outcome == "not_due":
            self._in_vain = self._asked.retire
        asked = REMEDIES.get(result.reason, Person._plainly)(self, result.message)
        if asked == NOTHING:
            return NOTHING
        # DEFECT "named in vain": rolled_back and unmanaged_key may each name a key and refuse without it; only both in
        # one run help, and neither says so.
        return replace(asked, retire=asked.retire | self._asked.retire)

    def _plainly(self, _message: str) -> Overrides:
        return NOTHING

    def _rolled_back(self, message: str) -> Overrides:
        """Answer "If K may go, … --retire K. Otherwise put K back into the store.".

        DEFECT "named in vain": where K is gone, ``--retire K`` is accepted and not written down, so the next plain run
        refuses again. K is put back although it is gone: that ends it.
        """
        key_id = NAMED.findall(message)[0]
        delivered = key_id in (self._world.places[name] for name in self._world.destinations)
        there = key_id in self._world.keys
        if (there and (self._manner.puts_back or delivered)) or (not there and key_id in self._in_vain):
            hands.write(self._world, "store", key_id)
            return NOTHING
        return _retire(key_id)

    def _foreign_key(self, message: str) -> Overrides:
        """Answer "when it may go, … --retire K"."""
        return _retire(*NAMED.findall(message))

    def _cannot_attribute(self, message: str) -> Overrides:
        """Answer "Put the one in use into the store (…), or name the one that may go"."""
        ids = [key_id for key_id in dict.fromkeys(KEY.findall(message)) if key_id in self._world.keys]
        if self._manner.puts_back:
            hands.write(self._world, "store", ids[0])
            return NOTHING
        free = [key_id for key_id in ids if key_id not in self._world.places.values()]
        return _retire((free or ids)[0])

    def _in_flight(self, _message: str) -> Overrides:
        """Answer ``grace`` and ``in_use``: wait until the jobs are done, or accept that they fail."""
        if not self._manner.waits:
            return Overrides(ignore_last_use=True)
        hands.pass_time(self._world, max(self._policy.grace, self._policy.idle))
        return NOTHING

    def _soak(self, _message: str) -> Overrides:
        hands.pass_time(self._world, self._policy.soak)
        return NOTHING

    def _last_held(self, message: str) -> Overrides:
        """Do "Bring a working CURRENT into the store, or empty that destination" (docs/reference/reasons.md)."""
        if "--ignore-last-use" in message:
            return Overrides(ignore_last_use=True)
        current = self._world.keys.get(self._world.places["store"])
        if current is not None and not current.active:
            hands.switch(self._world, current.id)
        else:
            self._bring(message, "")
        return self._asked

    def _retire_held(self, message: str) -> Overrides:
        """Do "Bring a working key there first" (docs/how-to/when-it-refuses.md)."""
        store = self._world.places["store"]
        self._bring(message, store if self._world.works(store) else "")
        return _retire(KEY.findall(message)[0])

    def _bring(self, message: str, key_id: str) -> None:
        """Write a key into the destinations that a message names.

        DEFECT "write-only and unmanaged": nobody can show twokey what a destination holds that cannot tell and was
        never given anything. Leaving it out of the run is the only way, and nothing says so.
        """
        for name in self._world.destinations:
            if name in message and self._world.telling.get(name, True):
                hands.write(self._world, name, key_id)
            elif name in message:
                self._leaves_out |= {name}

    def _user_remade(self, _message: str) -> Overrides:
        """Do "remove the old credential and its journal from this one for good"."""
        hands.write(self._world, "store", "")
        hands.forget_journal(self._world)
        return NOTHING


def _retire(*key_ids: str) -> Overrides:
    return Overrides(retire=frozenset(key_ids), all_theirs=True)


REMEDIES: dict[str, Callable[[Person, str], Overrides]] = {
    "rolled_back": Person._rolled_back,
    "unmanaged_key": Person._foreign_key,
    "cannot_attribute": Person._cannot_attribute,
    "grace": Person._in_flight,
    "in_use": Person._in_flight,
    "soak": Person._soak,
    "soaking": Person._soak,
    "last_held": Person._last_held,
    "retire_held": Person._retire_held,
    "user_recreated": Person._user_remade,
}
"""What a person does next, by the reason; where none is here, they run again without options."""
