"""A proxy between twokey and AWS that repeats requests, responses and headers in its own pages."""

from __future__ import annotations

import base64
import html
import json
import threading
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.emulator import Emulator


@dataclass(frozen=True)
class Exchange:
    """A request and AWS's response to it."""

    operation: str
    request: bytes
    headers: dict[str, str]
    response: bytes

    def quoted(self) -> str:
        """Return all of it, in the encodings in which pages and messages quote."""
        whole = self.request + b"\n" + self.response + b"\n" + json.dumps(self.headers).encode()
        text = whole.decode("latin-1")
        return "\n".join(
            (
                text,
                html.escape(text).replace("/", "&#x2F;").replace("+", "&#x2B;"),
                urllib.parse.quote(text, safe=""),
                base64.b64encode(whole).decode(),
                whole.hex(),
                json.dumps(text).replace("/", "\\/"),
            )
        )


@dataclass
class Proxy:
    """Passes everything on, but replaces the response to ``operation`` by the result of ``say`` for the exchange.

    Of the operations that write to a store, only those that write a credential are replaced.
    ``say`` returns status, content type and body. With ``before``, the request does not reach AWS.
    """

    target: Emulator
    operation: str
    say: Callable[[Exchange], tuple[int, str, str]]
    before: bool = False
    hits: int = 0
    _server: Any = field(default=None, repr=False)

    def __enter__(self) -> Self:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                proxy._pass(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The URL on which it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def _pass(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        headers = dict(handler.headers.items())
        operation = headers.get("X-Amz-Target", "").rpartition(".")[2]
        operation = operation or urllib.parse.parse_qs(body.decode()).get("Action", [""])[0]
        wanted = operation == self.operation and (
            b"SecretAccessKey" in body or not operation.startswith(("Put", "CreateS"))
        )
        status, kind, response = (0, "", b"") if wanted and self.before else self._ask(handler.path, body, headers)
        if wanted:
            self.hits += 1
            status, kind, text = self.say(Exchange(operation, body, headers, response))
            response = text.encode()
        handler.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(response))), ("Connection", "close")):
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(response)

    def _ask(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, str, bytes]:
        answer = self.target.respond("POST", path, list(headers.items()), body)
        assert answer, "no test of the proxy has a fault that breaks connections"
        status, fields, response = answer
        return status, dict(fields)["Content-Type"], response
