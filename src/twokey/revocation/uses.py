"""Events as uses of a key, and the sessions that were made from it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.core import timestamps
from twokey.reports.trace import MadeSession, Use
from twokey.revocation.marks import mark_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from twokey.aws.cloudtrail import TrailEvent


def uses(events: Iterable[TrailEvent], key_id: str) -> list[Use]:
    """Return the uses that events record, the newest first; ``key_id`` is the traced key, others are sessions."""
    distinct = {(event.region, event.id): event for event in events}
    ordered = sorted(distinct.values(), key=lambda event: (event.at, event.region, event.id), reverse=True)
    return [_use(event, key_id) for event in ordered]


def _use(event: TrailEvent, key_id: str) -> Use:
    return Use(
        time=timestamps.whole_second(event.at),
        service=event.service,
        event=event.name,
        region=event.region,
        source_ip=event.source_ip,
        user_agent=event.user_agent,
        session=None if event.key_id == key_id else event.key_id,
        error=event.error or None,
        mark=None if event.error else mark_of(event.service, event.name),
        target=event.target,
    )


def sessions(events: Iterable[TrailEvent], account: str) -> Iterator[MadeSession]:
    """Yield the sessions that events issued. Those of roles of other accounts are recorded there, and not followed."""
    for event in events:
        if event.issued and not event.error:
            yield MadeSession(
                key_id=event.issued,
                made_from=event.key_id,
                role=event.assumed or None,
                issued=timestamps.whole_second(event.at),
                expires=event.expires,
                followed=not is_elsewhere(event.assumed, account),
            )


def is_elsewhere(role: str | None, account: str) -> bool:
    """Return whether a role is one of another account."""
    return bool(role) and account_in(str(role)) != account


def account_in(arn: str) -> str:
    """Return the account of an ARN, which comes from an event; ``unknown`` where it has none."""
    return "".join(arn.split(":")[4:5]) or "unknown"
