"""What people do by hand, and what twokey is not to blame for afterwards."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from simulation.people import A_WHILE, Job, Peopled
from simulation.world import Key
from twokey.core.journal import Journal

if TYPE_CHECKING:
    from twokey.planning.policy import RotationPolicy

QUOTA = 2


def pass_time(world: Peopled, length: timedelta = A_WHILE) -> None:
    """Let time pass; what the places hold was held until now, and a key made before has come to work everywhere."""
    world.now += length
    for key in world.keys.values():
        key.works = True
    world.note_holders()


def create_key(world: Peopled) -> str:
    """Make a key; return its id. IAM refuses a third one: then nothing happens."""
    if len(world.keys) >= QUOTA:
        return ""
    key_id = f"H{len(world.known)}"
    world.keys[key_id] = Key(key_id, world.now.replace(microsecond=0), unmanaged=True)
    world.known.append(key_id)
    world.secrets.append(key_id)
    return key_id


def delete_key(world: Peopled, key_id: str) -> None:
    """Delete a key: who holds it fails by that person's doing."""
    world.keys.pop(key_id, None)
    world.spoilt.add(key_id)
    world.held_until.pop(key_id, None)


def switch(world: Peopled, key_id: str) -> None:
    """Switch a key off, or on again. One that is on again has not been let go by anybody."""
    key = world.keys[key_id]
    key.active = not key.active
    key.inactive_since = None if key.active else world.now
    if key.active:
        world.spoilt.discard(key_id)
        world.woken.add(key_id)
    else:
        world.spoilt.add(key_id)


def write(world: Peopled, name: str, key_id: str) -> None:
    """Write a key into a place, or empty it."""
    if world.places[name] == key_id and not world.torn(name):
        return
    if name == "store":
        _withdraw(world, world.places[name])
    world.places[name] = key_id
    if name in world.secrets_at:
        world.secrets_at[name] = key_id
    if name in world.stamps:
        world.stamps[name] += 1
    world.existing_key.add(name)
    world.credential_revision += name == "store"


def _withdraw(world: Peopled, key_id: str) -> None:
    """Take a key out of the store.

    DEFECT "published orphan": where a run was interrupted between store and commit, nothing tells afterwards that its
    key was published, so it is removed as an orphan, whoever has read it, and wherever else it was delivered.
    """
    intent = Journal.decode(world.journal).intent if world.journal else None
    if key_id in world.made_by_twokey and intent and key_id not in intent.known:
        world.withdrawn.add(key_id)
        world.spoilt.add(key_id)


def forget_journal(world: Peopled) -> None:
    """Delete the journal: nobody knows any more who was given what, what may be torn, and which key was LAST."""
    world.journal = ""
    world.journal_revision += 1
    world.attributable.clear()
    world.made_by_twokey.clear()
    world.withdrawn.clear()
    world.given_up.clear()
    world.held_until.clear()
    world.existing_key |= {name for name in world.places if name not in world.destinations or world.torn(name)}
    world.spoilt |= {job.key_id for job in world.jobs if job.key_id not in world.places.values()}


def remake_user(world: Peopled) -> None:
    """Delete the user, with its keys, and make it again under the same name."""
    for key_id in list(world.keys):
        delete_key(world, key_id)
    number = int(world.user_id.removeprefix("AIDACI") or 0) + 1
    world.user_id = f"AIDACI{number}"


def add_destination(world: Peopled, name: str, telling: bool) -> None:
    """Configure one more destination; it is empty where it was not there before."""
    world.places.setdefault(name, "")
    world.telling.setdefault(name, telling)
    if not telling:
        take_pairs(world, name)
    if name not in world.destinations:
        world.destinations = (*world.destinations, name)


def take_pairs(world: Peopled, name: str) -> None:
    """Make a place one that takes two values and shows only when it was written."""
    world.secrets_at.setdefault(name, world.places[name])
    world.stamps.setdefault(name, 1)


def remove_destination(world: Peopled, name: str) -> None:
    """Take a destination out of the configuration; what it holds stays there."""
    world.destinations = tuple(one for one in world.destinations if one != name)


def start_job(world: Peopled, name: str, policy: RotationPolicy) -> None:
    """A job reads a place. What a person put there is that person's promise."""
    key_id = world.places[name]
    if world.works(key_id) and world.protected(name) and name not in world.existing_key:
        world.jobs.append(Job(name, key_id, world.now + policy.grace))


def use(world: Peopled, key_id: str) -> None:
    """A job uses a key."""
    world.keys[key_id].last_used = world.now


def act_midway(world: Peopled, act: str, which: int) -> None:
    """Do something while a run is under way. What twokey has read already, it cannot read again in time."""
    if act == "makes a key":
        world.unseen.add(create_key(world))
    elif act == "stands still":
        pass_time(world, STANDING_STILL[which % len(STANDING_STILL)])
    elif act in ("deletes a key", "switches a key"):
        _touch_a_key(world, act, which)
    else:
        _touch_a_place(world, act, which)


def _touch_a_key(world: Peopled, act: str, which: int) -> None:
    if world.keys:
        key_id = list(world.keys)[which % len(world.keys)]
        delete_key(world, key_id) if act == "deletes a key" else switch(world, key_id)
        world.unseen.add(key_id)


def _touch_a_place(world: Peopled, act: str, which: int) -> None:
    name = list(world.places)[which % len(world.places)]
    write(world, name, "" if act == "empties a place" else world.secrets[which % len(world.secrets)])
    world.unseen.add(name)


ACTS = ("makes a key", "stands still", "deletes a key", "switches a key", "empties a place", "writes into a place")
"""What can happen while a run is under way; ``stands still`` is what happens to its process."""
STANDING_STILL = (timedelta(seconds=20), timedelta(minutes=4), timedelta(hours=3))
