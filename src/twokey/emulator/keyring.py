"""Which access keys work now: moto's IAM holds the actual state, and the keyring adds the propagation delays.

Every creation, deactivation, activation and deletion is recorded with its time.
The delays of the weather are applied whenever a key is read, so a change of the weather takes effect at once.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from twokey.emulator import partition

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from twokey.emulator.clock import Clock
    from twokey.emulator.weather import Weather

ALWAYS = float("-inf")


@dataclass(frozen=True)
class Change:
    """A key became `Active`, `Inactive` or `Deleted` at a time (seconds since 1970)."""

    at: float
    status: str


@dataclass
class LastUse:
    """When a key was last used, for which service and in which region."""

    at: float
    service: str
    region: str


@dataclass
class Key:
    """An access key with its history. `key` and `user` are moto's objects, which hold the actual state."""

    account: str
    user: Any
    key: Any
    changes: list[Change] = field(default_factory=list)
    uses: deque[LastUse] = field(default_factory=lambda: deque(maxlen=256))
    tries: int = 0

    @property
    def id(self) -> str:
        """The access key id."""
        return str(self.key.access_key_id)

    @property
    def secret(self) -> str:
        """The secret access key."""
        return str(self.key.secret_access_key)

    @property
    def deleted(self) -> bool:
        """Whether the key is actually deleted."""
        return bool(self.changes) and self.changes[-1].status == "Deleted"


class Keyring:
    """All keys of all accounts, including deleted ones."""

    def __init__(self, clock: Clock, weather: Weather, seed: int) -> None:
        """Start empty; `seed` determines which attempts fail while a key flickers."""
        self._clock = clock
        self._weather = weather
        self._seed = seed
        self._keys: dict[str, Key] = {}

    def add(self, account: str, user: Any, key: Any, *, at: float) -> Key:
        """Record a key that was created; with `at=ALWAYS` it has propagated."""
        entry = Key(account, user, key, [Change(at, "Active")])
        self._keys[entry.id] = entry
        return entry

    def find(self, key_id: str) -> Key | None:
        """The key, even if it was deleted; also a key that moto created by itself (CloudFormation does)."""
        entry = self._keys.get(key_id)
        return entry if entry is not None else self._adopt(key_id)

    def _adopt(self, key_id: str) -> Key | None:
        from moto.iam.models import iam_backends

        for account in list(iam_backends):
            iam = partition.iam_of(account)
            key = iam.access_keys.get(key_id)
            name = key.user_name if key is not None else None
            user = iam.users.get(name) if name is not None else None
            if user is not None:
                return self.add(account, user, key, at=ALWAYS)
        return None

    def changed(self, entry: Key, status: str) -> None:
        """Record that a key became Active, Inactive or Deleted now."""
        entry.changes.append(Change(self._clock.seconds(), status))

    def of_user(self, user: Any) -> list[Key]:
        """Every key that actually exists, oldest first."""
        return [entry for key in user.access_keys if (entry := self.find(key.access_key_id)) is not None]

    def listed(self, user: Any) -> list[Key]:
        """The keys that ListAccessKeys shows now: creations and deletions appear after `list_lag` seconds."""
        horizon = self._clock.seconds() - self._weather.list_lag
        of_user = (entry for entry in self._keys.values() if entry.user is user)
        still_shown = [entry for entry in of_user if entry.deleted and entry.changes[-1].at > horizon]
        present = [entry for entry in self.of_user(user) if _start(entry) <= horizon]
        return sorted([*still_shown, *present], key=lambda entry: (entry.key.create_date, entry.id))

    def works(self, entry: Key, region: str = "") -> bool:
        """Whether a request signed with the key is accepted now, in that region."""
        now = self._clock.seconds()
        status = "Absent"
        for change in entry.changes:
            if now - change.at >= self._lag(change, region):
                status = change.status
        if status != "Active":
            return False
        return not self._flickers(entry, now, region)

    def _lag(self, change: Change, region: str) -> float:
        if change.status != "Active":
            return self._weather.deletion_lag
        return self._weather.propagation + self._weather.region_lag.get(region, 0.0)

    def _flickers(self, entry: Key, now: float, region: str) -> bool:
        """Whether this attempt fails: after propagation, for the same time again, by the probability of the weather."""
        latest = entry.changes[-1]
        if not self._weather.flicker or latest.status != "Active":
            return False
        if now - latest.at >= 2 * self._lag(latest, region):
            return False
        entry.tries += 1
        chance = random.Random(f"{self._seed}:{entry.id}:{entry.tries}")  # noqa: S311 - repeatable weather, no secret
        return chance.random() < self._weather.flicker

    def used(self, entry: Key, service: str, region: str) -> None:
        """Record a use. One entry for each second is enough: IAM shows no finer resolution."""
        now = self._clock.seconds()
        if entry.uses and int(entry.uses[-1].at) == int(now):
            entry.uses.pop()
        entry.uses.append(LastUse(now, service, region))

    def visible_use(self, entry: Key) -> LastUse | None:
        """The latest use that GetAccessKeyLastUsed shows, which is at least `last_used_lag` seconds old."""
        horizon = self._clock.seconds() - self._weather.last_used_lag
        return next((use for use in reversed(entry.uses) if use.at <= horizon), None)

    def age(self, entry: Key, created: datetime) -> None:
        """Set the CreateDate of a key, and treat the key as propagated."""
        entry.key.create_date = created.replace(microsecond=0, tzinfo=None)
        entry.changes = [Change(ALWAYS, "Active"), *entry.changes[1:]]

    def all(self) -> Iterable[Key]:
        """Every key that was ever recorded."""
        return list(self._keys.values())


def _start(entry: Key) -> float:
    return entry.changes[0].at if entry.changes else ALWAYS
