"""What a text or named values tell of the key in them, and the one way of putting two halves together. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from twokey.core.model import CannotTell, Held, NotHeld
from twokey.core.secret import Credential, Hidden

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.destinations.formats.journals import Text

_KEY_ID = re.compile(r"[A-Z0-9]{16,128}", re.ASCII)
"""IAM's API reference, "AccessKey": 16 to 128 characters. Secrets have small letters too."""

Found = Credential | Held | NotHeld | CannotTell
"""The whole pair, the id alone, no key, or nothing that can be told."""


def both(values: Mapping[str, str | None], id_name: str, secret_name: str) -> Found:
    """Put the two halves together; None stands for one that is not there."""
    if values.get(id_name) is None and values.get(secret_name) is None:
        return NotHeld()
    for name in (id_name, secret_name):
        if values.get(name) is None:
            return CannotTell(f"half of the pair is missing: there is no {name}")
        if not values.get(name):
            return CannotTell(f"its {name} is empty")
    if not _KEY_ID.fullmatch(str(values[id_name])):  # perhaps the secret: an id is shown, so this must not be one
        return CannotTell(f"what it has as {id_name} is no access key id")
    return Credential(str(values[id_name]), Hidden(values[secret_name]))


def plain_text(text: Text) -> Hidden | None:
    """Return a text as a string; None for bytes that are not UTF-8."""
    try:
        return Hidden(text if isinstance(text, str) else bytes(text).decode())
    except UnicodeDecodeError:
        return None
