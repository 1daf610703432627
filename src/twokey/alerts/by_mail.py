"""Alerts by SMTP (RFC 5321), over TLS from the start (RFC 8314) or after STARTTLS (RFC 3207).

A connection that is not encrypted is used on this machine, and with ``insecure_smtp`` to a private address; never with
a password.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import TYPE_CHECKING

from twokey.core.errors import Ambiguous, ServiceError, ServiceRejected, Unreachable, UsageError
from twokey.destinations.sources import Source
from twokey.http import private_networks, transport

if TYPE_CHECKING:
    from twokey.alerts.messages import Message
    from twokey.alerts.settings import Smtp
    from twokey.destinations.connections import ConnectionContext

TIMEOUT = 20.0
"""Seconds to each response of the server."""
PORTS = {"starttls": 587, "tls": 465, "none": 25}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def check(settings: Smtp) -> None:
    """Raise ``UsageError`` for settings by which a password, or the message, could be read on the network."""
    if bool(settings.user) != isinstance(settings.password, Source):
        raise UsageError("expected both `user` and `password`, or neither.", remedy="Add the other one.")
    if settings.security != "none":
        return
    if settings.user:
        raise UsageError(
            "a password is not sent without encryption.", remedy="Set `security: starttls` or `security: tls`."
        )
    if settings.host in _LOOPBACK:
        return
    if not (settings.insecure_smtp and private_networks.may_be_private(settings.host)):
        raise UsageError(
            f"the connection to {settings.host} would not be encrypted.",
            remedy="Set `security: starttls` or `security: tls`. Within a private network that is trusted, "
            "`insecure_smtp: true` allows it.",
        )


class Mail:
    """E-mail by one server."""

    def __init__(self, settings: Smtp, context: ConnectionContext) -> None:
        self._settings = settings
        self._port = settings.port if isinstance(settings.port, int) else PORTS[settings.security]
        self._server = f"The mail server {settings.host}:{self._port}"
        self._password = (
            context.secret(settings.password, "password") if isinstance(settings.password, Source) else None
        )

    def send(self, message: Message) -> None:
        """Send the text to all recipients; raises a ``ServiceError`` if one of them does not get it."""
        password = self._password.value() if self._password else None
        mail = self._mail(message)
        failure: ServiceError
        try:
            with self._connected() as server:
                if password is not None:
                    server.login(self._settings.user, password)
                refused = server.send_message(mail)
        except smtplib.SMTPAuthenticationError as error:
            failure = ServiceRejected(
                f"{self._server} does not accept user and password ({error.smtp_code}).",
                remedy=f"Check `user`, and the password in {self._password}.",
            )
        except smtplib.SMTPNotSupportedError:
            failure = ServiceRejected(
                f"{self._server} does not support what is configured, such as STARTTLS or a login. Nothing was sent.",
                remedy="Set `security: tls` where the server has it, with its port.",
            )
        except smtplib.SMTPRecipientsRefused as error:
            failure = ServiceRejected(f"{self._server} refuses the recipients {', '.join(error.recipients)}.")
        except smtplib.SMTPResponseException as error:
            failure = ServiceRejected(f"{self._server} refuses the message ({error.smtp_code}).")
        except ssl.SSLError as error:
            failure = Unreachable(
                f"{self._server} cannot be trusted: TLS failed ({error.reason or 'no reason given'}).",
                remedy="If a private CA signed its certificate, set `ca`.",
            )
        except (smtplib.SMTPException, OSError) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            failure = Ambiguous(f"{self._server} cannot be reached, or did not respond: {why}.")
        else:
            if refused:
                raise ServiceRejected(f"{self._server} refuses the recipients {', '.join(refused)}.")
            return
        raise failure

    def _connected(self) -> smtplib.SMTP:
        host, name = self._settings.host, socket.gethostname()
        if self._settings.security == "tls":
            context = transport.trusting(self._settings.ca or None)
            return smtplib.SMTP_SSL(host, self._port, name, timeout=TIMEOUT, context=context)
        server = smtplib.SMTP(host, self._port, name, timeout=TIMEOUT)
        try:
            if self._settings.security == "starttls":
                server.starttls(context=transport.trusting(self._settings.ca or None))
            else:
                self._refuse_public(server)
        except BaseException:
            server.close()
            raise
        return server

    def _refuse_public(self, server: smtplib.SMTP) -> None:
        assert server.sock is not None
        if not private_networks.is_private(str(server.sock.getpeername()[0])):
            raise ServiceRejected(f"{self._server} has a public address: nothing is sent there without encryption.")

    def _mail(self, message: Message) -> EmailMessage:
        mail = EmailMessage()
        mail["From"], mail["To"] = self._settings.sender, ", ".join(self._settings.to)
        mail["Subject"], mail["Date"] = message.subject, formatdate()
        mail["Message-ID"] = make_msgid(domain=self._settings.sender.rpartition("@")[2])
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office replies
        mail.set_content(message.text)
        return mail
