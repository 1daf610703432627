"""Real receivers of alerts on this machine: HTTP, and mail by SMTP."""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from support.ports import free_port
from twokey.testing.server import FakeService, ReceivedRequest, Reply, route

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET_PATH = "services/T0AAAAAAA/B0BBBBBBB/qZk29fLmX84vTnWcRb7yHd3s"
USER, PASSWORD = "twokey", "correct-horse-battery-42"


class Inbox(FakeService):
    """Takes everything, and keeps it. ``answer`` is the response."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[ReceivedRequest] = []
        self.answer = Reply(200, b"ok", {"Content-Type": "text/plain"})

    @route("GET", r"/.*")
    @route("POST", r"/.*")
    def take(self, request: ReceivedRequest) -> Reply:
        if self.answer.status == 200:
            self.received.append(request)
        return self.answer

    @property
    def secret_url(self) -> str:
        return f"{self.url}/{SECRET_PATH}"

    def texts(self) -> list[str]:
        """Return what a channel of Slack shows."""
        return [one.json()["text"] for one in self.received]


class Mails:
    """What a mail server took in: sender, recipients, and the text with its headers."""

    def __init__(self) -> None:
        self.received: list[tuple[str, list[str], str]] = []
        self.port = 0
        self.logins: list[tuple[bytes, bytes]] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802  a name of aiosmtpd
        self.received.append((envelope.mail_from, envelope.rcpt_tos, envelope.content.decode()))
        return "250 OK"

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802  a name of aiosmtpd
        if address.startswith("unknown"):
            return "550 No such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"


@contextmanager
def mail_server(certificate: Path | None = None, *, tls: bool = False, login: bool = False) -> Iterator[Mails]:
    """Run a real mail server; with a certificate it offers STARTTLS, or speaks TLS from the start."""
    from aiosmtpd.controller import Controller
    from aiosmtpd.smtp import SMTP, AuthResult

    mails = Mails()
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)

    def authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> Any:
        mails.logins.append((data.login, data.password))
        right = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=right, handled=False)

    class Server(Controller):
        def factory(self) -> Any:
            more: dict[str, Any] = (
                {"authenticator": authenticate, "auth_required": True, "auth_require_tls": not tls} if login else {}
            )
            starttls = None if tls else context
            return SMTP(self.handler, hostname="here", tls_context=starttls, require_starttls=bool(starttls), **more)

    mails.port = free_port()
    server = Server(mails, hostname="127.0.0.1", port=mails.port, ssl_context=context if tls else None)
    server.start()
    try:
        yield mails
    finally:
        server.stop()
