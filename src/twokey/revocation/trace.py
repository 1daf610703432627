"""Traces an access key: whose it is, what it can reach, who used it and from where, and what they may have left behind.

Everything is read, nothing is changed. What cannot be read is said, and never taken for nothing: a region that was
denied, sessions of other accounts, events that are not recorded yet.
Sources: "GetAccessKeyInfo" (AWS STS API Reference); for events, see ``twokey.aws.cloudtrail``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from twokey.core import timestamps
from twokey.core.commands import trace_command
from twokey.core.errors import BadCredentials, ServiceError
from twokey.inventory import collect
from twokey.permissions.lint_users import permissions
from twokey.permissions.reach import Reach
from twokey.reports import audit
from twokey.reports.trace import Conclusions, Trace
from twokey.revocation import ownership
from twokey.revocation.conclusions import with_conclusions, with_elsewhere
from twokey.revocation.following import follow
from twokey.revocation.uses import uses

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from twokey.aws.cloudtrail import CloudTrail
    from twokey.aws.iam import Iam
    from twokey.aws.sts import Sts
    from twokey.core.model import LastUse
    from twokey.inventory.audit import Members
    from twokey.reports.trace import Use
    from twokey.revocation.following import Followed
    from twokey.revocation.ownership import Owner

DELAY = timedelta(minutes=15)
"""What happened so recently may not be recorded yet: CloudTrail needs about 5 minutes, which AWS does not promise."""
MOST_DAYS = 90
"""How long event history keeps events ("LookupEvents", AWS CloudTrail API Reference)."""
AN_EVENT = timedelta(hours=1)
"""A use that IAM names was recorded within this time of it, if it was recorded."""
EVERYTHING = "TK104"
"""The finding of lint that a policy allows everything."""
DATA_EVENTS = (
    "Event history has management events only. It does not show which data was read or written, such as objects in S3 "
    "or items in DynamoDB, or which functions were called: a trail that records data events does, if there is one."
)


@dataclass(frozen=True, slots=True)
class Request:
    """The key to trace, how far back, and where; without regions, in all that the account has enabled."""

    key_id: str
    days: int = MOST_DAYS
    regions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sources:
    """What is read: IAM, STS and CloudTrail of the account of the credentials in use, and the stores of its users.

    ``configured``: whether there is a configuration that names the users that twokey rotates, and their stores.
    """

    iam: Iam
    sts: Sts
    trail: CloudTrail
    members: Members
    configured: bool


def trace(request: Request, sources: Sources, tell: Callable[[str], None]) -> Trace:
    """Return what is known of a key. Raises ``BadCredentials`` where the credentials in use do not work."""
    own, _ = sources.sts.caller()
    account, note = ownership.account(sources.sts, request.key_id)
    now = timestamps.whole_second(sources.iam.clock.now())
    if account not in (None, own) and not note:
        return _elsewhere(request, account, own, now, note)
    owner = ownership.owner(sources.iam, request.key_id, sources.members, sources.iam.clock.now)
    if account not in (None, own) and owner.user is None:
        return _elsewhere(request, account, own, now, note)
    regions, problem = _regions(request, sources.trail)
    times = (now - timedelta(days=request.days), now)
    found = follow(sources.trail, request.key_id, own, times, regions, tell)
    recorded = uses(found.events, request.key_id)
    administrator, reaches, unknown = _reach(sources.iam, owner)
    unrecorded = _unrecorded(owner.last_use, recorded, *times)
    notes = [note, *owner.notes, unknown, *unrecorded, *_without_iam(request, sources.trail)]
    problems = [one for one in (problem, *found.problems) if one]
    result = msgspec.structs.replace(
        _unknown(request, own if account == own or owner.user or recorded else None, now),
        user=owner.user or _named_by(found, request.key_id),
        role=owner.role,
        status=None if owner.key is None else "Active" if owner.key.active else "Inactive",
        created=owner.key.created if owner.key else None,
        last_used=_last_used(owner.last_use),
        held_by=[*owner.held_by],
        revoked=owner.revoked,
        administrator=administrator,
        reaches=reaches,
        regions=[*found.regions],
        uses=recorded,
        sessions=[*found.sessions],
        complete=not problems,
        incomplete=problems,
        notes=[*filter(None, notes), _not_yet(now), DATA_EVENTS],
    )
    return with_conclusions(result, request.days, configured=sources.configured)


def _unknown(request: Request, account: str | None, now: datetime) -> Trace:
    """Return a result in which nothing is known but the account."""
    return Trace(
        key_id=request.key_id,
        account=account,
        user=None,
        role="unknown",
        status=None,
        created=None,
        last_used=None,
        held_by=[],
        revoked=False,
        administrator=None,
        reaches=None,
        since=now - timedelta(days=request.days),
        known_until=now - DELAY,
        regions=[],
        uses=[],
        sessions=[],
        may_delete="unknown",
        conclusions=Conclusions(delete="", uses=""),
        complete=False,
        incomplete=[],
        notes=[],
    )


def _elsewhere(request: Request, account: str | None, own: str, now: datetime, note: str) -> Trace:
    """Return what can be said of a key of another account."""
    where = (
        f"The key belongs to account {account}, and the credentials in use to {own}. Its user and its events are in "
        f"{account}: run {trace_command(request.key_id)} with credentials of that account."
    )
    result = msgspec.structs.replace(_unknown(request, account, now), incomplete=[where], notes=[*filter(None, [note])])
    return with_elsewhere(result)


def _regions(request: Request, trail: CloudTrail) -> tuple[Sequence[str], str]:
    """Return the regions to look at, and why they may not be all."""
    if request.regions:
        return tuple(dict.fromkeys(request.regions)), ""
    try:
        return trail.regions(), ""
    except BadCredentials:
        raise
    except ServiceError as error:
        known = tuple(dict.fromkeys(filter(None, (trail.main_region(), trail.own_region()))))
        return known, (
            f"Which regions the account has enabled is unknown, so only {', '.join(known) or 'none'} was looked at: "
            f"{error} Or name the regions: --region."
        )


def _reach(iam: Iam, owner: Owner) -> tuple[bool | None, list[str] | None, str]:
    """Return whether the user may do everything, the roles that it reaches, and why that is unknown."""
    if owner.user is None or owner.key is None:
        return None, None, ""
    try:
        account = collect.details(iam)
    except BadCredentials:
        raise
    except ServiceError as error:
        return None, None, f"What the key can reach is unknown: {error}"
    principal = next((one for one in account.users if one.name == owner.user), None)
    if principal is None:
        return None, None, f"What the key can reach is unknown: IAM does not show the user {owner.user}."
    reach = Reach(account)
    everything = any(one.id == EVERYTHING for one in permissions(principal, reach.of(principal)))
    return everything, sorted(reach.closure(principal)), ""


def _named_by(found: Followed, key_id: str) -> str | None:
    """Return the user that events name, where IAM does not."""
    return next((event.user for event in found.events if event.key_id == key_id and event.user), None)


def _last_used(use: LastUse) -> audit.Use | None:
    return audit.Use(use.at, use.service or None, use.region or None) if use.at else None


def _unrecorded(use: LastUse, recorded: Sequence[Use], since: datetime, now: datetime) -> list[str]:
    """Say where IAM names a use that is not among the events."""
    if use.at is None or not since <= use.at <= now - DELAY:
        return []
    if any(one.session is None and abs(one.time - use.at) <= AN_EVENT for one in recorded):
        return []
    where = f" in {use.region}" if use.region not in ("", "N/A") else ""
    text = (
        f"IAM says that the key was used at {timestamps.utc(use.at)} for {use.service or 'an unknown service'}{where}, "
        "and no event of that was found: it was a data event, is in a region that was not looked at, or CloudTrail did "
        "not record it."
    )
    return [text]


def _not_yet(now: datetime) -> str:
    return f"Events since {timestamps.utc(now - DELAY)} may be missing: CloudTrail needs up to about 15 minutes."


def _without_iam(request: Request, trail: CloudTrail) -> list[str]:
    main = trail.main_region()
    if not request.regions or not main or main in request.regions:
        return []
    return [f"The events of IAM itself are in {main}, which was not looked at: name it too, --region {main}."]
