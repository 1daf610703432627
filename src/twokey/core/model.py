"""The things that twokey speaks about. Values only: no I/O, no clock."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from twokey.core.journal import Journal


@dataclass(frozen=True, slots=True, order=True)
class UserKey:
    """Identifies a machine user in a run over several accounts: a name is unique in one account only."""

    account: str
    name: str

    def __str__(self) -> str:
        """Return both, or what is known of them: the result of a whole account has no name."""
        return "/".join(filter(None, (self.account, self.name)))


@dataclass(frozen=True, slots=True)
class MachineUser:
    """An IAM user that a program uses. ``id`` is IAM's unique id: a user created again has another one."""

    name: str
    path: str
    id: str
    account: str
    arn: str
    account_name: str = ""

    @property
    def key(self) -> UserKey:
        """What identifies the user in a run over several accounts."""
        return UserKey(self.account, self.name)


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key as IAM lists it. ``created`` has a resolution of one second."""

    id: str
    active: bool
    created: datetime


@dataclass(frozen=True, slots=True)
class LastUse:
    """What ``GetAccessKeyLastUsed`` says: a hint that lags. ``at`` is None for a key that was never seen used."""

    at: datetime | None
    service: str = ""
    region: str = ""


@dataclass(frozen=True, slots=True)
class Deactivation:
    """IAM's response that a key is Inactive: when, by AWS's clock, and the id of the request, if it arrived."""

    at: datetime
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """The destination holds the key with this id."""

    key_id: str


@dataclass(frozen=True, slots=True)
class NotHeld:
    """The destination was read and holds no access key: it is empty, or does not exist yet."""


@dataclass(frozen=True, slots=True)
class CannotTell:
    """The destination does not show which key it holds. Unknown is never the same as empty.

    ``failed``: it would tell, but reading it failed this time. ``stamp``: what it shows of its latest write (a time, a
    version, the last four characters). It is never interpreted, only compared: as long as it is what it was right after
    a delivery, no other program has written.
    """

    why: str = ""
    failed: bool = False
    stamp: str = ""


Holding = Held | NotHeld | CannotTell


@dataclass(frozen=True, slots=True)
class RoleRequest:
    """A session of a role, as a job requests it.

    ``policy`` is the JSON of a session policy; ``claims`` describes the OIDC token, if it is requested with one.
    ``external_id_setting``: where the operator sets the external ID.
    """

    arn: str
    session_name: str
    seconds: int = 3600
    external_id: str = ""
    source_identity: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    policy: str = ""
    claims: str = ""
    external_id_setting: str = "--external-id"


@dataclass(frozen=True, slots=True)
class Record:
    """What a store holds. ``revision`` is the store's own name for exactly this state, for conditional writes."""

    holding: Holding
    journal: Journal
    revision: object = None


@dataclass(frozen=True, slots=True)
class Observation:
    """All that a decision depends on, as it was observed at one moment."""

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


def account_of(key_id: str) -> str | None:
    """Return the account id that an access key id carries, or None where it carries none.

    Undocumented by AWS, known from measurement (ASIAY34FZKBOKMUTVV7A belongs to 609629065308): the
    characters from the fifth on are base32, and their bits 1 to 40 are the account. Bit 0 is not set in the ids of an
    older generation, such as AKIAIOSFODNN7EXAMPLE, which carry none ("A bitwise analysis of AWS access key
    identifiers", WithSecure Labs). Good for a warning only.
    """
    if len(key_id) != 20:
        return None
    try:
        decoded = base64.b32decode(key_id[4:])
    except ValueError:
        return None
    if decoded[0] < 0x80:
        return None
    return f"{(int.from_bytes(decoded[:6], 'big') & 0x7FFFFFFFFF80) >> 7:012d}"
