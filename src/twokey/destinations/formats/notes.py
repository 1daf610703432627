"""The text beside a value, such as its description: it names the access key, unless the operator wrote another one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twokey.core.secret import Credential

_NOTE = re.compile(r"Access key \w+, rotated by twokey", re.ASCII)


def note_of(credential: Credential) -> str:
    """Return the text beside a value, for the operator. It contains no secret."""
    return f"Access key {credential.access_key_id}, rotated by twokey"


def is_note(text: str) -> bool:
    """Return whether the text beside a value is twokey's own, or empty. A text of the operator is kept."""
    return not text or bool(_NOTE.fullmatch(text))


def beside(note: str, there: str) -> str:
    """Return the text to write beside a value, where ``there`` is the present one: a text of the operator is kept."""
    return note if is_note(there) else there
