"""The AWS clients of a rehearsal: their requests go to a function of this process, and no connection is made.

Nothing of this machine's AWS configuration is read. botocore's pauses before it repeats a request pass on the
rehearsal's clock.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError

from twokey.aws.clients import Clients

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from botocore.awsrequest import AWSPreparedRequest

    from twokey.aws.clock import ServiceClock

    Respond = Callable[
        [str, str, Sequence[tuple[str, str]], bytes], tuple[int, Sequence[tuple[str, str]], bytes] | None
    ]
    """Returns status, headers and body for method, target, headers and body; None: no response arrives."""


class EmulatedClients(Clients):
    """The clients of a run whose requests ``respond`` handles, signed with this key."""

    def __init__(self, respond: Respond, key: tuple[str, str], region: str, clock: ServiceClock) -> None:
        super().__init__("rehearsal", clock=clock)
        self._respond = respond
        session = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
        for variable, value in {"config_file": os.devnull, "credentials_file": os.devnull, "region": region}.items():
            session.set_config_variable(variable, value)
        session.set_config_variable("ignore_configured_endpoint_urls", value=True)
        session.set_credentials(*key)
        send: Any = self._send
        session.register("before-send", send)
        self._session = session

    def _create(self, service: str, region: str | None, *, once: bool, keyless: bool) -> Any:
        client = super()._create(service, region, once=once, keyless=keyless)
        endpoint = client._endpoint  # noqa: SLF001  botocore has no public way
        endpoint._event_emitter = _Unhurried(endpoint._event_emitter, self.clock)  # noqa: SLF001  as above
        return client

    def _send(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        url = str(request.url)
        host, slash, rest = url.partition("//")[2].partition("/")
        fields = [("Host", host), *((name, _text(value)) for name, value in request.headers.items())]
        response = self._respond(request.method, slash + rest or "/", fields, _body(request))
        if response is None:
            raise ConnectionClosedError(endpoint_url=url)
        from urllib3 import HTTPHeaderDict

        status, headers, body = response
        carried: Any = HTTPHeaderDict(headers)
        return AWSResponse(url, status, carried, _Raw(body))


class _Raw:
    """The body of a response, as botocore reads it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: object, **_options: object) -> Iterator[bytes]:
        yield self._body


class _Unhurried:
    """botocore's events. Where one says how long to pause, the clock passes that time, and botocore does not wait."""

    def __init__(self, events: Any, clock: ServiceClock) -> None:
        self._events = events
        self._clock = clock

    def emit(self, event_name: str, **arguments: Any) -> Any:
        responses = self._events.emit(event_name, **arguments)
        if not event_name.startswith("needs-retry."):
            return responses
        pause = next((pause for _, pause in responses if pause is not None), None)
        if pause is None or pause is False:
            return responses
        self._clock.sleep(pause)
        return [(None, 0.0)]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._events, name)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode()


def _body(request: AWSPreparedRequest) -> bytes:
    body: Any = request.body
    if hasattr(body, "read"):
        body = body.read()
    return body.encode() if isinstance(body, str) else bytes(body or b"")
