"""What tests look at and change inside a running emulator: users, keys, time, the requests that were made."""

from __future__ import annotations

import json
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

from twokey.emulator.clock import Clock
from twokey.emulator.keyring import ALWAYS, LastUse
from twokey.emulator.record import Record
from twokey.emulator.values import EmulatorError, KeyPair, Request
from twokey.emulator.weather import Weather

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from twokey.emulator.keyring import Key
    from twokey.emulator.world import World

_DAY = 86400
_EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


class Inside:
    """The inside of an emulator, for the Python API and the control endpoint alike.

    All that reads or changes AWS's state raises ``EmulatorError`` while the emulator does not run.
    """

    account_id = "123456789012"

    def __init__(self, seed: int, region: str) -> None:
        """Prepare; nothing is imported before the emulator starts."""
        self.region = region
        self._clock = Clock()
        self._record = Record()
        self.weather = Weather(self._clock, seed)
        self._admins: dict[str, KeyPair] = {}
        self._running_world: World | None = None

    @property
    def _world(self) -> World:
        if self._running_world is None:
            raise EmulatorError("The emulator is not running: use it in a with statement, or call start().")
        return self._running_world

    @property
    def admin(self) -> KeyPair:
        """The key of a user who may do everything in the default account."""
        return self.admin_of(self.account_id)

    def admin_of(self, account_id: str) -> KeyPair:
        """The key of a user who may do everything in that account; user and account are made at need."""
        if account_id not in self._admins:
            name = "administrator"
            pair = self.make_user(name, path="/admin/", keys=1, ages=(400 * _DAY,), account=account_id)[0]
            self._user(name, account_id).put_policy("everything", json.dumps(_EVERYTHING))
            self._admins[account_id] = pair
        return self._admins[account_id]

    @property
    def key_quota(self) -> int:
        """How many access keys CreateAccessKey allows a user: 2 in AWS; raise it to test with more."""
        return self._world.key_quota

    @key_quota.setter
    def key_quota(self, keys: int) -> None:
        self._world.key_quota = keys

    def make_user(
        self,
        name: str,
        path: str = "/machine-users/",
        keys: int = 2,
        ages: Sequence[float] = (40 * _DAY, 16 * _DAY),
        account: str | None = None,
    ) -> list[KeyPair]:
        """Make a user with `keys` settled keys, oldest first, whatever the quota says.

        `ages` (seconds before now) set the keys' CreateDate; keys beyond the ages given are new.
        """
        from moto.iam.models import iam_backends

        from twokey.emulator.services.iam_keys import make_key
        from twokey.emulator.services.iam_users import give_unique_id

        where = account or self.account_id
        padded = sorted((*ages[:keys], *[0.0] * (keys - len(ages))), reverse=True)
        with self._world.lock:
            backend = iam_backends[where]["aws"]
            if name in backend.users:
                raise EmulatorError(f"There is a user called {name} in account {where} already.")
            user = backend.create_user("us-east-1", name, path, None)
            give_unique_id(user)
            dates = [self.now() - timedelta(seconds=age) for age in padded]
            made = [make_key(self._world, where, user, created=date, settled_at=ALWAYS) for date in dates]
        return [KeyPair(entry.id, entry.secret) for entry in made]

    def _user(self, name: str, account: str | None = None) -> Any:
        from moto.iam.models import iam_backends

        where = account or self.account_id
        user = iam_backends[where]["aws"].users.get(name)
        if user is None:
            raise EmulatorError(f"There is no user called {name} in account {where}.")
        return user

    def _key(self, key_id: str) -> Key:
        entry = self._world.keyring.find(key_id)
        if entry is None or entry.deleted:
            raise EmulatorError(f"There is no access key {key_id}.")
        return entry

    def keys(self, user: str, account: str | None = None) -> list[tuple[str, str, datetime]]:
        """The truth about a user's keys, whatever the weather shows: id, status and creation, oldest first."""
        with self._world.lock:
            entries = self._world.keyring.of_user(self._user(user, account))
            found = [(e.id, str(e.key.status), e.key.create_date.replace(tzinfo=UTC)) for e in entries]
        return sorted(found, key=lambda row: (row[2], row[0]))

    def set_last_used(
        self, key_id: str, seconds_ago: float | None, service: str = "s3", region: str | None = None
    ) -> None:
        """Make GetAccessKeyLastUsed say that a key was used so long ago; None: never."""
        with self._world.lock:
            entry = self._key(key_id)
            entry.uses.clear()
            entry.key.last_used = None
            if seconds_ago is not None:
                at = self._clock.seconds() - seconds_ago
                entry.uses.append(LastUse(at, service, region or self.region))

    def age_key(self, key_id: str, seconds: float) -> None:
        """Make a key `seconds` old: its CreateDate becomes that long before now, and it has settled."""
        with self._world.lock:
            self._world.keyring.age(self._key(key_id), self.now() - timedelta(seconds=seconds))

    def authenticates(self, key: KeyPair) -> bool:
        """Whether a request signed with the key would be accepted now; it is not recorded and is no use of the key."""
        with self._world.lock:
            session = self._world.sessions.find(key.access_key_id)
            if session is not None:
                same = (session.secret_access_key, session.token) == (key.secret_access_key, key.session_token)
                return same and self.now() < session.expires
            entry = self._world.keyring.find(key.access_key_id)
            return entry is not None and entry.secret == key.secret_access_key and self._world.keyring.works(entry)

    def advance(self, seconds: float) -> None:
        """Move the emulator's time forward; signatures are still compared with the real time."""
        self._clock.advance(seconds)

    def now(self) -> datetime:
        """The emulator's time, in UTC."""
        return self._clock.now()

    @property
    def requests(self) -> list[Request]:
        """Every request since the start or the last `clear_requests`, oldest first."""
        return self._record.all()

    def count(self, pattern: str = "*") -> int:
        """How many recorded requests match a pattern such as `iam:CreateAccessKey` or `iam:*`."""
        return self._record.count(pattern)

    def clear_requests(self) -> None:
        """Forget the recorded requests."""
        self._record.clear()
