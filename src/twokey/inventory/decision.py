"""Which key is which: the keys of a credential report, of IAM's list and of a journal, brought together. Pure.

A credential report has no ids, and may be older than the latest rotation. Where a journal explains a user's rows
completely, it supplies the ids. Where it does not, the keys have to be listed, and the list replaces the rows; what the
rows add is the last use. Nothing is attributed by a guess: what cannot be told apart stays unknown.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from twokey.core.model import AccessKey, CannotTell, Held, LastUse, MachineUser, Observation, Record
from twokey.core.timestamps import RESOLUTION
from twokey.planning.assessment import assess
from twokey.planning.belief import believed
from twokey.planning.plan import Overrides

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from twokey.core.journal import Journal
    from twokey.inventory.credential_report import ReportedKey, Row
    from twokey.planning.assessment import Assessment
    from twokey.planning.policy import RotationPolicy

MARGIN = timedelta(minutes=5)
"""What changed so shortly before a report was made may be missing from it."""
A_ROTATION = timedelta(hours=1)
"""CURRENT was created within this time before the commit, unless the rotation was interrupted."""


@dataclass(frozen=True, slots=True)
class Managed:
    """A user of the configuration: its rules, its store and destinations by name, and what the store holds.

    ``record`` is None where the store or its journal could not be read; ``why`` says why.
    """

    user: MachineUser
    policy: RotationPolicy
    store: str
    destinations: tuple[str, ...]
    record: Record | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A key as far as it is known. ``created``: of a key without an id, when it was created or last changed."""

    id: str | None
    active: bool
    created: datetime | None
    use: LastUse = field(default_factory=lambda: LastUse(None))


@dataclass(frozen=True, slots=True)
class FoundUser:
    """A user with its keys; ``assessment`` sorts them into roles, where a journal could be read."""

    row: Row
    keys: tuple[FoundKey, ...]
    managed: Managed | None = None
    assessment: Assessment | None = None


def explained(row: Row, managed: Managed, generated: datetime, now: datetime) -> tuple[FoundKey, ...] | None:
    """Return the keys of a row with the ids of the journal; None where the journal does not explain them all."""
    journal = _settled(managed.record, generated, now) if managed.record else None
    if journal is None or journal.committed is None:
        return None
    expected = [id_ for id_ in (journal.last, journal.current) if id_ and id_ not in journal.removed]
    dated = [(key.changed, key) for key in row.keys if key.active and key.changed is not None]
    if not len(row.keys) == len(dated) == len(expected):
        return None
    dated.sort(key=lambda pair: pair[0])
    moments = [changed for changed, _ in dated]
    in_order = len(moments) == 1 or (moments[0] < moments[1] and journal.committed - A_ROTATION <= moments[1])
    if not in_order or _since(journal.committed + RESOLUTION, moments):
        return None
    return tuple(
        FoundKey(id_, key.active, changed, key.use) for id_, (changed, key) in zip(expected, dated, strict=True)
    )


def _settled(record: Record, generated: datetime, now: datetime) -> Journal | None:
    """Return the journal of a user to which nothing has happened since shortly before the report was made."""
    journal = believed(record.journal, now)
    if record.holding != Held(journal.current) or journal.committed is None or journal.intent or journal.retiring:
        return None
    changes = [journal.committed, *journal.removed.values()]
    return None if _since(generated - MARGIN, changes) else journal


def _since(moment: datetime, moments: Iterable[datetime]) -> bool:
    return any(one >= moment for one in moments)


def reported(row: Row) -> tuple[FoundKey, ...]:
    """Return the keys of a row, without ids."""
    return tuple(FoundKey(None, key.active, key.changed, key.use) for key in row.keys)


def listed(row: Row, keys: Sequence[AccessKey]) -> tuple[FoundKey, ...]:
    """Return listed keys, each with the last use that the row has of it, where that is clear."""
    uses = dict(_matches(row.keys, keys))
    ordered = sorted(keys, key=lambda key: (key.created, key.id))
    return tuple(FoundKey(key.id, key.active, key.created, uses.get(key.id, LastUse(None))) for key in ordered)


def _matches(rows: Sequence[ReportedKey], keys: Sequence[AccessKey]) -> Iterator[tuple[str, LastUse]]:
    """Match rows with keys: by the moment of creation, then the one that is left with the one that is left."""
    rows_left, keys_left = list(rows), list(keys)
    for key in keys:
        same = [row for row in rows_left if row.changed == key.created]
        twins = [one for one in keys if one.created == key.created]
        if len(same) == len(twins) == 1:
            rows_left.remove(same[0])
            keys_left.remove(key)
            yield key.id, same[0].use
    if len(rows_left) == len(keys_left) == 1 and _may_be(rows_left[0], keys_left[0]):
        yield keys_left[0].id, rows_left[0].use


def _may_be(row: ReportedKey, key: AccessKey) -> bool:
    """Return whether a row can be about a key: what was changed was created before."""
    return row.changed is None or key.created <= row.changed


def with_roles(managed: Managed, keys: Sequence[FoundKey], now: datetime) -> Assessment | None:
    """Return the roles of keys by the journal; None where it could not be read, or an id is not known.

    Destinations are not read: what they last received counts. One whose delivery is unknown may hold any key.
    """
    if managed.record is None or any(key.id is None or key.created is None for key in keys):
        return None
    names = dict.fromkeys((*managed.destinations, *managed.record.journal.delivered))
    names.pop(managed.store, None)
    observation = Observation(
        user=managed.user,
        keys=tuple(AccessKey(key.id, key.active, key.created) for key in keys if key.id and key.created),
        store=managed.store,
        record=managed.record,
        destinations=dict.fromkeys(names, CannotTell()),
        last_used=_uses(keys),
    )
    return assess(observation, managed.policy, now, Overrides())


def _uses(keys: Iterable[FoundKey]) -> Mapping[str, LastUse]:
    return {key.id: key.use for key in keys if key.id}
