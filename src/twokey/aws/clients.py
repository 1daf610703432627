"""One botocore client per service and region for the whole process, whatever the number of accounts and keys.

A client costs about 180 ms and 11 MB. Whose credentials sign a request is therefore chosen per request: a context
variable says whose, and a handler of botocore's ``choose-signer`` event hands them to the signer.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from twokey.aws import origin
from twokey.aws.clock import ServiceClock
from twokey.core.errors import BadCredentials

if TYPE_CHECKING:
    from collections.abc import Iterator

    import botocore.client
    import botocore.credentials
    import botocore.session

_signer: ContextVar[botocore.credentials.Credentials | None] = ContextVar("twokey_signer", default=None)

CONNECT_TIMEOUT = 5
READ_TIMEOUT = 10
ATTEMPTS = 4
CALL_LIMIT = ATTEMPTS * (CONNECT_TIMEOUT + READ_TIMEOUT) + 15
"""Seconds that one call can take at the very most, repetitions and their pauses included."""


class Clients:
    """The AWS clients of one run, and the clock that their answers tell.

    ``run`` is the run's id; it goes into the user agent, and so into CloudTrail.
    """

    def __init__(self, run: str, *, clock: ServiceClock | None = None, connections: int = 64) -> None:
        self.run = run
        self.clock = clock or ServiceClock()
        self._connections = connections
        self._clients: dict[tuple[str, str | None, bool], Any] = {}
        self._lock = threading.Lock()
        self._session: botocore.session.Session | None = None
        # DEBUG logs of botocore carry request and response bodies, secrets among them. No setting of a logger, made
        # before or after, turns on what is disabled.
        logging.disable(logging.DEBUG)

    @property
    def session(self) -> botocore.session.Session:
        """Return the botocore session; it looks for credentials, region and endpoints where the SDKs look."""
        if self._session is None:
            import botocore.session

            self._session = botocore.session.Session()
        return self._session

    def own_key(self) -> str:
        """Return the id of the access key that twokey itself runs with; raises ``BadCredentials`` for none."""
        from twokey.aws.errors import translate

        try:
            credentials = self.session.get_credentials()
        except Exception as error:  # noqa: BLE001  botocore raises many kinds here, all of them about credentials
            raise translate(error, action="Getting AWS credentials", resource="", effect=False) from None
        if credentials is None:
            raise BadCredentials(
                "No AWS credentials were found.",
                state="Nothing was called.",
                remedy="Give them where the AWS SDKs look: AWS_PROFILE, the environment, or a role.",
            )
        return str(credentials.get_frozen_credentials().access_key)

    def client(self, service: str, region: str | None = None, *, once: bool = False) -> Any:
        """Return the client for a service and region. With ``once`` it sends each request exactly one time.

        ``total_max_attempts`` is what botocore obeys whatever AWS_MAX_ATTEMPTS and the profile say.
        """
        key = (service, region, once)
        with self._lock:
            if key not in self._clients:
                try:
                    self._clients[key] = self._make(service, region, once=once)
                except Exception as error:  # noqa: BLE001  of many kinds, and all before anything is sent
                    from twokey.aws.errors import unusable

                    raise unusable(error, f"Making a client for {service}") from None
            return self._clients[key]

    def _make(self, service: str, region: str | None, *, once: bool) -> botocore.client.BaseClient:
        from botocore.config import Config

        client = self.session.create_client(
            service,
            region_name=region,
            config=Config(
                retries={"mode": "standard", "total_max_attempts": 1 if once else ATTEMPTS},
                connect_timeout=CONNECT_TIMEOUT,
                read_timeout=READ_TIMEOUT,
                max_pool_connections=self._connections,
                user_agent_extra=f"twokey/{self.run}",
            ),
        )
        client.meta.events.register("choose-signer", _choose_credentials)
        client.meta.events.register("before-parse", origin.refuse_page)
        client.meta.events.register("response-received", self._note_date)
        return client

    def _note_date(
        self, response_dict: dict[str, Any] | None = None, parsed_response: dict[str, Any] | None = None, **_: object
    ) -> None:
        if response_dict and parsed_response and origin.is_from_aws(parsed_response):
            self.clock.saw(response_dict["headers"].get("date"))


@contextmanager
def signing_as(key_id: str, secret: str, token: str | None = None) -> Iterator[None]:
    """Sign every request of this thread with these credentials while the block runs."""
    from botocore.credentials import Credentials

    mark = _signer.set(Credentials(key_id, secret, token))
    try:
        yield
    finally:
        _signer.reset(mark)


def _choose_credentials(context: dict[str, Any], **_: object) -> None:
    credentials = _signer.get()
    if credentials is not None:
        context["signing"] = {**context.get("signing", {}), "request_credentials": credentials}
