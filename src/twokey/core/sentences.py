"""Parts of messages: a sentence that says the same of several users, and the word that was probably meant."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def of_any(text: str, name: str, word: str) -> str:
    """Return a sentence with ``word`` in place of a name, which counts only as a whole: "e" is not in "denied"."""
    if not name or name not in text:
        return text
    return re.sub(rf"(?<![\w+=,.@-]){re.escape(name)}(?![\w+=@-]|[.,]\w)", lambda _: word, text)


def nearest(word: str, known: Iterable[str], before: str = "", after: str = "") -> str:
    """Return the end of a sentence that names the known word that was probably meant, or all known words."""
    from difflib import get_close_matches

    words = tuple(known)
    near = get_close_matches(word.lower(), words, n=1, cutoff=0.5)
    if near:
        return f"did you mean {before}{near[0]}{after}?"
    return f"expected {'one of ' if len(words) > 1 else ''}{', '.join(before + name + after for name in words)}."
