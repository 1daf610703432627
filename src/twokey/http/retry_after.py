"""What the headers of a response say about time: how long to wait, and whether a budget is exhausted. Pure."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

DEFAULT_WAIT, DEFAULT_RESET = 30.0, 60.0
"""Seconds to wait if a service says to wait but not how long."""
SHORTEST = 0.1
_BUDGETS = ("X-RateLimit", "RateLimit", "RateLimit-User")
"""How the headers of a budget begin: ``…-Remaining``, ``…-Reset``. Buildkite has one of the organization and one of the
user ("REST API rate limits", Buildkite Documentation)."""
_SECONDS = re.compile(r"\d{1,12}(\.\d*)?", re.ASCII)
_A_TIME = 1e9
"""From here on a reset is a time (Unix), below it a number of seconds."""


def requested_wait(status: int, headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that a response asks to wait before the same request is sent again, or None.

    RFC 6585, 429; GitHub responds with 403 as well, then with Retry-After or with nothing remaining ("Rate limits for
    the REST API", GitHub Docs).
    """
    if status not in {403, 429}:
        return None
    after, reset = retry_after(headers, now), used_up(headers, now)
    if after is None and reset is None:
        used = status == 403 and headers.get("X-RateLimit-Remaining") == "0"
        return DEFAULT_WAIT if status == 429 else DEFAULT_RESET if used else None
    return max(after if after is not None else reset or 0.0, SHORTEST)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds of Retry-After, a number or a date (RFC 9110, 10.2.3); None if there is none."""
    text = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except (ValueError, TypeError):  # not a date; a date without a time zone
        return None


def used_up(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds until all exhausted budgets are filled again; None if none is exhausted."""
    found = [
        max(0.0, reset - now.timestamp() if reset > _A_TIME else reset)
        for budget in _BUDGETS
        if _number(headers, f"{budget}-Remaining") == 0 and (reset := _number(headers, f"{budget}-Reset")) is not None
    ]
    return max(found, default=None)


def _number(headers: Mapping[str, str], name: str) -> float | None:
    text = headers.get(name, "").strip()
    return float(text) if _SECONDS.fullmatch(text) else None
