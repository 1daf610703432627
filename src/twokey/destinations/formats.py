"""How a credential, and a journal, are written down.

The pair is one value, so that a reader never sees the id of one key with the secret of another. A journal
is wrapped in a key of its own, so that it is never taken for a credential, wherever it is found.
No function here puts what it read into an error: it may be a secret.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import Any

import msgspec

from twokey.errors import Rejected
from twokey.model import CannotTell, Credential, Held, Holding, Journal, NotHeld

_JOURNAL = "twokey-journal"
_MARK = "mark"


@dataclass(frozen=True, slots=True)
class Format:
    """A JSON object with exactly two members, named as AWS's own tools name them."""

    id_name: str = "AccessKeyId"
    secret_name: str = "SecretAccessKey"  # noqa: S105  the name of a member

    def encode(self, credential: Credential) -> str:
        """Return the text that readers find. It holds the secret."""
        return json.dumps({self.id_name: credential.access_key_id, self.secret_name: credential.reveal()})

    def key_id_of(self, text: str | bytes | None) -> Holding:
        """Say which key a text holds; a journal holds none, and what is not ours to read cannot be told."""
        found = _object(text)
        if found is None:
            return CannotTell("its content is not a JSON object")
        if self.id_name not in found and is_journal(text):
            return NotHeld()
        key_id, secret = found.get(self.id_name), found.get(self.secret_name)
        if not isinstance(key_id, str) or not key_id:
            return CannotTell(f"its content has no {self.id_name}")
        if not isinstance(secret, str) or not secret:
            return CannotTell(f"its content has no {self.secret_name}")
        return Held(key_id)

    def credential_of(self, text: str | bytes | None, place: str) -> Credential | None:
        """Read the credential; None where there is none. Raises ``Rejected`` for what cannot be read."""
        match self.key_id_of(text):
            case Held(key_id):
                return Credential(key_id, (_object(text) or {})[self.secret_name])
            case CannotTell(why):
                raise Rejected(f"{place} holds no credential that twokey can read: {why}.")
        return None


PAIR = Format()


def encode_journal(journal: Journal, *, marked: bool = False) -> str:
    """Return the text of a journal. ``marked`` makes it unlike every other text, even of the same journal."""
    mark = {_MARK: secrets.token_hex(8)} if marked else {}
    return json.dumps({_JOURNAL: json.loads(journal.encode()), **mark}, separators=(",", ":"))


def decode_journal(text: str | bytes | None, place: str) -> Journal:
    """Read a journal's text; raises ``Rejected`` for anything that this twokey does not understand."""
    found = _object(text)
    if found is None or _JOURNAL not in found:
        why = "it is no journal of twokey"
    else:
        try:
            return Journal.decode(msgspec.json.encode(found[_JOURNAL]))
        except ValueError as error:
            why = str(error)
    raise Rejected(
        f"The journal of {place} cannot be read: {why}.",
        state="Nothing was changed.",
        remedy="If a newer twokey wrote it, use that one. Otherwise remove it, and see what `twokey plan` says then.",
    )


def is_journal(text: str | bytes | None) -> bool:
    """Say whether a text is a journal of ours."""
    return _JOURNAL in (_object(text) or {})


def _object(text: str | bytes | None) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(text) if text is not None else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return found if isinstance(found, dict) else None
