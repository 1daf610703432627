"""Durations as the configuration and the messages write them: ``30d``, ``12h``, ``90s``, ``1d12h``."""

from __future__ import annotations

import re
from datetime import timedelta

from twokey.core.errors import UsageError

_UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_WHOLE = re.compile(r"(?:\d+(?:\.\d+)?[wdhms])+")
_PART = re.compile(r"(\d+(?:\.\d+)?)([wdhms])")
_LONGEST = timedelta(days=3_650)


def parse(text: str, what: str = "duration") -> timedelta:
    """Read a duration; ``what`` names it in the error. Raises ``UsageError`` for anything else."""
    compact = text.strip().lower().replace(" ", "")
    if not _WHOLE.fullmatch(compact):
        raise UsageError(f"{what}: {text!r} is not a duration.", remedy="Write it like 30d, 12h, 90s or 1d12h.")
    duration = timedelta(seconds=sum(float(n) * _UNITS[unit] for n, unit in _PART.findall(compact)))
    if duration > _LONGEST:
        raise UsageError(f"{what}: {text!r} is more than ten years.")
    return duration


def show(duration: timedelta) -> str:
    """Return a duration for a message, in its two largest units: ``14d 9h``, ``45s``."""
    seconds = duration.total_seconds()
    if seconds < 0:
        return f"-{show(-duration)}"
    if seconds < 60:
        return f"{seconds:.1f}".rstrip("0").rstrip(".") + "s"
    rest = round(seconds)
    parts: list[tuple[int, str]] = []
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, _UNITS[unit])
        if count or parts:
            parts.append((count, unit))
    return " ".join(f"{count}{unit}" for count, unit in parts[:2] if count)
