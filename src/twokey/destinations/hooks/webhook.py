"""Your own receiver, which takes credentials over HTTPS: ``webhook:https://HOST/PATH``, or ``webhook:/PATH`` below the
connection's ``url``.

Option: ``actions=held``: the receiver responds to GET with the key that it holds.

A request is signed as "Standard Webhooks", version 1.0.0 (standardwebhooks.com, "Signature scheme", "Webhook
headers"), so that receivers in most languages find a library: HMAC-SHA256 over id, time and body. The id is the same
for the same key and destination, so that a receiver recognizes a repeat; the time is that of the attempt.

No redirect is followed: only the host in the URL gets the credential.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import threading
import uuid
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from twokey.core.errors import AccessDenied, Ambiguous, BadCredentials, Failed, UsageError
from twokey.destinations import connections
from twokey.destinations.address import without_fields
from twokey.destinations.hooks.messages import Action, Hook, HookResponse, actions_of, message, response_in
from twokey.destinations.kind import ConnectionKind, Kind
from twokey.destinations.sources import Source
from twokey.http import transport
from twokey.http.client import Http
from twokey.http.messages import Request
from twokey.http.messages import Response as HttpResponse

if TYPE_CHECKING:
    from twokey.core.secret import Credential, Hidden
    from twokey.destinations.address import Address
    from twokey.destinations.connections import ConnectionContext
    from twokey.destinations.kind import DestinationContext

PREFIX = "whsec_"
LEAST_KEY, LONGEST_KEY = 24, 64
"""Bytes of a signing secret ("Standard Webhooks", "Signature scheme")."""
_ACTIONS: tuple[Action, ...] = ("held",)
_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*", re.ASCII)
"""What a path may hold unescaped (RFC 3986, 3.3)."""


class Settings(connections.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How receivers are reached: the secret that requests are signed with, which the receiver knows, too."""

    secret: Source


def check(address: Address) -> None:
    """Raise ``UsageError`` for what cannot be the URL of a receiver, or one that no secret may be sent to."""
    address.allow(("connection", "actions"))
    actions_of(address, _ACTIONS)
    base, path = _taken_apart(address.plain)
    if base:
        transport.checked(address.plain, "webhook", on_link=False)
    if not _PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise address.error(
            "expected a URL like https://host.example/path, or a path like /path.",
            "Percent-encode the characters that a URL cannot hold.",
        )


def _open(address: Address, context: DestinationContext) -> Receiver:
    """Return the receiver as a destination."""
    return Receiver(address, context.connection(address, CONNECTION))


def signature(secret: Hidden, message_id: str, timestamp: int, body: memoryview) -> str:
    """Return the value of ``webhook-signature``; raises ``ValueError`` for an invalid signing secret."""
    head = memoryview(f"{message_id}.{timestamp}.".encode())
    return f"v1,{base64.b64encode(hmac.digest(_key(secret), b''.join((head, body)), 'sha256')).decode()}"


def _key(secret: Hidden) -> memoryview:
    try:
        key = memoryview(base64.b64decode(secret.removeprefix(PREFIX), validate=True))
    except binascii.Error:
        key = memoryview(b"")
    if not secret.startswith(PREFIX) or not LEAST_KEY <= len(key) <= LONGEST_KEY:
        raise ValueError("not a signing secret")
    return key


class Webhooks:
    """All receivers that know one secret, each host with a connection of its own."""

    def __init__(self, settings: Settings, context: ConnectionContext) -> None:
        self._settings = settings
        self._clock = context.clock
        self._secret = context.secret(settings.secret, "secret")
        self._hosts: dict[str, Http] = {}
        self._lock = threading.Lock()
        if settings.url:
            self.http("")

    def http(self, base: str) -> Http:
        """Return the connection to a host, by default the one of the settings; raises ``UsageError``."""
        url = base or self._settings.url
        if not url:
            raise UsageError(
                "webhook:/PATH needs the connection's url.",
                remedy="Set `url` in the connection, or write webhook:https://HOST/PATH.",
            )
        transport.checked(url, "webhook", on_link=False, private=self._settings.insecure_http)
        with self._lock:
            if url not in self._hosts:
                self._hosts[url] = Http(
                    f"The receiver at {urlsplit(url).netloc}",
                    url,
                    self._clock,
                    renew=self._secret.renew,
                    ca=self._settings.ca or None,
                    insecure_http=self._settings.insecure_http,
                    explain=self._explain,
                )
            return self._hosts[url]

    def signed(self, message_id: str, body: memoryview) -> dict[str, str]:
        """Return the headers of a request that is sent now; raises ``BadCredentials`` without a secret to sign with."""
        now = int(self._clock.now().timestamp())
        try:
            signed = signature(self._secret.value(), message_id, now, body)
        except ValueError:
            raise BadCredentials(
                f"{self._secret}: expected a secret to sign webhooks with, which is {PREFIX} and the base64 of "
                f"{LEAST_KEY} to {LONGEST_KEY} random bytes.",
                state="Nothing was sent.",
                remedy=f'Create one for twokey and the receiver: echo "{PREFIX}$(openssl rand -base64 32)"',
            ) from None
        return {"webhook-id": message_id, "webhook-timestamp": str(now), "webhook-signature": signed}

    def _explain(self, request: Request, response: HttpResponse) -> Failed | None:
        state = "Nothing was written there." if request.mutates else ""
        if response.status == 401:
            return BadCredentials(
                "The receiver does not accept the signature.",
                state=state,
                remedy=f"Give the receiver the signing secret that twokey has (in {self._secret}); check both clocks.",
            )
        if response.status == 403:
            return AccessDenied(
                request.description, "the receiver", remedy="Allow it at the receiver, which accepted the signature."
            )
        return None


class Receiver(Hook):
    """One URL that takes credentials."""

    def __init__(self, address: Address, webhooks: Webhooks) -> None:
        super().__init__(address.url, actions_of(address, _ACTIONS))
        base, self._path = _taken_apart(address.rest)
        self._webhooks = webhooks
        self._http = webhooks.http(base)

    @property
    def _label(self) -> str:
        return self._http.service

    def preflight(self) -> None:
        """Raise if there is no secret to sign with; ask the receiver for its key if it supports ``held``."""
        if self._knows_held:
            self._request("held")
        else:
            self._webhooks.signed(self._id(), memoryview(b""))

    def _request(self, action: Action, credential: Credential | None = None) -> HookResponse:
        request = self._delivery(credential) if action == "deliver" and credential else self._question()
        response = response_in(self._http.request(request).body)
        if response is None:
            state = "It may have taken effect." if credential else "This call changes nothing."
            raise Ambiguous(
                f"{self._label} was asked to {request.description}: its response cannot be read.",
                state=state,
                remedy="Check what the receiver responds, and run again.",
            )
        return response

    def _delivery(self, credential: Credential) -> Request:
        body, message_id = message("deliver", self.name, credential), self._id(credential.access_key_id)
        return Request(
            "POST",
            self._path,
            f"take the credential {credential.access_key_id}",
            raw=body,
            headers={"Content-Type": "application/json"},
            secret=True,
            sign=lambda: self._webhooks.signed(message_id, body),
            follow=False,
        )

    def _question(self) -> Request:
        return Request(
            "GET",
            self._path,
            "report which key it holds",
            mutates=False,
            secret=True,
            sign=lambda: self._webhooks.signed(self._id(), memoryview(b"")),
            follow=False,
        )

    def _id(self, key_id: str = "") -> str:
        """Return an id that is the same for every delivery of this key to this destination, and for nothing else."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.name}#{key_id}"))


def _taken_apart(rest: str) -> tuple[str, str]:
    """Return the host with its scheme, or nothing if the connection names it, and the path."""
    if without_fields(rest).startswith("/"):
        return "", rest
    scheme, slashes, after = rest.partition("://")
    host, slash, path = after.partition("/")
    return f"{scheme}{slashes}{host}", f"/{path}" if slash else "/"


CONNECTION = ConnectionKind(
    name="webhook",
    settings=Settings,
    connect=Webhooks,
    environment={"secret": ("TWOKEY_WEBHOOK_SECRET",)},
)
KIND = Kind(scheme="webhook", check=check, open=_open, connection=CONNECTION, non_identifying_options=("actions",))
