"""A small threaded HTTP/1.1 server on the loopback address that can also fail as networks do."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import sys
import threading
import traceback
import uuid
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any

from twokey.emulator.front import Delivery, Ending
from twokey.emulator.values import EmulatorError
from twokey.emulator.wire import Incoming

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.emulator.responses import Response

    Handler = Callable[[Incoming, Callable[[], bool]], Delivery]

HOST = "127.0.0.1"


class Server(ThreadingMixIn, TCPServer):
    """Listens as soon as it is created; `stop` ends every open connection."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, port: int, handler: Handler, date: Callable[[], str]) -> None:
        """Bind to `port` (0: any free one) of the loopback address, never to another."""
        self.handler = handler
        self.date = date
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        try:
            super().__init__((HOST, port), _Connection)
        except OSError as error:
            raise EmulatorError(
                f"Cannot listen on {HOST}:{port} ({error.strerror}).",
                remedy="Choose another port with --port; --port 0 takes any free one.",
            ) from error
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), name="twokey-emulator", daemon=True)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.server_address[1])

    def start(self) -> None:
        """Serve from now on, one thread for each connection."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and end every connection."""
        self.shutdown()
        self._thread.join()
        self.server_close()
        with self._lock:
            remaining = list(self._open)
        for connection in remaining:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def headers_of(self, response: Response) -> list[tuple[str, str]]:
        """The response's headers, with those that every response of AWS has."""
        own = {"Content-Length": str(len(response.body)), "x-amzn-RequestId": str(uuid.uuid4())}
        present = {name.lower() for name, _ in response.headers}
        missing = [(name, value) for name, value in own.items() if name.lower() not in present]
        return [*response.headers, ("Date", self.date()), *missing]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Track the connection until it is closed."""
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection and stop tracking it."""
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base class names them
        """Ignore clients that disconnected; print every other error."""
        if not isinstance(sys.exception(), (OSError, ValueError)):
            traceback.print_exc()


class _Connection(BaseHTTPRequestHandler):
    """One client's connection, kept open between requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def _serve(self) -> None:
        body = self._body()
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            key = name.lower()
            headers[key] = f"{headers[key]},{value}" if key in headers else value
        incoming = Incoming(
            self.command, self.path, headers, tuple(self.headers.items()), body, str(self.client_address[0])
        )
        self._send(self.server.handler(incoming, self._disconnected))

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_OPTIONS = _serve  # noqa: N815 - the base's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        """Print nothing: the emulator records requests."""

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            return self._chunks()
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return b"".join(parts)

    def _disconnected(self) -> bool:
        try:
            readable, _, _ = select.select([self.connection], [], [], 0)
            return bool(readable) and self.connection.recv(1, socket.MSG_PEEK) == b""
        except (OSError, ValueError):
            return True

    def _send(self, delivery: Delivery) -> None:
        if delivery.ending is Ending.WHOLE and delivery.response is not None:
            self.wfile.write(self._bytes(delivery.response))
            return
        self.close_connection = True
        if delivery.ending is Ending.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif delivery.ending is Ending.TRUNCATED and delivery.response is not None:
            whole = self._bytes(delivery.response)
            self.wfile.write(whole[: len(whole) - max(1, len(delivery.response.body) // 8)])

    def _bytes(self, response: Response) -> bytes:
        headers = self.server.headers_of(response)
        reason = self.responses.get(response.status, ("Unknown", ""))[0]
        lines = [f"HTTP/1.1 {response.status} {reason}", *(f"{name}: {value}" for name, value in headers), "", ""]
        start = "\r\n".join(lines).encode("latin-1", "replace")
        return start if self.command == "HEAD" else start + response.body
