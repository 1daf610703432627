"""Ids of access keys in bytes of any kind, and whether a secret is beside one. Nothing of a secret is kept.

A secret access key is 40 characters of Base64's alphabet without a mark of its own: only what is near an id counts, and
a hash in hexadecimal digits does not. JSON may write its slashes as ``\\/``, a URL as ``%2F``. Where several ids are
near, a secret is that of the id just before it, or else of the id just after it, as pairs are written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from twokey.revocation import encoded_text

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 16 << 20
"""Bytes that are searched at once."""
REACH = 1024
"""Bytes before and after an id in which a secret belongs to it."""
LENGTH = 20
TEMPORARY = "ASIA"
"""How the ids of temporary keys begin ("IAM identifiers", IAM User Guide)."""
# Looking around in the pattern would cost its fast search for what it begins with.
_ID = re.compile(rb"A[KS]IA[A-Z0-9]{16}")
_SECRET = re.compile(rb"(?<![A-Za-z0-9/+])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])")
_SLASHES = re.compile(rb"\\/|%2[Ff]")
_PLUSES = re.compile(rb"%2[Bb]")
_WIDE = b"\0I\0A"
"""A part of an id in UTF-16, in either byte order."""


@dataclass(frozen=True, slots=True)
class Found:
    """An id, the line that it is in, whether a secret is near it, and whether one is its own by the order of both."""

    key_id: str
    line: int
    secret: bool
    own: bool


class Stream(Protocol):
    """What can be read in parts."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; none at the end."""
        ...


def search(stream: Stream, size: int | None = None) -> Iterator[Found]:
    """Yield the ids in a stream, or in its next ``size`` bytes, without holding more than a part of it."""
    data, begin, lines, wide = b"", 0, 0, False
    left = size
    while True:
        chunk = stream.read(CHUNK if left is None else min(CHUNK, left))
        if left is not None:
            left -= len(chunk)
        last = not chunk or left == 0 or (left is None and len(chunk) < CHUNK)
        wide = wide or _WIDE in chunk
        data += chunk.replace(b"\0", b"") if wide else chunk
        # An id near the end is found with the next chunk, which may have its secret.
        end = len(data) if last else max(begin, len(data) - REACH)
        for at, key_id, secrets in sorted({*_plain(data, begin, end), *_encoded(data, begin, end)}):
            yield Found(key_id, lines + data.count(b"\n", 0, at) + 1, secrets.near, secrets.own)
        if last:
            return
        cut = max(0, end - REACH)
        lines += data.count(b"\n", 0, cut)
        data, begin = data[cut:], end - cut


class _Secrets(NamedTuple):
    near: bool
    own: bool


def _plain(data: bytes, begin: int, end: int) -> Iterator[tuple[int, str, _Secrets]]:
    for at in _positions(data, begin, end):
        yield at, data[at : at + LENGTH].decode("ascii"), _secrets(data, at)


def _encoded(data: bytes, begin: int, end: int) -> Iterator[tuple[int, str, _Secrets]]:
    for at, text in encoded_text.decoded(data, begin, end):
        for inner in _positions(text, 0, len(text)):
            start, stop = max(0, at - REACH), at + REACH
            found = _secrets(text, inner)
            if not found.near:
                alone = encoded_text.alone(data[start:stop])
                near = any(_SECRET.fullmatch(one) and _is_secret(one) for one in alone)
                found = _Secrets(near, near and len(list(encoded_text.decoded(data, start, stop))) == 1)
            yield at, text[inner : inner + LENGTH].decode("ascii"), found


def _positions(data: bytes, begin: int, end: int) -> Iterator[int]:
    for found in _ID.finditer(data, begin):
        at = found.start()
        if at >= end:
            return
        if not (data[at - 1 : at].isalnum() or data[at + LENGTH : at + LENGTH + 1].isalnum()):
            yield at


def _secrets(data: bytes, at: int) -> _Secrets:
    """Return whether secrets are near the id at a position, and whether one of them is its own."""
    before = _unescaped(data[max(0, at - REACH) : at])
    text = before + data[at : at + LENGTH] + _unescaped(data[at + LENGTH : at + LENGTH + REACH])
    secrets = [one.start() for one in _SECRET.finditer(text) if _is_secret(one.group())]
    ids = set(_positions(text, 0, len(text)))
    order = sorted({*ids, *secrets})
    own = False
    for index, position in enumerate(order):
        if position in ids:
            continue
        neighbours = (*order[max(0, index - 1) : index], *order[index + 1 : index + 2])
        own |= next((one for one in neighbours if one in ids), None) == len(before)
    return _Secrets(bool(secrets), own)


def _unescaped(text: bytes) -> bytes:
    return _PLUSES.sub(b"+", _SLASHES.sub(b"/", text))


def _is_secret(text: bytes) -> bool:
    """Return whether 40 characters may be a secret: a hash, a word or a path of one case is none."""
    return text.upper() != text and text.lower() != text and not re.fullmatch(rb"[0-9A-Fa-f]{40}", text)
