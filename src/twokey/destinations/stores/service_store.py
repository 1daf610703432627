"""The common base of stores of services other than AWS: a credential as named values, and a journal beside it.

A subclass implements how both are read with one revision (``_read``), and how each is written on the condition that it
is unchanged since (``_write_credential``, ``_write_journal``, ``_write_fence``). The base resolves lost responses by
reading back: only what reads back counts as written.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from twokey.core.destination import Receipt, Traits
from twokey.core.errors import Ambiguous, Conflict, ServiceError, ServiceRejected, Unreachable, unforeseen
from twokey.core.journal import Journal
from twokey.core.model import CannotTell, Held, Holding, NotHeld, Record
from twokey.destinations.formats.format import SAMPLE
from twokey.destinations.formats.journals import decode_journal, encode_journal
from twokey.destinations.formats.notes import note_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from twokey.core.ports import Clock
    from twokey.core.secret import Credential, Hidden
    from twokey.destinations.formats.format import Format

_STAMP = "pair"
"""The stamp of a delivery. What the service shows is compared with the value itself, not with a stamp."""
LOOKS = 4
"""How often a confirmed write is read back until it can be seen."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What a service stores: the credential's values by name (None: there is no such entry), the journal's text.

    ``revision`` identifies the state of both: equal revisions are the same state.
    """

    values: Mapping[str, Hidden] | None
    journal: str | None
    revision: object


class ServiceStore(ABC):
    """A store whose service has one entry for named values and one for the journal."""

    conditional = True
    longest_journal = 0
    """Bytes that a journal may have here; 0 for no limit that matters."""

    def __init__(self, name: str, value_format: Format, clock: Clock) -> None:
        self.name = name
        self.format = value_format
        self.other_members = value_format.other_members
        self.clock = clock
        self.traits = Traits(atomic=True, conditional=self.conditional, confirms="value")

    @abstractmethod
    def preflight(self) -> None:
        """Raise what a write would raise, as far as that can be known; change nothing."""

    @abstractmethod
    def _read(self) -> Stored:
        """Read both."""

    @abstractmethod
    def _write_credential(
        self, values: Mapping[str, Hidden], seen: object, note: str, without: Collection[str] = ()
    ) -> None:
        """Write the credential if the service is still at the revision ``seen``; raises ``Conflict`` otherwise.

        The values ``without`` are removed. ``note`` names the access key; it belongs beside the value if the service
        has a field for it.
        """

    @abstractmethod
    def _write_journal(self, text: str, seen: object) -> None:
        """Write the journal if the service is still at the revision ``seen``; raises ``Conflict`` otherwise."""

    @abstractmethod
    def _write_fence(self, stored: Stored) -> None:
        """Change the revision and nothing else, so that a write prepared at an older one fails."""

    def _see(self) -> Stored:
        """Read both; raises ``Unreachable`` for a response whose shape the service does not document."""
        try:
            return self._read()
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            found = unforeseen(self.name, error)
            raise Unreachable(found.message, remedy=found.remedy) from None

    def held(self) -> Holding:
        """Return which key is here."""
        return self._holding(self._see())

    def load(self) -> Record:
        """Read the credential's id, the journal and the revision."""
        stored = self._see()
        journal = decode_journal(stored.journal, self.name) if stored.journal is not None else Journal()
        return Record(self._holding(stored), journal, stored.revision)

    def credential(self) -> Credential | None:
        """Read the credential."""
        stored = self._see()
        holding = self._holding(stored)
        if isinstance(holding, CannotTell):
            raise ServiceRejected(f"{self.name} holds no credential that twokey can read: {holding.why}.")
        return self.format.credential(stored.values or {}, self.name) if isinstance(holding, Held) else None

    def room_for(self, journal: Journal) -> None:
        """Raise ``ServiceRejected`` if the journal is longer than the service allows."""
        self._check_length(encode_journal(journal, marked=True))

    def save_journal(self, journal: Journal, revision: object) -> object:
        """Write the journal if the store is still at ``revision``."""
        # The mark makes it unlike every other text, so that reading back identifies our own write.
        text = encode_journal(journal, marked=True)
        self._check_length(text)
        self._own(revision)
        now = self._written(
            lambda: self._write_journal(text, revision), lambda stored: stored.journal == text, revision, "the journal"
        )
        if self._credential_moved(revision, now):
            raise self._conflict()
        return now

    def _credential_moved(self, before: object, now: object) -> bool:  # noqa: ARG002  most have one revision for both
        """Return whether the credential changed while the journal was written, if each has its own version."""
        return False

    def put(self, credential: Credential, revision: object) -> object:
        """Write the credential if the store is still at ``revision``, and read it back. What lies beside it stays."""
        self._own(revision)
        stored = self._see()
        if stored.revision != revision:
            raise self._conflict()
        values, left = self._wanted(stored, credential), self._left_over(stored)
        return self._written(
            lambda: self._write_credential(values, revision, note_of(credential), left),
            lambda stored: _same(stored.values, values) and not self._left_over(stored),
            revision,
            "the credential",
            readers_see=True,
        )

    def fence(self, revision: object) -> object:
        """Make every write that was prepared at an older revision fail."""
        self._own(revision)
        stored = self._see()
        if stored.revision != revision:
            raise self._conflict()
        if not self.conditional:
            return revision
        return self._written(
            lambda: self._write_fence(stored), lambda now: now.revision != revision, revision, "the fence"
        )

    def deliver(self, credential: Credential) -> Receipt:
        """Write the credential unless it is here already."""
        stored = self._see()
        if _same(stored.values, self._wanted(stored, credential)) and not self._left_over(stored):
            return Receipt(credential.access_key_id, written=False, stamp=_STAMP)
        try:
            self.put(credential, stored.revision)
        except Conflict as error:
            raise ServiceRejected(error.message, state=error.state, remedy=error.remedy) from None
        return Receipt(credential.access_key_id, written=True, stamp=_STAMP)

    def _wanted(self, stored: Stored, credential: Credential) -> dict[str, Hidden]:
        """Return the values to write; raises ``ServiceRejected`` if that would lose a value that is not twokey's."""
        return self.format.values_beside(stored.values or {}, credential, self.name)

    def _left_over(self, stored: Stored) -> tuple[str, ...]:
        """Return the names of values of temporary credentials beside the pair, which a delivery removes."""
        return self.format.left_over(stored.values or {})

    def check_content(self, stored: Stored | None = None) -> None:
        """Raise what writing beside the present values would raise; for ``preflight``."""
        self._wanted(stored or self._see(), SAMPLE)

    def _written(
        self,
        write: Callable[[], None],
        arrived: Callable[[Stored], bool],
        before: object,
        what: str,
        *,
        readers_see: bool = False,
    ) -> object:
        """Write, and return the revision at which it can be seen.

        A ``Conflict`` means that no reader has seen what was written. A value that readers saw until another run
        overwrote it is in doubt instead (``Ambiguous``): a key that is in use must not be deleted.
        """
        doubt: Ambiguous | None = None
        try:
            write()
        except Ambiguous as error:
            doubt = error
        for look in range(LOOKS):
            self.clock.sleep(0.2 * look)
            try:
                stored = self._see()
            except ServiceError as error:
                message = f"{self.name}: {what} was written, but reading it back failed: {error}"
                raise doubt or Ambiguous(message) from None
            if arrived(stored):
                return stored.revision
            if doubt is not None:
                raise doubt
            if stored.revision != before:
                raise self._overwritten(what) if readers_see else self._conflict()
        raise Ambiguous(
            f"{self.name}: {what} was written, but reading back does not show it.",
            state="It may become visible later.",
            remedy="Run again: the next run finds out and continues.",
        )

    def _holding(self, stored: Stored) -> Holding:
        if not stored.values:
            return NotHeld()
        found = self.format.holding(stored.values)
        if isinstance(found, CannotTell) and self._left_over(stored):
            # Unlike the stamp of a delivery: the pair is not as it was delivered.
            return replace(found, stamp="/".join(self._left_over(stored)))
        if isinstance(found, NotHeld):
            return CannotTell(f"its content has no {' and no '.join(self.format.names)}")
        return found

    def _check_length(self, text: str) -> None:
        length = len(text.encode())
        if self.longest_journal and length > self.longest_journal:
            raise ServiceRejected(
                f"The journal for {self.name} would have {length} bytes; the limit is {self.longest_journal}.",
                remedy="Deliver to fewer destinations, or use a store without that limit.",
            )

    def _conflict(self) -> Conflict:
        return Conflict(
            f"Another run or program wrote to {self.name} in the meantime.",
            state="Nothing was changed by this run.",
            remedy="Run again.",
        )

    def _overwritten(self, what: str) -> Ambiguous:
        return Ambiguous(
            f"{self.name}: {what} was written, and then another run or program overwrote it.",
            state="Readers may have seen it for a moment.",
            remedy="Run again: the next run finds out and continues.",
        )

    @abstractmethod
    def _own(self, revision: object) -> None:
        """Raise ``TypeError`` for a revision of another kind of store."""


def _same(found: Mapping[str, Hidden] | None, wanted: Mapping[str, Hidden]) -> bool:
    """Return whether all wanted values are there; the operator may keep more beside them."""
    return found is not None and all(found.get(name) == value for name, value in wanted.items())
