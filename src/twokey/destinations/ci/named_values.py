"""The common base of destinations with named values, such as those of CI systems, most of which are never shown again.

A subclass implements ``_look`` (what the service shows of some names), ``_write`` (one value) and ``preflight``; it may
write all values at once with ``_write_all``. The base decides which key is held, what has to be written, and whether it
arrived.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twokey.core.destination import Confirmation, Receipt, Traits
from twokey.core.errors import Ambiguous, ServiceError, ServiceRejected
from twokey.core.model import CannotTell, Held, Holding, NotHeld
from twokey.destinations.formats import temporary
from twokey.destinations.formats.format import SAMPLE
from twokey.destinations.formats.notes import note_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.core.secret import Credential, Hidden
    from twokey.destinations.formats.format import Format
    from twokey.http.rate_limits import Pace

SHORTER = "Shorten template= or the extra.* options of the destination."
"""The remedy for a value that the service does not take because of its length."""
_MISSING = "-"
_STAMP = "pair"


@dataclass(frozen=True, slots=True)
class Shown:
    """What a service shows of one of its variables.

    ``value`` is None if it is hidden; ``tail`` is its last characters if only those are shown. ``stamp`` differs after
    every write, as far as the service shows that. ``note`` is the text beside it, such as a description. ``id`` is the
    service's own name for it, if a write needs that.
    """

    value: Hidden | None = None
    tail: str = ""
    stamp: str = ""
    note: str = ""
    id: str = ""


class NamedValues(ABC):
    """A destination of named values."""

    atomic_write = False
    """Whether ``_write_all`` makes all values visible at once."""
    confirms: Confirmation = "nothing"
    pace: Pace | None = None
    """The pace of the service, if its limits may separate two writes."""

    def __init__(self, name: str, value_format: Format) -> None:
        self.name = name
        self.format = value_format
        self.value_names = value_format.names
        self.looked_for = (*value_format.names, *value_format.names_beside)
        """The names that ``_look`` looks for: those that are written, and those of session tokens beside a pair."""
        self.traits = Traits(
            atomic=self.atomic_write or len(value_format.names) == 1, conditional=False, confirms=self.confirms
        )

    @abstractmethod
    def preflight(self) -> None:
        """Raise what a delivery would raise, as far as that can be known; change nothing."""

    @abstractmethod
    def _look(self) -> Mapping[str, Shown]:
        """Return what is shown of those of ``looked_for`` that exist."""

    @abstractmethod
    def _write(self, name: str, value: Hidden, note: str, before: Shown | None) -> None:
        """Write one value. ``before`` is what was shown of it, None where it does not exist yet.

        ``note`` names the access key; it belongs beside the value if the service has a field for it.
        """

    def _remove(self, name: str, shown: Shown) -> None:  # noqa: ARG002  for those that can
        """Remove a value of ``format.names_beside``, which would make the pair useless."""
        raise ServiceRejected(
            f"{self.name} has {name} beside the pair, so SDKs cannot use the pair.",
            state=f"{name} is still there.",
            remedy=f"Delete {name} there, and run again.",
        )

    def _prepare(self, values: Mapping[str, Hidden], note: str, before: Mapping[str, Shown]) -> None:  # noqa: B027  most services need nothing
        """Do everything that has to be done, read or checked before the first of these values is written.

        Anything between two writes would leave the pair torn for that time.
        """

    def _write_all(self, values: Mapping[str, Hidden], note: str, before: Mapping[str, Shown]) -> None:
        """Write several values, back to back.

        If one is refused after another was written, the values no longer belong together: that is not a clean refusal.
        """
        written: list[str] = []
        for name, value in values.items():
            try:
                self._write(name, value, note, before.get(name))
            except ServiceError as error:
                if not written:
                    raise
                raise Ambiguous(
                    error.message,
                    state=f"{', '.join(written)} was written before that: the values at {self.name} do not belong "
                    "together now. The previous key still works, but cannot be read from there.",
                    remedy=f"{error.remedy} Then run again: both are delivered again.".strip(),
                ) from None
            written.append(name)

    def held(self) -> Holding:
        """Return which key is here, if the service shows that; otherwise what it shows of the latest write."""
        looked = self._look()
        shown = {name: one for name, one in looked.items() if name in self.format.names}
        if not shown:
            return NotHeld()
        left = self._left_over(looked)
        if left:
            return CannotTell(temporary.reason(left), stamp="+".join((self._stamp(shown), *left)))
        if len(shown) == len(self.format.names) and all(one.value is not None for one in shown.values()):
            return self.format.holding({name: one.value for name, one in shown.items()})
        return CannotTell(self._why(shown), stamp=self._stamp(shown))

    def deliver(self, credential: Credential) -> Receipt:
        """Write the values that differ or are hidden; then check whether they arrived."""
        before = self._look()
        wanted = self._wanted(before, credential)
        left = self._left_over(before)
        differing = {name: value for name, value in wanted.items() if not _is(before.get(name), value)}
        if not differing and not left:
            return Receipt(credential.access_key_id, written=False, stamp=self._stamp(before) or self._plain_stamp)
        if differing:
            self._prepare(differing, note_of(credential), before)
            # A limit that is waited for between the two values of a pair would leave it torn for all that time.
            with self.pace.together(len(differing)) if self.pace else nullcontext():
                self._write_all(differing, note_of(credential), before)
        self._remove_all({name: before[name] for name in left})
        return Receipt(credential.access_key_id, written=True, stamp=self._confirm(wanted) or self._plain_stamp)

    def check_content(self, shown: Mapping[str, Shown]) -> None:
        """Raise ``ServiceRejected`` if a write would lose a value that is not twokey's; for ``preflight``."""
        self._wanted(shown, SAMPLE)

    def _wanted(self, shown: Mapping[str, Shown], credential: Credential) -> dict[str, Hidden]:
        """Return the values to write. What a single value that is shown contains besides stays."""
        return self.format.values_beside({name: one.value for name, one in shown.items()}, credential, self.name)

    @property
    def _plain_stamp(self) -> str:
        """The stamp of a delivery to a service that shows nothing about its writes: only a session token differs."""
        return _STAMP if self.format.names_beside else ""

    def _left_over(self, shown: Mapping[str, Shown]) -> tuple[str, ...]:
        return self.format.left_over({name: one.value for name, one in shown.items()})

    def _remove_all(self, left: Mapping[str, Shown]) -> None:
        for name, shown in left.items():
            try:
                self._remove(name, shown)
            except ServiceError as error:
                raise Ambiguous(
                    f"{self.name} was written, and removing {name}, which lies beside the pair, failed: "
                    f"{error.message}",
                    state="SDKs that read both cannot use the pair.",
                    remedy=f"Delete {name} there, and run again.",
                ) from None

    def _confirm(self, wanted: Mapping[str, Hidden]) -> str:
        try:
            after = self._look()
        except ServiceError as error:
            raise unconfirmed(self.name, error) from None
        for name, value in wanted.items():
            one = after.get(name)
            what = "is not there" if one is None else "holds something else" if not _may_be(one, value) else ""
            if what:
                raise Ambiguous(
                    f"{self.name} was written, and then {name} {what}.",
                    state="Another client may have written at the same time, or the service lags.",
                    remedy="Run again: it is delivered again.",
                )
        return self._stamp(after)

    def _stamp(self, shown: Mapping[str, Shown]) -> str:
        """Return one stamp for all values; empty if the service shows nothing about their writes.

        It goes into the journal, so the last characters of a secret stay out of it, although the service shows them.
        """
        two = len(self.format.names) > 1
        parts = [
            shown[name].stamp + (shown[name].tail if two and name == self.format.names[0] else "")
            if name in shown
            else _MISSING
            for name in self.format.names
        ]
        return "/".join(parts) if any(parts) else ""

    def _why(self, shown: Mapping[str, Shown]) -> str:
        missing = [name for name in self.format.names if name not in shown]
        if missing:
            return f"{', '.join(missing)} is missing."
        notes = {one.note for one in shown.values() if one.note}
        return f"The service never shows a value. {'; '.join(sorted(notes))}".strip()


def unconfirmed(name: str, error: ServiceError) -> Ambiguous:
    """Return the error for a failed look after a write: the look changed nothing, the write did."""
    return Ambiguous(
        f"{name} was written, and reading it afterwards failed: {error.message}",
        state="The service confirmed the write itself.",
        remedy=f"{error.remedy} Then run again: it is delivered again.".strip(),
    )


def _is(shown: Shown | None, value: Hidden) -> bool:
    return shown is not None and shown.value is not None and shown.value == value


def _may_be(shown: Shown, value: Hidden) -> bool:
    if shown.value is not None:
        return shown.value == value
    return not shown.tail or value.endswith(shown.tail)


__all__ = ["SHORTER", "CannotTell", "Held", "NamedValues", "Shown", "unconfirmed"]
