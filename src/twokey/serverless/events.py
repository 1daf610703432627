"""What the state machine sends to the function, and what it gets back. An unknown field is refused, by its name.

Sources: "Step Functions service quotas" (AWS Step Functions Developer Guide: a state's input or output has at most
256 KiB, as UTF-8), "Lambda quotas" (AWS Lambda Developer Guide).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from twokey.core.decoding import decoder
from twokey.core.errors import UsageError

LARGEST = 262_144
"""Bytes of a state's input. One that is larger never reaches the function through Step Functions."""
USERS_PER_CHUNK = 1000
NOTHING = "Nothing was called."

Account = Annotated[str, Meta(pattern="^[0-9]{12}$")]


class Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The input of an execution, as the operator or a schedule writes it. Without any field: all that is due.

    ``input`` is the s3:// URL of an object with these fields, for an input that is too large for Step Functions.
    ``resume`` is that of a result document: only the users that did not end well there are run.
    """

    accounts: list[Annotated[str, Meta(min_length=1)]] = []
    users: list[Annotated[str, Meta(min_length=1)]] = []
    force: bool = False
    resume: str = ""
    input: str = ""
    users_per_chunk: Annotated[int, Meta(ge=1, le=5000)] = USERS_PER_CHUNK


class _Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do"):
    """What all events have: ``bucket`` is that of the execution's objects, ``execution`` its name."""

    bucket: Annotated[str, Meta(min_length=3)]
    execution: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,80}$")]


class List(_Event, frozen=True, forbid_unknown_fields=True, tag_field="do", tag="list"):
    """Find the users, and write them as the items of the Distributed Map."""

    input: Any = None


class Rotate(_Event, frozen=True, forbid_unknown_fields=True, tag_field="do", tag="rotate"):
    """Rotate what is due of one chunk of an account's users, without those that an earlier event of it ended."""

    account: Account
    first: Annotated[int, Meta(ge=0)]
    count: Annotated[int, Meta(ge=1)]
    force: bool = False


class Summarise(_Event, frozen=True, forbid_unknown_fields=True, tag_field="do", tag="summarise"):
    """Write the result document, and tell the receivers of alerts. ``whole``: nothing was left out of the run."""

    whole: bool


class Chunk(msgspec.Struct, frozen=True):
    """A part of an account's users, by their position in its list."""

    first: int
    count: int


class Item(msgspec.Struct, frozen=True):
    """One item of the Distributed Map: an account, and the chunks of its users.

    ``execution`` is the one that lists it: the Map gives each item to an execution with a name of its own.
    """

    execution: str
    account: str
    chunks: list[Chunk]
    force: bool


class Listed(msgspec.Struct, frozen=True):
    """What ``list`` returns. ``items`` is the key of the object that the Distributed Map reads.

    ``whole``: the input leaves out no user of the configuration.
    """

    items: str
    accounts: int
    users: int
    whole: bool


class Rotated(msgspec.Struct, frozen=True):
    """What ``rotate`` returns: how many users ended, how many of them failed or were refused, and how many are left."""

    ended: int
    problems: int
    left: int
    progress: Literal["done", "more", "none"]
    """``more``: call again; ``none``: no user was begun, so another call would change nothing."""


class Summarised(msgspec.Struct, frozen=True):
    """What ``summarise`` returns. ``warnings``: those of the listing, and which receivers could not be told."""

    result: str
    summary: dict[str, int]
    ended_well: bool
    message: str
    warnings: list[str]


Event = List | Rotate | Summarise


def event_of(event: object) -> Event:
    """Return an event as its type; raises ``UsageError`` that names the field."""
    found: Event = decode(event, "The event of the function", Event)
    return found


def input_of(value: object) -> Input:
    """Return the input of an execution; raises ``UsageError`` that names the field."""
    found: Input = decode(value or {}, "The input of the execution", Input)
    return found


def decode(value: object, name: str, shape: Any) -> Any:
    """Return a value as a type; raises ``UsageError`` that names the field, and for one that is too large."""
    return parse(msgspec.json.encode(value), name, shape, LARGEST)


def parse(text: bytes, name: str, shape: Any, largest: int | None = None) -> Any:
    """Return a JSON text as a type; raises ``UsageError`` for a mismatch."""
    if largest is not None and len(text) > largest:
        raise UsageError(
            f"{name} has {len(text)} bytes; Step Functions allows {LARGEST}.",
            state=NOTHING,
            remedy='Write it to an object in S3, and set the input to {"input": "s3://BUCKET/KEY"}.',
        )
    try:
        return decoder(shape).decode(text)
    except msgspec.MsgspecError as error:
        raise UsageError(
            f"{name}: {error}.", state=NOTHING, remedy="Correct the field; the page run-on-lambda lists all fields."
        ) from None


def encode(value: object) -> bytes:
    """Return a value as JSON."""
    return msgspec.json.encode(value)
