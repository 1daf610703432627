"""An AWS, a store and destinations in memory, with the interface that the engine has to the real ones.

Time is virtual. Each change of the world is an *effect*, numbered from zero through a whole history, and each can go
wrong in one of the ways of ``FAULTS``. A judge looks at the world after every effect.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from twokey.destinations.base import Receipt, Traits
from twokey.errors import Ambiguous, Conflict, Rejected
from twokey.model import (
    AccessKey,
    CannotTell,
    Credential,
    Held,
    Holding,
    Journal,
    LastUse,
    MachineUser,
    NotHeld,
    Record,
)

if TYPE_CHECKING:
    from collections.abc import Callable

START = datetime(2026, 6, 1, tzinfo=UTC)
USER = MachineUser("ci", "/machine-users/", "AIDACI", "123456789012", "arn:aws:iam::123456789012:user/machine-users/ci")
FAULTS = ("refused", "lost", "killed before", "killed after")
"""No effect, proved by the answer; the effect without its answer; the process dead before or after the effect."""


class Killed(BaseException):
    """The process of this run is dead: it does nothing any more."""


@dataclass(slots=True)
class Key:
    """A key as it truly is."""

    id: str
    created: datetime
    active: bool = True
    works: bool = True
    foreign: bool = False
    ever_held: bool = False
    inactive_since: datetime | None = None
    last_used: datetime | None = None


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
    """The state of everything, and the faults that are to come."""

    faults: dict[int, str] = field(default_factory=dict)
    judge: Callable[[World, str, str], None] = lambda _world, _what, _key: None
    now: datetime = START
    keys: dict[str, Key] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    telling: dict[str, bool] = field(default_factory=dict)
    journal: str = ""
    revision: int = 0
    effects: int = 0
    made: int = 0
    run: str = ""
    dead: set[str] = field(default_factory=set)
    held_until: dict[str, datetime] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    recording: bool = False

    def effect(self, run: str, what: str, key_id: str, change: Callable[[], None]) -> None:
        """Let an effect take place, or not, and have it judged."""
        if run in self.dead:
            raise Killed
        number, self.effects = self.effects, self.effects + 1
        fault = self.faults.get(number, "")
        if fault not in ("refused", "killed before"):
            change()
            self.note_holders()
            self.judge(self, what, key_id)
        if self.recording:
            self.steps.append(Step(number, run, f"{what} {key_id}".strip(), fault, self.show()))
        if fault.startswith("killed"):
            self.dead.add(run)
            raise Killed
        if fault == "refused":
            raise Rejected(f"{what}: refused")
        if fault == "lost":
            raise Ambiguous(f"{what}: no answer")

    def note_holders(self) -> None:
        """Remember until when each key was held by any place: jobs may have read it there."""
        for key_id in self.places.values():
            if key_id:
                self.held_until[key_id] = self.now
                if key_id in self.keys:
                    self.keys[key_id].ever_held = True

    def show(self) -> str:
        """Return the state in one line."""
        keys = " ".join(f"{key.id}{'' if key.active else '(off)'}" for key in self.keys.values())
        places = " ".join(f"{name}={key_id or '-'}" for name, key_id in self.places.items())
        return f"keys {keys or '-'}; {places}; journal {self.journal or '-'}"


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
        return tuple(AccessKey(key.id, key.active, key.created) for key in self._world.keys.values())

    def last_use(self, key_id: str) -> LastUse:
        key = self._world.keys.get(key_id)
        return LastUse(key.last_used if key else None, "s3", "eu-central-1")

    def may_create(self, _user: MachineUser) -> bool | None:
        return None

    def create_key(self, _user: str, just_before: Callable[[], None] = lambda: None) -> tuple[AccessKey, Credential]:
        world = self._world
        just_before()
        key_id = f"N{world.made + 1}"
        # The number of keys is what the quota sees; the judge says whether it was right to ask.
        if len(world.keys) >= 2:
            world.judge(world, "create", key_id)
            raise Rejected("LimitExceeded")

        def change() -> None:
            world.made += 1
            world.keys[key_id] = Key(key_id, world.now.replace(microsecond=0), works=False)

        world.effect(self._run, "create", key_id, change)
        return AccessKey(key_id, active=True, created=world.keys[key_id].created), Credential(key_id, "secret")

    def deactivate_key(self, _user: str, key_id: str) -> None:
        def change() -> None:
            key = self._world.keys.get(key_id)
            if key:
                key.active = False
                key.inactive_since = key.inactive_since or self._world.now

        self._world.effect(self._run, "deactivate", key_id, change)

    def delete_key(self, _user: str, key_id: str) -> bool:
        world = self._world
        known = key_id in world.keys

        def change() -> None:
            world.judge(world, "about to delete", key_id)
            world.keys.pop(key_id, None)

        world.effect(self._run, "delete", key_id, change)
        return known


class Sts:
    """STS: a created key is unknown to the first question and works from then on."""

    def __init__(self, world: World) -> None:
        self._world = world

    def identity_of(self, credential: Credential, _region: str | None = None) -> tuple[str, str] | None:
        key = self._world.keys.get(credential.access_key_id)
        if key is None or not key.active:
            return None
        if not key.works:
            key.works = True
            return None
        return USER.account, USER.arn


class Place:
    """A destination; the one named ``store`` keeps the journal besides."""

    traits = Traits(atomic=True, conditional=True, confirms="value")

    def __init__(self, world: World, run: str, name: str) -> None:
        self._world = world
        self._run = run
        self.name = name

    def held(self) -> Holding:
        if not self._world.telling.get(self.name, True):
            return CannotTell("write-only")
        key_id = self._world.places[self.name]
        return Held(key_id) if key_id else NotHeld()

    def deliver(self, credential: Credential) -> Receipt:
        if self._world.places[self.name] == credential.access_key_id:
            return Receipt(credential.access_key_id, written=False)
        self._write(f"deliver to {self.name}", credential.access_key_id)
        return Receipt(credential.access_key_id, written=True)

    def preflight(self) -> None:
        return None

    def _write(self, what: str, key_id: str, revision: object = None) -> None:
        def change() -> None:
            if revision is not None and revision != self._world.revision:
                raise Conflict("somebody else wrote first")
            self._world.places[self.name] = key_id
            self._world.revision += self.name == "store"

        self._world.effect(self._run, what, key_id, change)

    def load(self) -> Record:
        text = self._world.journal
        try:
            journal = Journal.decode(text) if text else Journal()
        except ValueError as error:
            raise Rejected(str(error)) from None
        return Record(self.held(), journal, self._world.revision)

    def credential(self) -> Credential | None:
        key_id = self._world.places[self.name]
        return Credential(key_id, "secret") if key_id else None

    def room_for(self, _journal: Journal) -> None:
        return None

    def save_journal(self, journal: Journal, revision: object) -> object:
        def change() -> None:
            if revision != self._world.revision:
                raise Conflict("somebody else wrote first")
            self._world.journal = journal.encode()
            self._world.revision += 1

        self._world.effect(self._run, "journal", "", change)
        return self._world.revision

    def put(self, credential: Credential, revision: object) -> object:
        self._write("store", credential.access_key_id, revision)
        return self._world.revision

    def fence(self, revision: object) -> object:
        def change() -> None:
            if revision != self._world.revision:
                raise Conflict("somebody else wrote first")
            self._world.revision += 1

        self._world.effect(self._run, "fence", "", change)
        return self._world.revision


def copy_of(world: World, **fields: Any) -> World:
    """Return a world in the same state that can go its own way."""
    return replace(
        world,
        keys={key_id: replace(key) for key_id, key in world.keys.items()},
        places=dict(world.places),
        telling=dict(world.telling),
        dead=set(world.dead),
        held_until=dict(world.held_until),
        steps=[],
        **fields,
    )
