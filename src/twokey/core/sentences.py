"""Sentences that say the same of several users."""

from __future__ import annotations

import re


def of_any(text: str, name: str, word: str) -> str:
    """Return a sentence with ``word`` in place of a name, which counts only as a whole: "e" is not in "denied"."""
    if not name or name not in text:
        return text
    return re.sub(rf"(?<![\w+=,.@-]){re.escape(name)}(?![\w+=@-]|[.,]\w)", lambda _: word, text)
