"""What a run keeps of every user, in a fraction of the memory that its objects take.

An item is kept as what distinguishes it from one of the first, compressed, and is made again whenever it is asked for:
two of them are equal, and never the same object.
"""

from __future__ import annotations

import sys
import zlib
from array import array
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

import msgspec

from twokey.core.model import MachineUser
from twokey.core.reasons import Outcome, Reason
from twokey.rotation.results import DeliveryResult, Result

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")
Texts = tuple[str, ...]

MOST_SAMPLES = 8
ENOUGH = 3
"""An item that is not packed to a third becomes a sample itself, unless there are enough of them."""
_WINDOW, _MEMORY = -10, 2
"""Without a header, and with little memory for the compression itself: many threads pack at the same time."""
_BITS = 20
_LONGEST = (1 << _BITS) - 1
"""Bytes of a packed item: nothing that a run finds about a user is nearly as long."""


class Codec(Protocol):
    """Turns items into bytes, and back."""

    def encode(self, item: Any) -> bytes | None:
        """Return an item as bytes; None for one that has to be kept as it is. Raises what msgspec does."""
        ...

    def decode(self, data: bytes) -> Any:
        """Return an item that is equal to the one that was encoded."""
        ...


class Packed(Sequence[T]):
    """A list of items that are alike. Any thread may replace and append some."""

    def __init__(self, codec: Codec, items: Iterable[T] = (), kept: _Kept | None = None) -> None:
        self._codec = codec
        self._kept = _Kept() if kept is None else kept
        self._rows = array("q")
        self.extend(items)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Packed[T]: ...
    def __getitem__(self, index: int | slice) -> T | Packed[T]:
        if not isinstance(index, slice):
            return self._unpacked(self._rows[index])
        some = self.beside()
        some._rows = self._rows[index]  # noqa: SLF001
        return some

    def __setitem__(self, index: int, item: T) -> None:
        self._rows[index] = self._packed(item)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and [*self] == [*other]

    __hash__ = None  # type: ignore[assignment]

    def beside(self, items: Iterable[T] = ()) -> Packed[T]:
        """Return a list of further items, which shares with this one what they have in common."""
        return Packed(self._codec, items, self._kept)

    def extend(self, items: Iterable[T]) -> None:
        """Append items."""
        if isinstance(items, Packed) and items._kept is self._kept:  # noqa: SLF001
            self._rows.extend(items._rows)  # noqa: SLF001
        else:
            self._rows.extend(map(self._packed, items))

    def _packed(self, item: T) -> int:
        try:
            plain = self._codec.encode(item)
        except (TypeError, ValueError):
            plain = None
        row = None if plain is None else self._kept.packed(plain)
        return self._kept.as_it_is(item) if row is None else row

    def _unpacked(self, row: int) -> T:
        found = self._kept.get(row)
        item: T = self._codec.decode(found) if row >= 0 else found
        return item


class _Kept:
    """What lists that share it keep: packed items one behind the other, and those that are not packed.

    A row says where an item is: a packed one, where it begins and how long it is; another one, by a negative number.
    The first items are what others are compared with. The first byte of a packed item says with which of them.
    """

    def __init__(self) -> None:
        self._samples: list[bytes] = []
        self._packed = bytearray()
        self._others: list[Any] = [None]
        self._lock = Lock()

    def packed(self, plain: bytes) -> int | None:
        """Keep an item as what distinguishes it from another; return its row, or None for one that is too long."""
        small = self._smallest(plain)
        if len(small) > _LONGEST:
            return None
        with self._lock:
            begin = len(self._packed)
            self._packed.extend(small)
        return begin << _BITS | len(small)

    def as_it_is(self, item: object) -> int:
        """Keep an item as it is; return its row."""
        if item is None:
            return -1
        with self._lock:
            self._others.append(item)
            return -len(self._others)

    def get(self, row: int) -> Any:
        """Return the bytes of a packed item, or another one."""
        if row < 0:
            return self._others[-row - 1]
        begin = row >> _BITS
        small = bytes(self._packed[begin : begin + (row & _LONGEST)])
        return zlib.decompressobj(_WINDOW, self._samples[small[0]]).decompress(small[1:])

    def _smallest(self, plain: bytes) -> bytes:
        small = b""
        for number, sample in enumerate(self._samples):
            small = _compressed(number, sample, plain)
            if len(small) * ENOUGH <= len(plain):
                return small
        with self._lock:
            if len(self._samples) < MOST_SAMPLES:
                self._samples.append(plain)
                small = _compressed(len(self._samples) - 1, plain, plain)
        return small


def _compressed(number: int, sample: bytes, plain: bytes) -> bytes:
    packer = zlib.compressobj(zlib.Z_BEST_SPEED, zlib.DEFLATED, _WINDOW, _MEMORY, zlib.Z_DEFAULT_STRATEGY, sample)
    return b"".join((bytes((number,)), packer.compress(plain), packer.flush()))


class Picked(Sequence[T]):
    """Some items of a sequence, by their positions in it."""

    def __init__(self, items: Sequence[T], positions: Sequence[int]) -> None:
        self._items = items
        self._positions = positions

    def __len__(self) -> int:
        return len(self._positions)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Picked[T]: ...
    def __getitem__(self, index: int | slice) -> T | Picked[T]:
        if isinstance(index, slice):
            return Picked(self._items, self._positions[index])
        return self._items[self._positions[index]]


def results(items: Iterable[T] = ()) -> Packed[T]:
    """Return a list that packs the results of rotations, and keeps what other commands found as it is."""
    return Packed(_Results(), items)


def jobs(items: Iterable[T] = ()) -> Packed[T]:
    """Return a list that packs users: what those of one entry share is kept once."""
    return Packed(_Jobs(), items)


def joined(parts: Sequence[Sequence[T]]) -> Packed[T]:
    """Return the users of all parts as one list."""
    found = next((part.beside() for part in parts if isinstance(part, Packed)), jobs())
    for part in parts:
        found.extend(part)
    return found


class _Results:
    _decoder = msgspec.msgpack.Decoder(
        tuple[MachineUser, Outcome, Reason, str, str, str, Texts, datetime | None, tuple[DeliveryResult, ...], Texts]
    )
    _names = tuple(field.name for field in fields(Result))

    def encode(self, item: object) -> bytes | None:
        if type(item) is not Result:
            return None
        return msgspec.msgpack.encode([getattr(item, name) for name in self._names])

    def decode(self, data: bytes) -> Result:
        found: Any = self._decoder.decode(data)
        message = sys.intern(found[3])  # of most users of a run, it is the same
        return Result(found[0], found[1], found[2], message, *found[4:])


class _Jobs:
    """Encodes what ``twokey.fleet.roster.Job`` has of one user alone: ``OWN``. The users of an entry share the rest."""

    OWN = ("user", "store", "deliver", "targets", "lock")
    SHARED = ("policy", "hooks", "store_account", "deliver_account", "positions")
    _decoder = msgspec.msgpack.Decoder(tuple[int, MachineUser, str, Texts, Texts | None, str | None])

    def __init__(self) -> None:
        self._numbers: dict[tuple[object, ...], int] = {}
        self._patterns: list[Any] = []
        self._lock = Lock()

    def encode(self, item: Any) -> bytes:
        return msgspec.msgpack.encode((self._number(item), *(getattr(item, name) for name in self.OWN)))

    def decode(self, data: bytes) -> Any:
        number, *own = self._decoder.decode(data)
        return replace(self._patterns[number], **dict(zip(self.OWN, own, strict=True)))

    def _number(self, item: Any) -> int:
        """Return the number of the first user with the same settings. A pattern keeps what is compared by its id."""
        values = (getattr(item, name) for name in self.SHARED)
        shared = tuple(value if isinstance(value, str | tuple) else id(value) for value in values)
        with self._lock:
            number = self._numbers.setdefault(shared, len(self._patterns))
            if number == len(self._patterns):
                self._patterns.append(item)
        return number
