"""Reads JSON into typed values, from any thread.

At its first use of a type, msgspec works out what it is like. A second thread that uses the type meanwhile meets an
unfinished description, and the process dies (segmentation fault). So that takes place under a lock here.

A field of the type ``Hidden`` is never a plain text on the way: msgspec calls the type from C.
"""

from __future__ import annotations

import operator
import threading
from typing import Any, TypeVar, cast

import msgspec

T = TypeVar("T")
_decoders: dict[type[Any], msgspec.json.Decoder[Any]] = {}
_lock = threading.Lock()


def decoder(shape: type[T]) -> msgspec.json.Decoder[T]:
    """Return what reads JSON documents as values of a type. The text itself, perhaps a secret, never comes here."""
    key: Any = shape
    found = _decoders.get(key)
    if found is None:
        with _lock:
            found = _decoders.setdefault(key, msgspec.json.Decoder(key, dec_hook=operator.call))
    return cast("msgspec.json.Decoder[T]", found)
