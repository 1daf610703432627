"""A failure to get credentials, in two sentences."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Failure:
    """What happened, and what to do."""

    problem: str
    remedy: str


def unreadable(error: OSError) -> str:
    """Return why a file cannot be read, or a program started."""
    return f"{error.filename}: {error.strerror}"


def first_line(error: Exception) -> str:
    """Return the first line of an error's text; its type where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def sentence(text: str) -> str:
    """Return a text with one full stop at its end."""
    return f"{text.rstrip('.')}."
