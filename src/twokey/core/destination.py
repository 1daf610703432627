"""What every destination can do, and what a store can do besides.

A destination is anything that jobs read a credential from. The store is the one of them that is the place of record:
it can be read, and it keeps the journal. This page is all that the engine knows of a destination.

Every method may raise the errors of ``twokey.core.errors`` and no others:

* ``AccessDenied``, ``BadCredentials``, ``NotFound``, ``Throttled``, ``ServiceRejected``, ``Unreachable``: nothing was
  written;
* ``Conflict``: a conditional write lost, nothing of ours was written;
* ``Ambiguous``: a write may or may not have taken place. The caller never deletes a key after that.

Other packages add destinations, and nothing but a check at run time holds those to this page: ``Traits`` and
``Receipt`` check their fields, and ``holding_of``, ``receipt_of`` and ``record_of`` what the methods return.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, cast, get_args

from twokey.core.fields import InvalidKind, InvalidReturn, named_fields, refuse
from twokey.core.journal import Journal
from twokey.core.model import CannotTell, Held, NotHeld, Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.core.model import Holding
    from twokey.core.secret import Credential

Confirmation = Literal["value", "last4", "timestamp", "nothing"]
_CONFIRMATIONS: tuple[Confirmation, ...] = get_args(Confirmation)
_HOLDINGS = (Held, NotHeld, CannotTell)
_EXPECTED = "Held, NotHeld or CannotTell"


@named_fields
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

    def __post_init__(self) -> None:
        refuse(self, "atomic", bool)
        refuse(self, "conditional", bool)
        if self.confirms not in _CONFIRMATIONS:
            refuse(self, "confirms", str)
            why = f"is {self.confirms!r}; expected one of {', '.join(_CONFIRMATIONS)}"
            raise InvalidKind("Traits", "confirms", why)


@named_fields
@dataclass(frozen=True, slots=True)
class Receipt:
    """A delivery took place, or was not needed. ``written`` is False if the destination already held this key.

    ``stamp``: see ``CannotTell``; for a destination that does not show which key it holds.
    """

    key_id: str
    written: bool
    stamp: str = ""

    def __post_init__(self) -> None:
        refuse(self, "key_id", str)
        refuse(self, "written", bool)
        refuse(self, "stamp", str)


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


class CanSayWhatItHolds(Protocol):
    """A destination, or anything else that a credential may be read from."""

    @property
    def name(self) -> str:
        """The name that messages show."""
        ...

    def held(self) -> Holding:
        """Say which key is held now."""
        ...


def holding_of(destination: CanSayWhatItHolds) -> Holding:
    """Return which key a destination holds; raises ``InvalidValue`` if ``held`` returns anything else."""
    found: object = destination.held()
    if not isinstance(found, _HOLDINGS):
        raise InvalidReturn("held", found, _EXPECTED)
    return _checked(found)


def receipt_of(destination: Destination, credential: Credential) -> Receipt:
    """Deliver a credential and return the receipt; raises ``InvalidValue`` if ``deliver`` returns anything else."""
    found: object = destination.deliver(credential)
    if not isinstance(found, Receipt):
        raise InvalidReturn("deliver", found, "Receipt")
    return found


def record_of(load: Callable[[], Record]) -> Record:
    """Return what a store holds; raises ``InvalidValue`` if ``load`` returns anything else."""
    found: object = load()
    if not isinstance(found, Record):
        raise InvalidReturn("load", found, "Record")
    holding, journal = cast("object", found.holding), cast("object", found.journal)
    if not isinstance(holding, _HOLDINGS):
        raise InvalidKind("Record", "holding", f"has the type {type(holding).__name__}; expected {_EXPECTED}")
    if not isinstance(journal, Journal):
        raise InvalidKind("Record", "journal", f"has the type {type(journal).__name__}; expected Journal")
    _checked(holding)
    return found


def _checked(holding: Holding) -> Holding:
    if isinstance(holding, Held):
        refuse(holding, "key_id", str)
    elif isinstance(holding, CannotTell):
        refuse(holding, "why", str)
        refuse(holding, "failed", bool)
        refuse(holding, "stamp", str)
    return holding
