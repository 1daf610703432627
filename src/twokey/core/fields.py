"""Checks of the values that describe a destination: an error names the field, or the method, and what is expected.

Other packages make such values. Nothing but these checks holds them to their types.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import wraps
from typing import Any, TypeVar, cast

from twokey.core.sentences import nearest

Described = TypeVar("Described")


class InvalidValue(TypeError):
    """A package's value is not what twokey expects. The text shows no value that may be a secret."""


class InvalidKind(InvalidValue):
    """A value that describes a kind of destination or connection is invalid: which class, which field, and why."""

    def __init__(self, of: str, field_name: str, why: str) -> None:
        super().__init__(f"{of}: the field `{field_name}` {why}")


class InvalidReturn(InvalidValue):
    """A method or function returned something other than it must: which one, what, and what is expected."""

    def __init__(self, function: str, value: object, expected: str) -> None:
        found = "None" if value is None else f"a value of the type {type(value).__name__}"
        super().__init__(f"`{function}` returned {found}; expected {expected}")


def named_fields(cls: type[Described]) -> type[Described]:
    """Make a dataclass raise ``InvalidKind`` for an unknown or a missing field, with the nearest known name."""
    known = [one.name for one in fields(cls)]  # type: ignore[arg-type]
    initialize = cast("Callable[..., None]", cls.__init__)

    @wraps(initialize)
    def checked(self: object, *args: object, **values: object) -> None:
        try:
            initialize(self, *args, **values)
        except InvalidValue:
            raise
        except TypeError as error:
            for name in values:
                if name not in known:
                    raise InvalidKind(cls.__name__, name, f"is unknown; {nearest(name, known)}") from None
            missing = re.findall(r"'(\w+)'", str(error)) if "missing" in str(error) else []
            if not missing:
                raise
            raise InvalidKind(cls.__name__, missing[0], "is missing") from None

    cls.__init__ = checked  # type: ignore[method-assign]
    return cls


def refuse(described: object, name: str, expected: Any, *, of: type | None = None, filled: bool = False) -> None:
    """Raise ``InvalidKind`` unless a field has a value of the expected type, with members of the type ``of``."""
    value = getattr(described, name)
    if isinstance(value, expected) and of is None and not filled:
        return
    owner, word = type(described).__name__, getattr(expected, "__name__", str(expected)).lower()
    if not isinstance(value, expected):
        raise InvalidKind(owner, name, f"has the type {type(value).__name__}; expected {word}")
    if filled and not value:
        raise InvalidKind(owner, name, "is empty")
    members = value.values() if isinstance(value, Mapping) else value if of is not None else ()
    for member in members:
        if of is not None and not isinstance(member, of):
            raise InvalidKind(owner, name, f"holds {member!r}; expected {of.__name__}")
