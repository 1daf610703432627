"""A proxy between twokey and AWS that repeats in its own pages what passes through it: request, answer and headers."""

from __future__ import annotations

import base64
import html
import json
import threading
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Exchange:
    """A request and AWS's answer to it."""

    operation: str
    request: bytes
    headers: dict[str, str]
    answer: bytes

    def quoted(self) -> str:
        """Return all of it, in the forms in which pages and messages quote."""
        whole = self.request + b"\n" + self.answer + b"\n" + json.dumps(self.headers).encode()
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
    """Passes everything on; the answer of ``operation`` is replaced by what ``say`` makes of the exchange.

    Of the operations that write to a store those are meant that write a credential.
    ``say`` returns status, content type and body. With ``before``, AWS never sees the request.
    """

    target: str
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
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def _pass(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        headers = dict(handler.headers.items())
        operation = headers.get("X-Amz-Target", "").rpartition(".")[2]
        operation = operation or urllib.parse.parse_qs(body.decode()).get("Action", [""])[0]
        wanted = operation == self.operation and (
            b"SecretAccessKey" in body or not operation.startswith(("Put", "CreateS"))
        )
        status, kind, answer = (0, "", b"") if wanted and self.before else self._ask(handler.path, body, headers)
        if wanted:
            self.hits += 1
            status, kind, text = self.say(Exchange(operation, body, headers, answer))
            answer = text.encode()
        handler.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(answer))), ("Connection", "close")):
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(answer)

    def _ask(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, str, bytes]:
        request = urllib.request.Request(self.target + path, body, headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.headers["Content-Type"], answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers["Content-Type"], error.read()
