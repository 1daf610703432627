"""One botocore client per service and region for the whole process, whatever the number of accounts and keys.

A client of a session of its own costs about 180 ms and 11 MB, as botocore makes both. So the credentials that sign a
request are selected for each request: a context variable contains them, and a handler of botocore's ``choose-signer``
event passes them to the signer.
"""

from __future__ import annotations

import math
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from twokey.aws import origin
from twokey.aws.clock import ServiceClock
from twokey.core.errors import TwokeyError
from twokey.core.secret import Credential, Hidden, SessionCredential
from twokey.system import quiet_logs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    import botocore.credentials
    import botocore.session

    from twokey.aws.direct import Direct
    from twokey.aws.own_credentials import OwnCredentials
    from twokey.aws.request_log import RequestLog

_signer: ContextVar[botocore.credentials.Credentials | None] = ContextVar("twokey_signer", default=None)

CONNECT_TIMEOUT = 5
READ_TIMEOUT = 10
ATTEMPTS = 4
_RETRY_MODE: Literal["standard"] = "standard"
CALL_LIMIT = ATTEMPTS * (CONNECT_TIMEOUT + READ_TIMEOUT) + 15
"""The maximum duration of one call in seconds, including retries and their pauses."""


class Clients:
    """The AWS clients of one run, and the clock that follows their responses.

    ``run`` is the run's id; it goes into the user agent, and so into CloudTrail.
    """

    def __init__(self, run: str, *, clock: ServiceClock | None = None, connections: int = 64) -> None:
        self.run = run
        self.clock = clock or ServiceClock()
        self._connections = connections
        self._clients: dict[tuple[str, str | None, bool, bool], Any] = {}
        self._direct: dict[tuple[str, str | None], Direct] = {}
        self._lock = threading.Lock()
        self._session: botocore.session.Session | None = None
        self._agent = ""
        self._request_log: RequestLog | None = None

    def record_requests(self) -> RequestLog:
        """Collect the changes that are requested of AWS from now on."""
        from twokey.aws.request_log import RequestLog

        with self._lock:
            self._request_log = RequestLog(self.clock)
            for client in self._clients.values():
                self._request_log.follow(client)
            return self._request_log

    @property
    def session(self) -> botocore.session.Session:
        """Return the botocore session, which gets credentials, region and endpoints where the AWS SDKs get them.

        Raises ``UsageError`` for a configured endpoint that is not encrypted, and for settings that cannot be used.
        """
        if self._session is None:
            import botocore.session

            from twokey.aws import endpoints, settings
            from twokey.aws.own_credentials import ProviderChain

            quiet_logs.hide("botocore", "urllib3")
            session = botocore.session.Session(session_vars=settings.variables())
            settings.check(session)
            endpoints.refuse_unusable(session)
            session.register("before-send", endpoints.refuse_to_send)
            session.register("before-send", settings.ProxyCheck())
            session.register("needs-retry", partial(settings.refuse_bundle, session))
            session.register_component("credential_provider", ProviderChain(session))
            self._session = session
        return self._session

    @property
    def region(self) -> str:
        """The region of a client for which none is named; empty where none is configured."""
        try:
            return self.session.get_config_variable("region") or ""
        except TwokeyError:
            raise
        except Exception as error:  # noqa: BLE001  botocore raises many kinds, all about its configuration
            from twokey.aws.errors import before_sending

            raise before_sending(error, "Reading the AWS region") from None

    def own_key(self) -> str:
        """Return the id of the access key that twokey itself runs with; raises ``CredentialsUnavailable``."""
        return str(self._own().get_frozen_credentials().access_key)

    def credentials_left(self) -> float:
        """Return for how many seconds twokey's own credentials are valid; infinite where their end is not known.

        Asking for them renews what can be renewed: botocore does so from 15 minutes before their end.
        """
        own = self._own()
        own.get_frozen_credentials()
        end = own.expiry
        return math.inf if end is None else (end - self.clock.now()).total_seconds()

    def own_credential(self) -> Credential:
        """Return twokey's own credentials, if possible renewed; raises ``CredentialsUnavailable``."""
        own = self._own()
        key_id, secret, token, *_ = map(_hidden, own.get_frozen_credentials())
        return SessionCredential(str(key_id), secret, token, own.expiry) if token else Credential(str(key_id), secret)

    def own_source(self) -> str:
        """Return where botocore found twokey's own credentials, by its name: ``env``, ``iam-role``, …"""
        return self._own().method

    def profile(self) -> Mapping[str, Any]:
        """Return the settings of the profile in use, and those of its ``services`` section under that name."""
        try:
            found: dict[str, Any] = dict(self.session.get_scoped_config())
            section = self.session.full_config.get("services", {}).get(found.get("services"))
        except Exception as error:  # noqa: BLE001  botocore raises many kinds, all about its files
            from twokey.aws.errors import before_sending

            raise before_sending(error, "Reading the AWS configuration") from None
        return {**found, "services": section} if section else found

    def _own(self) -> OwnCredentials:
        from twokey.aws.own_credentials import OwnCredentials

        own: Any = self.session.get_credentials()
        # A session that was given its credentials has botocore's own.
        return own if isinstance(own, OwnCredentials) else OwnCredentials(own, self.session)

    def client(self, service: str, region: str | None = None, *, once: bool = False, keyless: bool = False) -> Any:
        """Return the client for a service and region. With ``once`` it sends each request exactly one time.

        A ``keyless`` one has no credentials of its own: each request is signed with those of ``signing_as``, or not at
        all. Others look for twokey's own when they are created, which takes seconds where there are none.
        ``total_max_attempts`` takes precedence over AWS_MAX_ATTEMPTS and the profile.
        """
        key = (service, region, once, keyless)
        with self._lock:
            if key not in self._clients:
                try:
                    self._clients[key] = self._create(service, region, once=once, keyless=keyless)
                except TwokeyError:
                    raise
                except Exception as error:  # noqa: BLE001  botocore raises many kinds, all before it sends
                    from twokey.aws.errors import before_sending

                    raise before_sending(error, f"Creating a client for {service}") from None
            return self._clients[key]

    def send(self, service: str, operation: str, parameters: Mapping[str, Any], region: str | None = None) -> Any:
        """Send a request exactly one time and return the response; raises what botocore raises."""
        from botocore import xform_name

        client = self.client(service, region, once=True)
        direct = self._direct[service, region]
        # The request log follows botocore's own requests.
        if self._request_log is None and direct.can(operation):
            return direct.send(operation, parameters)
        return getattr(client, xform_name(operation))(**parameters)

    def _create(self, service: str, region: str | None, *, once: bool, keyless: bool) -> Any:
        from botocore.config import Config

        from twokey.aws import settings
        from twokey.aws.direct import Direct, Edge
        from twokey.aws.models import models
        from twokey.http.bounded import limited

        session = self.session
        session.register_component("data_loader", models(session.get_config_variable("data_path")))
        unused = "none" if keyless else None
        self._agent = self._agent or _user_agent(session)
        retries: Any = {"mode": _RETRY_MODE, "total_max_attempts": 1 if once else ATTEMPTS}
        extra = f"twokey/{self.run}"
        client: Any = session.create_client(
            service,
            region_name=region,
            aws_access_key_id=unused,
            aws_secret_access_key=unused,
            config=Config(
                retries=retries,
                connect_timeout=CONNECT_TIMEOUT,
                read_timeout=READ_TIMEOUT,
                max_pool_connections=self._connections,
                user_agent=self._agent,
                user_agent_extra=extra,
                # One client serves many accounts: an endpoint of one of them would be wrong for the others.
                account_id_endpoint_mode="disabled",
            ),
        )
        quiet_logs.hide("botocore", "urllib3")  # creating the client has imported further modules
        pools = client._endpoint.http_session._pool_classes_by_scheme  # noqa: SLF001  botocore has no public way
        pools.update(limited(pools))
        client.meta.events.register("choose-signer", _choose_credentials)
        client.meta.events.register("before-parse", origin.refuse_page)
        client.meta.events.register("response-received", self._record_date)
        if self._request_log is not None:
            self._request_log.follow(client)
        if once and not keyless:
            failed = partial(settings.refuse_bundle, session)
            edge = Edge(f"{self._agent} {extra}", self._signing, self._record_date, failed)
            self._direct[service, region] = Direct(client, edge)
        return client

    def _signing(self) -> Any:
        """Return the credentials that sign a request of this thread, if possible renewed."""
        credentials: Any = _signer.get() or self.session.get_credentials()
        return credentials.get_frozen_credentials()

    def _record_date(
        self, response_dict: dict[str, Any] | None = None, parsed_response: dict[str, Any] | None = None, **_: object
    ) -> None:
        if response_dict and parsed_response and origin.is_from_aws(parsed_response):
            self.clock.record_date(response_dict["headers"].get("date"))


def _user_agent(session: botocore.session.Session) -> str:
    """Return what botocore calls itself, the operating system and the application; it would compose it twice a request.

    What it adds for a single request is left out: which of its own features the request used.
    """
    from botocore.config import Config
    from botocore.useragent import UserAgentString

    agent: Any = UserAgentString.from_environment()
    agent.set_session_config(session.user_agent_name, session.user_agent_version, None)
    config: Any = Config(retries={"mode": _RETRY_MODE})
    config.user_agent_appid = session.get_config_variable("user_agent_appid")
    return str(agent.with_client_config(config).to_string())


def _hidden(text: str | None) -> Hidden:
    return Hidden(text or "")


def _end(credentials: Any) -> datetime | None:
    """Return when the credentials end: only those that can be renewed know it, and have no public name for it."""
    end: datetime | None = getattr(credentials, "_expiry_time", None)
    return end


@contextmanager
def signing_as(key_id: str, secret: str, token: str | None = None) -> Iterator[None]:
    """Sign every request of this thread with these credentials while the block runs."""
    from botocore.credentials import Credentials

    previous = _signer.set(Credentials(key_id, secret, token))
    try:
        yield
    finally:
        _signer.reset(previous)


@contextmanager
def signed_by(credentials: Callable[[], botocore.credentials.Credentials]) -> Iterator[None]:
    """Sign every request of this thread with these credentials while the block runs; not within ``signing_as``."""
    if _signer.get() is not None:
        yield
        return
    previous = _signer.set(credentials())
    try:
        yield
    finally:
        _signer.reset(previous)


def _choose_credentials(context: dict[str, Any], **_: object) -> None:
    credentials = _signer.get()
    if credentials is not None:
        context["signing"] = {**context.get("signing", {}), "request_credentials": credentials}
