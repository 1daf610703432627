"""What the destinations of CI systems have in common: named values, most of which are never shown again.

A service provides three things: ``_look`` (what it shows of some names), ``_write`` (one value) and ``preflight``; it
may write all values at once with ``_write_all``. What follows from them is here: which key is held, what differs and
has to be written, and whether it arrived.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twokey.core.destination import Confirmation, Receipt, Traits
from twokey.core.errors import Ambiguous, ServiceError
from twokey.core.model import CannotTell, Held, Holding, NotHeld

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.core.secret import Credential, Hidden
    from twokey.destinations.formats.format import Format
    from twokey.http.rate_limits import Pace

_MISSING = "-"
_NOTE = re.compile(r"Access key \w+, rotated by twokey", re.ASCII)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a service shows of one of its variables.

    ``value`` is None where it is hidden, ``tail`` are the last characters where only those are shown. ``stamp``
    is another one after every write, as far as the service tells. ``note`` is what stands beside it, such as a
    description. ``id`` is the service's own name for it, where writing needs that.
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
    """The service's, where its limits may come between two writes."""

    def __init__(self, name: str, value_format: Format) -> None:
        self.name = name
        self.format = value_format
        self.value_names = value_format.names
        self.traits = Traits(
            atomic=self.atomic_write or len(value_format.names) == 1, conditional=False, confirms=self.confirms
        )

    @abstractmethod
    def preflight(self) -> None:
        """Raise what a delivery would raise, as far as that can be known; change nothing."""

    @abstractmethod
    def _look(self) -> Mapping[str, Shown]:
        """Return what is shown of those of ``form.names`` that exist."""

    @abstractmethod
    def _write(self, name: str, value: Hidden, note: str, before: Shown | None) -> None:
        """Write one value. ``before`` is what was shown of it, None where it does not exist yet.

        ``note`` names the access key; it belongs beside the value where the service has a place for that.
        """

    def _prepare(self, values: Mapping[str, Hidden], note: str, before: Mapping[str, Shown]) -> None:  # noqa: B027  most services need nothing
        """Do all that has to be done, asked or checked before the first of these values is written.

        Whatever comes between two values leaves a pair torn for as long as it takes.
        """

    def _write_all(self, values: Mapping[str, Hidden], note: str, before: Mapping[str, Shown]) -> None:
        """Write several values, back to back.

        Where one is refused after another was written, what is there fits no longer: that is no clean refusal.
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
                    state=f"{', '.join(written)} was written before that: what is read at {self.name} now does not fit "
                    "together. The former key still works, but not from there.",
                    remedy=f"{error.remedy} Then run again: both are delivered again.".strip(),
                ) from None
            written.append(name)

    def held(self) -> Holding:
        """Say which key is here, where the service shows that; otherwise what it shows of the latest write."""
        shown = self._look()
        if not shown:
            return NotHeld()
        if len(shown) == len(self.format.names) and all(one.value is not None for one in shown.values()):
            return self.format.holding({name: one.value for name, one in shown.items()})
        return CannotTell(self._why(shown), stamp=self._stamp(shown))

    def deliver(self, credential: Credential) -> Receipt:
        """Write what differs, or what nobody can see; then look whether it arrived."""
        wanted = self.format.values(credential)
        before = self._look()
        differing = {name: value for name, value in wanted.items() if not _is(before.get(name), value)}
        if not differing:
            return Receipt(credential.access_key_id, written=False, stamp=self._stamp(before))
        self._prepare(differing, note_of(credential), before)
        # A limit that is waited for between the two values of a pair would leave it torn for all that time.
        with self.pace.together(len(differing)) if self.pace else nullcontext():
            self._write_all(differing, note_of(credential), before)
        return Receipt(credential.access_key_id, written=True, stamp=self._confirm(wanted))

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
                    state="Somebody else may have written at the same time, or the service lags.",
                    remedy="Run again: it is delivered again.",
                )
        return self._stamp(after)

    def _stamp(self, shown: Mapping[str, Shown]) -> str:
        """Return one text for all values; empty where the service tells nothing of their writes.

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
    """Return what a failed look after a write means: the look changed nothing, the write did."""
    return Ambiguous(
        f"{name} was written, and looking at it afterwards failed: {error.message}",
        state="What was written is there, as far as the service said.",
        remedy=f"{error.remedy} Then run again: it is delivered again.".strip(),
    )


def note_of(credential: Credential) -> str:
    """Return what stands beside a value, for people: no secret."""
    return f"Access key {credential.access_key_id}, rotated by twokey"


def is_note(text: str) -> bool:
    """Say whether what stands beside a value is of ours, or nothing: what a person wrote there is kept."""
    return not text or bool(_NOTE.fullmatch(text))


def beside(note: str, there: str) -> str:
    """Return what is to stand beside a value where ``there`` stands now: what people wrote stays."""
    return note if is_note(there) else there


def _is(shown: Shown | None, value: Hidden) -> bool:
    return shown is not None and shown.value is not None and shown.value == value


def _may_be(shown: Shown, value: Hidden) -> bool:
    if shown.value is not None:
        return shown.value == value
    return not shown.tail or value.endswith(shown.tail)


__all__ = ["CannotTell", "Held", "NamedValues", "Shown", "beside", "is_note", "note_of", "unconfirmed"]
