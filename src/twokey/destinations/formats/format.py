"""A format: how a destination writes a credential, reads it back, and tells what is not twokey's to replace. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from twokey.core.errors import ServiceRejected
from twokey.core.model import CannotTell, Held, Holding, NotHeld
from twokey.core.secret import Credential, Hidden
from twokey.destinations.formats import temporary
from twokey.destinations.formats.bodies import Body, Members
from twokey.destinations.formats.found import plain_text
from twokey.destinations.formats.names import MEMBERS
from twokey.destinations.formats.present import has_no_content, is_only_a_credential

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.destinations.formats.found import Found
    from twokey.destinations.formats.journals import Text

__all__ = ["PAIR", "SAMPLE", "Format"]

_CONTENTS = {
    "pair": "a JSON object",
    "json": "a JSON object",
    "ses-smtp": "a JSON object",
    "env": "lines NAME=value only",
    "credentials-file": "a shared credentials file",
    "template": "the text of this template",
}
"""What a single value of each format consists of, in words."""


@dataclass(frozen=True, slots=True)
class Format:
    """How a destination stores a credential. Its ``repr`` contains no secret, because it has none.

    ``names``: of the values, in the order in which they are written. ``reversible``: whether the credential can be
    read back from the values. ``body``: how a text of it is written and read. ``members``: the names of the pair
    within a text. ``other_members``: the same, where a URL chose other ones than the default.
    """

    name: str
    names: tuple[str, ...]
    reversible: bool
    body: Body
    members: tuple[str, ...] = ()
    other_members: tuple[str, ...] = ()

    def values(self, credential: Credential) -> dict[str, Hidden]:
        """Return the values by name, for a destination with named values."""
        if isinstance(self.body, Members) and self._apart:
            return self.body.members(credential)
        return {self.names[0]: self.text(credential)}

    def text(self, credential: Credential) -> Hidden:
        """Return one text, for a destination with one value. Two values become the members of a JSON object."""
        return self.body.write(credential)

    def values_beside(self, present: Mapping[str, str | None], credential: Credential, name: str) -> dict[str, Hidden]:
        """Return the values to write where these are now: what a single value contains besides the pair stays.

        ``present`` has None for a value that is missing or cannot be seen. Raises ``ServiceRejected`` for a single
        value that is not twokey's, so that writing it would lose it.
        """
        if isinstance(self.body, Members) and self._apart:
            temporary.refuse_unclear(self.body.id_name, present, self.left_over(present))
            return self.body.members(credential)
        return {self.names[0]: self.text_beside(present.get(self.names[0]), credential, name)}

    def text_beside(self, present: Text | None, credential: Credential, name: str) -> Hidden:
        """Return the text to write where this one is now (see ``values_beside``); ``name`` is the destination's."""
        if present is None:
            return self.text(credential)
        plain = plain_text(present)
        if plain is None or not _encodes(plain):
            raise self._not_ours(name)
        if has_no_content(plain):
            return self.text(credential)
        try:
            merged = self.body.merged(plain, credential)
        except ServiceRejected as error:
            raise ServiceRejected(f"{_thing(name)}: {error.message}", state=error.state, remedy=error.remedy) from None
        if merged is not None:
            return merged
        if is_only_a_credential(plain):
            return self.text(credential)
        raise self._not_ours(name)

    def _not_ours(self, name: str) -> ServiceRejected:
        return ServiceRejected(
            f"{_thing(name)} holds a value that twokey did not write, and a write would replace it: expected "
            f"{_CONTENTS[self.name]}.",
            state="Nothing was written.",
            remedy="Deliver to another destination. Or, if nothing needs the value any more, replace it with {} (an "
            "empty JSON object), and run again.",
        )

    @property
    def names_beside(self) -> tuple[str, ...]:
        """The names of values of temporary credentials that may lie beside named values (see ``left_over``)."""
        return self.body.beside if isinstance(self.body, Members) and self._apart else ()

    def left_over(self, values: Mapping[str, str | None]) -> tuple[str, ...]:
        """Return the names of values of temporary credentials that lie beside the pair, which SDKs cannot use then.

        ``values``: what is there, with None for a value that cannot be seen.
        """
        return self.body.left_over(values) if isinstance(self.body, Members) and self._apart else ()

    def holding(self, values: Mapping[str, str | None]) -> Holding:
        """Return which key named values contain; None stands for a missing value."""
        return _holding(self._found(values))

    def holding_text(self, text: Text | None) -> Holding:
        """Return which key a text contains; None stands for no text."""
        return _holding(self._found_in(text))

    def credential(self, values: Mapping[str, str | None], name: str) -> Credential | None:
        """Read the credential from named values, or None; raises ``ServiceRejected`` if it cannot be read."""
        return self._credential(self._found(values), name)

    def credential_of_text(self, text: Text | None, name: str) -> Credential | None:
        """Read the credential from a text; None if there is none. Raises ``ServiceRejected`` if it cannot be read."""
        return self._credential(self._found_in(text), name)

    @property
    def _apart(self) -> bool:
        return len(self.names) > 1

    def _found(self, values: Mapping[str, str | None]) -> Found:
        if isinstance(self.body, Members) and self._apart:
            return self.body.read_values(values)
        return self._found_in(values.get(self.names[0]))

    def _found_in(self, text: Text | None) -> Found:
        return NotHeld() if text is None else self.body.read(text)

    def _credential(self, found: Found, name: str) -> Credential | None:
        if isinstance(found, NotHeld):
            return None
        if isinstance(found, Credential) and self.reversible:
            return found
        why = found.why if isinstance(found, CannotTell) else f"{self.name} cannot be read back"
        raise ServiceRejected(f"{name} contains no credential that twokey can read: {why}.")

    def version(self, key_id: str) -> str:
        """Return a text that identifies what this format writes for a key: for the JSON pair, the key's ID."""
        written = self.text(_SAMPLE)
        return key_id if written == PAIR.text(_SAMPLE) else f"{key_id}\n{written}"


def _thing(url: str) -> str:
    """Return the part of a URL that names the thing: where a message is shown, the whole URL often stands before it."""
    return url.partition("?")[0].partition(":")[2] or url


def _encodes(text: Hidden) -> bool:
    """Say whether a text is UTF-8 when it is written."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _holding(found: Found) -> Holding:
    return Held(found.access_key_id) if isinstance(found, Credential) else found


PAIR = Format("json", (MEMBERS.name,), reversible=True, body=Members(MEMBERS.id, MEMBERS.secret, ()))
"""The default of a destination with one value: a JSON object with ID and secret, named as in AWS's own tools."""
SAMPLE = Credential("AKIAIOSFODNN7EXAMPLE", "an-example-secret-that-has-40-characters")
"""A credential to try a write with, as long as real ones, in preflight."""
_SAMPLE = Credential("AKIAIOSFODNN7EXAMPLE", "an-example-secret")
"""Must never change: version IDs in Secrets Manager depend on what is written for it."""
