"""The lines of an audit log, and the chain that holds them together. Ids and times only, never a secret.

A line is one JSON object. Its last member is ``hash``: SHA-256 of all that stands before it, the comma left out and the
brace closed. The member ``prev`` is the hash of the line before, so a line cannot be changed, removed, moved or put in
without changing every line that follows.

A crash may leave a line that was written in part. It has no newline, so it is told from all others; the next writer
goes on behind it in the same line, with a record that says how much of it is torn, and what that hashes to.
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
    """What every line has: its number, the services' time (this machine's where nothing answered yet), the chain."""

    seq: int = 0
    at: Moment
    prev: Hash = ""


class Opened(Line, frozen=True, kw_only=True, tag="opened"):
    """The first line of a file. ``file`` is drawn at random: no line of another file fits behind it."""

    format: int
    file: str
    version: str


class Torn(Line, frozen=True, kw_only=True, tag="torn"):
    """A writer died within a line. That many bytes before this record, in the same line, are what it left."""

    bytes: int
    sha256: Hash


class Began(Line, frozen=True, kw_only=True, tag="run"):
    """A run is about to change something. Its id stands in the user agent of all its requests to AWS.

    ``own_key`` is the id of the access key that twokey itself runs with.
    """

    run: str
    version: str
    host: str
    process: int
    own_key: str = ""


class OfUser(Line, frozen=True, kw_only=True):
    """A line about one machine user in one run."""

    run: str
    account: str
    user: str


class Rules(OfUser, frozen=True, kw_only=True, tag="user"):
    """What holds for this user in this run: places, rules (in seconds), and what a person asked for besides."""

    user_id: str
    arn: str
    store: str
    destinations: tuple[str, ...] = ()
    grace: float
    soak: float
    idle: float
    proofs: int
    """How many answers in a row prove a created key, all regions together."""
    force: bool = False
    ignore_last_use: bool = False
    retire: tuple[str, ...] = ()


class ListedKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An access key as IAM lists it."""

    id: str
    active: bool
    created: Moment


class Observed(OfUser, frozen=True, kw_only=True, tag="observed"):
    """What was read since the line before of this user; what was not read is left out.

    ``holds``: each place's key id, empty where it holds none, null where it cannot tell.
    """

    keys: tuple[ListedKey, ...] | None = None
    holds: dict[str, str | None] = {}
    journal: Journal | None = None
    last_used: dict[str, Moment | None] = {}


class Proved(OfUser, frozen=True, kw_only=True, tag="proved"):
    """STS was asked who a key is: so many times, and at the end so many right answers in a row."""

    key: str
    asked: int
    in_a_row: int


class Begin(OfUser, frozen=True, kw_only=True, tag="begin"):
    """An effect is about to take place. This line is on the disk before the effect is sent."""

    effect: Effect
    key: str = ""
    place: str = ""
    journal: Journal | None = None


class Done(OfUser, frozen=True, kw_only=True, tag="done"):
    """The effect that began in line ``of`` took place. ``key`` and ``created`` tell which key a creation made."""

    of: int
    key: str = ""
    created: Moment | None = None


class Failed(OfUser, frozen=True, kw_only=True, tag="failed"):
    """The effect that began in line ``of`` failed. With ``doubt`` nobody can tell whether it took place."""

    of: int
    error: str
    doubt: bool = False


class Ended(OfUser, frozen=True, kw_only=True, tag="ended"):
    """How the run ended for this user."""

    outcome: Outcome
    reason: Reason
    current: str = ""
    last: str = ""


Record = Opened | Torn | Began | Rules | Observed | Proved | Begin | Done | Failed | Ended
AboutUser = Rules | Observed | Proved | Begin | Done | Failed | Ended

_SEAL = b',"hash":"'
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Record)


class Damaged(ValueError):
    """These bytes are no line of an audit log, or not the line that was written; says why."""


def seal(record: Record, seq: int, prev: str) -> tuple[bytes, str]:
    """Return the line that carries a record at this place of the chain, its newline included, and its hash."""
    body = _encoder.encode(msgspec.structs.replace(record, seq=seq, prev=prev))
    digest = hashlib.sha256(body).hexdigest()
    return body[:-1] + _SEAL + digest.encode() + b'"}\n', digest


def unseal(line: bytes) -> tuple[Record, str]:
    """Return a line's record and hash; raises ``Damaged`` where the line is not what was sealed.

    The line comes without its newline, and without what is torn before it.
    """
    body, mark, end = line.rpartition(_SEAL)
    if not mark or len(end) != 66 or not end.endswith(b'"}'):
        raise Damaged("it is no line of an audit log: it does not end with its hash")
    body, digest = body + b"}", end[:64].decode("ascii", "replace")
    if hashlib.sha256(body).hexdigest() != digest:
        raise Damaged("it was changed: its hash is another")
    try:
        record: Record = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Damaged(f"it is no line that twokey writes: {error}") from None
    if _encoder.encode(record) != body:
        raise Damaged("it is no line that twokey writes: the same content is written otherwise")
    return record, digest


def split(line: bytes) -> tuple[bytes, bytes]:
    """Return what is torn at the beginning of a line, and the record behind it."""
    at = line.rfind(TORN)
    return (line[:at], line[at:]) if at > 0 else (b"", line)


def digest_of(torn: bytes) -> str:
    """Return the hash that a record of a torn line carries."""
    return hashlib.sha256(torn).hexdigest()


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a line."""
    found = msgspec.json.schema(Record)
    for definition in found["$defs"].values():
        properties = definition.get("properties", {})
        if "prev" in properties:
            properties["hash"] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
            definition["required"] = [*definition["required"], "seq", "prev", "hash"]
            properties["seq"].pop("default", None)
            properties["prev"].pop("default", None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of twokey's audit log",
        **found,
    }
