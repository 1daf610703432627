"""The credential report of an account: every user with the age and the last use of its keys, from two requests.

It has no key ids. IAM makes one every four hours at most, so it may be older than a rotation. "Last rotated" is when a
key was created or last changed, so a key may be older than that. "N/A" as a last use means that IAM knows of none: the
key was never used, or IAM has no data; it does not say which.

Sources: "GenerateCredentialReport" and "GetCredentialReport" (IAM API Reference); "Generate credential reports for your
AWS account" (IAM User Guide).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from twokey.core.errors import AccessDenied, Ambiguous, NotFound, ServiceError
from twokey.core.model import LastUse
from twokey.core.timestamps import zoned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.aws.iam import Iam

PATIENCE = 60.0
"""Seconds for which a credential report is waited for."""
PAUSES = (0.5, 1.0)
"""Seconds before it is asked for again, the first times."""
PAUSE = 2.0
"""The same, later."""
ROOT = "<root_account>"
"""What the report calls the root user."""
_NUMBERS = (1, 2)
_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class ReportedKey:
    """A key, whose id the report does not tell. ``changed``: when it was created or last changed."""

    active: bool
    changed: datetime | None
    use: LastUse


@dataclass(frozen=True, slots=True)
class Row:
    """A user. ``password`` and ``mfa`` are None where the report does not tell."""

    user: str
    arn: str
    password: bool | None
    password_used: datetime | None
    mfa: bool | None
    keys: tuple[ReportedKey, ...]

    @property
    def path(self) -> str:
        """The IAM path; empty for the root user."""
        path, found, _ = self.arn.partition(":user/")[2].rpartition("/")
        return f"/{path}/" if found else "" if self.user == ROOT else "/"

    @property
    def account(self) -> str:
        """The id of the account."""
        return self.arn.split(":")[4]


@dataclass(frozen=True, slots=True)
class Report:
    """A credential report, and when IAM made it."""

    generated: datetime
    rows: tuple[Row, ...]


def fetch(iam: Iam) -> Report:
    """Return the account's credential report, which is made if there is none of the last four hours.

    Without permission to have one made, an existing one is read. Raises a ``ServiceError`` if it cannot be made or
    read, and if it takes longer than ``PATIENCE``.
    """
    try:
        _have_it_made(iam)
    except AccessDenied as denied:
        try:
            return _read(iam)
        except ServiceError:  # such as: there is none
            raise denied from None
    return _read(iam)


def _have_it_made(iam: Iam) -> None:
    waited, pauses = 0.0, iter(PAUSES)
    while iam.generate_report() != "COMPLETE":
        if waited >= PATIENCE:
            raise NotFound(
                "IAM is still making the credential report of the account.", remedy="Run again in a few minutes."
            )
        pause = next(pauses, PAUSE)
        iam.clock.sleep(pause)
        waited += pause


def _read(iam: Iam) -> Report:
    text, generated = iam.report()
    return Report(generated, parse(text))


def parse(text: str) -> tuple[Row, ...]:
    """Return the rows of a report; raises ``Ambiguous`` for what is none."""
    try:
        rows = csv.DictReader(text.splitlines())
        if not {"user", "arn"} <= {*(rows.fieldnames or ())}:
            raise ValueError("header")  # noqa: TRY301  a reader of CSV takes anything for a header
        return tuple(map(_row, rows))
    except (KeyError, ValueError, IndexError, TypeError, AttributeError, csv.Error):
        raise Ambiguous(
            "iam:GetCredentialReport: the response is not a credential report that twokey understands.",
            state="This call changes nothing.",
            remedy="Run again.",
        ) from None


def _row(row: Mapping[str, str]) -> Row:
    keys = (_key(row, f"access_key_{number}_") for number in _NUMBERS)
    return Row(
        user=row["user"],
        arn=_arn(row["arn"]),
        password=_BOOLEANS.get(row["password_enabled"].lower()),
        password_used=_moment(row["password_last_used"]),
        mfa=_BOOLEANS.get(row["mfa_active"].lower()),
        keys=tuple(key for key in keys if key),
    )


def _arn(arn: str) -> str:
    if arn.count(":") < 5:
        raise ValueError(arn)
    return arn


def _key(row: Mapping[str, str], start: str) -> ReportedKey | None:
    active = row[f"{start}active"].lower() == "true"
    changed, used = _moment(row[f"{start}last_rotated"]), _moment(row[f"{start}last_used_date"])
    if not active and changed is None and used is None:
        return None
    service, region = (_text(row[f"{start}last_used_{what}"]) for what in ("service", "region"))
    return ReportedKey(active, changed, LastUse(used, service, region) if used else LastUse(None))


def _text(value: str) -> str:
    return "" if value in ("N/A", "no_information", "not_supported") else value


def _moment(value: str) -> datetime | None:
    """Return a moment; None for ``N/A``, ``no_information`` and ``not_supported``, which mean: unknown, or none."""
    try:
        return zoned(datetime.fromisoformat(value))
    except ValueError:
        return None
