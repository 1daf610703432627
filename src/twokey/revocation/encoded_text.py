"""Ids of access keys in text that is encoded as Base64, as Kubernetes' Secrets and many variables of CI systems are.

Base64 encodes three bytes at a time, so the beginning of an id has one of three forms, by where it is in the text. A
text that is broken into lines is decoded line by line.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

REACH = 1368
"""Characters before and after an id that are decoded: a kilobyte."""
_STARTS = {b"QUtJQ": 0, b"QVNJQ": 0, b"FLSU": 2, b"FTSU": 2, b"BS0lB": 3, b"BU0lB": 3}
"""How ``AKIA`` and ``ASIA`` are encoded, and how many characters before that its group of four begins."""
_BEFORE = re.compile(rb"[A-Za-z0-9+/]*\Z")
_AFTER = re.compile(rb"[A-Za-z0-9+/]*")
_ALONE = re.compile(rb"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{54,56}(?![A-Za-z0-9+/])")
"""What 40 characters are, encoded by themselves, with or without a line break."""


def decoded(data: bytes, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield the positions, in this part of the data, at which an id may be, and the text there without the encoding."""
    for start, before in _STARTS.items():
        at = data.find(start, begin, end)
        while at >= 0:
            text = _around(data, at - before)
            if text:
                yield at, text
            at = data.find(start, at + 1, end)


def alone(data: bytes) -> Iterator[bytes]:
    """Yield the texts of such a length as a secret has that are encoded by themselves."""
    for found in _ALONE.finditer(data):
        yield _decode(found.group()).strip()


def _around(data: bytes, group: int) -> bytes:
    if group < 0:
        return b""
    left = _BEFORE.search(data[max(0, group - REACH) : group])
    right = _AFTER.match(data[group : group + REACH])
    assert left is not None
    assert right is not None
    whole = len(left.group()) // 4 * 4
    return _decode((left.group()[-whole:] if whole else b"") + right.group())


def _decode(text: bytes) -> bytes:
    whole = text[: len(text) - 1] if len(text) % 4 == 1 else text
    return base64.b64decode(whole + b"=" * (-len(whole) % 4))
