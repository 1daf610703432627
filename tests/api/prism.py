"""Prism between a client and a fake: ``prism proxy --errors`` holds both to a description of the service's API.

Requests go ``client → front → Prism → back → fake``. The front writes down what Prism says of each exchange, since a
client may well take an error of Prism's for one of the service's. The back leads to the fake of the running test, so
that one Prism serves a whole module.

Source: "Prism, Validation Proxy" (Stoplight's documentation).
"""

from __future__ import annotations

import http.client
import json
import re
import shutil
import subprocess
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self, cast
from urllib.parse import urlsplit

import pytest

from api import descriptions

PROGRAM = descriptions.PACKAGES / "@stoplight" / "prism-cli" / "dist" / "index.js"
FIRST = [f"--require={Path(__file__).with_name(name)}" for name in ("loud.cjs", "proxy.cjs", "yaml.cjs")]
COMMAND = ("node", *FIRST, str(PROGRAM), "proxy", "--errors", "--multiprocess", "false", "--port", "0")
needs_prism = pytest.mark.skipif(
    shutil.which("node") is None or not (descriptions.INSTALLED / ".ready").exists(),
    reason="Prism and the services' API descriptions are not installed (make apis; needs Node.js with npm)",
)
PATIENCE = 600.0
"""Seconds that Prism may take to start, on a busy machine."""
_LISTENING = re.compile(r"Prism is listening on (http://\S+:\d+)")
_OF_THE_HOP = {"connection", "keep-alive", "transfer-encoding", "date", "server", "content-length"}


@dataclass(frozen=True)
class Exchange:
    """A request, the status of its response, and what Prism says against either."""

    method: str
    path: str
    status: int
    violations: tuple[str, ...]


class Relay:
    """Passes requests on to ``target`` and keeps what came of each."""

    def __init__(self) -> None:
        self.target = ""
        self.exchanges: list[Exchange] = []
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()


class Prism:
    """A running ``prism proxy --errors``; ``url`` is the base URL for a client of the service."""

    def __init__(self, description: descriptions.Document, folder: Path) -> None:
        self.front, self.back = Relay(), Relay()
        file, self._log = folder / "description.json", folder / "prism.log"
        file.write_text(json.dumps(description), encoding="utf-8")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*COMMAND, str(file), self.back.url],
                cwd=descriptions.INSTALLED,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Self:
        try:
            self.front.target = self._listening()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _listening(self) -> str:
        """Wait until Prism listens, and return where."""
        give_up = time.monotonic() + PATIENCE
        while not (listening := _LISTENING.search(log := self._log.read_text(encoding="utf-8"))):
            assert self._process.poll() is None, log
            assert time.monotonic() < give_up, log
            time.sleep(0.05)
        return listening[1]

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        self.front.close()
        self.back.close()

    @property
    def url(self) -> str:
        """Where a client of the service goes."""
        return self.front.url

    @property
    def exchanges(self) -> list[Exchange]:
        """What went through, in order."""
        return self.front.exchanges

    def lead_to(self, fake: str) -> None:
        """Pass requests on to the fake with this URL, and forget what went through."""
        self.back.target = fake
        self.front.exchanges.clear()

    def violations(self) -> list[str]:
        """Return all that the description forbids and that was seen, in sentences; each once.

        What Prism could not hold to the description, since it cannot read that, is among them.
        """
        log = self._log.read_text(encoding="utf-8")
        found = [
            f"{one.method} {one.path} ({one.status}): {violation}"
            for one in self.exchanges
            for violation in one.violations
        ]
        return list(dict.fromkeys(found + [line for line in log.splitlines() if line.startswith("UNCHECKED")]))


class _Handler(BaseHTTPRequestHandler):
    """Passes a request on."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    wbufsize = 1 << 16
    disable_nagle_algorithm = True

    def _any(self) -> None:
        relay = cast("_Server", self.server).relay
        data = self.rfile.read(int(self.headers.get("Content-Length", 0) or 0))
        onward = http.client.HTTPConnection(urlsplit(relay.target).netloc, timeout=300)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            onward.request(self.command, self.path, data or None, headers)
            response = onward.getresponse()
            body = response.read()
        finally:
            onward.close()
        violations = _violations(response.getheader("sl-violations"), response.getheader("Content-Type"), body)
        relay.exchanges.append(Exchange(self.command, self.path, response.status, violations))
        self._pass_back(response, body)

    def _pass_back(self, response: http.client.HTTPResponse, body: bytes) -> None:
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in _OF_THE_HOP:
                self.send_header(name, value)
        if response.status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _any  # noqa: N815  names of http.server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name that http.server gives it
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, relay: Relay) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.relay = relay


def _violations(header: str | None, kind: str | None, body: bytes) -> tuple[str, ...]:
    """Return what Prism says: in a header of its own, or as a response of its own where it knows no such request."""
    found: list[dict[str, Any]] = []
    if header is not None:
        found = json.loads(header) if header.startswith("[") else [{"message": header}]
    elif kind == "application/problem+json" and b"errors#" in body:
        problem = json.loads(body)
        found = problem.get("validation") or [{"message": problem["detail"]}]
    return tuple(f"{'.'.join(map(str, one.get('location', ())))}: {one['message']}" for one in found)
