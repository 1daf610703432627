"""Finds sentences that are the same for many users, so that they are printed once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

FEW = 3
"""For up to so many users, a sentence is repeated."""


def groups(names: Sequence[str], texts: Sequence[str]) -> list[list[int]]:
    """Return the users in groups, by their positions: together are those about whom many texts say the same.

    Two texts say the same if they differ in nothing but the name of the user. An empty text is like no other.
    """
    found: dict[str | int, list[int]] = {}
    for index, (name, text) in enumerate(zip(names, texts, strict=True)):
        found.setdefault(_of_any_user(text, name) if text else index, []).append(index)
    together = ([group] if len(group) > FEW else [[index] for index in group] for group in found.values())
    return sorted(group for some in together for group in some)


def said_of(names: Sequence[str], texts: Sequence[str]) -> list[str]:
    """Return for each text the name of the user about whom the same was said before; empty where it is new."""
    before = [""] * len(names)
    for first, *others in groups(names, texts):
        for index in others:
            before[index] = names[first]
    return before


def more(names: Sequence[str]) -> str:
    """Return how many users are meant besides the first, and their names."""
    return f"{len(names)} more users ({', '.join(names)})"


def _of_any_user(text: str, name: str) -> str:
    short = re.escape(name.rpartition("/")[2])
    return re.sub(rf"(?<![\w+=,.@-]){short}(?![\w+=@-]|[.,]\w)", "{user}", text)
