"""What was done about leaked keys, as a Markdown page and as a JSON document. Pure. It never holds a secret.

Times are AWS's. The ids of the requests are AWS's too, and CloudTrail's events of the same requests have them: what is
written here can be compared with what AWS recorded.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from twokey.core import timestamps
from twokey.core.commands import revoke_command

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

VERSION = 1
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#&~])")
_PLAIN = re.compile(r"[\w+=,.@:/ -]+", re.ASCII)


class LeakedKey(msgspec.Struct, omit_defaults=True):
    """A leaked key. ``inactive_since`` is null where it could not be made Inactive."""

    key_id: str
    inactive_since: Moment | None
    request_id: str = ""
    message: str = ""


class Delivery(msgspec.Struct, omit_defaults=True):
    """How a destination got the new key."""

    destination: str
    outcome: str
    message: str = ""


class Session(msgspec.Struct, omit_defaults=True):
    """What happened to the sessions of a role; ``policy`` is what was, or has to be, put on it."""

    role: str
    outcome: Literal["ended", "kept", "denied"]
    policy: str = ""
    message: str = ""


class UserRecord(msgspec.Struct):
    """What was done for one user. ``power``: what its keys could do, if that was read."""

    account: str
    user: str
    path: str
    power: str
    leaked: list[LeakedKey]
    outcome: str
    message: str
    current: str
    removed: list[str]
    destinations: list[Delivery]
    sessions: list[Session]


class Change(msgspec.Struct):
    """A change that was requested of AWS. ``result`` is empty for success, otherwise AWS's error code."""

    at: Moment
    action: str
    subject: str
    request_id: str
    result: str


class Left(msgspec.Struct):
    """What could not be done, and the command that continues; empty where there is none."""

    user: str
    what: str
    command: str


class EvidenceDocument(msgspec.Struct):
    """What ``twokey revoke --evidence`` writes as JSON. ``caller`` is the ARN that the run acted as."""

    version: int
    command: str
    run: str
    twokey: str
    account: str
    caller: str
    began: Moment
    ended: Moment
    users: list[UserRecord]
    left: list[Left]
    changes: list[Change]


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the document."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The evidence of twokey revoke",
        **msgspec.json.schema(EvidenceDocument),
    }


def as_json(document: EvidenceDocument) -> str:
    """Return the document as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def digest(text: str) -> str:
    """Return the SHA-256 of a file with this text, as ``sha256sum`` shows it."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def as_markdown(document: EvidenceDocument, json_name: str, json_digest: str) -> str:
    """Return the page for people; it names the JSON file with its digest."""
    lines = [
        "# Leaked access keys: what was done",
        "",
        f"- Command: {_code(document.command)}",
        f"- By: {_code(document.caller)}, account {_code(document.account)}",
        f"- Run: {_code(document.run)} of twokey {_text(document.twokey)}",
        f"- From {_time(document.began)} to {_time(document.ended)}",
        _counts(document),
        f"- Left to do now: {len(document.left) or 'nothing'}",
        "",
        "All times are AWS's. CloudTrail records the same request IDs.",
        "",
        *_section("Left to do now", (_left(one) for one in document.left)),
        *_table(
            "Keys",
            ("user", "what its keys could do", "leaked key", "Inactive since", "request ID", "new key", "outcome"),
            (row for user in document.users for row in _keys(user)),
        ),
        *_table(
            "Destinations",
            ("user", "destination", "outcome"),
            (
                (_text(user.user), _code(one.destination), _with(one.outcome, one.message))
                for user in document.users
                for one in user.destinations
            ),
        ),
        *_table(
            "Sessions",
            ("user", "whose sessions", "outcome"),
            (
                (_text(user.user), _code(one.role), _with(one.outcome, one.message))
                for user in document.users
                for one in user.sessions
            ),
        ),
        *_section("Policies to put on roles", _policies(document)),
        *_section("Later", _later(document)),
        *_table(
            "Every change that was requested of AWS",
            ("at", "action", "about", "request ID", "result"),
            (
                (_time(one.at), _code(one.action), _code(one.subject), _code(one.request_id), _text(one.result or "ok"))
                for one in document.changes
            ),
        ),
        f"The same as JSON: {_code(json_name)}, SHA-256 {_code(json_digest)}.",
    ]
    return "\n".join(lines) + "\n"


def _counts(document: EvidenceDocument) -> str:
    keys = [key for user in document.users for key in user.leaked]
    inactive = [key.inactive_since for key in keys if key.inactive_since]
    last = f", the last of them since {_time(max(inactive))}" if inactive else ""
    return f"- Leaked keys: {len(keys)}; Inactive: {len(inactive)}{last}"


def _keys(user: UserRecord) -> Iterator[tuple[str, ...]]:
    for key in user.leaked or [LeakedKey("", None)]:
        since = _time(key.inactive_since) if key.inactive_since else _with("not Inactive", key.message)
        yield (
            _text(user.user),
            _text(user.power or "unknown"),
            _code(key.key_id),
            since if key.key_id else "",
            _code(key.request_id),
            _code(user.current),
            _text(user.outcome),
        )


def _left(left: Left) -> str:
    command = f" Next: {_code(left.command)}" if left.command else ""
    return f"- **{_text(left.user)}**: {_text(left.what)}{command}"


def _later(document: EvidenceDocument) -> Iterator[str]:
    """Yield what follows once the incident is over: the keys that are kept, and the policies that ended sessions."""
    kept = [
        key.key_id
        for user in document.users
        for key in user.leaked
        if key.inactive_since and key.key_id not in user.removed
    ]
    for key_id in kept:
        command = revoke_command(key_id, "--delete")
        yield f"- {_code(key_id)} is kept, Inactive. Once it is not needed as evidence: {_code(command)}"
    if any(one.outcome == "ended" for user in document.users for one in user.sessions):
        lift = _code("twokey revoke --lift")
        yield f"- Policies deny the sessions of before. Once these are over, 36 hours later at most: {lift}"


def _policies(document: EvidenceDocument) -> Iterator[str]:
    """Yield what ends the sessions that twokey could not end: each policy once, with its roles."""
    roles: dict[str, list[str]] = {}
    for one in (session for user in document.users for session in user.sessions):
        if one.outcome != "ended" and one.policy and one.role not in roles.setdefault(one.policy, []):
            roles[one.policy].append(one.role)
    for policy, names in roles.items():
        yield from (f"- {_code(name)}" for name in names)
        yield from ("", "```json", policy.replace("`", ""), "```", "")


def _section(title: str, lines: Iterator[str]) -> list[str]:
    found = [*lines]
    return [f"## {title}", "", *found, ""] if found else []


def _table(title: str, headings: Sequence[str], rows: Iterator[tuple[str, ...]]) -> list[str]:
    found = [f"| {' | '.join(cells)} |" for cells in rows]
    head = [f"| {' | '.join(headings)} |", f"|{'---|' * len(headings)}"]
    return [f"## {title}", "", *head, *found, ""] if found else []


def _time(moment: datetime) -> str:
    return timestamps.utc(moment)


def _with(outcome: str, message: str) -> str:
    return _text(f"{outcome}: {message}" if message else outcome)


def _text(text: str) -> str:
    """Return text of a service, which may contain anything, so that Markdown shows it as it is, on one line."""
    line = "".join(one if one.isprintable() else "\ufffd" for one in " ".join(text.split()))
    return _SPECIAL.sub(r"\\\1", line)


def _code(text: str) -> str:
    if not text:
        return ""
    return f"`{text}`" if _PLAIN.fullmatch(text) else _text(text)
