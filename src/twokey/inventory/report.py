"""What was found, as the result that every output shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from twokey.core import timestamps
from twokey.inventory.credential_report import ROOT
from twokey.inventory.findings import checked, findings
from twokey.planning.destination_states import destination_states
from twokey.reports import audit
from twokey.reports.documents import whole_seconds as _whole
from twokey.reports.status import role

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from twokey.core.model import AccessKey
    from twokey.inventory.credential_report import Report
    from twokey.inventory.decision import FoundKey, FoundUser
    from twokey.inventory.findings import Limits
    from twokey.planning.assessment import Assessment


def result(
    users: Sequence[FoundUser], limits: Limits, report: Report, warnings: Sequence[str], *, complete: bool
) -> audit.Audit:
    """Return the result of an audit."""
    found = findings(users, limits)
    return audit.Audit(
        version=audit.VERSION,
        account=next((row.account for row in report.rows), ""),
        generated=timestamps.whole_second(limits.now),
        report_generated=timestamps.whole_second(report.generated),
        complete=complete,
        users=[_user(user, limits) for user in users],
        keys=[_key(user, key, limits) for user in users for key in user.keys],
        findings=found,
        summary=audit.summary(found),
        warnings=list(warnings),
        checked=checked(users),
    )


def _key(user: FoundUser, key: FoundKey, limits: Limits) -> audit.Key:
    limit, use = limits.of(user), key.use
    window: audit.Window = "unknown"
    if not key.active:
        window = "kept"
    elif key.created is not None:
        window = "broken" if limits.now - key.created > limit else "kept"
    return audit.Key(
        account=user.row.account,
        user=user.row.user,
        path=user.row.path,
        key_id=key.id,
        status="Active" if key.active else "Inactive",
        created=key.created,
        last_used=audit.Use(use.at, use.service or None, use.region or None) if use.at else None,
        last_use_known=use.at is not None,
        role=_role(user, key),
        window=window,
        breaks_at=key.created + limit if key.created and key.active else None,
        held_by=[*holders(user.assessment, key.id)],
    )


def _role(user: FoundUser, key: FoundKey) -> audit.Role:
    if user.managed is None:
        return "unmanaged"
    if user.assessment is None:
        return "unknown"
    found = role(user.assessment, _listed(user.assessment, key))
    if found == "removed":  # decided earlier, and Inactive until its soak is over
        return "last" if user.assessment.journal.last == key.id else "unmanaged"
    return found


def _listed(assessment: Assessment, key: FoundKey) -> AccessKey:
    return next(one for one in assessment.observation.keys if one.id == key.id)


def holders(assessment: Assessment | None, key_id: str | None) -> Iterator[str]:
    """Yield the store and the destinations that hold a key, as far as the journal knows."""
    if assessment is None:
        return
    if assessment.held == key_id:
        yield assessment.observation.store
    for name in assessment.observation.destinations:
        if assessment.holds(name) == key_id:
            yield name


def _user(user: FoundUser, limits: Limits) -> audit.User:
    row, managed, assessment = user.row, user.managed, user.assessment
    document = audit.User(
        account=row.account,
        user=row.user,
        path=row.path,
        managed=managed is not None,
        readable=managed is None or assessment is not None,
        console_password=row.password,
        mfa=row.mfa,
        window=int(limits.of(user).total_seconds()),
    )
    if managed is None or row.user == ROOT:
        return document
    policy = managed.policy
    rules = {
        "store": managed.store,
        "period": int(policy.period.total_seconds()),
        "grace": int(policy.grace.total_seconds()),
        "soak": int(policy.soak.total_seconds()),
    }
    document = msgspec.structs.replace(document, **rules)
    if assessment is None:
        return document
    return msgspec.structs.replace(
        document,
        rotated_at=_whole(assessment.journal.committed) if assessment.journal.current == assessment.held else None,
        next_due=_whole(assessment.next_due),
        interrupted=assessment.journal.intent is not None,
        destinations=[*_destinations(assessment)],
        events=[
            msgspec.structs.replace(event, at=timestamps.whole_second(event.at))
            for event in sorted(_events(assessment), key=lambda event: (event.at, event.kind))
        ],
    )


def _destinations(assessment: Assessment) -> Iterator[audit.Destination]:
    delivered, store = assessment.journal.delivered, assessment.observation.store
    for state in destination_states(assessment):
        name = state.destination
        received = delivered.get(name)
        key_id = assessment.held if name == store else received.key if received else ""
        at = assessment.journal.committed if name == store else received.at if received else None
        outcome: audit.DestinationOutcome = "cannot_tell" if state.state == "unreachable" else state.state
        yield audit.Destination(name, outcome, key_id or None, _whole(at))


def _events(assessment: Assessment) -> Iterator[audit.Event]:
    journal = assessment.journal
    if journal.committed:
        yield audit.Event(journal.committed, "rotated", journal.current or None, None)
    for name, delivery in journal.delivered.items():
        yield audit.Event(delivery.at, "delivered", delivery.key, name)
    for key_id, retiring in journal.retiring.items():
        yield audit.Event(retiring.at, "inactive", key_id, None)
    for key_id, at in journal.removed.items():
        yield audit.Event(at, "removed", key_id, None)
