"""Alerts by HTTP: Slack, any URL, and the heartbeat.

Slack: "Sending messages using incoming webhooks" and "Formatting text for app surfaces" (docs.slack.dev): a POST of
``{"text": …}``, in which ``&``, ``<`` and ``>`` are escaped, so that no name in it mentions a channel. The response is
``ok``, or the code of an error. A URL of Slack is a secret: who has it can post.
"""

from __future__ import annotations

import json
import re
import uuid
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from twokey.alerts.failures import text_of
from twokey.core.errors import ServiceError, ServiceRejected, TwokeyError, UsageError
from twokey.core.secret import Hidden
from twokey.destinations.hooks.redaction import gives_away
from twokey.destinations.hooks.webhook import PREFIX, signature
from twokey.destinations.sources import Source
from twokey.http.client import Http
from twokey.http.messages import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twokey.alerts.messages import Message
    from twokey.alerts.settings import Webhook
    from twokey.destinations.connections import ConnectionContext

PATIENCE = 30.0
"""Seconds after which an alert is given up: a run does not wait for its receivers."""
LONGEST_SLACK = 30_000
"""Characters of a text; Slack cuts one of more than 40,000."""
PART_OF_A_URL = 12
"""As ``redaction.PART``, for the path of a secret URL, of which short parts are words."""
_CODE = re.compile(r"[a-z_]{1,60}", re.ASCII)


class Slack:
    """An incoming webhook of Slack."""

    def __init__(self, source: Source, context: ConnectionContext) -> None:
        self._url = _SecretUrl("Slack", source, "slack", context)

    def send(self, message: Message) -> None:
        """Post the text."""
        text = message.text if len(message.text) <= LONGEST_SLACK else f"{message.text[: LONGEST_SLACK - 1]}…"
        escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        self._url.post({"text": escaped})


class Receiver:
    """Any URL that takes JSON, signed as Standard Webhooks where there is a secret for that."""

    def __init__(self, settings: Webhook, context: ConnectionContext) -> None:
        self._settings = settings
        self._context = context
        self._secret = context.secret(settings.secret, "secret") if isinstance(settings.secret, Source) else None

    def send(self, message: Message) -> None:
        """Post the document."""
        body, message_id = memoryview(message.json), str(uuid.uuid4())

        def sign() -> Mapping[str, str]:
            return self._signed(message_id, body)

        settings, label = self._settings, "The receiver of alerts"
        if isinstance(settings.url, Source):
            _SecretUrl(label, settings.url, "url", self._context, settings).post(raw=body, sign=sign)
        else:
            _sent(_http(label, settings.url, self._context, settings), settings.url, raw=body, sign=sign)

    def _signed(self, message_id: str, body: memoryview) -> Mapping[str, str]:
        if self._secret is None:
            return {}
        now = int(self._context.clock.now().timestamp())
        try:
            signed = signature(self._secret.value(), message_id, now, body)
        except ValueError:
            raise ServiceRejected(
                f"{self._secret}: expected a secret to sign webhooks with.",
                remedy=f'Create one for twokey and the receiver: echo "{PREFIX}$(openssl rand -base64 32)"',
            ) from None
        return {"webhook-id": message_id, "webhook-timestamp": str(now), "webhook-signature": signed}


class Heartbeat:
    """A URL that a monitor expects to be called after each good run."""

    def __init__(self, source: Source, context: ConnectionContext) -> None:
        self._url = _SecretUrl("The heartbeat's monitor", source, "heartbeat", context)

    def beat(self) -> None:
        """Call the URL."""
        self._url.get()


class _SecretUrl:
    """A URL that is read when it is needed, and that no error shows."""

    def __init__(
        self, label: str, source: Source, key: str, context: ConnectionContext, settings: Webhook | None = None
    ) -> None:
        self._label, self._key, self._source = label, key, source
        self._context, self._settings = context, settings

    def post(
        self, body: object = None, raw: memoryview | None = None, sign: Callable[[], Mapping[str, str]] = dict
    ) -> None:
        data = memoryview(json.dumps(body).encode()) if raw is None else raw
        self._call(lambda http, url: _sent(http, url, raw=data, sign=sign, secret=True))

    def get(self) -> None:
        self._call(lambda http, url: _sent(http, url, secret=True))

    def _call(self, send: Callable[[Http, Hidden], None]) -> None:
        url = self._context.secret(self._source, self._key).value()
        try:
            if "://" not in url or not urlsplit(url).hostname:
                raise ServiceRejected(f"{self._source} does not contain a URL.", remedy="Put the whole URL into it.")
            send(_http(self._label, url, self._context, self._settings), url)
        except (ServiceError, UsageError, ValueError) as error:
            shown, found = text_of(error) if isinstance(error, TwokeyError) else str(error), error
        else:
            return
        if isinstance(found, ValueError) or gives_away(shown, [_after_host(url)], part=PART_OF_A_URL):
            shown = f"{self._label} could not be called with the URL of {self._source} ({type(found).__name__})."
        raise ServiceRejected(shown)


def _http(label: str, url: str, context: ConnectionContext, settings: Webhook | None = None) -> Http:
    """Return a connection to the host of a URL; raises ``UsageError`` if nothing may be sent there."""
    return Http(
        label,
        f"{urlsplit(url).scheme}://{urlsplit(url).netloc}",
        context.clock,
        ca=(settings.ca or None) if settings else None,
        patience=PATIENCE,
        insecure_http=settings.insecure_http if settings else False,
    )


def _after_host(url: Hidden) -> Hidden:
    return Hidden(url.partition("://")[2].partition("/")[2])


def _sent(
    http: Http,
    url: str,
    *,
    raw: memoryview | None = None,
    sign: Callable[[], Mapping[str, str]] = dict,
    secret: bool = False,
) -> None:
    """Call a URL, by POST if there is something to send; raises a ``ServiceError`` unless it is accepted."""
    rest = _after_host(Hidden(url))
    response = http.send(
        Request(
            "GET" if raw is None else "POST",
            Hidden(f"/{rest}") if secret else f"/{rest}",
            "take the alert" if raw is not None else "take the heartbeat",
            raw=raw,
            headers={} if raw is None else {"Content-Type": "application/json"},
            mutates=raw is not None,
            secret=secret,
            sign=sign,
            follow=False,
        )
    )
    if response.good:
        return
    code = response.body.strip()
    # The codes of Slack, such as no_service: "Handling errors" of incoming webhooks.
    says = f" It says: {code}." if _CODE.fullmatch(code) else ""
    raise ServiceRejected(f"{http.service} responded with {response.status}.{says}")
