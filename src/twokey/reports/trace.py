"""What is known of one access key: whose it is, who used it, and what they may have left behind."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from twokey.reports.audit import Use as LastUse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Role = Literal["current", "last", "orphaned", "unmanaged", "unknown"]
Mark = Literal[
    "user", "access key", "sign-in", "policy", "trust", "role", "function", "compute", "recording", "account"
]
"""What an event may have left behind: see ``revocation.marks``."""
May = Literal["yes", "no", "unknown"]


class Use(msgspec.Struct, frozen=True):
    """One event that was recorded with the key, or with a session that was made from it.

    ``session`` is the id of the session's key, ``mark`` what the event may have left behind, ``target`` what it names.
    """

    time: Moment
    service: str
    event: str
    region: str
    source_ip: str
    user_agent: str
    session: str | None
    error: str | None
    mark: Mark | None
    target: str


class MadeSession(msgspec.Struct, frozen=True):
    """A session that was made from the key, or from another session of it.

    ``made_from`` is the id of the key that made it, ``role`` the role that was assumed; None for a session of the user.
    ``followed`` says whether its own events were looked up.
    """

    key_id: str
    made_from: str
    role: str | None
    issued: Moment
    expires: Moment | None
    followed: bool


class Conclusions(msgspec.Struct, frozen=True):
    """The two conclusions, for people: may the key be deleted, and what was done with it."""

    delete: str
    uses: str


class Trace(msgspec.Struct, frozen=True):
    """What ``twokey trace --json`` prints.

    ``revoked``: the journal says that it leaked, and it is Inactive for that reason. ``reaches`` are the roles that the
    user can assume, directly and through others; None if that is unknown. ``known_until``: later events may not have
    been recorded yet. ``complete``: whether everything until then was read.
    """

    key_id: str
    account: str | None
    user: str | None
    role: Role
    status: Literal["Active", "Inactive"] | None
    created: Moment | None
    last_used: LastUse | None
    held_by: list[str]
    revoked: bool
    administrator: bool | None
    reaches: list[str] | None
    since: Moment
    known_until: Moment
    regions: list[str]
    uses: list[Use]
    sessions: list[MadeSession]
    may_delete: May
    conclusions: Conclusions
    complete: bool
    incomplete: list[str]
    notes: list[str]


@dataclass(frozen=True, slots=True)
class Group:
    """Uses of the same kind by the same program: the latest, how many, and the time of the first.

    ``by`` says by which session or sessions; it is empty for the key itself.
    """

    latest: Use
    count: int
    first: datetime
    by: str


_OF_ONE_PROCESS = re.compile(r" (m/[\w,+-]*|twokey/[0-9a-f]{32})(?= |$)")
"""What differs between two processes of one program: botocore writes the features of a request in an order that is
another one in each process (``m/E,b,Z``), and twokey the id of the run. Without this, each run of a job would be a use
of its own."""


def grouped(trace: Trace) -> list[Group]:
    """Return uses that differ in their time only as one each, the one with the latest use first.

    So are those of different sessions of the same role: each job may have had a session of its own.
    """
    roles = {one.key_id: one.role or "" for one in trace.sessions}
    groups: dict[tuple[object, ...], list[Use]] = {}
    for use in trace.uses:
        by = roles.get(use.session, use.session) if use.session else None
        agent = _OF_ONE_PROCESS.sub("", use.user_agent)
        kind = (use.service, use.event, use.region, use.source_ip, agent, by, use.error)
        groups.setdefault(kind, []).append(use)
    return [Group(same[0], len(same), same[-1].time, _by(same, roles)) for same in groups.values()]


def _by(uses: Sequence[Use], roles: Mapping[str, str]) -> str:
    ids = list(dict.fromkeys(use.session for use in uses if use.session))
    if len(ids) < 2:
        return f"session {ids[0]}" if ids else ""
    role = roles.get(ids[0], "").rpartition("/")[2]
    return f"{len(ids)} sessions of {f'role {role}' if role else 'the user itself'}"
