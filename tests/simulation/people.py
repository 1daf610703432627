"""People beside twokey: what they do to keys, places, journal, user, rights and clocks by hand, and whose fault it is.

The world of ``simulation.world`` with a memory for blame. What a person broke is not held against twokey: a place
whose value a person wrote, a key that a person deleted or switched off, a journal that a person threw away.
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
"""How long a person takes for anything. Longer than the minute in which a key made by hand cannot be told from a
orphan (docs/explanation/proof.md, "What is not proved")."""
RIGHTS = (
    *("create", "delete", "deactivate", "journal", "fence", "store", "deliver"),
    *("list keys", "last use", "read store", "read places"),
)
"""Everything that twokey needs a permission for."""
STRANGER = "Z1"
"""A key of another user: IAM never lists it for ours."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job that has read a place and uses the key until ``until`` at least."""

    place: str
    key_id: str
    until: datetime


@dataclass(slots=True)
class Peopled(World):
    """A world in which people interfere.

    existing_key: places whose value a person wrote last.
    unseen: places and keys that a person touched while the present run was under way.
    secrets: the keys that people can write into a place.
    attributable: the keys that twokey has evidence for; evident: those that the present run can have evidence for.
    spoilt: keys that a person deleted, switched off, or let go by an option.
    given_up: keys whose removal began because a person named them.
    woken: keys that a person switched on after twokey had switched them off.
    withdrawn: keys that a person took out of the store before their commit.
    midway: what a person does right before the effect with that number.
    """

    user_id: str = USER.id
    skew: timedelta = timedelta(0)
    destinations: tuple[str, ...] = ()
    known: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    existing_key: set[str] = field(default_factory=set)
    unseen: set[str] = field(default_factory=set)
    attributable: set[str] = field(default_factory=set)
    evident: set[str] = field(default_factory=set)
    made_by_twokey: set[str] = field(default_factory=set)
    spoilt: set[str] = field(default_factory=set)
    given_up: set[str] = field(default_factory=set)
    woken: set[str] = field(default_factory=set)
    withdrawn: set[str] = field(default_factory=set)
    midway: dict[int, Callable[[], None]] = field(default_factory=dict)
    denied: frozenset[str] = frozenset()
    denied_from: int = 0
    asked: Overrides = field(default_factory=Overrides)
    jobs: list[Job] = field(default_factory=list)
    runs: int = 0

    def effect(self, run: str, what: str, key_id: str, change: Change) -> None:
        """Let an effect of twokey's take place where it has the right to, and keep the books."""
        if what != "create":
            self._interrupted_by_a_person()
        self.note_holders()
        what = "journal" if what == "lease" else what
        self.need(what.split(" to ", maxsplit=1)[0], counted=True)
        before, last = dict(self.places), self._last()

        def change_and_book(_world: World) -> None:
            if what == "deactivate":
                self.judge(self, "about to deactivate", key_id)
            change(self)
            self._book(what, key_id, before)
            if self._last() != last:
                self._becomes_last(self._last())

        World.effect(self, run, what, key_id, change_and_book)

    def _interrupted_by_a_person(self) -> None:
        """Let a person act now. ``CreateAccessKey`` leaves at once after the last look (docs/explanation/proof.md)."""
        for number in [number for number in self.midway if number <= self.effects]:
            self.midway.pop(number)()

    def need(self, right: str, *, counted: bool = False) -> None:
        """Raise ``AccessDenied`` where that right was taken away."""
        if self.lacks(right):
            self.effects += counted
            raise AccessDenied(right, USER.arn)

    def lacks(self, right: str) -> bool:
        """Say whether that right is gone by now."""
        return right in self.denied and self.effects >= self.denied_from

    def note_holders(self) -> None:
        """Remember until when each key was held: by a person's doing it is theirs to know."""
        for name, key_id in self.places.items():
            if key_id in self.keys:
                self.keys[key_id].ever_held = True
            if key_id and name not in self.existing_key and self.protected(name) and not self.torn(name):
                self.held_until[key_id] = self.now

    def _book(self, what: str, key_id: str, before: dict[str, str]) -> None:
        for name, now in self.places.items():
            if now != before[name]:
                self._written_over(name, before[name])
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
        """Grace counts from the commit, also for a key that no place held before."""
        if key_id in self.keys:
            self.held_until[key_id] = self.now
            self.keys[key_id].ever_held = True

    def _written_over(self, name: str, old: str) -> None:
        """A delivery over a value that twokey could see counts for the grace, whoever had put it there."""
        if old and name in self.existing_key and self.telling.get(name, True):
            self.held_until[old] = self.now
        self.existing_key.discard(name)

    def _out_of_use(self, what: str, key_id: str) -> None:
        if what == "deactivate":
            self.woken.discard(key_id)
        if key_id in self.asked.retire:
            self.given_up.add(key_id)
        if self.named(key_id) or self.asked.ignore_last_use:
            self.spoilt.add(key_id)

    def _journal_written(self) -> None:
        journal = Journal.decode(self.journal)
        self.attributable |= self.evident & {journal.current, journal.last}
        self.withdrawn -= {journal.current, journal.last}
        if journal.lease is None and journal.current == self.places["store"]:
            agreeing = {name for name in self.existing_key if self.places[name] == journal.current}
            self.existing_key -= {name for name in agreeing if name == "store" or name in self.destinations}

    def protected(self, name: str) -> bool:
        """Say whether twokey must know what this place holds.

        It asks each of its destinations that can tell what they hold, or that somebody has written there. Any other is
        believed to hold what it was last given, and any key where nobody knows what that was. One that was taken out of
        the configuration is asked no more.
        """
        if name in self.unseen:
            return False
        if name == "store":
            return True
        given = Journal.decode(self.journal).delivered if self.journal else {}
        if name in self.destinations:
            return name not in self.existing_key or name not in given or self._shows(name, given[name].stamp)
        return name not in self.existing_key and name in given and given[name].key == self.places[name]

    def _shows(self, name: str, stamp: str) -> bool:
        """Say whether a place shows what a person put there, or at least that somebody has written since our stamp.

        Who writes while we do, before the look that takes our stamp, is covered by it.
        """
        return self.telling.get(name, True) or (name in self.stamps and str(self.stamps[name]) != stamp)

    def holders(self, key_id: str) -> list[str]:
        """Name the places that hold a key as twokey must know."""
        return [name for name, held in self.places.items() if held == key_id and self.protected(name)]

    def orphan(self, key: Key) -> bool:
        """Say whether nobody but twokey ever had this key, as far as twokey can know."""
        return key.id in self.made_by_twokey and not key.ever_held

    def named(self, key_id: str) -> bool:
        """Say whether a person named this key as one that may go. One that is Active again has been taken back."""
        key = self.keys.get(key_id)
        return key_id in self.asked.retire or (key_id in self.given_up and (key is None or not key.active))

    def works(self, key_id: str) -> bool:
        """Say whether a job with that key can work."""
        key = self.keys.get(key_id)
        return key is not None and key.active and key.works


def peopled(world: World, **fields: Any) -> Peopled:
    """Return this world with people in it."""
    mine: dict[str, Any] = {slot: getattr(world, slot) for slot in World.__slots__}
    if not world.journal:
        mine["held_until"] = {}
    return Peopled(
        **mine | fields,
        destinations=tuple(name for name in world.places if name != "store"),
        known=[*world.keys, STRANGER],
        secrets=[*(key.id for key in world.keys.values() if key.works), STRANGER],
        attributable={key.id for key in world.keys.values() if not key.unmanaged},
        made_by_twokey={key_id for key_id in world.keys if key_id.startswith("N")},
        existing_key={name for name in world.places if name != "store" or not world.journal},
        spoilt={held for held in world.places.values() if held not in world.keys},
    )


def another(world: Peopled) -> Peopled:
    """Return a world in the same state that can go its own way."""
    sets = (
        "existing_key",
        "unseen",
        "attributable",
        "evident",
        "made_by_twokey",
        "spoilt",
        "given_up",
        "woken",
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
    assert isinstance(found, Peopled)
    return found
