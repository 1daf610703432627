"""The journal: what the store keeps beside the credential, and how it is written as text. It never holds a secret."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Annotated

import msgspec

from twokey.core.decoding import decoder

JOURNAL_VERSION = 1


Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time with its zone: one without it is not of twokey."""
REMEMBERED = 2
"""Rotations for which it is remembered that another program has written to a destination: a window."""
IN_DOUBT = 2
"""A write in doubt may take effect before the next delivery, or right after it: neither is another program's."""
LONGEST_STAMP = 32
"""Characters of a stamp in the journal: of a longer one the journal keeps a digest."""


class Lease(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which run is rotating this user, and until when no other may."""

    run: str
    host: str
    process: int
    start: str
    until: Moment


class Intent(msgspec.Struct, frozen=True, omit_defaults=True):
    """Written before a key is created: the ids known then. Any other key created soon after is ours.

    ``earlier`` keeps the times of attempts that were never closed: their key may still come to light. ``within`` is
    the number of seconds after ``at`` in which the creation may be sent; later, the intent is written again first.
    """

    known: tuple[str, ...]
    at: Moment
    earlier: tuple[Moment, ...] = ()
    within: float = 40.0


class Delivery(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a destination last received, and when. ``stamp`` is what the destination showed of that write.

    ``rewritten``: for how many further rotations it is remembered that another program has written there.
    ``identity`` says which thing the URL meant (see ``twokey.core.identities``); empty in journals of earlier versions.
    ``doubt``: a write of ours got no response and may take effect late; it counts the deliveries until that is over.
    """

    key: str
    at: Moment
    stamp: str = ""
    identity: str = ""
    rewritten: int = 0
    doubt: int = 0


class Retiring(msgspec.Struct, frozen=True, omit_defaults=True):
    """When a key was made Inactive for the soak, and whether the operator named it as one that may be removed."""

    at: Moment
    named: bool = False


class Revoked(msgspec.Struct, frozen=True, omit_defaults=True):
    """When a leaked key was made Inactive, and from when on it may be deleted; without that, the operator decides."""

    at: Moment
    until: Moment | None = None


class Journal(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the store keeps beside the credential. It never holds a secret.

    ``removed`` records when keys were deleted recently: a list that lags may still show them. ``retiring`` records the
    same of keys that were made Inactive for the soak. ``delivering`` names the destinations where a pair of two values
    may be torn: it is written before the first of the two, and the next run delivers there again, whatever they show.
    ``graces`` records the grace that the readers of CURRENT and of LAST were promised: a later one may be longer, never
    shorter. ``forgotten`` is the latest moment at which the operator let a destination be forgotten that jobs may have
    read LAST from. ``moved`` names the store that this one was moved to, ``arriving`` the one from which a move to here
    is not finished: no run rotates from a store that has either. ``hook`` is the key since whose commit the hook
    ``after`` has not succeeded. ``revoked`` names the keys that have leaked and were made Inactive for that reason.
    """

    version: int = JOURNAL_VERSION
    epoch: int = 0
    user: str = ""
    current: str = ""
    last: str = ""
    committed: Moment | None = None
    lease: Lease | None = None
    intent: Intent | None = None
    retiring: dict[str, Retiring] = {}
    removed: dict[str, Moment] = {}
    delivered: dict[str, Delivery] = {}
    delivering: tuple[str, ...] = ()
    graces: dict[str, timedelta] = {}
    forgotten: Moment | None = None
    moved: str = ""
    arriving: str = ""
    hook: str = ""
    revoked: dict[str, Revoked] = {}

    def encode(self) -> str:
        """Return the journal as one line of JSON, as every store keeps it."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def decode(cls, text: str | bytes) -> Journal:
        """Read a journal; raises ``ValueError`` with one clear sentence if it is not twokey's."""
        try:
            journal = decoder(cls).decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"expected a journal of twokey: {error}") from None
        if journal.version != JOURNAL_VERSION:
            raise ValueError(
                f"the journal has version {journal.version}, and this twokey reads version {JOURNAL_VERSION} only"
            )
        return journal


def promised(journal: Journal, grace: timedelta, *key_ids: str) -> dict[str, timedelta]:
    """Return what the readers of these keys are promised: a grace that was shortened is not taken back."""
    return {key_id: max(grace, journal.graces.get(key_id, timedelta(0))) for key_id in filter(None, key_ids)}


def stamp_of(shown: str) -> str:
    """Return what the journal keeps of a stamp, which is only ever compared: the stamp, or a digest of a long one."""
    return shown if len(shown) <= LONGEST_STAMP else hashlib.sha256(shown.encode()).hexdigest()[:LONGEST_STAMP]
