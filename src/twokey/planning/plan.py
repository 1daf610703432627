"""What can be decided: the outcomes, the actions in the order in which they are performed, the plan."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twokey.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from twokey.core.reasons import Outcome, Reason

_KEY_ID = re.compile(r"[A-Z0-9]{16,128}")


@dataclass(frozen=True, slots=True)
class RemoveOrphan:
    """Delete the key that an interrupted run created and nothing holds."""

    key_id: str

    def __str__(self) -> str:
        return f"remove the orphan {self.key_id}"


@dataclass(frozen=True, slots=True)
class Deactivate:
    """Make a key Inactive; the soak begins. ``named``: the operator named it as one that may be removed."""

    key_id: str
    named: bool = False

    def __str__(self) -> str:
        return f"make {self.key_id} Inactive for the soak"


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete a key."""

    key_id: str

    def __str__(self) -> str:
        return f"delete {self.key_id}"


@dataclass(frozen=True, slots=True)
class RecordRevoked:
    """Record in the journal that a key has leaked and is Inactive; from ``until`` on, it may be deleted."""

    key_id: str
    at: datetime
    until: datetime | None = None

    def __str__(self) -> str:
        return f"record that {self.key_id} is revoked"


@dataclass(frozen=True, slots=True)
class Create:
    """Write the intent with the ids known, create a key, verify it, write it to the store.

    ``urgent``: CURRENT has leaked and is Inactive, so every job fails: a destination that cannot be written fails
    alone, and keeps no other from its key. ``last``: this key is recorded as LAST with the intent, because nothing else
    names it once CURRENT is gone: a job may have read it, and the intent will list it among the keys known.
    """

    known: tuple[str, ...]
    urgent: bool = False
    last: str = ""

    def __str__(self) -> str:
        return "create a key, verify it, store it"


@dataclass(frozen=True, slots=True)
class Resume:
    """Read the stored credential and verify it, to finish what an interrupted run began."""

    key_id: str

    def __str__(self) -> str:
        return f"verify the stored key {self.key_id}"


@dataclass(frozen=True, slots=True)
class Deliver:
    """Deliver CURRENT to these destinations.

    ``instead_of`` names the key that they may hold until then; the journal records that before they are written.
    """

    destinations: tuple[str, ...]
    instead_of: str = ""

    def __str__(self) -> str:
        return f"deliver to {', '.join(self.destinations)}"


@dataclass(frozen=True, slots=True)
class Commit:
    """Write the journal: what the store holds is CURRENT, ``last`` is LAST, nothing is open.

    With ``renew`` a rotation ends here, and period and grace count from now.
    """

    last: str
    renew: bool = True

    def __str__(self) -> str:
        return f"commit; LAST is {self.last}" if self.last else "commit"


@dataclass(frozen=True, slots=True)
class RecordDeliveries:
    """Record in the journal what was delivered. Every key keeps its role, and what is open stays open."""

    def __str__(self) -> str:
        return "record the deliveries"


@dataclass(frozen=True, slots=True)
class Forget:
    """Take a destination out of the journal. ``restarts_grace``: jobs may have read LAST there until now."""

    destination: str
    restarts_grace: bool = False

    def __str__(self) -> str:
        return f"forget {self.destination}"


Action = (
    RemoveOrphan | Deactivate | Delete | RecordRevoked | Create | Resume | Deliver | Commit | RecordDeliveries | Forget
)


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the operator requested beyond what is due.

    ``retire`` names keys; with ``all_theirs`` every one of them must be this user's. ``forget`` names a destination.
    """

    force: bool = False
    ignore_last_use: bool = False
    retire: frozenset[str] = frozenset()
    all_theirs: bool = False
    forget: str = ""


def requested(*, force: bool, ignore_last_use: bool, retire: Iterable[str]) -> Overrides:
    """Return what the operator requests beyond what is due; raises ``UsageError`` for a malformed key id."""
    key_ids = (retire,) if isinstance(retire, str) else tuple(retire)
    for key_id in key_ids:
        if not _KEY_ID.fullmatch(key_id):
            raise UsageError(
                f"--retire: expected an access key ID, got {key_id!r}.",
                remedy="Copy the ID from twokey status; it begins with AKIA.",
            )
    return Overrides(force=force, ignore_last_use=ignore_last_use, retire=frozenset(key_ids))


@dataclass(frozen=True, slots=True)
class Plan:
    """A decision: ``outcome`` is what the run ends as if ``actions`` succeed.

    ``needs`` names keys whose last use must be known before anything can be decided; before ``settles``, nothing can
    be decided at all. Where one of them is given, nothing else counts.
    """

    outcome: Outcome
    reason: Reason
    message: str
    actions: tuple[Action, ...] = ()
    needs: tuple[str, ...] = ()
    settles: datetime | None = None
    current: str = ""
    last: str = ""
    next_due: datetime | None = None
