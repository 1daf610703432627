"""A service on this machine, for tests: stateful, with counted requests, and with the faults that a test adds.

A fake is a subclass of ``FakeService`` that declares its requests with ``@route``. It keeps what was written to it,
refuses what the service refuses, and never shows what the service hides. A fault happens to the requests that match::

    fake.add(Fault("PUT", "/secrets/", "lost_response"))

No request's body is recorded: it may hold a secret.
"""

from __future__ import annotations

import contextlib
import fnmatch
import json
import re
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, cast
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Mapping

Effect = Literal[
    "lost_response",
    "reset",
    "stall",
    "error_before",
    "error_after",
    "throttle",
    "html",
    "truncated",
    "redirect",
    "refuse",
]
HTML = b"<!DOCTYPE html><html><body>Sign in to continue</body></html>"


@dataclass
class Fault:
    """What happens to the requests that match: ``method`` (``*`` for all) and a part of the path.

    ``lost_response``: it takes effect, and the connection breaks before the response. ``reset``: the connection breaks
    before the effect. ``stall``: no response until the client gives up, no effect. ``error_before`` and
    ``error_after``: ``status``, without and with the effect. ``throttle``: 429 with ``Retry-After: after``, no effect.
    ``html``: a proxy's page with ``status``, no effect. ``truncated``: it takes effect, and the response is cut.
    ``redirect``: 302 to ``location``. ``refuse``: ``status`` and ``body``, no effect. It happens from the ``nth`` match
    on, ``times`` times (None: always).
    """

    method: str
    path: str
    effect: Effect
    nth: int = 1
    times: int | None = 1
    status: int = 500
    after: float = 2.0
    location: str = "https://elsewhere.invalid/"
    body: Any = None
    seen: int = 0

    def matches(self, method: str, path: str) -> bool:
        """Return whether the fault may happen to such a request."""
        return fnmatch.fnmatchcase(method, self.method) and self.path in path

    def strikes(self, method: str, path: str) -> bool:
        """Count a request if it matches, and return whether the fault happens to it."""
        if not self.matches(method, path):
            return False
        self.seen += 1
        return self.seen >= self.nth and (self.times is None or self.seen < self.nth + self.times)


@dataclass(frozen=True)
class ReceivedRequest:
    """A request as a fake sees it. ``path`` is unquoted, ``raw_path`` as it was sent."""

    method: str
    path: str
    raw_path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    data: bytes = field(repr=False)

    def json(self) -> Any:
        """Return the decoded body; None for an empty body or invalid JSON."""
        try:
            return json.loads(self.data) if self.data else None
        except ValueError:
            return None

    def form(self) -> dict[str, str]:
        """Return the fields of a form."""
        return {name: values[0] for name, values in parse_qs(self.data.decode()).items()}


@dataclass(frozen=True)
class Reply:
    """A fake's response: ``body`` is sent as JSON, bytes as they are."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        """Return the body as it is sent."""
        if self.body is None or self.status == 204:
            return b""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()

    def fields(self, length: int) -> dict[str, str]:
        """Return the headers of a response whose body has so many bytes."""
        fields = dict(self.headers)
        if self.body is not None:
            fields.setdefault("Content-Type", "application/json")
        return fields if self.status == 204 else {**fields, "Content-Length": str(length)}


class Refusal(Exception):
    """Raised by a fake's method: it responds with this, and nothing took effect."""

    def __init__(self, status: int, body: Any = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.reply = Reply(status, body, headers or {})


def route(method: str, pattern: str) -> Callable[[Any], Any]:
    """Answer requests with this method whose whole path matches the pattern; its groups, unquoted, are arguments."""

    def decorate(function: Any) -> Any:
        function.routes = [*getattr(function, "routes", []), (method, re.compile(pattern))]
        return function

    return decorate


class FakeService:
    """A service on a port of its own. Used as a context manager; thread-safe, one request at a time.

    After the ``with`` block it cannot be reached; entered again, it is back at the same address. It speaks TLS if
    ``tls`` is set before it is entered.
    """

    not_found: ClassVar[Any] = {"message": "Not Found"}
    """The body of a 404 for a path that the service does not have."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.monotonic = monotonic
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str]] = []
        self.lock = threading.RLock()
        self.tls: ssl.SSLContext | None = None
        self.port = 0
        self._limits: list[tuple[Callable[[ReceivedRequest], bool], int, float, deque[float]]] = []
        self._server: _Server | None = None
        self._ticks = 0
        service: Any = type(self)
        self._routes = [(verb, pattern, getattr(self, name)) for verb, pattern, name in _routes_of(service)]

    def __enter__(self) -> Self:
        self._server = _Server(self)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()
        self._server.hang_up()

    @property
    def url(self) -> str:
        """The base URL of the service."""
        assert self._server is not None
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    def add(self, fault: Fault) -> None:
        """Add a fault."""
        with self.lock:
            self.faults.append(fault)

    def clear(self) -> None:
        """Remove all faults, and forget the requests."""
        with self.lock:
            self.faults.clear()
            self.requests.clear()

    def count(self, method: str, part: str = "") -> int:
        """Count the requests that came, with this method (``*`` for all) and this part in their path."""
        with self.lock:
            return sum(fnmatch.fnmatchcase(verb, method) and part in path for verb, path in self.requests)

    def limit(self, counts: Callable[[ReceivedRequest], bool], requests: int, seconds: float) -> None:
        """Answer 429 to more than so many requests in so many seconds, of those that count."""
        self._limits.append((counts, requests, seconds, deque()))

    def tick(self) -> int:
        """Return a number that grows with every call: for versions, and for times with a resolution."""
        self._ticks += 1
        return self._ticks

    def stamp(self) -> str:
        """Return a time as services write them; no two are the same."""
        number = self.tick()
        return f"2026-11-{1 + number // 86400:02d}T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}Z"

    def authorize(self, request: ReceivedRequest) -> None:
        """Raise ``Refusal`` (401, 403) for a request without permission. By default every request is permitted."""

    def too_many(self, seconds: float) -> Reply:
        """Return the response to a request over the limit."""
        return Reply(429, {"message": "Too many requests"}, {"Retry-After": f"{max(seconds, 1):.0f}"})

    def receive(
        self, method: str, target: str, headers: Iterable[tuple[str, str]], data: bytes
    ) -> tuple[Fault | None, Reply]:
        """Record one request and answer it; return the fault that happens to it, if any, and the response."""
        parts = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        named = {name.title(): value for name, value in headers}
        request = ReceivedRequest(method, unquote(parts.path), parts.path, query, named, data)
        fault = self.strike(method, target)
        if fault and fault.effect not in _TAKES_EFFECT:
            return fault, _reply_of(fault)
        with self.lock:
            reply = self.handle(request)
        return fault, _reply_of(fault) if fault and fault.effect == "error_after" else reply

    def handle(self, request: ReceivedRequest) -> Reply:
        """Answer one request."""
        try:
            over = self._over_limit(request)
            if over is not None:
                return self.too_many(over)
            self.authorize(request)
            for verb, pattern, method in self._routes:
                match = pattern.fullmatch(request.raw_path)
                if verb == request.method and match:
                    return cast(
                        "Reply", method(request, *(unquote(group) for group in match.groups() if group is not None))
                    )
            return Reply(404, self.not_found)
        except Refusal as refusal:
            return refusal.reply

    def _over_limit(self, request: ReceivedRequest) -> float | None:
        """Return the seconds to wait if a limit is reached; otherwise count the request."""
        now = self.monotonic()
        counting = [one for one in self._limits if one[0](request)]
        for _, requests, seconds, sent in counting:
            while sent and sent[0] <= now - seconds:
                sent.popleft()
            if len(sent) >= requests:
                return sent[0] + seconds - now
        for *_, sent in counting:
            sent.append(now)
        return None

    def strike(self, method: str, path: str) -> Fault | None:
        """Record a request; return the fault that happens to it, if any."""
        with self.lock:
            self.requests.append((method, path))
            return next((fault for fault in self.faults if fault.strikes(method, path)), None)


@cache
def _routes_of(service: type) -> list[tuple[str, re.Pattern[str], str]]:
    return [(*one, name) for name in dir(service) for one in getattr(getattr(service, name), "routes", [])]


class _Handler(BaseHTTPRequestHandler):
    """Answers the requests to its server's fake."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    wbufsize = 1 << 16
    disable_nagle_algorithm = True

    def _any(self) -> None:
        fake = cast("_Server", self.server).fake
        data = self.rfile.read(int(self.headers.get("Content-Length", 0) or 0))
        fault, reply = fake.receive(self.command, self.path, self.headers.items(), data)
        if fault is None:
            self._send(reply)
        else:
            self._strike(fault, reply)

    def _strike(self, fault: Fault, reply: Reply) -> None:
        if fault.effect == "truncated":
            self._cut(reply)
        elif fault.effect in _BREAKS:
            time.sleep(fault.after if fault.effect == "stall" else 0)
            self._break()
        else:
            self._send(reply)

    def _cut(self, reply: Reply) -> None:
        body = reply.encoded() or b"{}"
        self._head(reply, len(body) + 100)
        self.wfile.write(body[: len(body) // 2])
        self._break()

    def _send(self, reply: Reply) -> None:
        body = reply.encoded()
        self._head(reply, len(body))
        self.wfile.write(body)

    def _head(self, reply: Reply, length: int) -> None:
        self.send_response(reply.status)
        for name, value in reply.fields(length).items():
            self.send_header(name, value)
        self.end_headers()

    def _break(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do_LIST = _any  # noqa: N815  names of http.server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  a name of http.server
        """Log nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, fake: FakeService) -> None:
        super().__init__(("127.0.0.1", fake.port), _Handler)
        self.fake = fake
        self._connected: set[Any] = set()
        if fake.tls is not None:
            self.socket = fake.tls.wrap_socket(self.socket, server_side=True)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection's requests, and remember that it is open."""
        self._connected.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self._connected.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Break the connections that clients keep open."""
        for connection in list(self._connected):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


_BREAKS = {"lost_response", "reset", "stall"}
_TAKES_EFFECT = {"lost_response", "error_after", "truncated"}


def _reply_of(fault: Fault) -> Reply:
    match fault.effect:
        case "throttle":
            return Reply(429, {"message": "Slow down"}, {"Retry-After": f"{fault.after:g}"})
        case "html":
            return Reply(fault.status, HTML, {"Content-Type": "text/html"})
        case "redirect":
            return Reply(302, None, {"Location": fault.location})
        case "refuse":
            return Reply(fault.status, fault.body)
        case _:
            return Reply(fault.status, fault.body or {"message": "Internal error"})
