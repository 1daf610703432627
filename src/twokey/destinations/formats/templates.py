"""A text of the operator's own with placeholders: how it is read, filled in, and whether it suits a URL. Pure.

Before the host of a URL, a secret is percent-encoded even without ``:url``: user name and password cannot be written in
another way (RFC 3986, 3.2.1). Elsewhere in a URL it stays as it is, since the text may not be one: connection strings
have URLs in them, and secrets behind those.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from twokey.core.errors import UsageError
from twokey.core.secret import Hidden
from twokey.core.sentences import nearest
from twokey.destinations.formats import smtp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.core.secret import Credential

_VALUES = {"AccessKeyId": r"[A-Z0-9]{16,128}", "SecretAccessKey": r"[!-~]+", "SmtpPassword": r"[A-Za-z0-9+/=%]+"}
"""What a placeholder is filled with, percent-encoded or not: a value is recognized after ``:url`` was added."""
PLACEHOLDERS = tuple(_VALUES)
_SECRETS = ("SecretAccessKey", "SmtpPassword")
URL = "url"
"""What follows a colon in a placeholder whose value is percent-encoded, as in ``${SecretAccessKey:url}``."""
_UNRESERVED = frozenset(string.ascii_letters + string.digits + "-._~")
"""The characters that stand for themselves everywhere in a URL (RFC 3986, 2.3)."""
_IN_URL = re.compile(r"://[^\s\"'<>\\]*$")
"""The end of a text after which a URL goes on."""
_WITHIN_USER = r"[^\s\"'<>\\/?#;=&,|@]*"
_AFTER_SCHEME, _BEFORE_HOST = re.compile(rf"://{_WITHIN_USER}$"), re.compile(f"{_WITHIN_USER}@")
"""What surrounds the user name and the password of a URL."""


class _Syntax(string.Template):
    """``string.Template`` of Python's documentation, with ``:url`` within braces."""

    braceidpattern = r"(?a:[_a-z][_a-z0-9]*(?::[_a-z0-9]*)?)"


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a template: literal text, or a placeholder, whose value may be percent-encoded.

    ``password``: it is that of a URL, so its value is percent-encoded without ``:url``.
    """

    kind: Literal["text", "AccessKeyId", "SecretAccessKey", "SmtpPassword"]
    text: str = ""
    encoded: bool = False
    password: bool = False

    @property
    def pattern(self) -> str:
        """What the part looks like when it is filled in, whatever the key."""
        return _VALUES.get(self.kind) or re.escape(self.text)

    def filled(self, credential: Credential, region: str) -> Hidden:
        """Return the part as it is written."""
        match self.kind:
            case "AccessKeyId":
                value = Hidden(credential.access_key_id)
            case "SecretAccessKey":
                value = credential.reveal()
            case "SmtpPassword":
                value = smtp.password(credential, region)
            case _:
                return Hidden(self.text)
        return Hidden("".join(map(_percent_encoded, value))) if self.encoded or self.password else value


def pieces(text: str) -> tuple[Piece, ...]:
    """Split a template; raises ``UsageError``."""
    found, end = [], 0
    for match in _Syntax.pattern.finditer(text):
        found.append(Piece("text", text=text[end : match.start()] + ("$" if match["escaped"] is not None else "")))
        end = match.end()
        if match["invalid"] is not None:
            raise UsageError(
                f"The template has a single $ at character {match.start() + 1}: write $$ for a dollar sign."
            )
        placeholder = match["named"] or match["braced"]
        if placeholder:
            found.append(_placeholder(placeholder))
    found.append(Piece("text", text=text[end:]))
    if all(piece.kind == "text" for piece in found):
        known = ", ".join(f"${name}" for name in PLACEHOLDERS)
        raise UsageError(f"The template has no placeholder; expected one of {known}.")
    filled = [piece for piece in found if piece != Piece("text")]
    return tuple(
        replace(piece, password=True) if _is_password(filled, at) else piece for at, piece in enumerate(filled)
    )


def unencoded(text: str) -> Piece | None:
    """Return the first secret that a template has in a URL without ``:url``."""
    found = pieces(text)
    in_url = (piece for at, piece in enumerate(found) if _IN_URL.search(_sample(found[:at])))
    return next((piece for piece in in_url if piece.kind in _SECRETS and not piece.encoded), None)


def _is_password(found: Sequence[Piece], at: int) -> bool:
    """Return whether a part is a secret, not yet encoded, within the user name and the password of a URL."""
    before, after = _sample(found[:at]), _sample(found[at + 1 :])
    secret = found[at].kind in _SECRETS and not found[at].encoded
    return secret and bool(_AFTER_SCHEME.search(before) and _BEFORE_HOST.match(after))


def _sample(found: Sequence[Piece]) -> str:
    return "".join(piece.text or "x" for piece in found)


def _placeholder(text: str) -> Piece:
    name, colon, how = text.partition(":")
    if colon and how != URL:
        raise UsageError(f"The template has ${{{text}}}; expected ${{{name}:{URL}}} or ${{{name}}}.")
    match name:
        case "AccessKeyId" | "SecretAccessKey" | "SmtpPassword":
            return Piece(name, encoded=bool(colon))
    raise UsageError(f"The template has an unknown placeholder ${name}; {nearest(name, PLACEHOLDERS)}")


def _percent_encoded(character: str) -> str:
    """Return one character; of the whole secret, no function of the standard library gets to see more."""
    if character in _UNRESERVED:
        return character
    return "".join(f"%{byte:02X}" for byte in character.encode())
