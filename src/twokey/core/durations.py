"""Durations as the configuration and the messages write them: ``30d``, ``12h``, ``90s``, ``1d12h``."""

from __future__ import annotations

import re
from datetime import timedelta

from twokey.core.errors import UsageError

_UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
PATTERN = r"^\s*([0-9]+(\.[0-9]+)?\s*[wdhms]\s*)+$"
"""What a duration looks like, as a regular expression that JSON Schema understands too."""
_WHOLE = re.compile(PATTERN.replace("$", r"\Z"))
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([wdhms])")
_CALENDAR = re.compile(r"\s*([0-9]{1,4}(?:\.[0-9]{1,3})?)\s*(M|mo|mon|month|y|yr|year)s?\s*", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]+(?:[:._][0-9]+)+")
"""What is a number to YAML, in base 60 for example: shown as it is written."""
_LONG = 60
_LONGEST = timedelta(days=3_650)
_REMEDY = "Write it like 30d, 12h, 90s or 1d12h."


def parse(text: str, what: str = "duration") -> timedelta:
    """Read a duration; ``what`` names it in the error. Raises ``UsageError`` for anything else.

    Units are case-sensitive: elsewhere, ``1M`` is a month, and a window of one minute would be a bad guess.
    """
    if not _WHOLE.match(text):
        raise UsageError(f"{what}: {_quoted(text)} is not a duration.", remedy=_meant(text))
    seconds = sum(float(n) * _UNITS[unit] for n, unit in _PART.findall(text))
    if seconds > _LONGEST.total_seconds():
        raise UsageError(f"{what}: {_quoted(text)} is more than ten years.")
    return timedelta(seconds=seconds)


def _quoted(text: str) -> str:
    if _NUMBER.fullmatch(text):
        return text[:_LONG]
    return repr(text if len(text) <= _LONG else f"{text[:_LONG]}…")


def _meant(text: str) -> str:
    """Return what to write in place of a text that is not a duration."""
    calendar = _CALENDAR.fullmatch(text)
    if calendar:
        days = float(calendar[1]) * (365 if calendar[2].lower().startswith("y") else 30)
        minutes = f" A minute is m: {calendar[1]}m." if calendar[2] == "M" else ""
        return f"Months and years differ in length. Write the days: {days:g}d.{minutes}"
    if _WHOLE.match(text.lower()):
        return f"Units are lowercase: {text.lower().strip()}."
    return _REMEDY


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
