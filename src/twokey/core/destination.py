"""What every destination can do, and what a store can do besides.

A destination is anything that jobs read a credential from. The store is the one of them that is the place of record:
it can be read, and it keeps the journal. This page is all that the engine knows of a destination.

Every method may raise the errors of ``twokey.core.errors`` and no others:

* ``AccessDenied``, ``BadCredentials``, ``NotFound``, ``Throttled``, ``ServiceRejected``, ``Unreachable``: nothing was
  written;
* ``Conflict``: a conditional write lost, nothing of ours was written;
* ``Ambiguous``: a write may or may not have taken place. The caller never deletes a key after that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from twokey.core.journal import Journal
    from twokey.core.model import Holding, Record
    from twokey.core.secret import Credential

Confirmation = Literal["value", "last4", "timestamp", "nothing"]


@dataclass(frozen=True, slots=True)
class Traits:
    """What a destination can promise.

    ``atomic``: id and secret are one value, so a reader never sees a mixed pair.
    ``conditional``: a write takes place only if nothing was written since the read (compare-and-set).
    ``confirms``: how a delivery is proved afterwards.
    """

    atomic: bool
    conditional: bool
    confirms: Confirmation


@dataclass(frozen=True, slots=True)
class Receipt:
    """A delivery took place, or was not needed. ``written`` is False if the destination already held this key.

    ``stamp``: see ``CannotTell``; for a destination that does not show which key it holds.
    """

    key_id: str
    written: bool
    stamp: str = ""


class Destination(Protocol):
    """Anything that jobs read the credential from."""

    name: str
    """The URL as it was configured, its fields filled in."""
    traits: Traits

    def held(self) -> Holding:
        """Say which key is held now. Never guesses: a destination that cannot be read is an error, not empty."""
        ...

    def deliver(self, credential: Credential) -> Receipt:
        """Make this the credential that readers see; return when they do. Delivering it twice writes it once."""
        ...

    def preflight(self) -> None:
        """Raise what a delivery would raise (permissions, existence, size), as far as can be known. Change nothing."""
        ...


class Store(Destination, Protocol):
    """The readable place of record. It keeps the journal beside the credential, never inside it."""

    def load(self) -> Record:
        """Read which key is held, the journal, and the revision that a conditional write refers to.

        Reads no secret if the service can tell the id without it. A store that does not exist yet is an
        empty record: ``Record(NotHeld(), Journal(), revision)``.
        """
        ...

    def credential(self) -> Credential | None:
        """Read the credential itself, to finish what an interrupted run began."""
        ...

    def room_for(self, journal: Journal) -> None:
        """Raise ``ServiceRejected`` if a journal of this length could not be written."""
        ...

    def save_journal(self, journal: Journal, revision: object) -> object:
        """Write the journal if the store is still at ``revision``; return the revision that follows.

        Raises ``Conflict`` if another run wrote first. A lost response is resolved by reading back: ``Ambiguous``
        is raised only if that fails too. Creates the store if it does not exist yet.
        """
        ...

    def put(self, credential: Credential, revision: object) -> object:
        """Write the pair as one value if the store is still at ``revision``, read it back, return what follows.

        Raises ``Conflict`` if another run wrote first: then readers still see what they saw.
        """
        ...

    def fence(self, revision: object) -> object:
        """Make every ``put`` that another run prepared at an older revision fail from now on.

        Called before an orphan is removed: the run that created it may be paused, not dead, and its ``put`` must
        not succeed afterwards. Returns the revision that follows. A store without conditional writes does
        nothing here; there the length of the lease is the only fence, as its documentation says.
        """
        ...
