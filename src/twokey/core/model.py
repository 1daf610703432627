"""The things that twokey speaks about. Values only: no I/O, no clock."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, NoReturn, SupportsIndex

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

JOURNAL_VERSION = 1
LONGEST_STAMP = 32
"""Characters of a stamp in the journal: a longer one is a digest there."""


@dataclass(frozen=True, slots=True)
class MachineUser:
    """An IAM user that a program uses. ``id`` is IAM's unique id: a user made again has another one."""

    name: str
    path: str
    id: str
    account: str
    arn: str


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key as IAM lists it. ``created`` has a resolution of one second."""

    id: str
    active: bool
    created: datetime


@dataclass(frozen=True, slots=True)
class LastUse:
    """What ``GetAccessKeyLastUsed`` says: a hint that lags. ``at`` is None for a key never seen used."""

    at: datetime | None
    service: str = ""
    region: str = ""


class Hidden(str):
    """Text that is, or holds, a secret. It is a string like any other, but its ``repr`` does not show it.

    ``repr`` is what tracebacks with local variables, debuggers and most reporters of crashes write down. Some cut long
    strings first, so a part of it is hidden too.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "(hidden)"

    def __getitem__(self, key: SupportsIndex | slice) -> Hidden:
        return Hidden(super().__getitem__(key))


class Credential:
    """An access key's id and secret. Only ``reveal()`` shows the secret; nothing else can."""

    __slots__ = ("__secret", "access_key_id")

    def __init__(self, access_key_id: str, secret: str) -> None:
        self.access_key_id = access_key_id
        self.__secret = Hidden(secret)

    def reveal(self) -> Hidden:
        """Return the secret, for the one who writes it to a destination or signs with it."""
        return self.__secret

    def __repr__(self) -> str:
        return f"Credential({self.access_key_id}, secret hidden)"

    def __format__(self, _spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Credential):
            return NotImplemented
        return self.access_key_id == other.access_key_id and self.reveal() == other.reveal()

    def __hash__(self) -> int:
        return hash(self.access_key_id)

    def __getstate__(self) -> NoReturn:
        raise TypeError("a Credential is never serialised")

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError("a Credential is never serialised")


@dataclass(frozen=True, slots=True)
class Held:
    """The place holds the key with this id."""

    key_id: str


@dataclass(frozen=True, slots=True)
class NotHeld:
    """The place was read and holds no access key: it is empty, or not there yet."""


@dataclass(frozen=True, slots=True)
class CannotTell:
    """The place does not show which key it holds. Unknown is never the same as empty.

    ``failed``: it would tell, but reading it failed this time. ``stamp``: what the place shows of its latest write
    (a time, a version, the last four characters). It is never interpreted, only compared: as long as it is what it was
    right after a delivery, nobody else has written.
    """

    why: str = ""
    failed: bool = False
    stamp: str = ""


Holding = Held | NotHeld | CannotTell


class Lease(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who is rotating this user, and until when nobody else may."""

    run: str
    host: str
    process: int
    start: str
    until: datetime


class Intent(msgspec.Struct, frozen=True, omit_defaults=True):
    """Written before a key is created: the ids known then. Any other key made soon after is ours.

    ``earlier`` keeps the times of attempts that were never closed: their key may still come to light.
    """

    known: tuple[str, ...]
    at: datetime
    earlier: tuple[datetime, ...] = ()


class Delivery(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a destination was last given, and when. ``stamp`` is what the place showed of that write."""

    key: str
    at: datetime
    stamp: str = ""


class Retiring(msgspec.Struct, frozen=True, omit_defaults=True):
    """When a key was made Inactive for the soak, and whether a person named it as one that may go."""

    at: datetime
    named: bool = False


class Journal(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the store keeps beside the credential. It never holds a secret.

    ``removed`` says when keys were deleted lately: a list that lags may still show them. ``retiring`` says the same
    of keys that were made Inactive for the soak. ``delivering`` names the places where a pair of two values may be
    torn: it is written before the first of them, and the next run delivers there again, whatever they show.
    """

    version: int = JOURNAL_VERSION
    epoch: int = 0
    user: str = ""
    current: str = ""
    last: str = ""
    committed: datetime | None = None
    lease: Lease | None = None
    intent: Intent | None = None
    retiring: dict[str, Retiring] = {}
    removed: dict[str, datetime] = {}
    delivered: dict[str, Delivery] = {}
    delivering: tuple[str, ...] = ()

    def encode(self) -> str:
        """Return the journal as JSON text, one line, as every store keeps it."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def decode(cls, text: str | bytes) -> Journal:
        """Read a journal; raises ``ValueError`` with one clear sentence if it is not one of ours."""
        try:
            journal = msgspec.json.decode(text, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"this is no journal of twokey: {error}") from None
        if journal.version != JOURNAL_VERSION:
            raise ValueError(
                f"the journal has format {journal.version}, and this twokey knows format {JOURNAL_VERSION} only"
            )
        return journal


@dataclass(frozen=True, slots=True)
class Record:
    """What a store holds. ``revision`` is the store's own word for this very state, for conditional writes."""

    holding: Holding
    journal: Journal
    revision: object = None


@dataclass(frozen=True, slots=True)
class Observation:
    """All that a decision rests on, as it was seen at one moment."""

    user: MachineUser
    keys: tuple[AccessKey, ...]
    store: str
    record: Record
    destinations: Mapping[str, Holding] = field(default_factory=dict)
    last_used: Mapping[str, LastUse] = field(default_factory=dict)
    own_key: str = ""

    def key(self, key_id: str) -> AccessKey | None:
        """Return the listed key with this id, or None where IAM does not list it."""
        return next((key for key in self.keys if key.id == key_id), None)


def stamp_of(shown: str) -> str:
    """Return what the journal keeps of a stamp, which is only ever compared: as it is, or a digest of a long one."""
    return shown if len(shown) <= LONGEST_STAMP else hashlib.sha256(shown.encode()).hexdigest()[:LONGEST_STAMP]


def account_of(key_id: str) -> str | None:
    """Return the account id that an access key id carries, or None where it carries none.

    Undocumented by AWS, known from measurement (ASIAY34FZKBOKMUTVV7A belongs to 609629065308): the
    characters from the fifth on are base32, and their bits 1 to 40 are the account. Good for a warning only.
    """
    try:
        decoded = base64.b32decode(key_id[4:].ljust(16, "A")[:16])
    except ValueError:
        return None
    if len(key_id) != 20:
        return None
    return f"{(int.from_bytes(decoded[:6], 'big') & 0x7FFFFFFFFF80) >> 7:012d}"
