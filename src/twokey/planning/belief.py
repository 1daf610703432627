"""What of a journal can be true. A program that can write only the journal must neither block a user nor harm a key.

The journal is trusted no more than its store deserves. What no run can have written is not believed: moments that are
yet to come, or before there was twokey; a creation that may leave for longer than any intent allows; a grace or an
epoch beyond all measure. What a run can have written is held against IAM and the destinations before a key is removed.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import msgspec

from twokey.core.journal import IN_DOUBT, REMEMBERED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.core.journal import Delivery, Intent, Journal

MOST_SKEW = timedelta(minutes=1)
"""How far the clock of the run that wrote the journal may be ahead of ours."""
EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
LONGEST_GRACE = timedelta(days=1000)
MOST_EPOCHS = 2**53
LONGEST_WITHIN = 60.0
"""Seconds within which any intent's creation is sent."""
Entry = TypeVar("Entry")


def believed(journal: Journal, now: datetime) -> Journal:
    """Return the journal without what cannot be true.

    What a destination received is kept, whatever its moment: it may hold that key.
    """
    committed = journal.committed if journal.committed and _possible(journal.committed, now) else None
    return msgspec.structs.replace(
        journal,
        epoch=journal.epoch if 0 <= journal.epoch < MOST_EPOCHS else 0,
        committed=committed,
        intent=_intent(journal.intent, now),
        retiring=_dated(journal.retiring, {key_id: one.at for key_id, one in journal.retiring.items()}, now),
        removed=_dated(journal.removed, journal.removed, now),
        revoked=_dated(journal.revoked, {key_id: one.at for key_id, one in journal.revoked.items()}, now),
        delivered={name: _delivery(one, committed or EARLIEST, now) for name, one in journal.delivered.items()},
        forgotten=journal.forgotten if journal.forgotten and _possible(journal.forgotten, now) else None,
        graces={key_id: min(max(grace, timedelta(0)), LONGEST_GRACE) for key_id, grace in journal.graces.items()},
    )


def _possible(at: datetime, now: datetime) -> bool:
    return EARLIEST <= at <= now + MOST_SKEW


def _intent(intent: Intent | None, now: datetime) -> Intent | None:
    if intent is None or not _possible(intent.at, now):
        return None
    earlier = tuple(at for at in intent.earlier if _possible(at, now))
    within = min(max(intent.within, 0.0), LONGEST_WITHIN)
    return msgspec.structs.replace(intent, earlier=earlier, within=within)


def _dated(entries: Mapping[str, Entry], moments: Mapping[str, datetime], now: datetime) -> dict[str, Entry]:
    return {key_id: entry for key_id, entry in entries.items() if _possible(moments[key_id], now)}


def _delivery(delivery: Delivery, otherwise: datetime, now: datetime) -> Delivery:
    return msgspec.structs.replace(
        delivery,
        at=delivery.at if _possible(delivery.at, now) else otherwise,
        rewritten=min(max(delivery.rewritten, 0), REMEMBERED),
        doubt=min(max(delivery.doubt, 0), IN_DOUBT),
    )
