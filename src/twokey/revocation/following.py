"""The events of a key in every region, and of the sessions that were made from it, level by level."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from twokey.core import timestamps
from twokey.core.commands import trace_command
from twokey.core.errors import ServiceError
from twokey.inventory.audit import concurrently
from twokey.revocation.uses import account_in, is_elsewhere, sessions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from twokey.aws.cloudtrail import CloudTrail, TrailEvent
    from twokey.reports.trace import MadeSession

MOST_SESSIONS = 200
"""How many sessions are followed, the newest first: each takes a request to every region, two in a second."""
AT_A_TIME = 32
NOTICE_EVERY = 1000
"""Events of a region, after which it is said how far the search is: AWS gives 100 in a second."""
NOTICE_FROM = 20
"""Requests to one region, from which on it is said how long they take."""


@dataclass(frozen=True, slots=True)
class Followed:
    """What was found. ``regions`` were read in full; ``problems`` say what was not."""

    events: tuple[TrailEvent, ...]
    sessions: tuple[MadeSession, ...]
    regions: tuple[str, ...]
    problems: tuple[str, ...]


@dataclass
class _Search:
    """A search under way. ``failed`` has, for each region that could not be read, why."""

    trail: CloudTrail
    until: datetime
    regions: Sequence[str]
    tell: Callable[[str], None]
    events: list[TrailEvent] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    stopped: threading.Event = field(default_factory=threading.Event)

    def level(self, keys: Sequence[tuple[str, datetime]]) -> list[TrailEvent]:
        """Look up the events of some keys, each from a moment on, in all regions that can be read."""

        def look(region: str) -> tuple[list[TrailEvent], str]:
            found: list[TrailEvent] = []
            try:
                for key_id, since in keys:
                    for event in self.trail.events(region, key_id, since, self.until):
                        if self.stopped.is_set():
                            return found, "The search was interrupted."
                        found.append(event)
                        if len(found) % NOTICE_EVERY == 0:
                            self.tell(f"{region}: {len(found):,} events, back to {timestamps.utc(event.at)} so far.")
            except ServiceError as error:
                return found, str(error)
            return found, ""

        open_ones = [region for region in self.regions if region not in self.failed]
        found: list[TrailEvent] = []
        try:
            by_region = concurrently(look, open_ones, AT_A_TIME)
        except BaseException:
            self.stopped.set()  # the regions under way would be read to their end before the process ends
            raise
        for region, (events, why) in zip(open_ones, by_region, strict=True):
            found += events
            if why:
                self.failed[region] = why
        self.events += found
        return found


def follow(
    trail: CloudTrail,
    key_id: str,
    account: str,
    times: tuple[datetime, datetime],
    regions: Sequence[str],
    tell: Callable[[str], None],
) -> Followed:
    """Return the events of a key and of its sessions between two moments; only those sessions of this account."""
    since, until = times
    search = _Search(trail, until, regions, tell)
    made: dict[str, MadeSession] = {}
    level: list[tuple[str, datetime]] = [(key_id, since)]
    left = MOST_SESSIONS
    while level:
        found = sorted(sessions(search.level(level), account), key=lambda one: one.issued, reverse=True)
        new = {one.key_id: one for one in found if one.key_id not in made and one.key_id != key_id}
        followed = [one for one in new.values() if one.followed][:left]
        left -= len(followed)
        chosen = {one.key_id for one in followed}
        made |= {one.key_id: msgspec.structs.replace(one, followed=one.key_id in chosen) for one in new.values()}
        level = [(one.key_id, one.issued) for one in followed]
        if len(level) >= NOTICE_FROM:
            tell(f"Looking up {len(level)} sessions in {len(regions)} regions: about {(len(level) + 1) // 2} seconds.")
    ordered = sorted(made.values(), key=lambda one: (one.issued, one.key_id), reverse=True)
    read = tuple(region for region in regions if region not in search.failed)
    problems = (*_unread(search.failed), *_not_followed(ordered, account))
    return Followed(tuple(search.events), tuple(ordered), read, problems)


def _unread(failed: dict[str, str]) -> Iterator[str]:
    """Say which regions could not be read, each cause once."""
    causes: dict[str, list[str]] = {}
    for region, why in failed.items():
        causes.setdefault(why.replace(region, "REGION"), []).append(region)
    for why, regions in causes.items():
        shown = why if len(regions) > 1 else failed[regions[0]]
        yield f"The events of {', '.join(regions)} could not be read: {shown}"


def _not_followed(made: Sequence[MadeSession], account: str) -> Iterator[str]:
    left = [one for one in made if not one.followed]
    elsewhere = [one for one in left if is_elsewhere(one.role, account)]
    by_role: dict[str, list[str]] = {}
    for one in elsewhere:
        by_role.setdefault(str(one.role), []).append(one.key_id)
    for role, ids in by_role.items():
        which = f"the session {ids[0]}" if len(ids) == 1 else f"{len(ids)} sessions, the latest of them {ids[0]},"
        yield f"The events of {which} of {role} are in account {account_in(role)}: run {trace_command(ids[0])} there."
    more = len(left) - len(elsewhere)
    if more:
        yield f"{more} more sessions were not followed; look at fewer days (--days) or single regions (--region)."
