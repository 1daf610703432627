"""The states in which a history begins."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from simulation.world import LAG, START, Key, World
from twokey.core.identities import identity_of
from twokey.core.journal import Delivery, Intent, Journal, Lease
from twokey.planning.policy import RotationPolicy, Verification

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

DAY = timedelta(days=1)
VERIFICATION = Verification(successes=2, interval=timedelta(seconds=1), timeout=timedelta(seconds=30))
PLAIN = RotationPolicy(verification=VERIFICATION)
SHORT = RotationPolicy(verification=VERIFICATION, window=4 * DAY)
SOAK = RotationPolicy(verification=VERIFICATION, soak=2 * DAY)


def ago(days: float) -> datetime:
    """Return a moment before the beginning."""
    return START - days * DAY


def _world(*keys: Key, store: str = "", journal: Journal | None = None) -> World:
    world = World(
        keys={key.id: key for key in keys}, held={"store": store}, journal=journal.encode() if journal else ""
    )
    for key in keys:
        key.ever_held = not key.unmanaged and key.id in (store, journal.last if journal else "")
    return world


def _settled(*, active: bool = True) -> World:
    journal = Journal(epoch=3, user="AIDACI", current="K2", last="K1", committed=ago(16))
    world = _world(Key("K1", ago(31), active=active), Key("K2", ago(16)), store="K2", journal=journal)
    world.held_until["K1"] = ago(16)
    return world


def _interrupted() -> World:
    journal = Journal(
        epoch=3, user="AIDACI", current="K2", last="K1", committed=ago(16), intent=Intent(("K1", "K2"), ago(0.01))
    )
    return _world(Key("K2", ago(16)), Key("N0", ago(0.01), works=False), store="K2", journal=journal)


def _in_use() -> World:
    """An operator's key, created right after the intent of an interrupted run; jobs use it."""
    world = _interrupted()
    world.keys.pop("N0")
    world.keys["K9"] = Key("K9", ago(0.01), unmanaged=True, last_used=ago(0.001))
    return world


def _from_a_backup() -> World:
    """The store, restored to what it was between the creation of N0 and the moment at which it was stored."""
    world = _interrupted()
    world.keys["N0"].works = True
    return world


def _hold_what_the_store_forgot(world: World) -> None:
    """Let the destination that does not show what it holds have received N0 since; it shows that it was written."""
    journal = Journal.decode(world.journal)
    world.held["third"], world.stamps["third"] = "N0", 2
    world.journal = msgspec.structs.replace(journal, delivered={"third": Delivery("K2", ago(16), "1")}).encode()


def _identity(name: str, where: str) -> str:
    return identity_of((name, where), where)


def _meaning_something_else(world: World) -> None:
    """Let each name have meant another thing to the run that delivered LAST: it holds LAST still."""
    journal, names = Journal.decode(world.journal), [name for name in world.held if name != "store"]
    delivered = {name: Delivery("K1", ago(16), identity=_identity(name, "there")) for name in names}
    world.held |= {f"{name} there": "K1" for name in names}
    world.elsewhere = frozenset(f"{name} there" for name in names)
    world.identities = {name: _identity(name, "here") for name in names}
    world.journal = msgspec.structs.replace(journal, delivered=delivered).encode()


def _shortened(*, committed: float) -> World:
    """Grace was 14 days when K2 was committed, and has been shortened since."""
    journal = Journal(
        epoch=3,
        user="AIDACI",
        current="K2",
        last="K1",
        committed=ago(committed),
        graces={"K1": 14 * DAY, "K2": 14 * DAY},
    )
    world = _world(Key("K1", ago(31)), Key("K2", ago(committed)), store="K2", journal=journal)
    world.held_until["K1"] = ago(committed)
    world.promised = {"K1": 14 * DAY, "K2": 14 * DAY}
    return world


def _forgotten() -> World:
    """A destination that had received LAST was forgotten a day ago; jobs may have read it there until then."""
    world = _settled()
    world.journal = msgspec.structs.replace(Journal.decode(world.journal), forgotten=ago(1)).encode()
    world.held_until["K1"] = ago(1)
    return world


def _leased_for_ever() -> World:
    """A journal that was tampered with: its lease is one that no run can have taken."""
    world = _settled()
    lease = Lease(run="forged", host="elsewhere", process=1, start="1", until=ago(-365 * 70))
    world.journal = msgspec.structs.replace(Journal.decode(world.journal), lease=lease).encode()
    return world


def _other_version() -> World:
    world = _settled()
    world.journal = world.journal.replace('"epoch"', '"version":2,"epoch"')
    return world


STATES: dict[str, tuple[Callable[[], World], RotationPolicy]] = {
    "no key": (_world, PLAIN),
    "one key, stored": (lambda: _world(Key("K1", ago(20)), store="K1"), PLAIN),
    "one key, empty store": (lambda: _world(Key("K1", ago(200))), PLAIN),
    "one key, stored key gone": (lambda: _world(Key("K1", ago(200)), store="K0"), PLAIN),
    "two keys": (_settled, PLAIN),
    "two keys, no journal": (lambda: _world(Key("K1", ago(40)), Key("K2", ago(16)), store="K2"), PLAIN),
    "two keys, store holds the older": (
        lambda: _world(Key("K1", ago(40)), Key("K2", ago(16), unmanaged=True), store="K1"),
        PLAIN,
    ),
    "two keys, empty store": (
        lambda: _world(Key("K1", ago(40), unmanaged=True), Key("K2", ago(16), unmanaged=True)),
        PLAIN,
    ),
    "an unmanaged key": (
        lambda: _world(
            Key("K2", ago(16)),
            Key("K9", ago(3), unmanaged=True),
            store="K2",
            journal=Journal(epoch=3, user="AIDACI", current="K2", committed=ago(16)),
        ),
        PLAIN,
    ),
    "LAST inactive": (lambda: _settled(active=False), PLAIN),
    "three keys": (
        lambda: _world(
            Key("K1", ago(60), unmanaged=True), Key("K2", ago(31), unmanaged=True), Key("K3", ago(16)), store="K3"
        ),
        PLAIN,
    ),
    "interrupted, with an orphan": (_interrupted, PLAIN),
    "interrupted, with a key in use": (_in_use, PLAIN),
    "store from a backup": (_from_a_backup, PLAIN),
    "grace shortened": (lambda: _shortened(committed=5), SHORT),
    "grace shortened, LAST out of grace": (lambda: _shortened(committed=15), SHORT),
    "names that mean something else": (_settled, PLAIN),
    "a destination forgotten": (_forgotten, PLAIN),
    "a lease that never ends": (_leased_for_ever, PLAIN),
    "journal of another version": (_other_version, PLAIN),
    "two keys, with soak": (_settled, SOAK),
}
"""Name -> (world, policy). Every one is run with one, two and three destinations."""
WITH_CURRENT = ("one key, stored", "two keys", "LAST inactive", "interrupted, with an orphan", "two keys, with soak")
"""With CURRENT and a key that the list does not show yet, the user has two, and IAM refuses another one."""


def _pipelines() -> World:
    """All hold CURRENT, and a rotation is due."""
    return _settled()


def _pipelines_out_of_date() -> World:
    """Nothing is due, and each is out of date in another way."""
    journal = Journal(epoch=3, user="AIDACI", current="K2", last="K1", committed=ago(1))
    world = _world(Key("K1", ago(16)), Key("K2", ago(1)), store="K2", journal=journal)
    world.held_until["K1"] = ago(1)
    return world


def _contested(world: World) -> None:
    """Let another program have put LAST again into those that show it, or show that they were written."""
    journal = Journal.decode(world.journal)
    world.contested = True
    delivered = {name: msgspec.structs.replace(one, rewritten=2) for name, one in journal.delivered.items()}
    for name in ("p1", "p3", "p4"):
        if name in world.held:
            world.held[name] = "K1"
        if name in world.secrets_at:
            world.secrets_at[name] = "K1"
        if name in world.stamps:
            world.stamps[name] += 1
    world.journal = msgspec.structs.replace(journal, delivered=delivered).encode()


PIPELINES: dict[str, tuple[Callable[[], World], RotationPolicy]] = {
    "pipelines": (_pipelines, PLAIN),
    "pipelines that are out of date": (_pipelines_out_of_date, PLAIN),
    "pipelines that are contested": (_pipelines_out_of_date, PLAIN),
    "pipelines of a new user": (lambda: _world(Key("K1", ago(200))), PLAIN),
}
"""The same, with destinations of four kinds: see ``_furnish``."""
PAIR, SILENT, STAMPED = "pair of two values", "cannot tell", "shows its latest write"
KINDS = ({PAIR, SILENT, STAMPED}, {PAIR, SILENT}, {PAIR}, {SILENT, STAMPED})


def _add_pipelines(world: World, number: int) -> None:
    """Add that many pipelines, of one kind after the other. Many of them wait for their service's limit."""
    current = world.held["store"]
    for index in range(number):
        name, kind = f"p{index + 1}", KINDS[index % len(KINDS)]
        world.held[name] = current
        world.telling[name] = SILENT not in kind
        if PAIR in kind:
            world.secrets_at[name] = current
        if STAMPED in kind:
            world.stamps[name] = 1
        if number > len(KINDS):
            world.waits[name] = 7.0
    journal = Journal.decode(world.journal) if world.journal else Journal()
    given = {name: Delivery(current, ago(16), str(world.stamps.get(name, ""))) for name in world.telling if current}
    world.journal = msgspec.structs.replace(journal, delivered=given).encode() if world.journal else ""


def _fall_out_of_date(world: World) -> None:
    """Tear the first pair, as a crash does; put LAST back into the third and the fourth, as an operator does."""
    journal = Journal.decode(world.journal)
    given = {**journal.delivered, "p1": Delivery("K1", ago(16), "1"), "p2": Delivery("K1", ago(16))}
    world.held |= {name: "K1" for name in ("p2", "p3", "p4") if name in world.held}
    world.secrets_at |= {name: "K1" for name in ("p1", "p2", "p3") if name in world.secrets_at}
    if "p4" in world.stamps:
        world.stamps["p4"] += 1
    world.journal = msgspec.structs.replace(journal, delivered=given, delivering=("p1",)).encode()


HASTE = ", in haste"
"""Lists lag, and the next run follows at once."""
UNCONDITIONAL = ", in haste on a store without conditions"
"""The same, and the store has no conditional write."""
LOCKED = ", in haste on a store with a lock"
"""The same: the store has no conditional write, and a lock elsewhere, which has one."""
THROTTLED = ", in haste and throttled"
"""Lists lag, the next run follows at once, and IAM throttles each creation for ``THROTTLING`` seconds."""
THROTTLING = {1: 9.0, 2: 19.0}
"""By the number of destinations: just within what an intent allows at first, and longer than that."""
LAGGING = ", while lists lag for minutes"
"""Lists lag for longer than the protocol gives them, and the next run follows soon."""
WEATHER = (UNCONDITIONAL, LOCKED, THROTTLED, LAGGING, HASTE)


def in_fair_weather(name: str) -> str:
    """Return the name of a state without its weather."""
    return next((name.removesuffix(one) for one in WEATHER if name.endswith(one)), name)


def initial(name: str, destinations: int) -> tuple[World, RotationPolicy]:
    """Return a state with that many destinations: the store, one that tells what it holds, one that does not.

    Or the store and pipelines, which takes more of them.
    """
    if name in PIPELINES:
        make, policy = PIPELINES[name]
        world = make()
        _add_pipelines(world, destinations - 1)
        if "out of date" in name:
            _fall_out_of_date(world)
        if "contested" in name:
            _contested(world)
        world.note_holders()
        return world, policy
    make, policy = STATES[in_fair_weather(name)]
    world = make()
    world.hasty = name.endswith(WEATHER)
    world.lag = timedelta(minutes=4) if name.endswith(LAGGING) else LAG
    world.throttled = THROTTLING[destinations] if name.endswith(THROTTLED) else 0.0
    world.locked = name.endswith(LOCKED)
    world.conditional = not (name.endswith(UNCONDITIONAL) or world.locked)
    for other in ("second", "third")[: destinations - 1]:
        world.held[other] = world.held["store"] if world.held["store"] in world.keys else ""
    if destinations == 3:
        world.telling["third"] = False
    if destinations == 3 and "backup" in name:
        _hold_what_the_store_forgot(world)
    if "something else" in name:
        _meaning_something_else(world)
    world.note_holders()
    return world, policy
