"""What another service reports about a key or a user. A value; the service's own text is never interpreted further."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reported:
    """A report. ``rule`` is the id of the finding that it is, if the key is one of the account.

    ``source``: who reports it, as a message names it. ``key_id`` or ``user``: what it is about, as far as it says so.
    ``where``: where the key was found, as the service says. ``account``: the one that it is about, if it says so.
    """

    rule: str
    source: str
    key_id: str = ""
    user: str = ""
    where: str = ""
    account: str = ""


@dataclass(frozen=True, slots=True)
class Reports:
    """All reports of one file, and ``notes`` about what in it is none."""

    reported: tuple[Reported, ...] = ()
    notes: tuple[str, ...] = ()
