"""Responses that trickle, that never end, or that unpack to gigabytes: from a service, and from an endpoint of AWS."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
import time
import tracemalloc
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import pytest

from support.http_servers import HOST, READ, WRITE, Service, connection
from twokey.aws import clients
from twokey.aws.clock import ServiceClock
from twokey.aws.sending import Sender
from twokey.core.errors import Ambiguous
from twokey.http import bounded, transport
from twokey.testing.contract import Hurried

if TYPE_CHECKING:
    from twokey.http.messages import Request
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
KINDS = {
    "headers that trickle": (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
    "a status line that trickles": (b"HTTP/1.1 200 ", b"O"),
    "a body that trickles": (HEAD + b"Content-Length: 100000\r\n\r\n{", b" "),
    "chunks that trickle": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "a body until the connection ends": (HEAD + b"\r\n{", b" "),
}
ENDLESS = {
    "headers": (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x" * 65536),
    "a body": (HEAD + b"\r\n{", b" " * 65536),
    "chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n"),
    "interim responses": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
}


@dataclass
class Endless:
    """A server whose responses never end: ``first``, and then ``again`` every ``pause`` seconds."""

    first: bytes
    again: bytes
    pause: float = 0.0
    requests: int = 0
    _closing: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._listening = socket.create_server((HOST, 0))
        self.url = f"http://{HOST}:{self._listening.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                found, _ = self._listening.accept()
            except OSError:
                return
            self.requests += 1
            self._threads.append(threading.Thread(target=self._answer, args=(found,)))
            self._threads[-1].start()

    def _answer(self, found: socket.socket) -> None:
        with found, contextlib.suppress(OSError):
            found.recv(65536)
            found.sendall(self.first)
            while not self._closing.wait(self.pause):
                found.sendall(self.again)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "READ_TIMEOUT", 0.2)
    monkeypatch.setattr(clients, "READ_TIMEOUT", 0.2)
    monkeypatch.setattr(bounded, "LONGEST", 1 << 18)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return monkeypatch


def sender() -> Sender:
    """Return a sender whose pauses pass at once."""
    hurried = Hurried()
    return Sender(
        clients.Clients("run", clock=ServiceClock(sleep=hurried.sleep, monotonic=hurried.monotonic)), "secretsmanager"
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("request_", [READ, WRITE], ids=["read", "write"])
def test_of_a_service_that_trickle_end_in_time(kind: str, request_: Request) -> None:
    with Endless(*KINDS[kind], pause=0.02) as server, pytest.raises(Ambiguous):
        connection(server.url).request(request_)


@pytest.mark.parametrize("kind", ENDLESS)
def test_of_a_service_that_never_end_fill_no_memory(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "READ_TIMEOUT", 60.0)
    tracemalloc.start()
    try:
        with Endless(*ENDLESS[kind]) as server, pytest.raises(Ambiguous):
            connection(server.url).request(READ)
        assert tracemalloc.get_traced_memory()[1] < 50 << 20
    finally:
        tracemalloc.stop()


def test_of_a_service_that_unpack_to_gigabytes_fill_no_memory() -> None:
    packed = gzip.compress(b" " * (1 << 26), 9)
    head = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    bounded.LONGEST = 32 << 20
    tracemalloc.start()
    try:
        with Endless(head + packed, b"") as server, pytest.raises(Ambiguous):
            connection(server.url).request(READ)
        assert tracemalloc.get_traced_memory()[1] < 50 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mutates", [False, True], ids=["read", "write"])
def test_of_aws_that_trickle_end_in_time(aws: pytest.MonkeyPatch, kind: str, mutates: bool) -> None:
    with Endless(*KINDS[kind], pause=0.02) as server:
        aws.setenv("AWS_ENDPOINT_URL", server.url)
        with pytest.raises(Ambiguous):
            sender().send("DescribeSecret", "machine-users/ci", mutates=mutates, SecretId="machine-users/ci")
        while server.requests < clients.ATTEMPTS:  # on a busy machine, the server counts after the client gave up
            time.sleep(0.01)
        assert server.requests == clients.ATTEMPTS


@pytest.mark.parametrize("kind", ENDLESS)
def test_of_aws_that_never_end_fill_no_memory(aws: pytest.MonkeyPatch, kind: str) -> None:
    aws.setattr(clients, "READ_TIMEOUT", 60)
    tracemalloc.start()
    try:
        with Endless(*ENDLESS[kind]) as server:
            aws.setenv("AWS_ENDPOINT_URL", server.url)
            with pytest.raises(Ambiguous):
                sender().send("DescribeSecret", "machine-users/ci", mutates=False, SecretId="machine-users/ci")
        assert tracemalloc.get_traced_memory()[1] < 50 << 20
    finally:
        tracemalloc.stop()


def test_that_are_complete_leave_the_connection_as_it_was() -> None:
    """The next response on the same connection has all of its time."""
    with Service() as service:
        http = connection(service.url)
        for _ in range(3):
            assert http.request(READ).json() == {"value": 0}
