"""Results of ``twokey trace`` as a test wants them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from twokey.reports.audit import Use as LastUse
from twokey.reports.trace import Conclusions, MadeSession, Trace, Use

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
KEY = "AKIAIOSFODNN7EXAMPLE"
SESSION = "ASIAIOSFODNN7EXAMPLE"
ROLE = "arn:aws:iam::123456789012:role/deploy"


def use(ago: timedelta, event: str = "AssumeRole", **fields: Any) -> Use:
    """Return a use, by default of a job."""
    job = Use(
        time=NOW - ago,
        service="sts",
        event=event,
        region="eu-central-1",
        source_ip="203.0.113.5",
        user_agent="aws-cli/2.15",
        session=None,
        error=None,
        mark=None,
        target="",
    )
    return msgspec.structs.replace(job, **fields)


def intrusion() -> Trace:
    """Return the trace of a key that a job uses every day, and an intruder on the last one."""
    theirs = {"source_ip": "198.51.100.7", "user_agent": "tool/1", "session": SESSION, "service": "iam"}
    uses = [
        use(timedelta(hours=1), "CreateUser", **{**theirs, "mark": "user", "target": "backdoor"}),
        use(timedelta(hours=2), "ListUsers", **{**theirs, "error": "AccessDenied"}),
        *(use(number * DAY) for number in range(1, 60)),
    ]
    return Trace(
        key_id=KEY,
        account="123456789012",
        user="ci",
        role="current",
        status="Active",
        created=NOW - 70 * DAY,
        last_used=LastUse(NOW, "s3", "eu-central-1"),
        held_by=["secretsmanager:machine-users/ci"],
        revoked=False,
        administrator=False,
        reaches=[ROLE],
        since=NOW - 90 * DAY,
        known_until=NOW - timedelta(minutes=15),
        regions=["eu-central-1", "us-east-1"],
        uses=uses,
        sessions=[
            MadeSession(SESSION, KEY, ROLE, NOW - timedelta(hours=3), NOW + timedelta(hours=9), followed=True),
            MadeSession("ASIA2", KEY, None, NOW - 30 * DAY, NOW - 29 * DAY, followed=False),
        ],
        may_delete="no",
        conclusions=Conclusions("No: it is CURRENT of ci.", "61 events from 2 addresses."),
        complete=True,
        incomplete=[],
        notes=["Event history has management events only."],
    )


def nothing() -> Trace:
    """Return the trace of a key of which nothing is known."""
    return msgspec.structs.replace(
        intrusion(),
        account=None,
        user=None,
        role="unknown",
        status=None,
        created=None,
        last_used=None,
        held_by=[],
        administrator=None,
        reaches=None,
        regions=[],
        uses=[],
        sessions=[],
        complete=False,
        incomplete=["The key belongs to another account."],
        notes=[],
    )
