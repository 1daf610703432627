"""The texts that a credential can be written as: a JSON object, variables, a profile, a template. Pure.

Each writes a credential as a text, and reads from a text which key it contains. What a function here reads may be a
secret: it does not appear in an error, or in a variable that shows its value.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from twokey.core.model import CannotTell, Held, NotHeld
from twokey.core.secret import Credential, Hidden
from twokey.destinations.formats import assignments, smtp
from twokey.destinations.formats.found import both, plain_text
from twokey.destinations.formats.journals import is_journal, json_object, json_text
from twokey.destinations.formats.profiles import Profile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.destinations.formats.found import Found
    from twokey.destinations.formats.journals import Text

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
        members = {name: json_text(found, name) for name in (self.id_name, self.secret_name)}
        return self._without_secret(both(members, self.id_name, self.secret_name))

    def read_values(self, values: Mapping[str, str | None]) -> Found:
        """Read named values; None stands for a missing value."""
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

    def read(self, text: Text) -> Found:
        """Read the lines; the last assignment of a name counts, as in ``sh``."""
        plain = plain_text(text)
        if plain is None:
            return CannotTell("its content is not text in UTF-8")
        values = assignments.values(assignments.statements(plain), (self.id_name, self.secret_name))
        if isinstance(values, CannotTell):
            return values
        return _never_empty(text, both(values, self.id_name, self.secret_name), self.id_name)


@dataclass(frozen=True, slots=True)
class CredentialsFile:
    """A shared credentials file with one profile."""

    profile: str
    extras: Extras = ()

    def write(self, credential: Credential) -> Hidden:
        """Return one section."""
        return Profile.of(Hidden(), self.profile).with_pair(credential, self.extras)

    def read(self, text: Text) -> Found:
        """Read the profile's two properties."""
        plain = plain_text(text)
        if plain is None:
            return CannotTell("its content is not text in UTF-8")
        return _never_empty(text, Profile.of(plain, self.profile).found(), f"profile {self.profile}")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a template: literal text, or a placeholder."""

    kind: Literal["text", "AccessKeyId", "SecretAccessKey", "SmtpPassword"]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Template:
    """Text with placeholders. The result is compared with what is stored, never parsed."""

    pieces: tuple[Piece, ...]
    region: str = ""

    def write(self, credential: Credential) -> Hidden:
        """Return the text with its placeholders filled in."""
        return Hidden("".join(self._filled(piece, credential) for piece in self.pieces))

    def read(self, text: Text) -> Found:
        """Return that the key cannot be told, unless the text is a journal."""
        return NotHeld() if is_journal(text) else CannotTell("text from a template cannot be read back")

    def _filled(self, piece: Piece, credential: Credential) -> Hidden:
        match piece.kind:
            case "AccessKeyId":
                return Hidden(credential.access_key_id)
            case "SecretAccessKey":
                return credential.reveal()
            case "SmtpPassword":
                return smtp.password(credential, self.region)
        return Hidden(piece.text)


def _never_empty(text: Text, found: Found, what: str) -> Found:
    """Return ``CannotTell`` for a text that contains none of our values: it may contain a key in another format."""
    if isinstance(found, NotHeld) and not is_journal(text):
        return CannotTell(f"its content has no {what}")
    return found
