"""The output of a program, without anything in it that could be a secret. Pure.

A program that handles a secret may repeat it in an error, in another form. A line is left out as a whole if any part of
it, or of what continues it, could be a part of a secret in one of the forms that programs commonly print: it is better
to leave out too much than too little.
"""

from __future__ import annotations

import base64
import re
from itertools import chain
from typing import TYPE_CHECKING
from urllib.parse import quote

from twokey.core.secret import Hidden

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PART = 6
"""Letters and digits in a row, in any form, that count as the secret. Many tools show the last four."""
LEAST = 8
"""Values with at least this many characters count as secrets: a shorter one would be found everywhere."""
LEFT_OUT = "(left out: it could be the secret)"
_OTHER = re.compile(r"[^0-9a-z]")
_LOOKS_LIKE_ONE = re.compile(r"(?<![A-Za-z0-9+/])(?=[A-Za-z0-9+/]*[0-9])[A-Za-z0-9+/]{40}(?![A-Za-z0-9+/=])")
"""Forty characters of base64 with no others around them: the shape of a secret access key."""


def redacted(text: str, secrets: Iterable[str], *, part: int = PART) -> Hidden:
    """Return the text without the lines that could hold one of the secrets, or a part of one, in any form."""
    lines = [*map(Hidden, text.splitlines())]
    bad = {number for number, line in enumerate(lines) if _LOOKS_LIKE_ONE.search(line)}
    return Hidden("\n".join(_without(lines, bad | _giving_away(lines, secrets, part))))


def gives_away(text: str, secrets: Iterable[str], *, part: int = PART) -> bool:
    """Return whether a text holds one of the secrets, or a part of one, in any form."""
    return bool(_giving_away([Hidden(text)], secrets, part))


def _giving_away(lines: list[Hidden], secrets: Iterable[str], part: int) -> set[int]:
    forms = {_plain(form) for secret in secrets if len(secret) >= LEAST for form in _forms(Hidden(secret))}
    # A value may be wrapped: what follows on the next line counts as a part of this one.
    letters = Hidden("".join(_plain(line) for line in lines))
    owners = [number for number, line in enumerate(lines) for _ in _plain(line)]
    found: set[int] = set()
    for length in {min(part, len(form)) for form in forms}:
        alike = (_grams(form, length) for form in forms if min(part, len(form)) == length)
        wanted = set(chain.from_iterable(alike))
        for start, gram in enumerate(_grams(letters, length)):
            if gram in wanted:
                found |= set(owners[start : start + length])
    return found


def _without(lines: list[Hidden], bad: set[int]) -> Iterator[str]:
    for number, line in enumerate(lines):
        if number not in bad:
            yield line
        elif number - 1 not in bad:
            yield LEFT_OUT


def _grams(letters: Hidden, length: int) -> Iterator[memoryview]:
    """Return every part of this length. There are thousands, and a ``memoryview`` hides what it holds, too."""
    view = memoryview(letters.encode())
    return map(view.__getitem__, map(slice, range(len(view)), range(length, len(view) + 1)))


def _plain(text: str) -> Hidden:
    """Return the letters and digits alone, in lowercase: escapes, separators and wrapping then make no difference."""
    return Hidden(_OTHER.sub("", text.lower()))


def _forms(secret: Hidden) -> Iterator[Hidden]:
    """Return a secret in every form in which its letters and digits differ."""
    yield secret
    yield secret[::-1]
    percent = Hidden(quote(secret, safe=""))
    yield percent
    yield Hidden(quote(percent, safe=""))
    for escape in ("\\u{:04x}", "\\x{:02x}", "\\{:03o}", "&#x{:x};", "&#{};"):
        yield Hidden("".join(one if one.isalnum() else escape.format(ord(one)) for one in secret))
    yield Hidden(secret.replace("/", "&sol;").replace("+", "&plus;"))
    for encoding in ("utf-8", "utf-16-le"):
        for code in ("{:02x}", "{}", "{:o}"):
            yield Hidden("".join(map(code.format, secret.encode(encoding))))
        for once in _in_base64(memoryview(secret.encode(encoding))):
            yield once
            yield from _in_base64(memoryview(once.encode()))
    for shift in range(5):
        end = (shift + len(secret.encode())) * 8 // 5
        yield Hidden(base64.b32encode(bytes(shift) + secret.encode()).decode()[-(-shift * 8 // 5) : end])


def _in_base64(raw: memoryview) -> Iterator[Hidden]:
    """Return what stands for the secret alone wherever it begins in a group of three bytes (RFC 4648, section 4)."""
    for shift in range(3):
        end = (shift + len(raw)) * 8 // 6
        yield Hidden(base64.b64encode(bytes(shift) + raw).decode()[-(-shift * 8 // 6) : end])
