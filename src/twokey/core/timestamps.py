"""Moments: as services write them, as every output shows them, and the one rounding that the protocol needs."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from twokey.core.ports import Clock

RESOLUTION = timedelta(seconds=1)
"""Of HTTP's ``Date`` header (RFC 9110, section 5.6.7) and of IAM's ``CreateDate``."""


def utc(moment: datetime) -> str:
    """Return a moment in UTC as ISO 8601 with whole seconds: ``2026-12-05T01:00:00Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def whole_second(moment: datetime) -> datetime:
    """Return a moment without its fraction of a second, as all documents show it."""
    return moment.replace(microsecond=0)


def zoned(moment: datetime) -> datetime:
    """Return a moment that a service wrote: without a time zone, it is in UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def not_before_now(clock: Clock) -> datetime:
    """Return a moment that is surely not before the present one: grace counts from it.

    ``Clock.now`` is never later than the services' time, and earlier by up to the resolution of their ``Date``.
    """
    return clock.now() + RESOLUTION
