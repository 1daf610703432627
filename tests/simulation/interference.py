"""What operators do beside twokey, and what twokey is not to blame for afterwards."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from simulation.operators import A_WHILE, Job, OperatedWorld
from simulation.world import Key
from twokey.core.journal import Journal

if TYPE_CHECKING:
    from twokey.planning.policy import RotationPolicy

QUOTA = 2


def pass_time(world: OperatedWorld, length: timedelta = A_WHILE) -> None:
    """Let time pass; what the destinations hold was held until now, and a key created before works everywhere."""
    world.now += length
    for key in world.keys.values():
        key.works = True
    world.note_holders()


def create_key(world: OperatedWorld) -> str:
    """Create a key; return its id. IAM refuses a third one: then nothing happens."""
    if len(world.keys) >= QUOTA:
        return ""
    key_id = f"H{len(world.known)}"
    world.keys[key_id] = Key(key_id, world.now.replace(microsecond=0), unmanaged=True)
    world.known.append(key_id)
    world.secrets.append(key_id)
    return key_id


def delete_key(world: OperatedWorld, key_id: str) -> None:
    """Delete a key: jobs that hold it fail because of the operator."""
    world.keys.pop(key_id, None)
    world.broken.add(key_id)
    world.held_until.pop(key_id, None)


def switch(world: OperatedWorld, key_id: str) -> None:
    """Make a key Inactive, or Active again. One that is Active again is no longer to be removed."""
    key = world.keys[key_id]
    key.active = not key.active
    key.inactive_since = None if key.active else world.now
    if key.active:
        world.broken.discard(key_id)
        world.reactivated.add(key_id)
    else:
        world.broken.add(key_id)


def write(world: OperatedWorld, name: str, key_id: str) -> None:
    """Write a key to a destination, or empty it."""
    if world.held[name] == key_id and not world.torn(name):
        return
    if name == "store":
        _withdraw(world, world.held[name])
    world.held[name] = key_id
    if name in world.secrets_at:
        world.secrets_at[name] = key_id
    if name in world.stamps:
        world.stamps[name] += 1
    world.manual.add(name)
    world.credential_revision += name == "store"


def _withdraw(world: OperatedWorld, key_id: str) -> None:
    """Take a key out of the store.

    DEFECT "published orphan": if a run was interrupted between store and commit, nothing shows afterwards that its
    key was published, so it is removed as an orphan, even if a job has read it or another destination received it.
    """
    intent = Journal.decode(world.journal).intent if world.journal else None
    if key_id in world.made_by_twokey and intent and key_id not in intent.known:
        world.withdrawn.add(key_id)
        world.broken.add(key_id)


def forget_journal(world: OperatedWorld) -> None:
    """Delete the journal: what each destination received, what may be torn, and which key was LAST is now unknown."""
    world.journal = ""
    world.journal_revision += 1
    world.attributable.clear()
    world.made_by_twokey.clear()
    world.withdrawn.clear()
    world.named_earlier.clear()
    world.held_until.clear()
    world.manual |= {name for name in world.held if name not in world.destinations or world.torn(name)}
    world.broken |= {job.key_id for job in world.jobs if job.key_id not in world.held.values()}


def recreate_user(world: OperatedWorld) -> None:
    """Delete the user, with its keys, and create it again under the same name."""
    for key_id in list(world.keys):
        delete_key(world, key_id)
    number = int(world.user_id.removeprefix("AIDACI") or 0) + 1
    world.user_id = f"AIDACI{number}"


def add_destination(world: OperatedWorld, name: str, telling: bool) -> None:
    """Configure one more destination; it is empty if it did not exist before."""
    world.held.setdefault(name, "")
    world.telling.setdefault(name, telling)
    if not telling:
        take_pairs(world, name)
    if name not in world.destinations:
        world.destinations = (*world.destinations, name)


def take_pairs(world: OperatedWorld, name: str) -> None:
    """Make a destination one that takes two values and shows only when it was written."""
    world.secrets_at.setdefault(name, world.held[name])
    world.stamps.setdefault(name, 1)


def remove_destination(world: OperatedWorld, name: str) -> None:
    """Take a destination out of the configuration; what it holds stays there."""
    world.destinations = tuple(one for one in world.destinations if one != name)


def start_job(world: OperatedWorld, name: str, policy: RotationPolicy) -> None:
    """Let a job read a destination. For what the operator wrote there, twokey promises nothing."""
    key_id = world.held[name]
    if world.works(key_id) and world.protected(name) and name not in world.manual:
        world.jobs.append(Job(name, key_id, world.now + policy.grace))


def use(world: OperatedWorld, key_id: str) -> None:
    """A job uses a key."""
    world.keys[key_id].last_used, world.keys[key_id].used_for = world.now, "s3"


def act_midway(world: OperatedWorld, act: str, which: int) -> None:
    """Do something while a run is under way. What twokey has read already, it cannot read again in time."""
    if act == "creates a key":
        world.unseen.add(create_key(world))
    elif act == "is paused":
        pass_time(world, PAUSES[which % len(PAUSES)])
    elif act in ("deletes a key", "switches a key"):
        _touch_a_key(world, act, which)
    else:
        _touch_a_destination(world, act, which)


def _touch_a_key(world: OperatedWorld, act: str, which: int) -> None:
    if world.keys:
        key_id = list(world.keys)[which % len(world.keys)]
        delete_key(world, key_id) if act == "deletes a key" else switch(world, key_id)
        world.unseen.add(key_id)


def _touch_a_destination(world: OperatedWorld, act: str, which: int) -> None:
    name = list(world.held)[which % len(world.held)]
    write(world, name, "" if act == "empties a destination" else world.secrets[which % len(world.secrets)])
    world.unseen.add(name)


ACTS = (
    "creates a key",
    "is paused",
    "deletes a key",
    "switches a key",
    "empties a destination",
    "writes to a destination",
)
"""What can happen while a run is under way; ``is paused`` is what happens to its process."""
PAUSES = (timedelta(seconds=20), timedelta(minutes=4), timedelta(hours=3))
