"""Requests of botocore to the emulator of this process, without the connection between the two.

The connection, and the changes between its client's thread and the server's, cost almost as much as all that botocore
and the emulator do for a request. What is sent and returned stays the same: botocore serialises and signs the request,
the emulator reads, checks and performs it, and botocore parses the response.

Connections remain wherever they matter: for other processes, through a proxy, while the weather has a fault that breaks
a connection of the request's service, or a delay, that is still to come, and in ``ON_CONNECTIONS``. A client that has
used a connection keeps using connections until the weather is cleared, so that it meets all that a fault does to them.
"""

from __future__ import annotations

import fnmatch
from io import BytesIO
from threading import RLock
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSHTTPConnectionPool, AWSHTTPSConnectionPool, AWSResponse
from botocore.httpsession import ProxyConfiguration, URLLib3Session
from urllib3 import HTTPHeaderDict, HTTPResponse

from twokey.emulator import Emulator
from twokey.emulator.front import Ending
from twokey.emulator.weather import Weather
from twokey.emulator.wire import Incoming

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest

    from twokey.emulator.weather import Rule

ON_CONNECTIONS = ("tests/aws/", "tests/emulator/")
"""The tests of the two ends of a connection."""
RESPONSES = {"error_before", "error_after", "throttle", "html"}
"""The effects of faults that are responses as all others."""


class Shortcut:
    """The way from botocore's sessions to the emulator that runs, if ``open``."""

    open = True
    _emulator: Emulator | None = None
    _url = ""
    _cleared = 0
    """How often the weather was cleared."""

    def install(self) -> None:
        """Let requests take it from now on."""
        emulators, sessions = _methods(Emulator), _methods(URLLib3Session)
        weathers = _methods(Weather)
        start, stop, send, clear = emulators.start, emulators.stop, sessions.send, weathers.clear
        _begin_when_needed(sessions)

        def started(emulator: Emulator) -> Emulator:
            start(emulator)
            self._emulator, self._url = emulator, f"{emulator.endpoint_url}/"
            return emulator

        def stopped(emulator: Emulator) -> None:
            if emulator is self._emulator:
                self._emulator = None
            stop(emulator)

        def sent(session: Any, request: AWSPreparedRequest) -> Any:
            emulator = self._emulator
            if emulator is None or not self._may_take(session, request, emulator):
                session._used_connections = self._cleared
                return send(session, request)
            return _respond(emulator, request, self._url)

        def cleared(weather: Weather) -> None:
            clear(weather)
            self._cleared += 1

        emulators.start, emulators.stop, sessions.send, weathers.clear = started, stopped, sent, cleared

    def _may_take(self, session: Any, request: AWSPreparedRequest, emulator: Emulator) -> bool:
        url = str(request.url)
        return (
            self.open
            and url.startswith(self._url)
            and vars(session).get("_used_connections") != self._cleared
            and not session._proxy_config.proxy_url_for(url)
            and not emulator.weather.latency
            and not any(_may_break(rule, request) for rule in emulator.weather.rules)
        )


def _may_break(rule: Rule, request: AWSPreparedRequest) -> bool:
    """Say whether a rule may break a connection of this request's service."""
    if rule.effect in RESPONSES or rule.hits == rule.times:
        return False
    # Credential=ID/DATE/REGION/SERVICE/aws4_request: a request that is not signed may be of any service.
    scope = _text(request.headers.get("Authorization", "")).split("/", 4)
    return len(scope) < 5 or fnmatch.fnmatchcase(scope[3], rule.operation.partition(":")[0])


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode()


SHORTCUT = Shortcut()


def _methods(owner: Any) -> Any:
    """Return a class as one whose methods may be replaced."""
    return owner


def _begin_when_needed(sessions: Any) -> None:
    """Let a session of botocore begin when its first connection is needed: its TLS costs a third of a client."""
    make, close = sessions.__init__, sessions.close
    one_at_a_time = RLock()

    def made(session: Any, **options: Any) -> None:
        session._options = options
        session._proxy_config = ProxyConfiguration(options.get("proxies"), options.get("proxies_config"))
        session._pool_classes_by_scheme = {"http": AWSHTTPConnectionPool, "https": AWSHTTPSConnectionPool}

    def attribute(session: Any, name: str) -> Any:
        with one_at_a_time:
            if name in vars(session):  # made by another thread meanwhile
                return vars(session)[name]
            options = vars(session).pop("_options", None)
            if options is None:
                raise AttributeError(name)
            pools = session._pool_classes_by_scheme
            make(session, **options)
            session._pool_classes_by_scheme.update(pools)
            return getattr(session, name)

    def closed(session: Any) -> None:
        if "_options" not in vars(session):
            close(session)

    sessions.__init__, sessions.__getattr__, sessions.close = made, attribute, closed


def _respond(emulator: Emulator, request: AWSPreparedRequest, url: str) -> AWSResponse:
    delivery = emulator._server.handler(_incoming(request, url), lambda: False)
    response = delivery.response
    assert delivery.ending is Ending.WHOLE, "a fault was added after its client had begun this request"
    assert response
    headers: Any = HTTPHeaderDict(emulator._server.headers_of(response))
    body = b"" if request.method == "HEAD" else response.body
    options: Any = {"preload_content": False, "decode_content": False, "enforce_content_length": False}
    # Only a stream is read from the connection by others than botocore, which gets all else as it is.
    raw: Any = HTTPResponse(BytesIO(body), headers, response.status, **options) if request.stream_output else None
    returned = AWSResponse(str(request.url), response.status, headers, raw)
    if raw is None:
        vars(returned)["_content"] = body
    return returned


def _incoming(request: AWSPreparedRequest, url: str) -> Incoming:
    """Return the request as the server would read it from a connection."""
    fields = [("Host", url.removeprefix("http://").rstrip("/"))]
    fields += [(name, _text(value)) for name, value in request.headers.items()]
    target = f"/{str(request.url).removeprefix(url)}"
    return Incoming(request.method, target, {name.lower(): value for name, value in fields}, fields, _body(request))


def _body(request: AWSPreparedRequest) -> bytes:
    body: Any = request.body
    if hasattr(body, "read"):
        body = body.read()
    return body.encode() if isinstance(body, str) else bytes(body or b"")
