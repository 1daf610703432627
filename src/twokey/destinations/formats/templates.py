"""A text of the operator's own with placeholders: how it is read, filled in, and whether it suits a URL. Pure."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from twokey.core.errors import UsageError
from twokey.core.secret import Hidden
from twokey.destinations.address import nearest
from twokey.destinations.formats import smtp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.core.secret import Credential

_VALUES = {"AccessKeyId": r"[A-Z0-9]{16,128}", "SecretAccessKey": r"[!-~]+", "SmtpPassword": r"[A-Za-z0-9+/=%]+"}
"""What a placeholder is filled with, percent-encoded or not: a value is recognized after ``:url`` was added."""
PLACEHOLDERS = tuple(_VALUES)
URL = "url"
"""What follows a colon in a placeholder whose value is percent-encoded, as in ``${SecretAccessKey:url}``."""
_UNRESERVED = frozenset(string.ascii_letters + string.digits + "-._~")
"""The characters that stand for themselves everywhere in a URL (RFC 3986, 2.3)."""
_IN_URL = re.compile(r"://[^\s\"'<>\\]*$")
"""The end of a text after which a URL goes on."""


class _Syntax(string.Template):
    """``string.Template`` of Python's documentation, with ``:url`` within braces."""

    braceidpattern = r"(?a:[_a-z][_a-z0-9]*(?::[_a-z0-9]*)?)"


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a template: literal text, or a placeholder, whose value may be percent-encoded."""

    kind: Literal["text", "AccessKeyId", "SecretAccessKey", "SmtpPassword"]
    text: str = ""
    encoded: bool = False

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
        return Hidden("".join(map(_percent_encoded, value))) if self.encoded else value


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
    return tuple(piece for piece in found if piece != Piece("text"))


def unencoded(text: str) -> str:
    """Return the placeholder of a secret that a template puts into a URL as it is; empty if there is none."""
    return next(_unencoded(text), "")


def _unencoded(text: str) -> Iterator[str]:
    before = ""
    for piece in pieces(text):
        if piece.kind in ("SecretAccessKey", "SmtpPassword") and not piece.encoded and _IN_URL.search(before):
            yield piece.kind
        before += piece.text or "x"


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
