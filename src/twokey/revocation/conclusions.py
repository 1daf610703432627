"""Two conclusions about a key, for people: may it be deleted, and what was done with it. Pure.

Nothing in them was chosen by the user of the key: an intruder names users and programs as they like.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from twokey.core import timestamps
from twokey.core.commands import revoke_command
from twokey.reports.trace import Conclusions

if TYPE_CHECKING:
    from twokey.reports.trace import May, Trace

SHOWN = 6


def with_elsewhere(found: Trace) -> Trace:
    """Return the result with both conclusions for a key of another account than that of the credentials in use."""
    delete = f"Unknown: the key belongs to account {found.account}."
    texts = Conclusions(delete=delete, uses="Unknown: its events are in its own account.")
    return msgspec.structs.replace(found, conclusions=texts)


def with_conclusions(found: Trace, days: int, *, configured: bool) -> Trace:
    """Return the result with both conclusions. ``configured``: it is known which keys the stores hold."""
    may, delete = _delete(found, days, configured=configured)
    texts = Conclusions(delete=f"{delete} {_lasting(found)}".strip(), uses=_uses(found, days))
    return msgspec.structs.replace(found, may_delete=may, conclusions=texts)


def _delete(found: Trace, days: int, *, configured: bool) -> tuple[May, str]:
    if found.revoked:
        command = revoke_command(found.key_id, "--delete")
        return "yes", f"Yes, once you have what you need to know: it leaked, and is Inactive. {command} deletes it."
    if found.role in ("current", "last", "orphaned"):
        return "no", _rotated(found)
    if found.status is None:
        where = f"account {found.account}" if found.account else "the account of your credentials"
        return "unknown", f"Unknown: {where} does not say that it has this key now."
    if found.role == "unknown":
        return "unknown", f"Unknown: which role the key of {found.user} has could not be read."
    return _unmanaged(found, days, configured=configured)


def _rotated(found: Trace) -> str:
    """Answer for a key that twokey itself removes, or that jobs read."""
    if found.role == "current":
        held = f", held by {', '.join(found.held_by)}" if found.held_by else ""
        return f"No: it is CURRENT of {found.user}{held}. If it leaked, replace it: {revoke_command(found.key_id)}."
    if found.role == "last":
        return (
            f"No, leave that to twokey: it is LAST of {found.user}, and rotate removes it as soon as its grace is over "
            f"and nothing uses it. {_latest(found) or 'No use of it is known.'}"
        )
    return f"No, leave that to twokey: the next rotate of {found.user} removes it, since nothing holds it."


def _unmanaged(found: Trace, days: int, *, configured: bool) -> tuple[May, str]:
    """Answer for a key that twokey does not rotate: only its use speaks against it."""
    latest = _latest(found)
    if latest and found.status == "Inactive":
        return "unknown", (
            f"Only you can tell: {latest[0].lower()}{latest[1:]} It is Inactive now. If nothing has failed since, "
            "it may be deleted."
        )
    if latest:
        return "no", f"No: {latest[0].lower()}{latest[1:]} Find that job first, or what leaked the key."
    if not found.complete:
        return "unknown", "Unknown: no use of it was found, but not everything could be read."
    if not configured:
        return "unknown", (
            f"Unknown: no use in {days} days, but without a configuration twokey does not know whether a store holds "
            "it."
        )
    if found.status == "Inactive":
        return "yes", f"Yes: it is Inactive, and no use of it is known in {days} days."
    return "yes", (
        f"Yes, as far as is known: no use in {days} days. Make it Inactive first, and delete it once nothing has "
        f"failed: aws iam update-access-key --user-name {found.user} --access-key-id {found.key_id} --status Inactive."
    )


def _latest(found: Trace) -> str:
    """Say when it was last used within the time that was looked at; empty where nothing says so."""
    own = [use for use in found.uses if use.session is None]
    event = own[0] if own else None
    used = found.last_used
    if used is not None and used.at >= found.since and (event is None or used.at > event.time):
        return f"It was last used at {timestamps.utc(used.at)} for {used.service or 'an unknown service'}, says IAM."
    if event is None:
        return ""
    return f"It was last used at {timestamps.utc(event.time)} for {event.service} from {event.source_ip or 'unknown'}."


def _lasting(found: Trace) -> str:
    """Say what outlives the key."""
    ends = [one.expires for one in found.sessions if one.expires is not None and one.expires > found.known_until]
    if not ends:
        return ""
    made = "1 session" if len(ends) == 1 else f"{len(ends)} sessions"
    return f"Whatever becomes of it, {made} made from it may work until {timestamps.utc(max(ends))}."


def _uses(found: Trace, days: int) -> str:
    rest = "" if found.complete else " Not everything could be read: there may be more."
    if not found.uses:
        return f"No management event of it is recorded in {days} days.{rest}"
    first, last = found.uses[-1].time, found.uses[0].time
    addresses = {use.source_ip for use in found.uses}
    failed = sum(use.error is not None for use in found.uses)
    made = f", {_count(len(found.sessions), 'session')} made from it" if found.sessions else ""
    text = (
        f"{_count(len(found.uses), 'event')} from {_count(len(addresses), 'address', 'addresses')} between "
        f"{timestamps.utc(first)} and {timestamps.utc(last)}, for {_named(Counter(use.service for use in found.uses))}"
        f"{made}{f', {failed} denied or failed' if failed else ''}."
    )
    marked = Counter(use.event for use in found.uses if use.mark)
    left = f" Look at what may be left behind: {_named(marked)}." if marked else ""
    return f"{text}{left}{rest}"


def _named(counts: Counter[str]) -> str:
    """Name the most frequent, each with its number where that is not one."""
    shown = [f"{name} ({count})" if count > 1 else name for name, count in counts.most_common(SHOWN)]
    more = len(counts) - SHOWN
    return ", ".join([*shown, *([f"{more} more"] if more > 0 else [])])


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or f'{one}s'}"
