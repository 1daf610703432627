"""The emulator's Python API: start and stop, clients, environment."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Self

from twokey.emulator import moto_side, partition
from twokey.emulator.control import Control
from twokey.emulator.front import Ending, Front
from twokey.emulator.identity import Sessions
from twokey.emulator.inside import Inside
from twokey.emulator.keyring import Keyring
from twokey.emulator.server import HOST, Server
from twokey.emulator.values import EmulatorError, KeyPair
from twokey.emulator.wire import Incoming
from twokey.emulator.world import World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.emulator.clock import Clock

_one_at_a_time = threading.Lock()


class Emulator(Inside):
    """An AWS emulator on this machine, strict about keys, sessions and permissions.

    One at a time per process, because moto's state belongs to the process. A start discards all earlier state.
    `port=0` selects a free port; `page_size` limits the pages of lists; `seed` makes weather and ids repeatable.
    `clock` replaces the machine's time.
    """

    def __init__(
        self,
        port: int = 0,
        page_size: int = 1000,
        seed: int = 0,
        region: str = "eu-central-1",
        clock: Clock | None = None,
    ) -> None:
        """Prepare; `start` imports moto and opens the port."""
        super().__init__(seed, region, clock)
        self._port = port
        self._seed = seed
        self._page_size = page_size
        self._running_server: Server | None = None

    def start(self) -> Self:
        """Start serving; EmulatorError if another runs in this process, the port is in use, or moto is missing."""
        if not _one_at_a_time.acquire(blocking=False):
            raise EmulatorError("An emulator is already running in this process: moto's state allows one at a time.")
        try:
            self._running_world, self._running_server = self._begin()
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
        partition.enter(self.region)
        keyring = Keyring(self._clock, self.weather, self._seed)
        world = World(self._clock, self.weather, keyring, Sessions(), moto_side.Moto(), self._page_size)
        front = Front(world, self._record)
        control = Control(self, front.handle)
        return world, Server(self._port, control.handle, self._clock.http_date)

    def stop(self) -> None:
        """Stop serving, and release held requests. A second call does nothing."""
        server = self._running_server
        if server is None:
            return
        self.weather.release()
        self._running_world, self._running_server = None, None
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
    def _server(self) -> Server:
        if self._running_server is None:
            raise EmulatorError("The emulator is not running: use it in a with statement, or call start().")
        return self._running_server

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.port

    def respond(
        self, method: str, target: str, headers: Sequence[tuple[str, str]], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes] | None:
        """The response to a request without a connection: status, headers, body.

        None where it would not arrive whole. `target` is the raw path and query; the headers include `Host`.
        """
        lowercase = {name.lower(): value for name, value in headers}
        delivery = self._server.handler(Incoming(method, target, lowercase, headers, body), lambda: False)
        response = delivery.response
        if response is None or delivery.ending is not Ending.WHOLE:
            return None
        return response.status, self._server.headers_of(response), b"" if method == "HEAD" else response.body

    @property
    def endpoint_url(self) -> str:
        """The value for AWS_ENDPOINT_URL."""
        return f"http://{HOST}:{self.port}"

    def environment(self, key: KeyPair | None = None) -> dict[str, str]:
        """The variables that point an AWS SDK or the AWS CLI at it, as `key` (default: the administrator)."""
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
        from twokey.aws.isolated import make_client

        pair = key or self.admin
        return make_client(
            service,
            endpoint_url=self.endpoint_url,
            region=region or self.region,
            key_id=pair.access_key_id,
            secret=pair.secret_access_key,
            token=pair.session_token,
        )
