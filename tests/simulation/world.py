"""AWS, a store and destinations in memory, with the interfaces that the engine has to the real ones.

Time is virtual. Each change of the world is an *effect*, numbered from zero through a whole history, and each can fail
in one of the ways of ``FAULTS``. A judge checks the world after every effect.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from twokey.core import waiting
from twokey.core.destination import Receipt, Traits
from twokey.core.errors import (
    AccessDenied,
    Ambiguous,
    BadCredentials,
    Conflict,
    NotFound,
    ServiceError,
    ServiceRejected,
)
from twokey.core.journal import Journal
from twokey.core.model import AccessKey, CannotTell, Deactivation, Held, Holding, LastUse, MachineUser, NotHeld, Record
from twokey.core.secret import Credential
from twokey.destinations.locks.locked_store import LockedStore

if TYPE_CHECKING:
    from twokey.core.destination import Store
    from twokey.destinations.locks.lock import Content

START = datetime(2026, 6, 1, tzinfo=UTC)
USER = MachineUser("ci", "/machine-users/", "AIDACI", "123456789012", "arn:aws:iam::123456789012:user/machine-users/ci")
FAULTS = ("refused", "lost", "killed before", "killed after")
"""No effect, proved by the response; the effect without its response; the process dead before or after the effect."""
MORE_FAULTS = (*FAULTS, "late", "unknown")
"""The effect some time after the run has given it up; IAM's response that there is no such key, while there is."""
DESTINATION_FAULTS = (*FAULTS, "expired", "gone")
"""At a delivery: the token for all destinations that cannot tell has expired, and is replaced some time after this
run; the project is deleted for good."""
EXPIRED = timedelta(minutes=8)
LATE = timedelta(seconds=15)
"""How much later than it was sent an effect takes place; as long as a creation may be under way."""
LAG = timedelta(seconds=25)
"""How far the lists lag; a little less than the time that the protocol gives them to settle."""
Thing = TypeVar("Thing")
Change = Callable[["World"], None]


class Pointless(BaseException):
    """A fault that cannot strike at this effect."""


class Killed(BaseException):
    """The process of this run is dead: it has no further effect."""


@dataclass(slots=True)
class Key:
    """A key as it truly is."""

    id: str
    created: datetime
    active: bool = True
    works: bool = True
    unmanaged: bool = False
    ever_held: bool = False
    inactive_since: datetime | None = None
    last_used: datetime | None = None
    used_for: str = "s3"


@dataclass(slots=True)
class Step:
    """One effect of a history, for the table that a violation prints."""

    number: int
    run: str
    what: str
    fault: str
    state: str


@dataclass(slots=True)
class World:
    """The state of everything, and the faults to come.

    ``hasty``: lists lag, and the next run follows at once. ``late``: what was sent and has not taken effect yet.
    ``held``: the key that each destination holds. ``secrets_at``: of each destination that takes two writes, the key
    whose secret it has; ``held`` has its id. ``stamps``: of each destination that cannot tell but shows its latest
    write, how often it was written. ``waits``: the seconds for which a delivery waits for its service's limit.
    ``locked``: the store has a lock, which holds ``lock``.
    ``deleted``: destinations that are gone for good.
    ``lag``: how far the lists lag for a key that no destination ever held.
    ``throttled``: the seconds for which IAM throttles a creation before it takes it.
    ``promised``: the grace that the readers of a key were promised, where it is longer than the present one.
    ``identities``: what the names of destinations mean to the runs; ``elsewhere``: destinations that no run reaches,
    for their names mean something else to it.
    ``contested``: another program has written to destinations before the first run, for the second time.
    ``still``: the effects before which nothing has happened since the one before them in the same run, not even time
    has passed; ``proofs`` counts the keys that came to work, ``mark`` is what the latest effect left.
    """

    faults: dict[int, str] = field(default_factory=dict)
    judge: Callable[[World, str, str], None] = lambda _world, _what, _key: None
    now: datetime = START
    keys: dict[str, Key] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    telling: dict[str, bool] = field(default_factory=dict)
    secrets_at: dict[str, str] = field(default_factory=dict)
    stamps: dict[str, int] = field(default_factory=dict)
    waits: dict[str, float] = field(default_factory=dict)
    expired_until: datetime = START
    deleted: set[str] = field(default_factory=set)
    journal: str = ""
    journal_revision: int = 0
    credential_revision: int = 0
    conditional: bool = True
    locked: bool = False
    lock: Content | None = None
    hasty: bool = False
    throttled: float = 0.0
    lag: timedelta = LAG
    promised: dict[str, timedelta] = field(default_factory=dict)
    identities: dict[str, str] = field(default_factory=dict)
    elsewhere: frozenset[str] = frozenset()
    contested: bool = False
    calm_runs: int = 0
    gone: dict[str, tuple[Key, datetime]] = field(default_factory=dict)
    late: list[tuple[datetime, str, str, Change]] = field(default_factory=list)
    effects: int = 0
    made: int = 0
    run: str = ""
    dead: set[str] = field(default_factory=set)
    held_until: dict[str, datetime] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    recording: bool = False
    proofs: int = 0
    mark: tuple[str, datetime, int] | None = None
    still: set[int] = field(default_factory=set)

    def effect(self, run: str, what: str, key_id: str, change: Change) -> None:
        """Let an effect take place, or not, and have it judged."""
        if run in self.dead:
            raise Killed
        self.arrive()
        number, self.effects = self.effects, self.effects + 1
        if self.mark == (run, self.now, self.proofs):
            self.still.add(number)
        fault = self.faults.get(number, "")
        if fault == "late" and what == "lease" and not (self.conditional or self.locked):
            fault = "lost"  # outside of what is proved: nothing keeps other runs away until it arrives
        if fault in ("expired", "gone"):
            self._let_the_destination_fail(what, fault)
        elif fault == "late":
            self.late.append((self.now + LATE, what, key_id, change))
        elif fault not in ("refused", "killed before") and not (fault == "unknown" and what == "delete"):
            self._take_place(what, key_id, change)
        if self.recording:
            self.steps.append(Step(number, run, f"{what} {key_id}".strip(), fault, self.show()))
        if fault.startswith("killed"):
            self.dead.add(run)
            raise Killed
        self.mark = None if fault else (run, self.now, self.proofs)
        self._answer(what, fault)

    def between(self, run: str) -> None:
        """Announce that a run has compared what it is about to overwrite in a store without conditional writes."""

    def _answer(self, what: str, fault: str) -> None:
        if fault in ("expired", "gone"):
            self.reach(destination_of(what))
        if fault == "refused":
            raise ServiceRejected(f"{what}: refused")
        if fault in ("lost", "late"):
            raise Ambiguous(f"{what}: no response")

    def _let_the_destination_fail(self, what: str, fault: str) -> None:
        name = destination_of(what)
        if not name or (fault == "expired" and self.telling.get(name, True)):
            raise Pointless
        if fault == "gone":
            self.deleted.add(name)
        else:
            self.expired_until = self.now + EXPIRED

    def reach(self, name: str) -> None:
        """Raise if a destination's service would refuse every request: the project is gone, the token has expired."""
        if name in self.deleted:
            raise NotFound(f"{name} is gone.")
        if self.now < self.expired_until and not self.telling.get(name, True):
            raise BadCredentials("The token has expired.")

    def _take_place(self, what: str, key_id: str, change: Change) -> None:
        self.note_holders()
        change(self)
        self.note_holders()
        self.judge(self, what, key_id)

    def torn(self, name: str) -> bool:
        """Say whether a destination holds the id of one key and the secret of another."""
        return self.secrets_at.get(name, self.held[name]) != self.held[name]

    def arrive(self) -> None:
        """Let what was sent long ago take effect."""
        while self.late and self.late[0][0] <= self.now:
            due, what, key_id, change = self.late.pop(0)
            present, self.now = self.now, due
            try:
                self._take_place(what, key_id, change)
            except Conflict:
                continue
            finally:
                self.now = present
            if self.recording:
                self.steps.append(Step(self.effects, "", f"{what} {key_id}, late".strip(), "", self.show()))

    def listed(self) -> list[Key]:
        """Return the keys that IAM's list shows now."""
        self.arrive()
        if not self.hasty:
            return list(self.keys.values())
        since = self.now - LAG
        gone = [key for key, deleted in self.gone.values() if deleted > since and key.created <= since]
        return [
            *gone,
            *(key for key in self.keys.values() if key.created <= self.now - (LAG if key.ever_held else self.lag)),
        ]

    def note_holders(self) -> None:
        """Remember until when each key was held by any destination: jobs may have read it there."""
        for name, key_id in self.held.items():
            if key_id and self.secrets_at.get(name, key_id) == key_id:
                self.held_until[key_id] = self.now
                if key_id in self.keys:
                    self.keys[key_id].ever_held = True

    def show(self) -> str:
        """Return the state in one line."""
        keys = " ".join(f"{key.id}{'' if key.active else '(off)'}" for key in self.keys.values())
        held = " ".join(f"{name}={key_id or '-'}" for name, key_id in self.held.items())
        return f"keys {keys or '-'}; {held}; journal {self.journal or '-'}"


def destination_of(what: str) -> str:
    """Return the destination that is delivered to; nothing for any other effect."""
    return what.removeprefix("deliver to ").partition(",")[0] if what.startswith("deliver to ") else ""


class Clock:
    """Virtual time: sleeping is what moves it."""

    def __init__(self, world: World) -> None:
        self._world = world

    def now(self) -> datetime:
        return self._world.now

    def skew(self) -> timedelta:
        return timedelta(0)

    def monotonic(self) -> float:
        return (self._world.now - START).total_seconds()

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            self._world.now += timedelta(seconds=seconds)


class Iam:
    """IAM for one user."""

    def __init__(self, world: World, run: str) -> None:
        self._world = world
        self._run = run

    def keys(self, _user: str) -> tuple[AccessKey, ...]:
        return tuple(AccessKey(key.id, key.active, key.created) for key in self._world.listed())

    def last_use(self, key_id: str) -> LastUse:
        key = self._world.keys.get(key_id)
        if key is None:
            raise AccessDenied("iam:GetAccessKeyLastUsed", key_id)
        return LastUse(key.last_used, key.used_for, "eu-central-1") if key.last_used else LastUse(None)

    def may_create(self, _user: MachineUser) -> bool | None:
        return None

    def create_key(self, _user: str, just_before: Callable[[], None] = lambda: None) -> tuple[AccessKey, Credential]:
        world = self._world
        just_before()
        if world.throttled:
            Clock(world).sleep(world.throttled)
            just_before()
        key_id = f"N{world.made + 1}"
        # The number of keys is what the quota sees; the judge says whether the request was right.
        if len(world.keys) >= 2:
            if world.lag <= LAG:
                world.judge(world, "create", key_id)
            raise ServiceRejected("LimitExceeded")
        world.made += 1

        def change(world: World) -> None:
            if len(world.keys) < 2:
                world.keys[key_id] = Key(key_id, world.now.replace(microsecond=0), works=False)

        world.effect(self._run, "create", key_id, change)
        return AccessKey(key_id, active=True, created=world.keys[key_id].created), Credential(key_id, "secret")

    def deactivate_key(self, _user: str, key_id: str) -> Deactivation:
        if key_id not in self._world.keys:
            raise NotFound(key_id)

        def change(world: World) -> None:
            key = world.keys.get(key_id)
            if key:
                key.active = False
                key.inactive_since = key.inactive_since or world.now

        self._world.effect(self._run, "deactivate", key_id, change)
        return Deactivation(self._world.now)

    def delete_key(self, _user: str, key_id: str) -> bool:
        known = key_id in self._world.keys

        def change(world: World) -> None:
            world.judge(world, "about to delete", key_id)
            if key_id in world.keys:
                world.gone[key_id] = world.keys.pop(key_id), world.now

        self._world.effect(self._run, "delete", key_id, change)
        return known and key_id not in self._world.keys


class Sts:
    """STS: a created key is unknown to the first request and works from then on."""

    def __init__(self, world: World) -> None:
        self._world = world

    def identity_of(self, credential: Credential, _region: str | None = None) -> tuple[str, str] | None:
        key = self._world.keys.get(credential.access_key_id)
        if key is None or not key.active:
            return None
        if not key.works:
            key.works = True
            self._world.proofs += 1
            return None
        if key.last_used is None:
            key.last_used, key.used_for = self._world.now, "sts"
        return USER.account, USER.arn

    def credentials_left(self) -> float:
        return math.inf

    def reach(self, region: str) -> None:
        """Every region accepts twokey's own credentials."""
        assert region


@dataclass(frozen=True, slots=True)
class Revision:
    """What a write is conditional on: as in Secrets Manager, the journal and the credential each for itself."""

    journal: int
    credential: int


class SimulatedDestination:
    """A destination; the one named ``store`` keeps the journal besides.

    Without conditional writes (``World.conditional``) a write compares when it is sent, like one that looks first.
    """

    def __init__(self, world: World, run: str, name: str) -> None:
        self._world = world
        self._run = run
        self.name = name
        self.traits = Traits(
            atomic=name not in world.secrets_at,
            conditional=world.conditional,
            confirms="value" if world.telling.get(name, True) else "timestamp",
        )

    def held(self) -> Holding:
        self._world.arrive()
        self._world.reach(self.name)
        if not self._world.telling.get(self.name, True):
            return CannotTell("write-only", stamp=self._stamp())
        key_id = self._world.held[self.name]
        return Held(key_id) if key_id else NotHeld()

    def deliver(self, credential: Credential) -> Receipt:
        """Write what is not held yet; if that is unknown, write all. A pair of two values takes two effects."""
        world, name, key_id = self._world, self.name, credential.access_key_id
        waiting.pause(Clock(world), world.waits.get(name, 0))
        world.reach(name)
        if world.telling.get(name, True) and world.held[name] == key_id and not world.torn(name):
            return Receipt(key_id, written=False)
        self._deliver_half(name, key_id, "held")
        if name in world.secrets_at:
            try:
                self._deliver_half(f"{name}, secret", key_id, "secrets_at")
            except ServiceError as error:
                # One value is written: that is no longer a clean refusal, as the contract of destinations requires.
                raise Ambiguous(error.message) from None
        return Receipt(key_id, written=True, stamp=self._stamp())

    def _deliver_half(self, where: str, key_id: str, values: Literal["held", "secrets_at"]) -> None:
        waiting.before_effect()

        def change(world: World) -> None:
            getattr(world, values)[self.name] = key_id
            if self.name in world.stamps:
                world.stamps[self.name] += 1

        self._world.effect(self._run, f"deliver to {where}", key_id, change)

    def _stamp(self) -> str:
        return str(self._world.stamps.get(self.name, ""))

    def preflight(self) -> None:
        self._world.reach(self.name)

    def load(self) -> Record:
        holding, text = self.held(), self._world.journal
        try:
            journal = Journal.decode(text) if text else Journal()
        except ValueError as error:
            raise ServiceRejected(str(error)) from None
        return Record(holding, journal, Revision(self._world.journal_revision, self._world.credential_revision))

    def credential(self) -> Credential | None:
        self._world.arrive()
        key_id = self._world.held[self.name]
        return Credential(key_id, "secret") if key_id else None

    def room_for(self, _journal: Journal) -> None:
        return None

    def save_journal(self, journal: Journal, revision: object) -> object:
        seen = _own(revision)

        def compare(world: World) -> None:
            _same(world.journal_revision, seen.journal)

        def change(world: World) -> None:
            world.journal = journal.encode()
            world.journal_revision += 1

        before = self._world.journal
        self._write("journal" if f'"run":"{self._run}"' in before else "lease", "", compare, change)
        return replace(seen, journal=self._world.journal_revision)

    def put(self, credential: Credential, revision: object) -> object:
        seen, key_id = _own(revision), credential.access_key_id

        def compare(world: World) -> None:
            _same(world.credential_revision, seen.credential)

        def change(world: World) -> None:
            world.held["store"] = key_id
            world.credential_revision += 1

        self._write("store", key_id, compare, change)
        return replace(seen, credential=self._world.credential_revision)

    def fence(self, revision: object) -> object:
        seen = _own(revision)
        if not self._world.conditional:
            return seen

        def compare(world: World) -> None:
            _same(world.credential_revision, seen.credential)

        def change(world: World) -> None:
            world.credential_revision += 1

        self._write("fence", "", compare, change)
        return replace(seen, credential=self._world.credential_revision)

    def _write(self, what: str, key_id: str, compare: Change, change: Change) -> None:
        if not self._world.conditional:
            self._world.arrive()
            compare(self._world)
            self._world.between(self._run)
            waiting.before_effect()
            self._world.effect(self._run, what, key_id, change)
            return

        def conditionally(world: World) -> None:
            compare(world)
            change(world)

        self._world.effect(self._run, what, key_id, conditionally)


class SimulatedLock:
    """A lock of the store, in a service with conditional writes."""

    name = "lock"

    def __init__(self, world: World, run: str) -> None:
        self._world = world
        self._run = run

    def read(self) -> Content | None:
        self._world.arrive()
        return self._world.lock

    def replace(self, seen: Content | None, content: Content) -> Content:
        def change(world: World) -> None:
            if world.lock != seen:
                raise Conflict("Another run has taken the lock.")
            world.lock = content

        self._world.effect(self._run, "lock", "", change)
        return content


def store_of(world: World, run: str) -> Store:
    """Return the store as a run uses it."""
    store = SimulatedDestination(world, run, "store")
    return LockedStore(store, SimulatedLock(world, run)) if world.locked else store


def _same(now: int, seen: int) -> None:
    if now != seen:
        raise Conflict("Another run wrote first.")


def _own(revision: object) -> Revision:
    assert isinstance(revision, Revision)
    return revision


def copy_of(world: World, **fields: Any) -> World:
    """Return an independent world in the same state."""
    found = _shallow(world)
    found.keys = {key_id: _shallow(key) for key_id, key in world.keys.items()}
    found.held, found.telling = dict(world.held), dict(world.telling)
    found.secrets_at, found.stamps = dict(world.secrets_at), dict(world.stamps)
    found.dead, found.held_until = set(world.dead), dict(world.held_until)
    found.deleted, found.still, found.mark = set(world.deleted), set(), None
    found.gone, found.late, found.steps = dict(world.gone), list(world.late), []
    for name, value in fields.items():
        setattr(found, name, value)
    return found


def _shallow(thing: Thing) -> Thing:
    """Return a copy with the same values: what ``dataclasses.replace`` does, in a third of the time."""
    found = object.__new__(type(thing))
    for slots in (getattr(each, "__slots__", ()) for each in type(thing).__mro__):
        for name in slots:
            setattr(found, name, getattr(thing, name))
    return found
