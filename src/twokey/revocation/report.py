"""What a revocation and a lift did, as the JSON documents that ``twokey revoke --json`` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.core import timestamps
from twokey.core.reasons import Revocation
from twokey.reports.documents import (
    ContainedEntry,
    LiftDocument,
    LiftEntry,
    RevokeDocument,
    RevokeEntry,
    SessionEntry,
    destination_entries,
    whole_seconds,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twokey.revocation.lift import LiftResult
    from twokey.revocation.results import RevokeResult


def revoke_document(results: Iterable[RevokeResult]) -> RevokeDocument:
    """Return the document of a revocation."""
    entries = [_revoke_entry(result) for result in results]
    counts: dict[str, int] = {outcome.value: 0 for outcome in Revocation}
    for entry in entries:
        counts[entry.outcome] += 1
    return RevokeDocument(entries, counts)


def lift_document(results: Iterable[LiftResult]) -> LiftDocument:
    """Return the document of a lift."""
    entries = [
        LiftEntry(one.account, one.principal, one.outcome, one.until, [*one.policies], one.message) for one in results
    ]
    counts = dict.fromkeys(("lifted", "due", "refused", "failed"), 0)
    for entry in entries:
        counts[entry.outcome] += 1
    return LiftDocument(entries, counts)


def _revoke_entry(result: RevokeResult) -> RevokeEntry:
    rotation = result.rotation
    return RevokeEntry(
        account=result.user.account,
        user=result.user.name,
        path=result.user.path,
        outcome=result.outcome,
        reason=result.reason,
        message=result.message,
        current=(rotation and rotation.current) or None,
        last=(rotation and rotation.last) or None,
        removed=list(rotation.removed) if rotation else [],
        next_due=whole_seconds(rotation.next_due) if rotation else None,
        contained_at=whole_seconds(result.contained_at),
        contained=[
            ContainedEntry(one.key_id, timestamps.whole_second(one.at), one.request_id or None)
            for one in result.contained
        ],
        destinations=destination_entries(rotation) if rotation else [],
        sessions=[
            SessionEntry(one.role, one.outcome, one.policy or None, one.message or None) for one in result.sessions
        ],
        warnings=list(result.every_warning),
    )
