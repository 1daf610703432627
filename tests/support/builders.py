"""Small builders, so that a test names only what matters to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from twokey.core.journal import Journal
from twokey.core.model import AccessKey, Held, LastUse, MachineUser, NotHeld, Observation, Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.core.model import Holding

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
USER = MachineUser("ci", "/machine-users/", "AIDACI", "123456789012", "arn:aws:iam::123456789012:user/machine-users/ci")
STORE = "secretsmanager:machine-users/ci"


def ago(**units: float) -> datetime:
    """Return a moment before NOW."""
    return NOW - timedelta(**units)


def key(key_id: str, *, days: float = 0, active: bool = True, created: datetime | None = None) -> AccessKey:
    """Return a key that was created ``days`` before NOW."""
    return AccessKey(key_id, active, created or ago(days=days))


def journal(**fields: Any) -> Journal:
    """Return a journal of USER."""
    return Journal(**{"epoch": 1, "user": USER.id, **fields})


def observation_of(
    *keys: AccessKey,
    held: str | None = None,
    holding: Holding | None = None,
    journal: Journal | None = None,
    last_used: Mapping[str, datetime | None] | None = None,
    destinations: Mapping[str, Holding] | None = None,
    own_key: str = "",
) -> Observation:
    """Return an observation. Keys without a named last use were never used."""
    used = {one.id: LastUse(None) for one in keys} if last_used is None else {}
    used |= {key_id: LastUse(at, "s3", "eu-central-1") for key_id, at in (last_used or {}).items()}
    return Observation(
        user=USER,
        keys=keys,
        store=STORE,
        record=Record(holding or (Held(held) if held else NotHeld()), journal or Journal(), "r1"),
        destinations=destinations or {},
        last_used=used,
        own_key=own_key,
    )
