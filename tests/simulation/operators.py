"""A world in which operators change keys, destinations, journal, user, permissions and clocks beside twokey.

It is the world of ``simulation.world``, and it records who did what. Harm that the operator does is not held against
twokey: a destination that the operator wrote to, a key that the operator deleted or made Inactive, a journal that the
operator deleted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from simulation.world import USER, Change, World, copy_of
from twokey.core.errors import AccessDenied
from twokey.core.journal import Journal
from twokey.planning.plan import Overrides

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from simulation.world import Key

A_WHILE = timedelta(minutes=5)
"""How long the operator takes for anything. Longer than the minute in which a key that the operator creates cannot be
told from an orphan (docs/explanation/proof.md, "What is not proved")."""
PERMISSIONS = (
    *("create", "delete", "deactivate", "journal", "fence", "store", "deliver"),
    *("list keys", "last use", "read store", "read destinations"),
)
"""Everything that twokey needs a permission for."""
OTHER_USERS_KEY = "Z1"
"""A key of another user: IAM never lists it for ours."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job that has read a destination and uses the key until ``until`` at least."""

    destination: str
    key_id: str
    until: datetime


@dataclass(slots=True)
class OperatedWorld(World):
    """A world in which operators interfere.

    destinations: those that twokey is run with.
    manual: destinations that the operator wrote to last.
    unseen: destinations and keys that the operator changed while the present run was under way.
    secrets: the keys that the operator can write to a destination.
    attributable: the keys that twokey has evidence for; evident: those that the present run can have evidence for.
    broken: keys that the operator deleted, made Inactive, or accepted to lose by an option.
    named_earlier: keys whose removal began because the operator named them.
    reactivated: keys that the operator made Active after twokey had made them Inactive.
    withdrawn: keys that the operator took out of the store before their commit.
    midway: what the operator does right before the effect with that number.
    """

    user_id: str = USER.id
    skew: timedelta = timedelta(0)
    destinations: tuple[str, ...] = ()
    known: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    manual: set[str] = field(default_factory=set)
    unseen: set[str] = field(default_factory=set)
    attributable: set[str] = field(default_factory=set)
    evident: set[str] = field(default_factory=set)
    made_by_twokey: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    named_earlier: set[str] = field(default_factory=set)
    reactivated: set[str] = field(default_factory=set)
    withdrawn: set[str] = field(default_factory=set)
    midway: dict[int, Callable[[], None]] = field(default_factory=dict)
    denied: frozenset[str] = frozenset()
    denied_from: int = 0
    overrides: Overrides = field(default_factory=Overrides)
    jobs: list[Job] = field(default_factory=list)
    runs: int = 0

    def effect(self, run: str, what: str, key_id: str, change: Change) -> None:
        """Let an effect of twokey's take place if it has the permission, and record it."""
        if what != "create":
            self._interfered_with()
        self.note_holders()
        what = "journal" if what == "lease" else what
        self.need(what.split(" to ", maxsplit=1)[0], counted=True)
        before, last = dict(self.held), self._last()

        def change_and_record(_world: World) -> None:
            if what == "deactivate":
                self.judge(self, "about to deactivate", key_id)
            change(self)
            self._record(what, key_id, before)
            if self._last() != last:
                self._becomes_last(self._last())

        World.effect(self, run, what, key_id, change_and_record)

    def _interfered_with(self) -> None:
        """Let the operator act now; see docs/explanation/proof.md for ``CreateAccessKey``."""
        for number in [number for number in self.midway if number <= self.effects]:
            self.midway.pop(number)()

    def need(self, permission: str, *, counted: bool = False) -> None:
        """Raise ``AccessDenied`` if that permission was revoked."""
        if self.lacks(permission):
            self.effects += counted
            raise AccessDenied(permission, USER.arn)

    def lacks(self, permission: str) -> bool:
        """Say whether that permission is revoked by now."""
        return permission in self.denied and self.effects >= self.denied_from

    def note_holders(self) -> None:
        """Remember until when each key was held, except where the operator wrote it."""
        for name, key_id in self.held.items():
            if key_id in self.keys:
                self.keys[key_id].ever_held = True
            if key_id and name not in self.manual and self.protected(name) and not self.torn(name):
                self.held_until[key_id] = self.now

    def _record(self, what: str, key_id: str, before: dict[str, str]) -> None:
        for name, now in self.held.items():
            if now != before[name]:
                self._overwritten(name, before[name])
        if what == "store" and key_id not in self.secrets:
            self.secrets.append(key_id)
        if what == "create":
            self.known.append(key_id)
            self.attributable.add(key_id)
            self.made_by_twokey.add(key_id)
        if what in ("delete", "deactivate"):
            self._out_of_use(what, key_id)
        if what == "journal":
            self._journal_written()

    def _last(self) -> str:
        return Journal.decode(self.journal).last if self.journal else ""

    def _becomes_last(self, key_id: str) -> None:
        """Grace counts from the commit, also for a key that no destination held before."""
        if key_id in self.keys:
            self.held_until[key_id] = self.now
            self.keys[key_id].ever_held = True

    def _overwritten(self, name: str, old: str) -> None:
        """A delivery over a value that twokey could see counts for the grace, no matter who wrote it."""
        if old and name in self.manual and self.telling.get(name, True):
            self.held_until[old] = self.now
        self.manual.discard(name)

    def _out_of_use(self, what: str, key_id: str) -> None:
        if what == "deactivate":
            self.reactivated.discard(key_id)
        if key_id in self.overrides.retire:
            self.named_earlier.add(key_id)
        if self.named(key_id) or self.overrides.ignore_last_use:
            self.broken.add(key_id)

    def _journal_written(self) -> None:
        journal = Journal.decode(self.journal)
        self.attributable |= self.evident & {journal.current, journal.last}
        self.withdrawn -= {journal.current, journal.last}
        if journal.lease is None and journal.current == self.held["store"]:
            agreeing = {name for name in self.manual if self.held[name] == journal.current}
            self.manual -= {name for name in agreeing if name == "store" or name in self.destinations}

    def protected(self, name: str) -> bool:
        """Say whether twokey must know what this destination holds.

        It asks each configured destination that can tell what it holds, or that it was written to. Any other counts as
        holding what it last received, or any key if that is unknown. One that is no longer configured is not asked.
        """
        if name in self.unseen:
            return False
        if name == "store":
            return True
        given = Journal.decode(self.journal).delivered if self.journal else {}
        if name in self.destinations:
            return name not in self.manual or name not in given or self._shows(name, given[name].stamp)
        return name not in self.manual and name in given and given[name].key == self.held[name]

    def _shows(self, name: str, stamp: str) -> bool:
        """Say whether a destination shows what the operator wrote, or at least a write since our stamp.

        A write during ours, before the look that takes our stamp, is covered by it.
        """
        return self.telling.get(name, True) or (name in self.stamps and str(self.stamps[name]) != stamp)

    def holders(self, key_id: str) -> list[str]:
        """Name the destinations that hold a key, as far as twokey must know."""
        return [name for name, held in self.held.items() if held == key_id and self.protected(name)]

    def orphan(self, key: Key) -> bool:
        """Say whether only twokey ever had this key, as far as twokey can know."""
        return key.id in self.made_by_twokey and not key.ever_held

    def named(self, key_id: str) -> bool:
        """Say whether the operator named this key as one that may be removed. One that is Active again is kept."""
        key = self.keys.get(key_id)
        return key_id in self.overrides.retire or (key_id in self.named_earlier and (key is None or not key.active))

    def works(self, key_id: str) -> bool:
        """Say whether a job with that key can work."""
        key = self.keys.get(key_id)
        return key is not None and key.active and key.works


def with_operators(world: World, **fields: Any) -> OperatedWorld:
    """Return this world with operators in it."""
    mine: dict[str, Any] = {slot: getattr(world, slot) for slot in World.__slots__}
    if not world.journal:
        mine["held_until"] = {}
    return OperatedWorld(
        **mine | fields,
        destinations=tuple(name for name in world.held if name != "store"),
        known=[*world.keys, OTHER_USERS_KEY],
        secrets=[*(key.id for key in world.keys.values() if key.works), OTHER_USERS_KEY],
        attributable={key.id for key in world.keys.values() if not key.unmanaged},
        made_by_twokey={key_id for key_id in world.keys if key_id.startswith("N")},
        manual={name for name in world.held if name != "store" or not world.journal},
        broken={held for held in world.held.values() if held not in world.keys},
    )


def another(world: OperatedWorld) -> OperatedWorld:
    """Return an independent world in the same state."""
    sets = (
        "manual",
        "unseen",
        "attributable",
        "evident",
        "made_by_twokey",
        "broken",
        "named_earlier",
        "reactivated",
        "withdrawn",
    )
    copies: dict[str, Any] = {name: set(getattr(world, name)) for name in sets}
    found = copy_of(
        world,
        known=list(world.known),
        secrets=list(world.secrets),
        jobs=list(world.jobs),
        faults=dict(world.faults),
        **copies,
    )
    assert isinstance(found, OperatedWorld)
    return found
