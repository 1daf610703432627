"""The options of a role's session, checked before anything is called.

The limits are those of "AssumeRole" (STS API Reference).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from twokey.core import durations
from twokey.core.errors import UsageError, unreadable

SHORTEST = timedelta(minutes=15)
LONGEST = timedelta(hours=12)
DEFAULT = timedelta(hours=1)
LONGEST_POLICY = 2048
MOST_TAGS = 50

_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)
_TAG = r"[\w\s.:/=+@-]"
_ARN = re.compile(r"arn:(?:aws[a-z-]*):iam::\d{12}:role/[\w+=,.@/-]{1,576}", re.ASCII)
_ROLE = re.compile(r"(?:[\x21-\x2e\x30-\x7e]+/)*[\w+=,.@-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """What a job requests of the last role's session; the external ID is sent to every role that has none of its own.

    ``duration`` is None where it is not set.
    """

    session_name: str
    external_id: str = ""
    source_identity: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    policy: str = ""
    duration: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Role:
    """A role of a chain: an ARN, or a name in the account of the key. The rest is from ``roles:`` of twokey.yaml."""

    name: str
    external_id: str = ""
    duration: timedelta | None = None

    @property
    def is_arn(self) -> bool:
        """Whether the name is a whole ARN."""
        return self.name.startswith("arn:")


def role(text: str, what: str = "--role", external_id: str = "", duration: timedelta | None = None) -> Role:
    """Return a role by its ARN or name; raises ``UsageError`` for what can be neither."""
    if text.startswith("arn:"):
        if ":assumed-role/" in text:
            name = text.partition(":assumed-role/")[2].partition("/")[0]
            raise UsageError(
                f"{what}: {text} is a session of a role, not a role.",
                remedy=f"Use the ARN of the role, such as arn:aws:iam::123456789012:role/{name}.",
            )
        if not _ARN.fullmatch(text):
            raise UsageError(f"{what}: expected arn:aws:iam::ACCOUNT:role/NAME, got {text!r}.")
    elif not _ROLE.fullmatch(text):
        raise UsageError(
            f"{what}: expected the ARN or the name of a role, or an entry of roles: in twokey.yaml, got {text!r}."
        )
    return Role(text, external_id, duration)


def session_name(text: str, what: str = "--session-name") -> str:
    """Return a name of a session; raises ``UsageError`` for what STS does not accept."""
    return _matching(_NAME, text, what, "2 to 64 letters, digits and +=,.@_-")


def external_id(text: str, what: str = "--external-id") -> str:
    """Return an external ID; raises ``UsageError`` for what STS does not accept."""
    return _matching(_EXTERNAL_ID, text, what, "2 to 1224 letters, digits and +=,.@:/_-")


def source_identity(text: str, what: str = "--source-identity") -> str:
    """Return a source identity; raises ``UsageError`` for what STS does not accept."""
    if text.startswith("aws:"):
        raise UsageError(f"{what}: AWS reserves what begins with aws:.")
    return _matching(_NAME, text, what, "2 to 64 letters, digits and +=,.@_-")


def _matching(pattern: re.Pattern[str], text: str, what: str, expected: str) -> str:
    if not pattern.fullmatch(text):
        raise UsageError(f"{what}: expected {expected}, got {text!r}.")
    return text


def tags(texts: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return session tags; raises ``UsageError`` for what is not K=V, or not accepted by STS."""
    found: dict[str, tuple[str, str]] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not re.fullmatch(rf"{_TAG}{{1,128}}", key) or not re.fullmatch(rf"{_TAG}{{0,256}}", value):
            raise UsageError(
                f"--tag: expected KEY=VALUE, got {text!r}.",
                remedy="A key has 1 to 128 characters, a value at most 256: letters, digits, spaces and _.:/=+@-.",
            )
        if key.lower() in found:
            raise UsageError(f"--tag: {key} is set twice; STS does not distinguish keys by case.")
        found[key.lower()] = (key, value)
    if len(found) > MOST_TAGS:
        raise UsageError(f"--tag: a session has at most {MOST_TAGS} tags, got {len(found)}.")
    return tuple(found.values())


def duration(text: str, what: str = "--duration") -> timedelta:
    """Return a session's duration; raises ``UsageError`` for one that STS does not accept for any role."""
    length = durations.parse(text, what)
    if not SHORTEST <= length <= LONGEST:
        raise UsageError(f"{what}: expected 15m to 12h, the limits of AWS, got {durations.exact(length)}.")
    return length


def session_policy(file: str) -> str:
    """Return a file's policy without its white space; raises ``UsageError`` for what cannot be a session policy."""
    try:
        document = json.loads(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise unreadable(f"--session-policy: {file}", error) from None
    except ValueError as error:
        raise UsageError(f"--session-policy: {file} is not JSON: {error}.") from None
    if not isinstance(document, dict) or "Statement" not in document:
        raise UsageError(f"--session-policy: expected a policy, a JSON object with Statement, in {file}.")
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    if len(text) > LONGEST_POLICY:
        raise UsageError(
            f"--session-policy: the policy in {file} has {len(text)} characters without white space; STS accepts at "
            f"most {LONGEST_POLICY}."
        )
    return text
