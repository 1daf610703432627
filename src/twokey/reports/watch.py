"""What ``twokey watch`` found: the typed result, which is also its JSON document. Never a secret."""

from __future__ import annotations

from typing import Literal

import msgspec

from twokey.permissions.findings import Severity

VERSION = 1
"""The version of the document. Fields may be added to it; none is removed or changes its meaning."""
MOST_LOCATIONS = 20
"""Locations of one key that are listed."""
KeyStatus = Literal["Active", "Inactive", "unknown"]


class Location(msgspec.Struct, frozen=True):
    """A line of a file, or of a file in a commit."""

    path: str
    line: int
    commit: str | None

    def __str__(self) -> str:
        """Return it as editors and Git name it."""
        return f"{self.path}:{self.line}{f' in commit {self.commit[:12]}' if self.commit else ''}"


class Finding(msgspec.Struct, frozen=True):
    """One finding. ``user`` is empty where it is unknown, ``key_id`` is null where the source does not name the key.

    ``source`` says who reported it. ``leaked``: the key itself is known to be leaked, and works. ``locations`` are the
    first ones; ``locations_left_out`` counts the others.
    """

    id: str
    severity: Severity
    account: str
    user: str
    resource: str
    key_id: str | None
    key_status: KeyStatus | None
    source: str
    message: str
    remedy: str
    leaked: bool = False
    locations: list[Location] = []
    locations_left_out: int = 0


class Watch(msgspec.Struct, frozen=True):
    """What ``twokey watch`` found.

    ``summary`` counts the findings of each severity. ``complete`` is false where a source could not be looked at; the
    ``warnings`` say which. ``other_accounts`` counts the keys of each other account that were found or reported;
    ``notes`` say what was looked at and is no finding.
    """

    version: int
    account: str
    complete: bool
    findings: list[Finding]
    summary: dict[str, int]
    other_accounts: dict[str, int]
    notes: list[str]
    warnings: list[str]
