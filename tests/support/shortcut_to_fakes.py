"""Requests of twokey to the fakes of services in this process, without the connection between the two.

As ``shortcut`` does for the emulator: the connection, and the changes between its client's thread and the server's,
cost more than all that twokey and the fake do for a request. What is sent and returned stays the same.

Connections remain wherever they matter: for other processes, with TLS, through a proxy, for requests that a fault may
break the connection of, and in ``ON_CONNECTIONS``: the tests of HTTP itself, and the contract of two destinations.
"""

from __future__ import annotations

import re
from email.utils import formatdate
from functools import lru_cache
from io import BytesIO
from typing import Any

from urllib3 import HTTPHeaderDict, HTTPResponse, PoolManager
from urllib3.util import parse_url

from twokey.testing.server import FakeService

ON_CONNECTIONS = (
    "tests/http/",
    "tests/destinations/ci/test_circleci.py",
    "tests/destinations/stores/test_doppler.py",
)
BREAKING = {"lost_response", "reset", "stall", "truncated"}
WITHOUT_BODY = {"GET", "HEAD", "DELETE", "TRACE", "OPTIONS", "CONNECT"}
"""Methods for which urllib3 sends no length if there is no body."""
_PLAIN = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?)?")
"""Values of headers that arrive as they were sent."""


class ShortcutToFakes:
    """The way from urllib3's pools to the fakes that run, if ``open``."""

    open = True

    def __init__(self) -> None:
        self._fakes: dict[str, FakeService] = {}

    def install(self) -> None:
        """Let requests take it from now on."""
        fakes: Any = FakeService
        pools: Any = PoolManager
        enter, leave, urlopen = fakes.__enter__, fakes.__exit__, pools.urlopen

        def entered(fake: FakeService) -> FakeService:
            enter(fake)
            self._fakes[fake.url] = fake
            return fake

        def left(fake: FakeService, *error: object) -> None:
            self._fakes.pop(fake.url, None)
            leave(fake, *error)

        def opened(pool: PoolManager, method: str, url: str, **options: Any) -> Any:
            fake = self._fakes.get("/".join(url.split("/", 3)[:3])) if self.open else None
            headers = options.get("headers") or {}
            if fake is None or not _may_take(pool, fake, headers) or _may_break(fake, method, url):
                return urlopen(pool, method, url, **options)
            return _respond(fake, method, url, headers, options.get("body"))

        fakes.__enter__, fakes.__exit__, pools.urlopen = entered, left, opened


SHORTCUT_TO_FAKES = ShortcutToFakes()


def _may_take(pool: PoolManager, fake: FakeService, headers: Any) -> bool:
    return (
        type(pool) is PoolManager
        and fake.tls is None
        and "strike" not in vars(fake)
        and all(_PLAIN.fullmatch(value) for value in headers.values())
    )


def _may_break(fake: FakeService, method: str, url: str) -> bool:
    """Return whether a fault may still break the connection of such a request."""
    faults = [fault for fault in fake.faults if fault.effect in BREAKING and not _is_over(fault)]
    return any(fault.matches(method, _host_and_target(url)[1]) for fault in faults)


def _is_over(fault: Any) -> bool:
    return fault.times is not None and fault.seen >= fault.nth + fault.times - 1


@lru_cache(maxsize=64)
def _host_and_target(url: str) -> tuple[str, str]:
    """Return what urllib3 sends of a URL: the header Host, and the target of the request."""
    parsed = parse_url(url)
    return str(parsed.netloc), parsed.request_uri.encode().decode()


def _respond(fake: FakeService, method: str, url: str, headers: Any, body: Any) -> HTTPResponse:
    host, target = _host_and_target(url)
    data = b"" if body is None else bytes(body)
    fields = [("Host", host), ("Accept-Encoding", "identity")]
    if body is not None or method not in WITHOUT_BODY:
        fields.append(("Content-Length", str(len(data))))
    # A server reads strings of its own from a connection.
    fields += [(name, value.encode().decode()) for name, value in headers.items()]
    _, reply = fake.receive(method, target, fields, data)
    content = reply.encoded()
    returned: Any = HTTPHeaderDict({"Server": "fake", "Date": formatdate(usegmt=True)})
    for name, value in reply.fields(len(content)).items():
        assert _PLAIN.fullmatch(value), f"the header {name} of a response would not arrive like this"
        returned.add(name, value)
    return HTTPResponse(
        BytesIO(b"" if method == "HEAD" else content),
        returned,
        reply.status,
        preload_content=False,
        request_method=method,
    )
