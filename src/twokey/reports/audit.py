"""What ``twokey audit`` found: the typed result, which is also its JSON document.

Unknown is a value of its own everywhere: a key without an id, a use of which nothing is known, a role, a window. No
reader of this document may take it for the good or for the bad.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from twokey.core.decoding import decoder
from twokey.permissions.findings import SEVERITIES, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

VERSION = 1
"""The version of the document. Fields may be added to it; none is removed or changes its meaning."""
ROOT = "<root_account>"
"""What a credential report calls the root user; no IAM user can have this name."""

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=100 * 365 * 86_400)]
YEARS = range(1970, 9900)
"""The years of a moment in a result: a page calculates from them, within the years that Python knows."""
Role = Literal["current", "last", "unmanaged", "orphaned", "unknown"]
Window = Literal["kept", "broken", "unknown"]
Status = Literal["Active", "Inactive"]
EventKind = Literal["rotated", "delivered", "inactive", "removed", "refused", "failed"]
DestinationOutcome = Literal["held", "out_of_date", "empty", "cannot_tell"]


class Use(msgspec.Struct, frozen=True):
    """The latest use of a key that IAM knows of."""

    at: Moment
    service: str | None
    region: str | None


class Key(msgspec.Struct, frozen=True):
    """An access key. ``last_use_known`` is false where IAM names no use: never used, or unknown; it does not say which.

    ``created`` is when the key was created or, for a key without an id, last changed: the credential report tells no
    more. ``user`` is ``<root_account>`` for the root user.
    """

    account: str
    user: str
    path: str
    key_id: str | None
    status: Status
    created: Moment | None
    last_used: Use | None
    last_use_known: bool
    role: Role
    window: Window
    breaks_at: Moment | None
    held_by: list[str]


class Finding(msgspec.Struct, frozen=True):
    """One finding, with the controls of other catalogues that it corresponds to.

    ``key_created`` identifies the key from run to run, whether its id is known or not. ``location``: the file, and the
    address in it, that the finding is about.
    """

    id: str
    severity: Severity
    account: str
    user: str
    resource: str
    message: str
    remedy: str
    key_id: str | None
    controls: list[str]
    key_created: Moment | None = None
    location: str | None = None

    @property
    def identity(self) -> str:
        """What is the same for this finding in every run, and for no other finding; without the id of a key."""
        key = self.key_created.isoformat() if self.key_created else self.key_id or ""
        text = f"{self.id}\n{self.account}\n{self.user}\n{self.resource}\n{key}\n{self.location or ''}"
        return hashlib.sha256(text.encode()).hexdigest()


class Destination(msgspec.Struct, frozen=True):
    """What a destination of a user last received according to the journal; for the store, what it holds."""

    destination: str
    outcome: DestinationOutcome
    key_id: str | None
    at: Moment | None


class Event(msgspec.Struct, frozen=True):
    """Something that a journal, or the audit log, records of a user. ``detail``: a destination, or why."""

    at: Moment
    kind: EventKind
    key_id: str | None
    detail: str | None


class User(msgspec.Struct, frozen=True, omit_defaults=True):
    """An IAM user. Of one outside the configuration, ``managed`` is false, and nothing is known from a journal.

    ``readable`` is false where the store or its journal could not be read: then roles are unknown. Durations are in
    seconds; ``window`` is the limit that the user's keys are held to. The document omits what has its default.
    """

    account: str
    user: str
    path: str
    managed: bool
    readable: bool
    console_password: bool | None
    mfa: bool | None
    window: Seconds
    store: str | None = None
    period: Seconds | None = None
    grace: Seconds | None = None
    soak: Seconds | None = None
    rotated_at: Moment | None = None
    next_due: Moment | None = None
    interrupted: bool = False
    destinations: list[Destination] = []
    events: list[Event] = []


class Audit(msgspec.Struct, frozen=True):
    """What ``twokey audit --json`` prints.

    ``summary`` counts the findings of each severity. ``complete`` is false where something could not be read; the
    ``warnings`` say what. ``account`` is that of twokey itself where there are users of several.
    """

    version: int
    account: str
    generated: Moment
    report_generated: Moment | None
    complete: bool
    users: list[User]
    keys: list[Key]
    findings: list[Finding]
    summary: dict[str, int]
    warnings: list[str]
    checked: list[str] = []


def summary(findings: Iterable[Finding]) -> dict[str, int]:
    """Count the findings of each severity, the most severe first; a severity without findings counts 0."""
    counts: dict[str, int] = dict.fromkeys(reversed(SEVERITIES), 0)
    for finding in findings:
        counts[finding.severity] += 1
    return counts


def of_accounts(home: str, now: datetime, parts: Sequence[Audit], failed: Sequence[str]) -> Audit:
    """Return the results of several accounts as one; ``failed`` says why others could not be read."""
    findings = [one for part in parts for one in part.findings]
    reports = [part.report_generated for part in parts if part.report_generated]
    several = len(parts) > 1

    def named(part: Audit, warning: str) -> str:
        return f"Account {part.account}: {warning}" if several else warning

    return Audit(
        version=VERSION,
        account=parts[0].account if len(parts) == 1 else home,
        generated=max((part.generated for part in parts), default=now),
        report_generated=min(reports, default=None),
        complete=not failed and all(part.complete for part in parts),
        users=[one for part in parts for one in part.users],
        keys=[one for part in parts for one in part.keys],
        findings=findings,
        summary=summary(findings),
        warnings=[*failed, *(named(part, one) for part in parts for one in part.warnings)],
        checked=list(dict.fromkeys(one for part in parts for one in part.checked)),
    )


def people(audit: Audit) -> int:
    """Return the number of IAM users: the root user is none."""
    return sum(user.user != ROOT for user in audit.users)


def decode(text: str | bytes) -> Audit:
    """Read a result that ``twokey audit --json`` printed; raises ``ValueError`` with a sentence for the operator."""
    try:
        version = decoder(_Versioned).decode(text).version
        if version > VERSION:
            raise ValueError(
                f"it has version {version} of the format, and this twokey reads version {VERSION}: update twokey"
            )
        found = decoder(Audit).decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"expected a result of twokey audit --json: {error}") from None
    for moment in _moments(found):
        if moment and moment.year not in YEARS:
            raise ValueError(
                f"expected moments in the years {YEARS[0]} to {YEARS[-1]}, got one in the year {moment.year}"
            )
    return found


def _moments(found: Audit) -> Iterator[datetime | None]:
    yield from (found.generated, found.report_generated)
    for key in found.keys:
        yield from (key.created, key.breaks_at, key.last_used.at if key.last_used else None)
    for user in found.users:
        yield from (user.rotated_at, user.next_due)
        yield from (one.at for one in user.destinations)
        yield from (one.at for one in user.events)
    yield from (one.key_created for one in found.findings)


class _Versioned(msgspec.Struct):
    version: int


_KEY_ID = re.compile(r"(A[KS]IA)[A-Z0-9]{12,124}(?=[A-Z0-9]{4})")
"""A key id, also in the middle of a name, such as that of a file: anything can be beside it in a document."""


def redact(audit: Audit) -> Audit:
    """Return the result with every key id shortened to its first and last four characters, in messages too."""
    text = _KEY_ID.sub(r"\1...", msgspec.json.encode(audit).decode())
    return decoder(Audit).decode(text)
