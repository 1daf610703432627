"""How a journal is written as text, and how JSON that may contain a secret is read.

A journal is wrapped in a key of its own, so that it is never taken for a credential, wherever it is found. What a
function here reads may be a secret: it does not appear in an error, or in a variable that shows its value.
"""

from __future__ import annotations

import json
import secrets

import msgspec

from twokey.core.errors import ServiceRejected
from twokey.core.journal import Journal
from twokey.core.secret import Hidden

_JOURNAL = "twokey-journal"
_MARK = "mark"

Text = str | bytes | memoryview


def encode_journal(journal: Journal, *, marked: bool = False) -> str:
    """Return the text of a journal. ``marked`` makes it unlike every other text, even of the same journal."""
    mark = {_MARK: secrets.token_hex(8)} if marked else {}
    return json.dumps({_JOURNAL: json.loads(journal.encode()), **mark}, separators=(",", ":"))


def decode_journal(text: Text | None, name: str) -> Journal:
    """Read a journal's text; raises ``ServiceRejected`` for anything that this twokey does not understand."""
    found = json_object(text)
    if found is None or _JOURNAL not in found:
        why = "it is not a journal of twokey"
    else:
        try:
            return Journal.decode(bytes(found[_JOURNAL]))
        except ValueError as error:
            why = str(error)
    raise ServiceRejected(
        f"The journal of {name} cannot be read: {why}.",
        state="Nothing was changed.",
        remedy="If a newer version of twokey wrote it, run that version. Otherwise delete the journal, and read what "
        "`twokey plan` reports then.",
    )


def is_journal(text: Text | None) -> bool:
    """Say whether a text is a journal of twokey."""
    return _JOURNAL in (json_object(text) or {})


def is_only_a_journal(text: Text | None) -> bool:
    """Say whether a text is a journal of twokey and nothing else."""
    found = json_object(text) or {}
    return _JOURNAL in found and found.keys() <= {_JOURNAL, _MARK}


def json_object(text: Text | None) -> dict[str, msgspec.Raw] | None:
    """Split a JSON object into its members; their values stay as they are written."""
    try:
        plain = memoryview(text.encode()) if isinstance(text, str) else text
        return None if plain is None else msgspec.json.decode(plain, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def is_json(text: Text) -> bool:
    """Say whether a text is JSON, whatever it contains."""
    try:
        msgspec.json.decode(memoryview(text.encode()) if isinstance(text, str) else text, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return True


def json_text(found: dict[str, msgspec.Raw], name: str) -> Hidden:
    """Return a member's text; the empty text if the member is missing or is not a text."""
    try:
        return Hidden(msgspec.json.decode(found[name], type=str))
    except (KeyError, msgspec.DecodeError, UnicodeError):
        return Hidden()
