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
LONGEST = timedelta(days=3_650)
"""A longer duration is refused."""
HOW_TO_WRITE = "Write it like 30d, 12h, 90s or 1d12h."


def parse(text: str, what: str = "duration") -> timedelta:
    """Read a duration; ``what`` names it in the error. Raises ``UsageError`` for anything else.

    Units are case-sensitive: elsewhere, ``1M`` is a month, and a window of one minute would be a bad guess.
    """
    if not _WHOLE.match(text):
        raise UsageError(f"{what}: {_quoted(text)} is not a duration.", remedy=_meant(text))
    seconds = sum(float(n) * _UNITS[unit] for n, unit in _PART.findall(text))
    if seconds > LONGEST.total_seconds():
        raise UsageError(f"{what}: {_quoted(text)} is more than ten years.", remedy="Write at most 3650d.")
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
    return HOW_TO_WRITE


def show(duration: timedelta) -> str:
    """Return a duration for a message, in its two largest units: ``14d 9h``, ``45s``. It is never longer than it is.

    For an age, and for what is promised: a promise that is shown longer than it is would be broken.
    """
    if duration < timedelta(0):
        return f"-{show(-duration)}"
    return exact(duration - duration % _resolution(duration))


def left(duration: timedelta) -> str:
    """Return a duration as ``show`` does, but never shorter than it is.

    For what the operator waits for, or has to set at least: with the duration that is shown, it is enough.
    """
    rest = duration % _resolution(duration)
    return show(duration - rest + _resolution(duration)) if rest else show(duration)


def exact(duration: timedelta) -> str:
    """Return a duration in all of its units: ``1d 1h 30s``. Read again, it is the same."""
    if duration < timedelta(0):
        return f"-{exact(-duration)}"
    rest, fraction = divmod(duration, timedelta(seconds=1))
    parts: list[str] = []
    for unit in ("d", "h", "m"):
        count, rest = divmod(rest, _UNITS[unit])
        parts += [f"{count}{unit}"] if count else []
    seconds = f"{rest}.{fraction.microseconds:06}".rstrip("0").rstrip(".")
    return " ".join(parts if parts and seconds == "0" else [*parts, f"{seconds}s"])


def _resolution(duration: timedelta) -> timedelta:
    """Return the smaller of the two units in which a duration is shown."""
    smaller = {"d": "h", "h": "m", "m": "s"}
    largest = next((unit for unit in smaller if duration >= timedelta(seconds=_UNITS[unit])), "")
    return timedelta(seconds=_UNITS[smaller[largest]]) if largest else timedelta(seconds=0.1)
