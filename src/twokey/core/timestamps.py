"""Moments: as services write them, as every output shows them, and the roundings that the protocol needs."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twokey.core.ports import Clock

RESOLUTION = timedelta(seconds=1)
"""Of HTTP's ``Date`` header (RFC 9110, section 5.6.7) and of IAM's ``CreateDate``."""
_COMPACT = re.compile(r"\d{8}T\d{6}Z", re.ASCII)


def utc(moment: datetime) -> str:
    """Return a moment in UTC as ISO 8601 with whole seconds: ``2026-12-05T01:00:00Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def compact(moment: datetime) -> str:
    """Return a moment in UTC as names contain it, and as AWS signs it: ``20261205T010000Z``."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def of_compact(text: str) -> datetime | None:
    """Return the moment that ``compact`` writes as this text; None for any other text."""
    if not _COMPACT.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def whole_second(moment: datetime) -> datetime:
    """Return a moment without its fraction of a second, as all documents show it."""
    return moment.replace(microsecond=0)


def next_second(moment: datetime) -> datetime:
    """Return the first whole second that is not before a moment."""
    return moment if not moment.microsecond else whole_second(moment) + RESOLUTION


def zoned(moment: datetime) -> datetime:
    """Return a moment that a service wrote: without a time zone, it is in UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def not_before_now(clock: Clock) -> datetime:
    """Return a moment that is surely not before the present one: grace counts from it.

    ``Clock.now`` is never later than the services' time, and earlier by up to the resolution of their ``Date``.
    """
    return clock.now() + RESOLUTION
