"""The emulator as Python code uses it: start, look inside, set the weather."""

from __future__ import annotations

import json
import os
import threading
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from twokey.emulator import moto_side
from twokey.emulator.clock import Clock
from twokey.emulator.control import Control
from twokey.emulator.front import Front
from twokey.emulator.identity import Sessions
from twokey.emulator.keyring import ALWAYS, Keyring, LastUse
from twokey.emulator.record import Record
from twokey.emulator.server import HOST, Server
from twokey.emulator.values import EmulatorError, KeyPair, Request
from twokey.emulator.weather import Weather
from twokey.emulator.world import World

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from twokey.emulator.keyring import Key

_DAY = 86400
_EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
_one_at_a_time = threading.Lock()


class Emulator:
    """An AWS on this machine, strict about keys, sessions and permissions.

    One at a time per process, since moto's state belongs to the process; starting one forgets what was there.
    `port=0` takes a free one; `page_size` caps the pages of lists; `seed` makes weather and ids repeatable.
    """

    account_id = "123456789012"

    def __init__(self, port: int = 0, page_size: int = 1000, seed: int = 0, region: str = "eu-central-1") -> None:
        """Prepare; nothing is imported or opened before `start`."""
        self.region = region
        self._port = port
        self._seed = seed
        self._page_size = page_size
        self._clock = Clock()
        self._record = Record()
        self.weather = Weather(self._clock, seed)
        self._running: tuple[World, Server] | None = None
        self._admins: dict[str, KeyPair] = {}

    def start(self) -> Self:
        """Start serving; EmulatorError if another runs in this process, the port is taken, or moto is missing."""
        if not _one_at_a_time.acquire(blocking=False):
            raise EmulatorError("An emulator is already running in this process: moto's state allows one at a time.")
        try:
            self._running = self._begin()
        except BaseException:
            _one_at_a_time.release()
            raise
        self._admins = {}
        self.admin_of(self.account_id)
        self._server.start()
        return self

    def _begin(self) -> tuple[World, Server]:
        moto_side.load()
        moto_side.start(self._clock, self._seed)
        keyring = Keyring(self._clock, self.weather, self._seed)
        world = World(self._clock, self.weather, keyring, Sessions(), moto_side.Moto(), self._page_size)
        front = Front(world, self._record)
        control = Control(self, front.handle)
        return world, Server(self._port, control.handle, self._clock.http_date)

    def stop(self) -> None:
        """Stop serving; held requests are let go. Stopping twice is fine."""
        if self._running is None:
            return
        self.weather.release()
        server = self._server
        self._running = None
        server.stop()
        moto_side.stop()
        _one_at_a_time.release()

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        """Stop."""
        self.stop()

    @property
    def _world(self) -> World:
        if self._running is None:
            raise EmulatorError("The emulator is not running: use it in a with statement, or call start().")
        return self._running[0]

    @property
    def _server(self) -> Server:
        if self._running is None:
            raise EmulatorError("The emulator is not running: use it in a with statement, or call start().")
        return self._running[1]

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.port

    @property
    def endpoint_url(self) -> str:
        """What AWS_ENDPOINT_URL must be."""
        return f"http://{HOST}:{self.port}"

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

    def environment(self, key: KeyPair | None = None) -> dict[str, str]:
        """The variables that lead an AWS SDK or the AWS CLI here, as `key` (default: the administrator)."""
        pair = key or self.admin
        token = {"AWS_SESSION_TOKEN": pair.session_token} if pair.session_token else {}
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": pair.access_key_id,
            "AWS_SECRET_ACCESS_KEY": pair.secret_access_key,
            **token,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str, key: KeyPair | None = None, region: str | None = None) -> Any:
        """An ordinary botocore client that signs as `key` (default: the administrator)."""
        pair = key or self.admin
        session = _botocore_session()
        return session.create_client(
            service,
            region_name=region or self.region,
            endpoint_url=self.endpoint_url,
            aws_access_key_id=pair.access_key_id,
            aws_secret_access_key=pair.secret_access_key,
            aws_session_token=pair.session_token,
        )

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

        from .services.iam_keys import make_key
        from .services.iam_users import give_unique_id

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
        from datetime import UTC

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


@cache
def _models() -> Any:
    """botocore's service models, read once for all clients: reading them is most of what a client costs."""
    import botocore.loaders

    return botocore.loaders.create_loader()


def _botocore_session() -> Any:
    """A session that looks at nothing of the user's own configuration."""
    import botocore.session

    session = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
    session.register_component("data_loader", _models())
    for variable in ("config_file", "credentials_file"):
        session.set_config_variable(variable, os.devnull)
    return session
