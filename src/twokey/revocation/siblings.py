"""Whether another key of a user was used from the same unusual addresses as its leaked one. Pure.

It is a hint for the operator, who alone decides what else has leaked: the events may be incomplete, and an address may
be that of a network which an intruder and a job share.
"""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from typing import TYPE_CHECKING

from twokey.core import durations
from twokey.core.commands import revoke_command, trace_command

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from twokey.aws.cloudtrail import TrailEvent
    from twokey.core.model import AccessKey

RECENT = timedelta(hours=24)
"""An address from which a key was first used within this time of its containment is unusual."""
ROUNDED = timedelta(seconds=2)
"""IAM's creation times and AWS's clock, as twokey knows it, may each be a second earlier than they were."""
SHOWN = 3
"""Addresses that a warning names."""


def siblings(keys: Iterable[AccessKey], leaked: Iterable[str], contained: datetime) -> list[str]:
    """Return the Active keys that may have leaked, too: those that existed before the leaked ones were contained."""
    named = {*leaked}
    return [key.id for key in keys if key.active and key.id not in named and key.created < contained - ROUNDED]


def warnings(
    leaked: Sequence[TrailEvent], sibling_id: str, sibling: Sequence[TrailEvent], contained: datetime, now: datetime
) -> Iterator[str]:
    """Yield what the events of the leaked key and of another one say about that other one; nothing if it is usual."""
    since = contained - RECENT
    seen = [event for event in leaked if _is_address(event.source_ip)]
    before = {event.source_ip for event in seen if event.at < since}
    usual_is_known = any(event.at < since for event in leaked)
    first: dict[str, datetime] = {}
    for event in sorted(seen, key=lambda event: event.at):
        if event.source_ip not in before:
            first.setdefault(event.source_ip, event.at)
    also = {event.source_ip for event in sibling}
    shared = [address for address in first if address in also]
    if not shared:
        return
    more = f" and {len(shared) - SHOWN} more addresses" if len(shared) > SHOWN else ""
    where = f"{', '.join(shared[:SHOWN])}{more}"
    if usual_is_known:
        ago = durations.show(max(now - first[shared[0]], timedelta(0)))
        yield (
            f"{sibling_id} was also used from {where}, from where the leaked key was first used {ago} ago: it has "
            f"probably leaked, too. Revoke it: {revoke_command(sibling_id)}."
        )
    else:
        yield (
            f"{sibling_id} was also used from {where}, as the leaked key was. Whether that is usual is not known: the "
            f"events of the leaked key that were looked at are all of its last 24 hours. If your jobs do not use "
            f"{'this address' if len(shared) == 1 else 'these addresses'}, it has probably leaked, too. Look: "
            f"{trace_command(sibling_id)}. Revoke it: {revoke_command(sibling_id)}."
        )


def unknown(sibling_ids: Sequence[str], why: str) -> str:
    """Say that the events, or which other keys there are, could not be looked at, and how to look later."""
    whose = " or ".join(sibling_ids) or "another key of the user"
    commands = ", ".join(map(trace_command, sibling_ids or ["KEY_ID"]))
    return f"Whether {whose} was used from the same addresses as the leaked key is unknown: {why} Look: {commands}."


def _is_address(source: str) -> bool:
    """Say whether the source is an address; AWS's services are named instead, and say nothing of who used the key."""
    try:
        ipaddress.ip_address(source)
    except ValueError:
        return False
    return True
