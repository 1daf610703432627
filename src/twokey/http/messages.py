"""A request to a service and its response. Neither shows a secret."""

from __future__ import annotations

import base64
import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from twokey.core.secret import Hidden

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LONGEST_QUOTE = 300
PART = 8
"""Characters of a token that count as the token, in a service's messages."""
_PUBLIC = {"Accept", "Content-Type", "User-Agent"}
"""Headers without secrets; a service may repeat their values."""
_MESSAGE_MEMBERS = ("message", "error_message", "error_description", "error", "errors", "messages", "detail", "title")
"""The members of a response in which services describe an error."""


@dataclass(frozen=True, slots=True)
class Response:
    """A response of the service itself. ``body`` may contain a secret: it does not show itself.

    ``data`` are its bytes, for a service that sends text in another encoding than UTF-8. ``sent`` are the words of the
    request's headers, the token among them. ``moved_to`` is the path to which the service redirected; empty if it did
    not.
    """

    status: int
    headers: Mapping[str, str]
    body: Hidden = field(default_factory=Hidden)
    sent: tuple[Hidden, ...] = ()
    data: memoryview = field(default_factory=lambda: memoryview(b""))
    moved_to: str = ""

    @property
    def good(self) -> bool:
        """Whether the service did what was requested."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """Return the decoded body; None for an empty body or invalid JSON. Its texts may be secrets."""
        try:
            return msgspec.json.decode(self.body.encode()) if self.body.strip() else None
        except (msgspec.DecodeError, UnicodeError):
            return None

    def error_message(self) -> str:
        """Return the service's error message, as one sentence on one line, of bounded length."""
        found = self.json()
        text = ""
        if isinstance(found, dict):
            for key in _MESSAGE_MEMBERS:
                if found.get(key):
                    value = found[key]
                    if isinstance(value, list) and all(isinstance(one, str) for one in value):
                        value = "; ".join(value)
                    inner = value.get("message") if isinstance(value, dict) else None
                    text = next((one for one in (value, inner) if isinstance(one, str)), None) or json.dumps(value)
                    break
        text = " ".join(text.split())
        if len(text) > LONGEST_QUOTE:
            return f"{text[: LONGEST_QUOTE - 1]}…"
        return f"{text}." if text and text[-1].isalnum() else text

    def quotable(self) -> str:
        """Return ``error_message``, or nothing if the service repeats a part of the token that was sent."""
        message = self.error_message()
        parts = {word[at : at + PART] for word in self.sent for at in range(len(word) - PART + 1)}
        return "" if any(message[at : at + PART] in parts for at in range(len(message))) else message


@dataclass(frozen=True, slots=True)
class Request:
    """One request. ``description`` names it in messages: ``write the secret X of acme/site``.

    ``mutates``: it may change something. ``idempotent``: sending it twice does no harm. ``secret``: it, or its
    response, holds one, so the service's message about it is never quoted. ``permission`` is what a token needs for
    it: ``the scope repo``. ``form`` is sent as a form, ``body`` as JSON, ``raw`` as it is: in a ``memoryview`` if it is
    a secret. ``sign`` returns headers each time that the request is sent, such as a signature over the time.
    ``follow``: a redirect may be followed, on the same host. A ``Hidden`` path is a secret itself: no redirect is
    followed, and no message shows it.
    """

    method: str
    path: str
    description: str
    body: Any = None
    form: Mapping[str, str] | None = None
    raw: bytes | memoryview | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    mutates: bool = True
    idempotent: bool = True
    secret: bool = False
    permission: str = ""
    sign: Callable[[], Mapping[str, str]] = dict
    follow: bool = True


class Shy(dict[str, str]):
    """Headers whose ``repr`` does not show them."""

    def __repr__(self) -> str:
        return "(hidden)"


def hidden(headers: Shy) -> dict[str, Hidden]:
    """Return headers whose values do not show themselves. No variable shows them on the way."""
    return dict(zip(headers, map(Hidden, headers.values()), strict=True))


def body_of(request: Request) -> tuple[memoryview | None, dict[str, str]]:
    """Return the body, in a type that no traceback shows, and the headers that belong to it."""
    if request.raw is not None:
        return memoryview(request.raw), {}
    if request.form is not None:
        from urllib.parse import urlencode

        return memoryview(urlencode(request.form).encode()), {"Content-Type": "application/x-www-form-urlencoded"}
    if request.body is not None:
        return memoryview(json.dumps(request.body).encode()), {"Content-Type": "application/json"}
    return None, {}


def words_of(headers: Mapping[str, str]) -> tuple[Hidden, ...]:
    """Return the words of the headers that may be secret; "Basic" encodes two in one (RFC 7617)."""
    words = [word for name, value in headers.items() if name not in _PUBLIC for word in map(Hidden, value.split())]
    for word in list(words):
        with contextlib.suppress(ValueError):
            words += map(Hidden, base64.b64decode(word, validate=True).decode("ascii").split(":"))
    return tuple(words)
