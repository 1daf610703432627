"""Finds sentences that are the same for many users, so that they are printed once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from twokey.core.sentences import of_any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FEW = 3
"""For up to so many users, a sentence is repeated."""
MOST_OF_A_BEGIN = 40
_VALUE = re.compile(
    r"\bA[KS]IA[A-Z0-9]{12,}\b"  # a key id
    r"|\b\d{4}-\d\d-\d\dT[\d:.]+Z"  # a time
    r"|\b\d+[dhms](?: \d+[hms])*\b"  # a duration
)
"""What differs from user to user in a sentence that is otherwise the same."""


def groups(names: Sequence[str], texts: Sequence[str], *, values: bool = False) -> list[list[int]]:
    """Return the users in groups, by their positions: together are those about whom many texts say the same.

    Two texts say the same if they differ in nothing but the name of the user; with ``values``, also if key ids, times
    and durations differ. An empty text is like no other.
    """

    def neutral(index: int) -> str:
        text = of_any(texts[index], _user(names[index]), "{user}")
        return _VALUE.sub("{value}", text) if values else text

    found = _alike(texts, neutral)
    together = ([group] if len(group) > FEW else [[index] for index in group] for group in found)
    return sorted(group for some in together for group in some)


def references(names: Sequence[str], texts: Sequence[str], own: Sequence[str] | None = None) -> list[str]:
    """Return for each text what to print in its place where the same was said before; empty where it is new.

    Two texts say the same if they differ in nothing but the name of the user, and in key ids, times and durations:
    those that differ are part of what is returned, as in ``as for ci, with AKIA…``. ``own`` replaces the name of the
    user where a text names something else of its own.
    """
    of = own or [_user(name) for name in names]
    before = [""] * len(texts)
    for group in _alike(texts, lambda index: _VALUE.sub("{value}", of_any(texts[index], of[index], "{user}"))):
        first, *others = group if len(group) > FEW else group[:1]
        for index in others:
            values = differing(texts[index], texts[first])
            ending = f", with {', '.join(values)}" if values else ""
            before[index] = f"{_begin(texts[first], of[first])}as for {names[first]}{ending}"
    return before


def references_of_destinations(
    destinations: Sequence[str], messages: Sequence[str], owners: Sequence[str]
) -> list[str]:
    """Return what stands for a message that was shown for another destination of its kind; empty where it is new.

    ``owners`` are the users whose destinations these are.
    """
    own = [re.sub(r"^[\w-]+:|\?.*$", "", destination) for destination in destinations]
    # A message names the destination, or only the user.
    texts = [
        message.replace(rest, "{destination}") if rest else message for rest, message in zip(own, messages, strict=True)
    ]
    return references(destinations, texts, [_user(owner) for owner in owners])


def differing(text: str, other: str) -> list[str]:
    """Return the key ids, times and durations of a text that are others in a text which is otherwise the same."""
    pairs = zip(_VALUE.findall(text), _VALUE.findall(other), strict=False)
    return list(dict.fromkeys(value for value, there in pairs if value != there))


def _begin(text: str, name: str) -> str:
    """Return what a text is about, such as ``The window is broken: ``, if it begins with that."""
    begin, colon, _ = text.partition(": ")
    short = colon and len(begin) <= MOST_OF_A_BEGIN and name not in begin and not re.search(r"\d|\.\s|\n", begin)
    return begin + colon if short else ""


def sentence(known: str) -> str:
    """Return what ``references`` returns as a sentence of its own; empty if that is empty."""
    return f"{known[0].upper()}{known[1:]}." if known else ""


def more(names: Sequence[str]) -> str:
    """Return how many users are meant besides the first, and their names."""
    return f"{len(names)} more users ({', '.join(names)})"


def _alike(texts: Sequence[str], neutral: Callable[[int], str]) -> list[list[int]]:
    """Return the positions of the texts in groups, by what is left of each; an empty text is like no other."""
    found: dict[str | int, list[int]] = {}
    for index, text in enumerate(texts):
        found.setdefault(neutral(index) if text else index, []).append(index)
    return list(found.values())


def _user(name: str) -> str:
    return name.rpartition("/")[2]
