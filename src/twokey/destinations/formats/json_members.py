"""Members in the text of a JSON object: their values, and the text with another value of one of them. Pure.

Only the value changes (RFC 8259 leaves order and white space to the writer), so numbers, escapes and names that occur
twice stay exactly as they are written. If one of our own names occurs twice, it is refused: readers treat that
differently (RFC 8259, 4 "Objects"). With ``nested``, a dot in a name leads to an inner object.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from twokey.core.errors import ServiceRejected
from twokey.core.secret import Hidden
from twokey.destinations.formats.journals import json_object

_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)
"""Finds where a value ends. Numbers stay text: Python limits the digits of an integer, JSON does not."""


@dataclass(frozen=True, slots=True)
class Member:
    """The positions of a member in the text: its key, what follows the key, and its value from ``start`` to ``end``."""

    name: str
    key: int
    colon: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Missing:
    """Where a member could be added: the object's brace, its members, and the names that are missing below it."""

    brace: int
    members: tuple[Member, ...]
    names: tuple[str, ...]


def value(text: Hidden, name: str, *, nested: bool = True) -> Hidden | None:
    """Return a member's text; None if it is missing or null. Raises ``ServiceRejected`` if readers would not agree."""
    text = _object(text)
    found = _find(text, _parts(name, nested=nested))
    return None if isinstance(found, Missing) else _value(text, found)


def text_or_none(text: Hidden, name: str, *, nested: bool = True) -> Hidden | None:
    """Return a member's text; None if it is missing, or anything but a text."""
    text = _object(text)
    found = _find(text, _parts(name, nested=nested))
    return None if isinstance(found, Missing) or text[found.start] != '"' else _value(text, found)


def has(text: Hidden, name: str, *, nested: bool = True) -> bool:
    """Say whether a member exists, whatever its value."""
    text = _object(text)
    return not isinstance(_find(text, _parts(name, nested=nested)), Missing)


def with_value(text: Hidden, name: str, wanted: Hidden, *, nested: bool = True) -> Hidden:
    """Return the text with another value of a member, and the rest unchanged; raises ``ServiceRejected``."""
    text = _object(text)
    found = _find(text, _parts(name, nested=nested))
    if isinstance(found, Missing):
        return _added(text, found, wanted)
    if _value(text, found) == wanted:
        return text
    return Hidden(f"{text[: found.start]}{json.dumps(wanted)}{text[found.end :]}")


def without(text: Hidden, name: str, *, nested: bool = True) -> Hidden:
    """Return the text without a member, and the rest unchanged; raises ``ServiceRejected``."""
    text = _object(text)
    parts = _parts(name, nested=nested)
    found = _find(text, parts)
    if isinstance(found, Missing):
        return text
    members = _members(text, _brace(text, parts))
    at = members.index(found)
    if at + 1 < len(members):
        return Hidden(f"{text[: found.key]}{text[members[at + 1].key :]}")
    begin = members[at - 1].end if at else found.key
    return Hidden(f"{text[:begin]}{text[found.end :]}")


def names(text: Hidden) -> tuple[str, ...]:
    """Return the names of the outermost object's members, each as often as it occurs."""
    text = _object(text)
    return tuple(member.name for member in _members(text, _after_space(text, 0)))


def _parts(name: str, *, nested: bool) -> tuple[str, ...]:
    return tuple(name.split(".")) if nested else (name,)


def _object(text: Hidden) -> Hidden:
    """Return the text of an object, an empty one for an empty text."""
    if not text.strip():
        return Hidden("{}\n")
    if json_object(text) is None:
        raise ServiceRejected(
            "The file is not a JSON object.",
            state="Nothing was written.",
            remedy="Correct its syntax (python3 -m json.tool FILE reports the line), or name another file.",
        )
    return text


def _value(text: Hidden, member: Member) -> Hidden | None:
    if text.startswith("null", member.start):
        return None
    if text[member.start] != '"':
        raise _unsuitable(f"{member.name!r} is not a text")
    return Hidden(json.loads(text[member.start : member.end]))


def _find(text: Hidden, names: tuple[str, ...]) -> Member | Missing:
    """Follow a name's parts from object to object."""
    brace = _after_space(text, 0)
    for depth, part in enumerate(names[:-1]):
        members, inner = _named(text, brace, part)
        if inner is None:
            return Missing(brace, members, names[depth:])
        brace = inner.start
        if text[brace] != "{":
            raise _unsuitable(f"{part!r} is not an object, so it cannot contain {'.'.join(names)!r}")
    members, last = _named(text, brace, names[-1])
    return last or Missing(brace, members, (names[-1],))


def _brace(text: Hidden, names: tuple[str, ...]) -> int:
    """Return where the object begins that contains a member, which is known to exist."""
    brace = _after_space(text, 0)
    for part in names[:-1]:
        inner = _named(text, brace, part)[1]
        brace = inner.start if inner else brace
    return brace


def _named(text: Hidden, brace: int, name: str) -> tuple[tuple[Member, ...], Member | None]:
    """Return an object's members, and the one of that name; raises ``ServiceRejected`` if there are more."""
    members = _members(text, brace)
    same = [member for member in members if member.name == name]
    if len(same) > 1:
        raise _unsuitable(f"{name!r} occurs more than once")
    return members, same[0] if same else None


def _members(text: Hidden, brace: int) -> tuple[Member, ...]:
    """Return the members of the object that begins at ``brace``. The text is known to be JSON."""
    found: list[Member] = []
    at = _after_space(text, brace + 1)
    while text[at] != "}":
        at = _after_space(text, at + 1) if text[at] == "," else at
        name, colon = _DECODER.raw_decode(text, at)
        start = _after_space(text, _after_space(text, colon) + 1)
        end = _end(text, start)
        found.append(Member(name, at, colon, start, end))
        at = _after_space(text, end)
    return tuple(found)


def _end(text: Hidden, start: int) -> int:
    try:
        return _DECODER.raw_decode(text, start)[1]
    except RecursionError:
        pass
    raise _unsuitable("it is nested too deeply")


def _added(text: Hidden, where: Missing, wanted: Hidden) -> Hidden:
    """Add a member after the last one, with the same white space as the existing ones."""
    added = Hidden(json.dumps(wanted))
    for name in reversed(where.names[1:]):
        added = Hidden(f"{{{json.dumps(name)}: {added}}}")
    key = json.dumps(where.names[0])
    if not where.members:
        return Hidden(f"{text[: where.brace + 1]}{key}: {added}{text[_after_space(text, where.brace + 1) :]}")
    first, last = where.members[0], where.members[-1]
    between = Hidden(f",{text[where.brace + 1 : first.key] or ' '}")
    if first is not last:
        between = text[where.members[-2].end : last.key]
    colon = text[last.colon : last.start]
    return Hidden(f"{text[: last.end]}{between}{key}{colon}{added}{text[last.end :]}")


def _after_space(text: Hidden, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _unsuitable(why: str) -> ServiceRejected:
    return ServiceRejected(
        f"The JSON object cannot be changed: {why}.",
        state="Nothing was written.",
        remedy="Correct this there, and run again.",
    )
