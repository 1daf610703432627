"""Two stores in the simulated world, and a move between them: every fault at every effect, and runs from both."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from simulation.judge import Violation, judging
from simulation.play import state_of, virtual_leases
from simulation.world import USER, Clock, Iam, Key, Killed, Revision, SimulatedDestination, Sts, World, copy_of
from twokey.core.errors import Conflict
from twokey.core.journal import Delivery, Journal, Revoked
from twokey.core.model import Record
from twokey.moving.move import move_store
from twokey.planning.policy import RotationPolicy, Verification
from twokey.rotation import rotate
from twokey.rotation.world import World as RotationWorld

if TYPE_CHECKING:
    from collections.abc import Hashable

    from twokey.core.secret import Credential
    from twokey.rotation.results import Result

FORMER, NEW = "former", "new"
POLICY = RotationPolicy(verification=Verification(interval=timedelta(seconds=0.5)))
LATER = timedelta(minutes=5)


@dataclass(slots=True)
class TwoStores(World):
    """A world whose two first destinations are stores, each with a journal; ``journal`` is that of the latest write."""

    journals: dict[str, str] = field(default_factory=dict)
    journal_revisions: dict[str, int] = field(default_factory=dict)
    credential_revisions: dict[str, int] = field(default_factory=dict)

    def journal_of(self, name: str) -> Journal:
        return Journal.decode(self.journals[name]) if self.journals.get(name) else Journal()

    def rotating(self) -> list[str]:
        """Name the stores from which a run would rotate."""
        return [
            name
            for name in (FORMER, NEW)
            if (journal := self.journal_of(name)).current and not journal.moved and not journal.arriving
        ]


class SimulatedStore(SimulatedDestination):
    """One of the two stores."""

    _world: TwoStores

    def load(self) -> Record:
        world, name = self._world, self.name
        return Record(
            self.held(),
            world.journal_of(name),
            Revision(world.journal_revisions[name], world.credential_revisions[name]),
        )

    def save_journal(self, journal: Journal, revision: object) -> object:
        assert isinstance(revision, Revision)
        name, seen = self.name, revision

        def compare(world: Any) -> None:
            _same(world.journal_revisions[name], seen.journal)

        def change(world: Any) -> None:
            world.journals[name] = world.journal = journal.encode()
            world.journal_revisions[name] += 1
            if len(world.rotating()) > 1:
                raise Violation(f"two stores rotate: {world.journals}")

        self._write(f"journal of {name}", "", compare, change)
        return replace(seen, journal=self._world.journal_revisions[name])

    def put(self, credential: Credential, revision: object) -> object:
        assert isinstance(revision, Revision)
        return self._changed(revision, "store", credential.access_key_id)

    def fence(self, revision: object) -> object:
        assert isinstance(revision, Revision)
        return self._changed(revision, "fence", "") if self._world.conditional else revision

    def _changed(self, seen: Revision, what: str, key_id: str) -> Revision:
        name = self.name

        def compare(world: Any) -> None:
            _same(world.credential_revisions[name], seen.credential)

        def change(world: Any) -> None:
            world.held[name] = key_id or world.held[name]
            world.credential_revisions[name] += 1
            if key_id and what == "store":
                _recorded(world, name, key_id)

        self._write(f"{what} {name}", key_id, compare, change)
        return replace(seen, credential=self._world.credential_revisions[name])


def _same(now: int, seen: int) -> None:
    if now != seen:
        raise Conflict("Another run wrote first.")


def _recorded(world: TwoStores, name: str, key_id: str) -> None:
    """What a store receives in a move is in the journal of the store that the user is moved from.

    Or an earlier key is: then no rotation removes this one before that.
    """
    arriving = world.journal_of(name).arriving
    former = world.journal_of(arriving)
    given = former.delivered.get(name) if arriving else None
    if arriving and (given is None or given.key not in (key_id, former.current, former.last)):
        raise Violation(f"{name} received {key_id}, and the journal of {arriving} does not say so")


def before(*, due: bool, conditional: bool, pipeline: bool) -> TwoStores:
    """A user whose journal has all that a move must carry."""
    world = TwoStores(conditional=conditional)
    age = timedelta(days=16 if due else 2)
    world.keys = {
        "A": Key("A", world.now - age - timedelta(days=15), ever_held=True),
        "B": Key("B", world.now - age, ever_held=True),
    }
    world.held = {FORMER: "B", NEW: ""} | ({"pipeline": "B"} if pipeline else {})
    if pipeline:
        world.telling, world.stamps = {"pipeline": False}, {"pipeline": 1}
    delivered = {"pipeline": Delivery("B", world.now - age, "1")} if pipeline else {}
    journal = Journal(
        epoch=7,
        user=USER.id,
        current="B",
        last="A",
        committed=world.now - age,
        delivered=delivered,
        graces={"A": POLICY.grace, "B": POLICY.grace},
        revoked={"Z": Revoked(world.now - age)},
    )
    world.journals = {FORMER: journal.encode(), NEW: ""}
    world.journal = journal.encode()
    world.journal_revisions, world.credential_revisions = {FORMER: 7, NEW: 0}, {FORMER: 3, NEW: 0}
    world.held_until = {"A": world.now - age}
    world.judge = judging(POLICY, world)
    return world


def copied(world: TwoStores, faults: dict[int, str]) -> TwoStores:
    found = copy_of(world, faults=faults)
    assert isinstance(found, TwoStores)
    for name in ("journals", "journal_revisions", "credential_revisions"):
        setattr(found, name, dict(getattr(world, name)))
    return found


def outside(world: TwoStores, run: str, store: str, *others: str) -> RotationWorld:
    edge: Any = Iam(world, run)
    destinations = [
        SimulatedStore(world, run, name) if name in (FORMER, NEW) else SimulatedDestination(world, run, name)
        for name in others
    ]
    return RotationWorld(
        iam=edge,
        sts=Sts(world),
        clock=Clock(world),
        store=SimulatedStore(world, run, store),
        destinations=destinations,
        run=run,
        wait=False,
    )


def move(world: TwoStores, run: str, source: str = FORMER, target: str = NEW) -> Result | None:
    """Run ``move-store`` once; None where it was killed."""
    try:
        return move_store(USER, POLICY, outside(world, run, source), SimulatedStore(world, run, target))
    except Killed:
        return None


def rotated(world: TwoStores, run: str, store: str, *others: str) -> Result | None:
    """Run ``rotate`` once with a configuration that names this store; None where it was killed."""
    pipelines = [name for name in world.held if name not in (FORMER, NEW)]
    try:
        return rotate.rotate(USER, POLICY, outside(world, run, store, *others, *pipelines))
    except Killed:
        return None


def play(start: TwoStores, faults: dict[int, str], *, between: str = "", met: set[Hashable] | None = None) -> TwoStores:
    """Move until it is done, with faults; ``between``: another configuration rotates after each interrupted move.

    ``met`` collects the worlds after a move from which all was played with no further fault: a history ends where it
    comes to one of them. The histories that share it begin in the same world. What follows the move has no fault.
    """
    world = copied(start, faults)
    with virtual_leases(world):
        for number in range(12):
            effects = world.effects
            result = move(world, f"move {number}")
            disturbed = any(effects <= fault < world.effects for fault in faults)
            world.now += LATER
            completed = result is not None and result.outcome.value == "completed"
            if met is not None and (completed or world.effects > max(faults)):
                state = (number, disturbed, completed, between, _state_of(world))
                if state in met:
                    return world
                met.add(state)
            if completed:
                check(world)
                return world
            if not disturbed:
                raise Violation(f"not done by an undisturbed move: {result}")
            if between:
                rotated(world, f"rotation {number}", between)
                world.now += LATER
    raise Violation("not done")


def _state_of(world: TwoStores) -> Hashable:
    """Return all that what follows a move depends on, with nothing under way."""
    stores = (world.journals, world.journal_revisions, world.credential_revisions)
    return state_of(world), tuple(tuple(each.items()) for each in stores)


def check(world: TwoStores) -> None:
    """At the end the new store has all that the former one knew, and one undisturbed run after the other goes on."""
    world.faults = {}
    former, new = world.journal_of(FORMER), world.journal_of(NEW)
    if world.rotating() != [NEW] or former.lease or new.lease:
        raise Violation(f"not moved: {world.journals}")
    if former.committed == new.committed:
        _compared(world, former, new)
    refused = rotated(world, "old configuration", FORMER, NEW)
    if refused is None or refused.reason.value != "moved" or NEW not in refused.message:
        raise Violation(f"the former store is not refused: {refused}")
    for number in range(3):
        world.now += timedelta(days=16)
        world.mark = None
        result = rotated(world, f"later {number}", NEW, FORMER)
        if result is None or result.outcome.value not in ("rotated", "completed"):
            raise Violation(f"the new store does not rotate: {result}")


def _compared(world: TwoStores, former: Journal, new: Journal) -> None:
    """Compare what both know, where the new store has not rotated since the move."""
    for name in (
        "user",
        "current",
        "last",
        "committed",
        "graces",
        "intent",
        "retiring",
        "removed",
        "delivering",
        "revoked",
    ):
        if getattr(former, name) != getattr(new, name):
            raise Violation(f"{name} was not moved: {world.journals}")
    kept = {name: one for name, one in former.delivered.items() if name != NEW}
    given = {name: one for name, one in new.delivered.items() if name != FORMER}
    if given != kept or new.delivered[FORMER].key != world.held[FORMER] or new.epoch <= 7:
        raise Violation(f"the deliveries were not moved: {world.journals}")
    if world.held[NEW] != world.held[FORMER] or (new.current != world.held[NEW] and not new.intent):
        raise Violation(f"the stores hold different keys: {world.held}")
