"""Events of AWS about exposed keys, as EventBridge sends them: AWS Health, Trusted Advisor, GuardDuty, IAM. Pure.

An event may come alone, in a list, one on each line, or as Amazon SNS or SQS pass it on. It has no signature: a program
that can write the file can name any key. So only keys of the account count, and each is looked up there.

Sources: "AWS Health events" and "AWS Trusted Advisor events" (Amazon EventBridge Events Reference), "Monitoring AWS
Trusted Advisor check results with Amazon EventBridge" (AWS Support User Guide), "AccessKeyDetails" (Amazon GuardDuty
API Reference), "AWS service events delivered via AWS CloudTrail" (Amazon EventBridge User Guide).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from twokey.core.errors import UsageError
from twokey.revocation.quarantine import is_quarantine
from twokey.revocation.reported import Reported, Reports

if TYPE_CHECKING:
    from collections.abc import Iterator

DEEPEST = 8
"""Envelopes around an event that are opened."""
MOST_NAMED = 80
"""Characters of an event's own text that a message repeats."""
_KEY_ID = re.compile(r"(?<![A-Za-z0-9])A[KS]IA[A-Z0-9]{16}(?![A-Za-z0-9])")
_USER = re.compile(r"(?:arn:[\w-]+:iam::\d{12}:user/(?:[!-~]*/)?)?([\w+=,.@-]{1,64})", re.ASCII)
_EXPOSED = re.compile(r"AWS_RISK_\w*(?:CREDENTIALS|KEY|IAM)\w*", re.ASCII)


def read(name: str, content: bytes) -> Reports:
    """Return what the events in a file report. Raises ``UsageError`` for what is no JSON, or no event."""
    reported: list[Reported] = []
    notes: list[str] = []
    for document in _documents(name, content):
        for event in _events(name, document, DEEPEST):
            account = _text(event, "account")
            found = [replace(one, account=account) for one in _reported(event)]
            reported += found
            if not found:
                notes.append(f"{name}: an event of {_text(event, 'source')} ({_what(event)}) reports no exposed key.")
    return Reports(tuple(reported), tuple(notes))


def _documents(name: str, content: bytes) -> Iterator[Any]:
    try:
        yield msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    else:
        return
    lines = [line for line in content.splitlines() if line.strip()]
    if not lines:
        raise _no_event(name)
    try:
        yield from [msgspec.json.decode(line) for line in lines]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _no_event(name) from None


def _no_event(name: str) -> UsageError:
    return UsageError(
        f"--event: {name} has no event that twokey knows.",
        state="Nothing was called.",
        remedy="Give it an event of Amazon EventBridge as JSON, or a request of a GitHub webhook with its headers.",
    )


def _events(name: str, node: Any, depth: int) -> Iterator[dict[str, Any]]:
    """Yield the events in a document: what is around them, SNS and SQS or a list, is taken off."""
    if depth and isinstance(node, list):
        for one in node:
            yield from _events(name, one, depth - 1)
        return
    if not isinstance(node, dict) or not depth:
        raise _no_event(name)
    if isinstance(node.get("source"), str) and isinstance(node.get("detail"), dict):
        yield node
        return
    inner = next((node[key] for key in ("Records", "Messages", "Sns", "Message", "Body", "body") if key in node), None)
    if inner is None:
        raise _no_event(name)
    if isinstance(inner, str):
        try:
            inner = msgspec.json.decode(inner)
        except (msgspec.DecodeError, RecursionError):
            raise _no_event(name) from None
    yield from _events(name, inner, depth - 1)


def _reported(event: dict[str, Any]) -> Iterator[Reported]:
    detail = event["detail"]
    if event["source"] == "aws.health":
        yield from _health(detail)
    elif event["source"] == "aws.trustedadvisor":
        yield from _advisor(detail)
    elif event["source"] == "aws.guardduty":
        yield from _guardduty(detail)
    elif event["source"] == "aws.iam":
        yield from _trail(detail)


def _health(detail: dict[str, Any]) -> Iterator[Reported]:
    code = _text(detail, "eventTypeCode")
    if not _EXPOSED.fullmatch(code):
        return
    source = f"AWS Health reports {code}"
    entities = detail.get("affectedEntities")
    values = [_text(one, "entityValue") for one in entities] if isinstance(entities, list) else []
    ids = [key_id for value in values for key_id in _KEY_ID.findall(value)]
    if not ids:
        ids = _KEY_ID.findall(msgspec.json.encode(detail).decode())
    if ids:
        yield from (Reported("TK821", source, key_id) for key_id in dict.fromkeys(ids))
        return
    users = [found[1] for value in values if (found := _USER.fullmatch(value))]
    yield from (Reported("TK821", source, user=user) for user in users or [""])


def _advisor(detail: dict[str, Any]) -> Iterator[Reported]:
    if _text(detail, "check-name") != "Exposed Access Keys" or _text(detail, "status") == "OK":
        return
    item = detail.get("check-item-detail")
    ids = _KEY_ID.findall(_text(item, "Access Key ID"))
    user = _USER.fullmatch(_text(item, "User Name (IAM or Root)"))
    yield Reported(
        "TK821",
        "AWS Trusted Advisor reports an exposed access key",
        ids[0] if ids else "",
        user[1] if user else "",
        _text(item, "Location"),
    )


def _guardduty(detail: dict[str, Any]) -> Iterator[Reported]:
    resource = detail.get("resource")
    key = resource.get("accessKeyDetails") if isinstance(resource, dict) else None
    ids = _KEY_ID.findall(_text(key, "accessKeyId"))
    if not ids:
        return
    user = _USER.fullmatch(_text(key, "userName"))
    yield Reported("TK822", f"Amazon GuardDuty reports {_text(detail, 'type')}", ids[0], user[1] if user else "")


def _trail(detail: dict[str, Any]) -> Iterator[Reported]:
    parameters = detail.get("requestParameters")
    user = _USER.fullmatch(_text(parameters, "userName"))
    arn = _text(parameters, "policyArn")
    if _text(detail, "eventName") == "AttachUserPolicy" and is_quarantine(arn) and user:
        yield Reported("TK821", f"AWS has attached {arn.rpartition('/')[2]}", user=user[1])


def _what(event: dict[str, Any]) -> str:
    return _text(event["detail"], "eventTypeCode") or _text(event, "detail-type") or "without a type"


def _text(node: Any, name: str) -> str:
    """Return a member that is text, shortened; empty if there is none."""
    value = node.get(name) if isinstance(node, dict) else None
    return " ".join(value.split())[:MOST_NAMED] if isinstance(value, str) else ""
