"""Which key a text or named values contain, and the one way to join ID and secret. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from twokey.core.model import CannotTell, Held, NotHeld
from twokey.core.secret import Credential, Hidden

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.destinations.formats.journals import Text

_KEY_ID = re.compile(r"[A-Z0-9]{16,128}", re.ASCII)
"""IAM's API reference, "AccessKey": 16 to 128 characters. Secrets also contain lowercase letters."""

Found = Credential | Held | NotHeld | CannotTell
"""The whole pair, the ID alone, no key, or that the key cannot be told."""


def both(values: Mapping[str, str | None], id_name: str, secret_name: str) -> Found:
    """Join the two values; None stands for a missing one."""
    if values.get(id_name) is None and values.get(secret_name) is None:
        return NotHeld()
    for name in (id_name, secret_name):
        if values.get(name) is None:
            return CannotTell(f"half of the pair is missing: it has no {name}")
        if not values.get(name):
            return CannotTell(f"its {name} is empty")
    if not _KEY_ID.fullmatch(str(values[id_name])):  # it may be the secret, and an ID is shown in messages
        return CannotTell(f"its {id_name} is not an access key ID")
    return Credential(str(values[id_name]), Hidden(values[secret_name]))


def plain_text(text: Text) -> Hidden | None:
    """Return a text as a string; None for bytes that are not UTF-8."""
    try:
        return Hidden(text if isinstance(text, str) else bytes(text).decode())
    except UnicodeDecodeError:
        return None
