"""The lines of an audit log, and the hash chain that connects them. Ids and times only, never a secret.

A line is one JSON object. Its last member is ``hash``: the SHA-256 of the line without ``,"hash":"…"``, including the
closing brace. The member ``prev`` is the hash of the previous line, so a line cannot be changed, removed, moved or
inserted without changing every line that follows.

A crash may leave an incomplete line. It has no newline, which distinguishes it from all others. The next writer
continues in the same line, with a record that says how many bytes are incomplete, and their hash.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from twokey.core.journal import Journal
from twokey.core.reasons import Outcome, Reason

FORMAT = 1
NO_HASH = "0" * 64
TORN = b'{"what":"torn"'

Effect = Literal["journal", "fence", "create", "delete", "deactivate", "store", "deliver"]
Moment = Annotated[datetime, Meta(tz=True)]
Hash = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="what", forbid_unknown_fields=True):
    """The members of every line: its number, the services' time (at first, this machine's), the chain."""

    seq: int = 0
    at: Moment
    prev: Hash = ""


class Opened(Line, frozen=True, kw_only=True, tag="opened"):
    """The first line of a file. ``file`` is random, so that no line of another file fits into the chain."""

    format: int
    file: str
    version: str


class Torn(Line, frozen=True, kw_only=True, tag="torn"):
    """A crash left an incomplete line: ``bytes`` bytes before this record, in the same line."""

    bytes: int
    sha256: Hash


class Began(Line, frozen=True, kw_only=True, tag="run"):
    """A run is about to make its first change. Its id is part of the user agent of all its requests to AWS.

    ``own_key`` is the id of the access key that twokey itself runs with.
    """

    run: str
    version: str
    host: str
    process: int
    own_key: str = ""


class Evidence(Line, frozen=True, kw_only=True, tag="evidence"):
    """The run wrote files about an incident: the SHA-256 of each, by its name. A later change of one shows."""

    run: str
    files: dict[str, Hash]


class OfUser(Line, frozen=True, kw_only=True):
    """A line about one machine user in one run."""

    run: str
    account: str
    user: str


class Rules(OfUser, frozen=True, kw_only=True, tag="user"):
    """The settings for this user in this run: store, destinations, durations in seconds, and the operator's options."""

    user_id: str
    arn: str
    store: str
    destinations: tuple[str, ...] = ()
    grace: float
    soak: float
    idle: float
    proofs: int
    """How many correct responses in a row prove a created key, in all regions together."""
    force: bool = False
    ignore_last_use: bool = False
    retire: tuple[str, ...] = ()
    forget: str = ""
    """The destination that the operator let the journal forget."""
    moved_to: str = ""
    """The store that the user is moved to; ``store`` is then the one that the user is moved from."""
    former_unread: bool = False


class ListedKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An access key as IAM lists it."""

    id: str
    active: bool
    created: Moment


class Observed(OfUser, frozen=True, kw_only=True, tag="observed"):
    """What the run has read since its previous line about this user; what it did not read is omitted.

    ``holds``: for each destination, the id of the key that it holds, empty for none, null if it cannot tell.
    ``journal`` is that of the user's store, ``new_journal`` that of the store that the user is moved to.
    """

    keys: tuple[ListedKey, ...] | None = None
    holds: dict[str, str | None] = {}
    journal: Journal | None = None
    new_journal: Journal | None = None
    last_used: dict[str, Moment | None] = {}


class Proved(OfUser, frozen=True, kw_only=True, tag="proved"):
    """STS was asked ``requests`` times which user a key belongs to; the last ``in_a_row`` responses were correct."""

    key: str
    requests: int
    in_a_row: int


class Begin(OfUser, frozen=True, kw_only=True, tag="begin"):
    """An effect is about to take place. This line is on disk before the effect is sent."""

    effect: Effect
    key: str = ""
    destination: str = ""
    journal: Journal | None = None


class Done(OfUser, frozen=True, kw_only=True, tag="done"):
    """The effect that began in line ``of`` took place. ``key`` and ``created`` describe the key of a creation."""

    of: int
    key: str = ""
    created: Moment | None = None


class Failed(OfUser, frozen=True, kw_only=True, tag="failed"):
    """The effect that began in line ``of`` failed. With ``ambiguous`` it may have taken place nevertheless."""

    of: int
    error: str
    ambiguous: bool = False


class Ended(OfUser, frozen=True, kw_only=True, tag="ended"):
    """How the run ended for this user."""

    outcome: Outcome
    reason: Reason
    current: str = ""
    last: str = ""


Record = Opened | Torn | Began | Evidence | Rules | Observed | Proved | Begin | Done | Failed | Ended
UserRecord = Rules | Observed | Proved | Begin | Done | Failed | Ended

_SEAL = b',"hash":"'
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Record)


class Damaged(ValueError):
    """These bytes are not a line of an audit log, or not the line that was written; the message says why."""


def seal(record: Record, seq: int, prev: str) -> tuple[bytes, str]:
    """Return the line with a record at this position of the chain, including its newline, and its hash."""
    body = _encoder.encode(msgspec.structs.replace(record, seq=seq, prev=prev))
    digest = hashlib.sha256(body).hexdigest()
    return body[:-1] + _SEAL + digest.encode() + b'"}\n', digest


def unseal(line: bytes) -> tuple[Record, str]:
    """Return the record and hash of a line; raises ``Damaged`` if the line is not the one that was sealed.

    The line is passed without its newline, and without an incomplete part before it.
    """
    body, mark, end = line.rpartition(_SEAL)
    if not mark or len(end) != 66 or not end.endswith(b'"}'):
        raise Damaged("it is not a line of an audit log: expected its hash at the end")
    body, digest = body + b"}", end[:64].decode("ascii", "replace")
    if hashlib.sha256(body).hexdigest() != digest:
        raise Damaged("it was changed: its hash does not match")
    try:
        record: Record = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Damaged(f"it is not a line that twokey writes: {error}") from None
    if _encoder.encode(record) != body:
        raise Damaged("it is not a line that twokey writes: twokey spells the same content differently")
    return record, digest


def split(line: bytes) -> tuple[bytes, bytes]:
    """Return the incomplete part at the beginning of a line, and the record after it."""
    at = line.rfind(TORN)
    return (line[:at], line[at:]) if at > 0 else (b"", line)


def digest_of(torn: bytes) -> str:
    """Return the hash of an incomplete part, as the record after it contains it."""
    return hashlib.sha256(torn).hexdigest()


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a line."""
    document = msgspec.json.schema(Record)
    for definition in document["$defs"].values():
        properties = definition.get("properties", {})
        if "prev" in properties:
            properties["hash"] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
            definition["required"] = [*definition["required"], "seq", "prev", "hash"]
            properties["seq"].pop("default", None)
            properties["prev"].pop("default", None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of twokey's audit log",
        **document,
    }
