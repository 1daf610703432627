"""``alerts:`` of twokey.yaml, checked: each error with its line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from msgspec import UNSET, UnsetType

from twokey.alerts import memory
from twokey.alerts.settings import KINDS, REPEAT, WINDOW_WITHIN, Alerts, Receiver
from twokey.core import durations
from twokey.core.errors import UsageError
from twokey.destinations.sources import Source
from twokey.http import transport

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from twokey.alerts.settings import AlertsSchema
    from twokey.config.yaml_lines import Document, Position

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", re.ASCII)
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_NAMES_A_SECRET = re.compile(r"(?i)token|secret|passw|signature|^sig$|^key$|api_?key|^code$", re.ASCII)
_LONG = 16
"""Letters and digits in a row that no human writes."""
_ARNS = {
    "sns": (re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[\w-]+(\.fifo)?", re.ASCII), "sns:REGION:ACCOUNT:TOPIC"),
    "eventbridge": (
        re.compile(r"arn:aws[a-z-]*:events:[a-z0-9-]+:\d{12}:event-bus/[\w./-]+", re.ASCII),
        "events:REGION:ACCOUNT:event-bus/NAME",
    ),
}


def alerts(section: AlertsSchema | UnsetType, document: Document) -> Alerts | None:
    """Return the settings of alerts, None without any; raises ``UsageError``."""
    if isinstance(section, UnsetType):
        return None
    if section.to is UNSET and section.heartbeat is UNSET:
        raise document.error(("alerts",), "`alerts` has neither `to` nor `heartbeat`.", "Add one of them.")
    receivers = tuple(section.to or ())
    for index, receiver in enumerate(receivers):
        _check(receiver, document, ("alerts", "to", index))
    at = {f"to.{index}": document.at(("alerts", "to", index)) for index in range(len(receivers))}
    at |= {key: document.at(("alerts", key)) for key in ("heartbeat", "remember")}
    return Alerts(
        receivers,
        at,
        section.heartbeat if isinstance(section.heartbeat, Source) else None,
        _remember(section, document),
        _duration(section.repeat, document, "repeat", REPEAT),
        _duration(section.window_within, document, "window_within", WINDOW_WITHIN),
    )


def _remember(section: AlertsSchema, document: Document) -> str:
    if isinstance(section.remember, UnsetType):
        if section.repeat is not UNSET:
            raise document.error(
                ("alerts", "repeat"),
                "`repeat` needs `remember`: twokey keeps no state of its own.",
                "Say where twokey may remember what was sent: remember: ssm:/twokey/alerts.",
            )
        return ""
    try:
        memory.check(section.remember)
    except UsageError as error:
        raise document.error(("alerts", "remember"), f"`remember`: {error.message}", error.remedy) from None
    return section.remember


def _duration(text: str | UnsetType, document: Document, key: str, default: timedelta) -> timedelta:
    if isinstance(text, UnsetType):
        return default
    return durations.parse(text, f"{document.at(('alerts', key))}: `{key}`")


def _check(receiver: Receiver, document: Document, position: Position) -> None:
    kinds = [kind for kind in KINDS if getattr(receiver, kind) is not UNSET]
    if len(kinds) != 1:
        found = f"it has {' and '.join(f'`{kind}`' for kind in kinds)}" if kinds else "it has none of them"
        raise document.error(
            position,
            f"a receiver of `alerts` has exactly one of {', '.join(KINDS)}; {found}.",
            "Begin each receiver with `- `, on a line of its own.",
        )
    (kind,) = kinds
    for at, message, remedy in _problems(receiver, kind):
        raise document.error((*position, kind, *at), message, remedy)


def _problems(receiver: Receiver, kind: str) -> Iterator[tuple[Position, str, str]]:
    """Return what is wrong with a receiver: where, what, and what to do."""
    target = getattr(receiver, kind)
    if kind in _ARNS and not _ARNS[kind][0].fullmatch(target):
        yield (), f"`{kind}`: expected an ARN like arn:aws:{_ARNS[kind][1]}, got {target!r}.", ""
    if kind in ("ses", "smtp"):
        for at, address in ((("from",), target.sender), *((("to", index), one) for index, one in enumerate(target.to))):
            if not _ADDRESS.fullmatch(address):
                yield at, f"`{at[0]}`: expected an e-mail address like team@example.com, got {address!r}.", ""
    try:
        if kind == "webhook" and isinstance(target.url, str):
            _check_url(target.url, insecure_http=target.insecure_http)
        if kind == "smtp":
            from twokey.alerts import by_mail

            by_mail.check(target)
    except UsageError as error:
        yield (), f"`{kind}`: {error.message}", error.remedy


def _check_url(url: str, *, insecure_http: bool) -> None:
    transport.checked(url.partition("?")[0].partition("#")[0], "the receiver", on_link=False, private=insecure_http)
    if _may_be_secret(url):
        raise UsageError(
            "`url` seems to contain a secret itself: a part of it looks like a token. Secrets are never in this file.",
            remedy="Put the URL into an environment variable, a file or a secrets store, and name that: "
            "url: {env: NAME}, {file: PATH} or {from: URL}.",
        )


def _may_be_secret(url: str) -> bool:
    """Return whether the path or the query of a URL has what a service makes, not a human: as most webhooks do."""
    parts = urlsplit(url)
    options = parse_qsl(f"{parts.query}&{parts.fragment}", keep_blank_values=True)
    if any(_NAMES_A_SECRET.search(name) and value for name, value in options):
        return True
    return any(_is_made_up(word) for text in (parts.path, *(value for _, value in options)) for word in _words(text))


def _words(text: str) -> list[str]:
    return [*_UUID.findall(text), *re.split(r"[^A-Za-z0-9]+", _UUID.sub("", text))]


def _is_made_up(word: str) -> bool:
    """Return whether a word is a UUID, or as long as a token and a mixture of letters and digits."""
    if _UUID.fullmatch(word):
        return True
    digits = sum(character.isdigit() for character in word)
    return len(word) >= _LONG and 2 <= digits < len(word)
