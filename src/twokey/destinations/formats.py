"""How a credential, and a journal, are written down.

The pair is one value, so that a reader never sees the id of one key with the secret of another. A journal
is wrapped in a key of its own, so that it is never taken for a credential, wherever it is found.
No function here puts what it read into an error, or into a variable that shows itself: it may be a secret.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass

import msgspec

from twokey.errors import Rejected
from twokey.model import CannotTell, Credential, Held, Hidden, Holding, Journal, NotHeld

_JOURNAL = "twokey-journal"
_MARK = "mark"

Text = str | bytes | memoryview


@dataclass(frozen=True, slots=True)
class Format:
    """A JSON object with exactly two members, named as AWS's own tools name them."""

    id_name: str = "AccessKeyId"
    secret_name: str = "SecretAccessKey"  # noqa: S105  the name of a member

    def encode(self, credential: Credential) -> Hidden:
        """Return the text that readers find. It holds the secret."""
        return Hidden(json.dumps({self.id_name: credential.access_key_id, self.secret_name: credential.reveal()}))

    def key_id_of(self, text: Text | None) -> Holding:
        """Say which key a text holds; a journal holds none, and what is not ours to read cannot be told."""
        found = json_object(text)
        if found is None:
            return CannotTell("its content is not a JSON object")
        if self.id_name not in found and is_journal(text):
            return NotHeld()
        for name in (self.id_name, self.secret_name):
            if not json_text(found, name):
                return CannotTell(f"its content has no {name}")
        return Held(str(json_text(found, self.id_name)))

    def credential_of(self, text: Text | None, place: str) -> Credential | None:
        """Read the credential; None where there is none. Raises ``Rejected`` for what cannot be read."""
        match self.key_id_of(text):
            case Held(key_id):
                return Credential(key_id, json_text(json_object(text) or {}, self.secret_name))
            case CannotTell(why):
                raise Rejected(f"{place} holds no credential that twokey can read: {why}.")
        return None


PAIR = Format()


def encode_journal(journal: Journal, *, marked: bool = False) -> str:
    """Return the text of a journal. ``marked`` makes it unlike every other text, even of the same journal."""
    mark = {_MARK: secrets.token_hex(8)} if marked else {}
    return json.dumps({_JOURNAL: json.loads(journal.encode()), **mark}, separators=(",", ":"))


def decode_journal(text: Text | None, place: str) -> Journal:
    """Read a journal's text; raises ``Rejected`` for anything that this twokey does not understand."""
    found = json_object(text)
    if found is None or _JOURNAL not in found:
        why = "it is no journal of twokey"
    else:
        try:
            return Journal.decode(bytes(found[_JOURNAL]))
        except ValueError as error:
            why = str(error)
    raise Rejected(
        f"The journal of {place} cannot be read: {why}.",
        state="Nothing was changed.",
        remedy="If a newer twokey wrote it, use that one. Otherwise remove it, and see what `twokey plan` says then.",
    )


def is_journal(text: Text | None) -> bool:
    """Say whether a text is a journal of ours."""
    return _JOURNAL in (json_object(text) or {})


def json_object(text: Text | None) -> dict[str, msgspec.Raw] | None:
    """Take a JSON object apart; its members' values stay as they are written."""
    try:
        plain = memoryview(text.encode()) if isinstance(text, str) else text
        return None if plain is None else msgspec.json.decode(plain, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeError):
        return None


def json_text(found: dict[str, msgspec.Raw], name: str) -> Hidden:
    """Return a member's text; the empty text where there is none, or where it is no text."""
    try:
        return Hidden(msgspec.json.decode(found[name], type=str))
    except (KeyError, msgspec.DecodeError, UnicodeError):
        return Hidden()
