"""The arguments of a call, checked: a program gets the sentence that the operator would, and no error of a deep module.

What an option of the command is to the operator, a keyword is to a program. Values are checked where options are; only
what no option can be, another type, is found here.
"""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from typing import Any

from twokey.core.errors import UsageError

_TEXT, _NUMBER, _FILE = (str,), (int,), (str, PathLike)
_KINDS: dict[str, tuple[type, ...]] = {
    "text": _TEXT,
    "source": _TEXT,
    "path": _TEXT,
    "max_age": _TEXT,
    "within": _TEXT,
    "limit": _TEXT,
    "plan_max_age": _TEXT,
    "max_users": _NUMBER,
    "max_accounts": _NUMBER,
    "concurrency": _NUMBER,
    "file": _FILE,
    "out": _FILE,
    "sign_with": _FILE,
    "audit_log": _FILE,
    "plan": _FILE,
    "signed_by": _FILE,
}
_EXPECTED = {_TEXT: "text", _NUMBER: "a number", _FILE: "the name of a file"}
_MAY_BE_LEFT_OUT = frozenset(_KINDS) - {"text", "source", "file", "max_age", "within", "limit"}


def check(**arguments: Any) -> None:
    """Raise ``UsageError`` for an argument of another type than its name needs; None is one that was left out."""
    for name, value in arguments.items():
        kinds = _KINDS[name]
        left_out = value is None and name in _MAY_BE_LEFT_OUT
        if not left_out and (not isinstance(value, kinds) or isinstance(value, bool)):
            decode = "Decode it." if isinstance(value, bytes | bytearray) else ""
            raise UsageError(f"{name}: expected {_EXPECTED[kinds]}, got {_named(value)}.", remedy=decode)


def texts(name: str, value: Any, remedy: str = "") -> tuple[str, ...]:
    """Return a text, or each of several; raises ``UsageError`` for anything else."""
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    found = tuple(value) if isinstance(value, Iterable) else (value,)
    for one in found:
        if not isinstance(one, str):
            raise UsageError(f"{name}: expected text, got {_named(one)}.", remedy=remedy)
    return found


def _named(value: object) -> str:
    return "None" if value is None else type(value).__name__
