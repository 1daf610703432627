"""Real servers for the tests of the HTTP layer: TLS with certificates of the tests' own, and a proxy for CONNECT."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Self, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from twokey.aws.clock import ServiceClock
from twokey.http.client import Http
from twokey.http.messages import Request
from twokey.testing.contract import Hurried
from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route

if TYPE_CHECKING:
    from pathlib import Path

HOST = "127.0.0.1"
NAME = "service.test"
"""A name that only the proxy of the tests can resolve."""
TOKEN = "token-of-the-tests"
READ = Request("GET", "/value", "read the value", mutates=False)
WRITE = Request("PUT", "/value", "write the value", body={"value": 1})


class Service(FakeService):
    """A service with one value and one token. ``tokens`` are those that came."""

    def __init__(self) -> None:
        super().__init__()
        self.token = TOKEN
        self.tokens: list[str] = []
        self.written = 0

    def authorize(self, request: ReceivedRequest) -> None:
        self.tokens.append(request.headers.get("Authorization", ""))
        if self.tokens[-1] != f"Bearer {self.token}":
            raise Refusal(401, {"message": "Who are you?"})

    @route("GET", r"/value|/moved/value")
    def read(self, request: ReceivedRequest) -> Reply:
        return Reply(200, {"value": self.written})

    @route("PUT", r"/value|/moved/value")
    def write(self, request: ReceivedRequest) -> Reply:
        self.written += 1
        return Reply(200, {})

    def secured(self, certificate: Path) -> Self:
        """Speak TLS from now on."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server = cast("Any", self._server)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # a client that does not trust it hangs up
        return self


class Silent(FakeService):
    """A server that must not receive any request."""


def connection(url: str, hurried: Hurried | None = None, **settings: Any) -> Http:
    """Return a connection with the token of the tests, whose pauses pass at once."""
    hurried = hurried or Hurried()
    clock = ServiceClock(sleep=hurried.sleep, monotonic=hurried.monotonic)
    given = {"headers": lambda: {"Authorization": f"Bearer {TOKEN}"}, **settings}
    return Http("The service", url, clock, **given)


def signed_by_itself(path: Path, *names: str) -> Path:
    """Write a key and a certificate for these hosts that it has signed itself into one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")]), datetime.now(UTC)
    hosts: list[x509.GeneralName] = [x509.DNSName(one) for one in names if one != HOST]
    hosts += [x509.IPAddress(ip_address(HOST))] if HOST in names else []
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + certificate.public_bytes(pem))
    return path


@dataclass
class Proxy:
    """A proxy that opens tunnels. ``hosts`` are the names that it resolves, to ports on this machine.

    ``connects`` are the targets of the CONNECT requests, ``others`` the first lines of all other requests. With
    ``login``, user and password are required. ``closed`` refuses all tunnels.
    """

    hosts: dict[str, int] = field(default_factory=dict)
    login: str = ""
    closed: bool = False
    connects: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    _listener: socket.socket = field(init=False)

    def __enter__(self) -> Self:
        self._listener = socket.create_server((HOST, 0))
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @property
    def place(self) -> str:
        return f"{HOST}:{self._listener.getsockname()[1]}"

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._handle, args=(client,), daemon=True).start()

    def _handle(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                chunk = client.recv(4096)
                if not chunk:
                    return
                head += chunk
            lines = head.decode("latin-1").split("\r\n")
            method, target = lines[0].split()[:2]
            if method != "CONNECT":
                self.others.append(lines[0])
                client.sendall(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
                return
            self.connects.append(target)
            refusal = self._refusal(target, lines)
            if refusal:
                client.sendall(f"HTTP/1.1 {refusal}\r\nContent-Length: 0\r\n\r\n".encode())
                return
            with socket.create_connection((HOST, self.hosts[target])) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                threading.Thread(target=_pump, args=(server, client), daemon=True).start()
                _pump(client, server)

    def _refusal(self, target: str, lines: list[str]) -> str:
        if self.login:
            wanted = f"Basic {base64.b64encode(self.login.encode()).decode()}"
            if f"proxy-authorization: {wanted}".lower() not in (line.lower() for line in lines):
                return "407 Proxy Authentication Required"
        if self.closed:
            return "403 Forbidden"
        return "" if target in self.hosts else "502 Bad Gateway"


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Pass on what comes until one side hangs up."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
