"""Rows, journals and users for the tests of the inventory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from twokey.core.journal import Journal
from twokey.core.model import Held, LastUse, MachineUser, NotHeld, Record
from twokey.inventory.credential_report import ReportedKey, Row
from twokey.inventory.decision import FoundKey, FoundUser, Managed, with_roles
from twokey.inventory.findings import Limits
from twokey.planning.policy import RotationPolicy

if TYPE_CHECKING:
    from twokey.core.model import Holding

NOW = datetime(2026, 11, 29, 8, 0, tzinfo=UTC)
REPORT = NOW - timedelta(hours=1)
DAY = timedelta(days=1)
ARN = "arn:aws:iam::123456789012:user/ci"
STORE = "file:keys/ci.json"
NEW, OLD, THIRD = "AKIAQLJXKJ3B7NEWNEWN", "AKIAQLJXKJ3B7OLDOLDO", "AKIAQLJXKJ3B7THIRDTH"
LIMITS = Limits(NOW, 90 * DAY, 7 * DAY)


def reported(age: float, used: float | None = None, *, active: bool = True) -> ReportedKey:
    """Return a key of a report; ages and uses in days ago."""
    return ReportedKey(active, NOW - age * DAY, _use(used))


def found(key_id: str | None, age: float, used: float | None = None, *, active: bool = True) -> FoundKey:
    """Return a key as it was found."""
    return FoundKey(key_id, active, NOW - age * DAY, _use(used))


def _use(days: float | None) -> LastUse:
    return LastUse(None) if days is None else LastUse(NOW - days * DAY, "s3", "eu-central-1")


def row(*keys: ReportedKey, **fields: Any) -> Row:
    """Return a row of a report."""
    values: dict[str, Any] = {
        "user": "ci",
        "arn": ARN,
        "password": False,
        "password_used": None,
        "mfa": False,
        "keys": keys,
    }
    return Row(**(values | fields))


def managed(
    journal: Journal | None = None, holding: Holding | None = None, destinations: tuple[str, ...] = (), why: str = ""
) -> Managed:
    """Return a user of the configuration; by default its store holds what its journal calls CURRENT."""
    record = None
    if journal is not None:
        record = Record(holding or (Held(journal.current) if journal.current else NotHeld()), journal)
    user = MachineUser("ci", "/", "", "123456789012", ARN)
    return Managed(user, RotationPolicy(), STORE, destinations, record, why)


def rotated(ago: float = 5, **fields: Any) -> Journal:
    """Return the journal of a rotation so many days ago."""
    values: dict[str, Any] = {"current": NEW, "last": OLD, "committed": NOW - ago * DAY}
    return Journal(**(values | fields))


def user(*keys: FoundKey, of: Managed | None = None, **fields: Any) -> FoundUser:
    """Return a user as it was found."""
    return FoundUser(row(**fields), keys, of, with_roles(of, keys, NOW) if of else None)
