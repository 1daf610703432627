"""The state of a running emulator that tests read and change: users, keys, time, recorded requests."""

from __future__ import annotations

import json
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

from twokey.emulator import partition
from twokey.emulator.clock import Clock
from twokey.emulator.keyring import ALWAYS, LastUse
from twokey.emulator.record import Record
from twokey.emulator.values import EmulatorError, KeyPair, Request
from twokey.emulator.weather import Weather

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from twokey.emulator.keyring import Key
    from twokey.emulator.organization import Organization
    from twokey.emulator.world import World

_DAY = 86400
_EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


class Inside:
    """The state of an emulator, for the Python API and the control endpoint.

    Everything that reads or changes the emulated AWS raises ``EmulatorError`` while the emulator does not run.
    """

    account_id = "123456789012"

    def __init__(self, seed: int, region: str, clock: Clock | None = None) -> None:
        """Prepare; moto is imported when the emulator starts."""
        self.region = region
        self._clock = clock or Clock()
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
        """The key of a user with all permissions in the default account."""
        return self.admin_of(self.account_id)

    def admin_of(self, account_id: str) -> KeyPair:
        """The key of a user with all permissions in that account. User and account are created on demand."""
        if account_id not in self._admins:
            name = "administrator"
            pair = self.make_user(name, path="/admin/", keys=1, ages=(400 * _DAY,), account=account_id)[0]
            self._user(name, account_id).put_policy("everything", json.dumps(_EVERYTHING))
            self._admins[account_id] = pair
        return self._admins[account_id]

    def organization(self, management: str | None = None) -> Organization:
        """The organization of a management account, by default of the default account; created on demand."""
        from twokey.emulator.organization import Organization

        return Organization(self._world, management or self.account_id, self.region)

    @property
    def key_quota(self) -> int:
        """The number of access keys that CreateAccessKey allows for each user: 2, as in AWS."""
        return self._world.key_quota

    @key_quota.setter
    def key_quota(self, keys: int) -> None:
        self._world.key_quota = keys

    def set_issuer_keys(self, issuer: str, url: str) -> None:
        """Read the keys (JWKS) of an OIDC issuer from this URL, which a test serves, not from the issuer itself."""
        with self._world.lock:
            self._world.issuer_keys[issuer] = url

    def make_user(
        self,
        name: str,
        path: str = "/machine-users/",
        keys: int = 2,
        ages: Sequence[float] = (40 * _DAY, 16 * _DAY),
        account: str | None = None,
    ) -> list[KeyPair]:
        """Create a user and return its keys, oldest first. They have propagated. The quota does not apply.

        `ages` (seconds before now) set the CreateDate of the keys; keys without an age are new.
        """
        from twokey.emulator.services.iam_keys import make_key
        from twokey.emulator.services.iam_users import set_unique_id

        where = account or self.account_id
        padded = sorted((*ages[:keys], *[0.0] * (keys - len(ages))), reverse=True)
        with self._world.lock:
            backend = partition.iam_of(where)
            if name in backend.users:
                raise EmulatorError(f"The user {name} exists already in account {where}: choose another name.")
            user = backend.create_user(self.region, name, path, None)
            set_unique_id(user)
            dates = [self.now() - timedelta(seconds=age) for age in padded]
            entries = [make_key(self._world, where, user, created=date, propagated_at=ALWAYS) for date in dates]
        return [KeyPair(entry.id, entry.secret) for entry in entries]

    def _user(self, name: str, account: str | None = None) -> Any:
        where = account or self.account_id
        user = partition.iam_of(where).users.get(name)
        if user is None:
            raise EmulatorError(f"The user {name} does not exist in account {where}: create it with make_user.")
        return user

    def _key(self, key_id: str) -> Key:
        entry = self._world.keyring.find(key_id)
        if entry is None or entry.deleted:
            raise EmulatorError(f"The access key {key_id} does not exist, or was deleted.")
        return entry

    def keys(self, user: str, account: str | None = None) -> list[tuple[str, str, datetime]]:
        """The actual keys of a user, independent of the weather: id, status and creation date, oldest first."""
        with self._world.lock:
            entries = self._world.keyring.of_user(self._user(user, account))
            rows = [(e.id, str(e.key.status), e.key.create_date.replace(tzinfo=UTC)) for e in entries]
        return sorted(rows, key=lambda row: (row[2], row[0]))

    def set_last_used(
        self, key_id: str, seconds_ago: float | None, service: str = "s3", region: str | None = None
    ) -> None:
        """Set the last use that GetAccessKeyLastUsed reports; None: never used."""
        with self._world.lock:
            entry = self._key(key_id)
            entry.uses.clear()
            entry.key.last_used = None
            if seconds_ago is not None:
                at = self._clock.seconds() - seconds_ago
                entry.uses.append(LastUse(at, service, region or self.region))

    def age_key(self, key_id: str, seconds: float) -> None:
        """Set the age of a key: its CreateDate becomes `seconds` before now, and it has propagated."""
        with self._world.lock:
            self._world.keyring.age(self._key(key_id), self.now() - timedelta(seconds=seconds))

    def authenticates(self, key: KeyPair) -> bool:
        """Whether a request signed with the key would be accepted now. Not recorded, and not a use of the key."""
        with self._world.lock:
            session = self._world.sessions.find(key.access_key_id)
            if session is not None:
                same = (session.secret_access_key, session.token) == (key.secret_access_key, key.session_token)
                return same and self.now() < session.expires
            entry = self._world.keyring.find(key.access_key_id)
            return entry is not None and entry.secret == key.secret_access_key and self._world.keyring.works(entry)

    def advance(self, seconds: float) -> None:
        """Move the emulator's time forward. Signatures are still checked against the real time."""
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
        """Clear the recorded requests."""
        self._record.clear()
