"""The texts that a credential can be written as: a JSON object, variables, a profile, a template. Pure.

Each writes a credential as a text, reads from a text which key it contains, and changes the key in a text that
contains other things, too. What a function here reads may be a
secret: it does not appear in an error, or in a variable that shows its value.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from twokey.core.model import CannotTell, Held, NotHeld
from twokey.core.secret import Credential, Hidden
from twokey.destinations.formats import assignments, json_members, smtp, temporary
from twokey.destinations.formats.found import both, plain_text
from twokey.destinations.formats.journals import is_journal, is_json, json_object, json_text
from twokey.destinations.formats.profiles import Profile, is_credentials_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twokey.destinations.formats.found import Found
    from twokey.destinations.formats.journals import Text
    from twokey.destinations.formats.templates import Piece

Extras = tuple[tuple[str, str], ...]
"""Names and constant values that are written beside the pair."""


class Body(Protocol):
    """A way of writing a credential as one text."""

    def write(self, credential: Credential) -> Hidden:
        """Return the text. Raises ``ServiceRejected`` for a credential that this format cannot contain."""
        ...

    def read(self, text: Text) -> Found:
        """Say which key a text contains, as far as it tells."""
        ...

    def merged(self, text: Hidden, credential: Credential) -> Hidden | None:
        """Return a text of this format with this credential, and all else unchanged; None for any other text.

        Raises ``ServiceRejected`` for a text of this format that cannot be changed so that its readers use the key.
        """
        ...


@dataclass(frozen=True, slots=True)
class Members:
    """ID, secret and extra values, by name: the members of a JSON object, or named values.

    ``region``: the secret is the SMTP password of that region.
    """

    id_name: str
    secret_name: str
    extras: Extras = ()
    region: str = ""

    def members(self, credential: Credential) -> dict[str, Hidden]:
        """Return the text of each value by its name."""
        secret = smtp.password(credential, self.region) if self.region else credential.reveal()
        constant = {name: Hidden(value) for name, value in self.extras}
        return {self.id_name: Hidden(credential.access_key_id), self.secret_name: secret, **constant}

    def write(self, credential: Credential) -> Hidden:
        """Return a JSON object."""
        return Hidden(json.dumps(self.members(credential)))

    def merged(self, text: Hidden, credential: Credential) -> Hidden | None:
        """Return a JSON object with the values; None for anything that is not one."""
        if json_object(text) is None:
            return None
        for name, value in self.members(credential).items():
            text = json_members.with_value(text, name, value, nested=False)
        return self.without_left_over(text, nested=False)

    def without_left_over(self, text: Hidden, *, nested: bool) -> Hidden:
        """Return a JSON object without the values of temporary credentials beside the pair."""
        seen = self.seen_beside(text, nested=nested)
        left = self.left_over(seen)
        temporary.refuse_unclear(self.id_name, seen, left)
        for name in left:
            text = json_members.without(text, name, nested=nested)
        return text

    def seen_beside(self, text: Hidden, *, nested: bool) -> dict[str, str | None]:
        """Return what lies beside the pair in a JSON object; a null, a number or an object is not a token."""
        found = {name: json_members.text_or_none(text, name, nested=nested) for name in self.beside}
        version = temporary.version_beside(self.id_name)
        if version and json_members.has(text, version, nested=nested):
            found[version] = Hidden("1")
        return {name: value for name, value in found.items() if value is not None}

    @property
    def beside(self) -> tuple[str, ...]:
        """The names under which values of temporary credentials may lie beside the pair."""
        return () if self.region else temporary.names_beside(self.id_name)

    def left_over(self, values: Mapping[str, str | None]) -> tuple[str, ...]:
        """Return the names of those that do lie there; ``values`` has None for a value that cannot be seen."""
        if self.region:
            return ()
        return temporary.left_over(self.id_name, values, keep=dict(self.extras))

    def read(self, text: Text) -> Found:
        """Read a JSON object; a journal contains no key."""
        found = json_object(text)
        if found is None:
            return CannotTell("its content is not a JSON object")
        if self.id_name not in found and is_journal(text):
            return NotHeld()
        for name in (self.id_name, self.secret_name):
            if not json_text(found, name):
                return CannotTell(f"its content has no {name}")
        written = json_members.names(plain_text(text) or Hidden("{}"))
        for name in (self.id_name, self.secret_name):
            if written.count(name) > 1:
                return CannotTell(f"its {name} occurs more than once")
        names = (self.id_name, self.secret_name, *self.beside, *(name for name in found if name == "Version"))
        return self.read_values({name: json_text(found, name) for name in names if name in found})

    def read_values(self, values: Mapping[str, str | None]) -> Found:
        """Read named values; None stands for a missing value. A pair that SDKs cannot use is not a key."""
        left = self.left_over({name: value for name, value in values.items() if value is not None})
        if left:
            return CannotTell(temporary.reason(left))
        return self._without_secret(both(values, self.id_name, self.secret_name))

    def _without_secret(self, found: Found) -> Found:
        """Keep only the ID if the other value is not a secret access key."""
        return Held(found.access_key_id) if self.region and isinstance(found, Credential) else found


@dataclass(frozen=True, slots=True)
class Variables:
    """Lines ``NAME='value'``, as ``sh`` and dotenv files have them."""

    id_name: str
    secret_name: str
    extras: Extras = ()

    def write(self, credential: Credential) -> Hidden:
        """Return one line for each variable."""
        pair = ((self.id_name, credential.access_key_id), (self.secret_name, credential.reveal()))
        lines = (f"{name}={assignments.quoted(name, Hidden(value))}\n" for name, value in (*pair, *self.extras))
        return Hidden("".join(lines))

    def merged(self, text: Hidden, credential: Credential) -> Hidden | None:
        """Return lines with the values; None for a text with any other line."""
        lines = assignments.statements(text)
        if not assignments.are_assignments(lines):
            return None
        pair = {self.id_name: Hidden(credential.access_key_id), self.secret_name: credential.reveal()}
        wanted = pair | {name: Hidden(value) for name, value in self.extras}
        return assignments.edited(text, wanted, self._left_over(lines))

    def _left_over(self, lines: Sequence[assignments.Statement]) -> tuple[str, ...]:
        return temporary.left_over(self.id_name, assignments.seen(lines), keep=dict(self.extras))

    def read(self, text: Text) -> Found:
        """Read the lines; the last assignment of a name counts, as in ``sh``."""
        plain = plain_text(text)
        if plain is None:
            return CannotTell("its content is not text in UTF-8")
        lines = assignments.statements(plain)
        values = assignments.values(lines, (self.id_name, self.secret_name))
        if isinstance(values, CannotTell):
            return values
        left = self._left_over(lines)
        if left:
            return CannotTell(temporary.reason(left))
        return _never_empty(text, both(values, self.id_name, self.secret_name), self.id_name)


@dataclass(frozen=True, slots=True)
class CredentialsFile:
    """A shared credentials file with one profile."""

    profile: str
    extras: Extras = ()

    def write(self, credential: Credential) -> Hidden:
        """Return one section."""
        return Profile.of(Hidden(), self.profile).with_pair(credential, self.extras)

    def merged(self, text: Hidden, credential: Credential) -> Hidden | None:
        """Return a file with the profile; None for a text that is not a credentials file."""
        # A JSON array looks like the header of a section.
        if is_json(text) or not (is_credentials_file(text) or text.lstrip().startswith("[")):
            return None
        return Profile.of(text, self.profile).with_pair(credential, self.extras)

    def read(self, text: Text) -> Found:
        """Read the profile's two properties."""
        plain = plain_text(text)
        if plain is None:
            return CannotTell("its content is not text in UTF-8")
        return _never_empty(text, Profile.of(plain, self.profile).found(), f"profile {self.profile}")


@dataclass(frozen=True, slots=True)
class Template:
    """Text with placeholders. The result is compared with what is stored, never parsed."""

    pieces: tuple[Piece, ...]
    region: str = ""

    def write(self, credential: Credential) -> Hidden:
        """Return the text with its placeholders filled in."""
        return Hidden("".join(piece.filled(credential, self.region) for piece in self.pieces))

    def merged(self, text: Hidden, credential: Credential) -> Hidden | None:
        """Return the whole text in place of one that was written from this template; None for any other text."""
        return self.write(credential) if self._pattern.fullmatch(text) else None

    @property
    def _pattern(self) -> re.Pattern[str]:
        """What this template's text looks like, whatever the key."""
        return re.compile(rf"{''.join(piece.pattern for piece in self.pieces)}[\r\n]*")

    def read(self, text: Text) -> Found:
        """Return that the key cannot be told, unless the text is a journal."""
        return NotHeld() if is_journal(text) else CannotTell("text from a template cannot be read back")


def _never_empty(text: Text, found: Found, what: str) -> Found:
    """Return ``CannotTell`` for a text that contains none of our values: it may contain a key in another format."""
    if isinstance(found, NotHeld) and not is_journal(text):
        return CannotTell(f"its content has no {what}")
    return found
