"""Credentials on the loopback address, as SDKs ask a container's agent for them.

Source: "Container credential provider" (AWS SDKs and Tools Reference Guide): plain http is accepted for loopback only,
and the value of AWS_CONTAINER_AUTHORIZATION_TOKEN is the header ``Authorization``. SDKs wait about two seconds, and ask
several times.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import secrets
import threading
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from socket import socket as Socket  # noqa: N812  the base class has an attribute of that name
from socketserver import BaseServer, TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any, Self

from twokey.core import timestamps
from twokey.core.errors import Failed, TwokeyError
from twokey.core.secret import Hidden, token_of
from twokey.jobs.env import AUTHORIZATION, URI

if TYPE_CHECKING:
    from twokey.jobs.credentials import Provided
    from twokey.jobs.refreshing import Refreshing

HOST = "127.0.0.1"
PATH = "/credentials"
PATIENCE = 10.0
"""Seconds within which a request must arrive completely."""
LONGEST_END = 5.0
"""Seconds after which the end no longer waits for the thread that accepts connections."""


class Serving(ThreadingMixIn, BaseServer):
    """Serves in the background, one thread for each client, as long as the ``with`` block.

    Unlike ``serve_forever``, it does not wake up several times a second, and it ends at once.
    """

    daemon_threads = True
    block_on_close = False
    socket: Socket

    def __enter__(self) -> Self:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="twokey-serving", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        with contextlib.suppress(OSError), Socket(self.socket.family) as last:
            last.connect(self.server_address)
        self._thread.join(LONGEST_END)  # a socket that a thread accepts from keeps listening after it was closed
        self.server_close()

    def _serve(self) -> None:
        while not self._ended.is_set():
            try:
                request, client = self.get_request()
            except OSError:
                continue
            if self._ended.is_set():
                self.shutdown_request(request)
            else:
                self.process_request(request, client)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: a client may disconnect at any time, and an error may hold a secret."""


class Endpoint(Serving, TCPServer):
    """Answers the holders of its token with credentials. Use it in a ``with`` block."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, credentials: Refreshing, port: int = 0) -> None:
        """Bind to the loopback address; raises ``Failed`` if the port is in use."""
        self.credentials = credentials
        self.token = Hidden(secrets.token_urlsafe(32))
        try:
            super().__init__((HOST, port), _Connection)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or "not a port"
            raise Failed(
                f"Cannot listen on {HOST}:{port}: {reason}.",
                state="No credentials were provided.",
                remedy="Choose another port with --port, or leave it out: any free one is used then.",
            ) from None

    @property
    def url(self) -> str:
        """The address of the credentials."""
        return f"http://{HOST}:{self.server_address[1]}{PATH}"

    def variables(self) -> dict[str, Hidden]:
        """Return the variables that point an SDK at it."""
        return {URI: Hidden(self.url), AUTHORIZATION: self.token}


class _Connection(BaseHTTPRequestHandler):
    """One client."""

    server: Endpoint
    server_version = "twokey"
    sys_version = ""
    timeout = PATIENCE

    def do_GET(self) -> None:
        """Provide credentials, or say why there are none."""
        if not self._is_local():
            self._respond(403, {"code": "Forbidden", "message": "This endpoint serves this machine only."})
        elif self.path != PATH:
            self._respond(404, {"code": "NotFound", "message": f"The credentials are at {PATH}."})
        elif not self._is_authorized():
            self._respond(401, {"code": "Unauthorized", "message": f"Expected the value of {AUTHORIZATION}."})
        else:
            self._provide()

    def _provide(self) -> None:
        try:
            provided = self.server.credentials.get()
        except TwokeyError as error:
            self._respond(500, {"code": type(error).__name__, "message": str(error)})
        except Exception as error:  # noqa: BLE001  whatever it is, it must not show what it holds
            self._respond(500, {"code": "Defect", "message": f"A defect in twokey ({type(error).__name__})."})
        else:
            self._respond(200, _document(provided))

    def _is_local(self) -> bool:
        """Say whether the client and the name that it used are local: a web page may use a name of its own."""
        host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        return ip_address(self.client_address[0]).is_loopback and host in (HOST, "localhost")

    def _is_authorized(self) -> bool:
        shown = self.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        return hmac.compare_digest(shown, self.server.token.encode())

    def _respond(self, status: int, content: dict[str, str]) -> None:
        body = memoryview(Hidden(json.dumps(content)).encode())
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class names it
        """Print nothing: the command owns the terminal."""


def _document(provided: Provided) -> dict[str, str]:
    """Return the credentials as a container's agent does. SDKs require a token; an access key has an empty one."""
    credential = provided.credential
    return {
        "AccessKeyId": credential.access_key_id,
        "SecretAccessKey": credential.reveal(),
        "Token": token_of(credential),
        "Expiration": timestamps.utc(provided.expires),
    }
