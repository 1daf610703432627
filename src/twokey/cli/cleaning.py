"""Makes text harmless: nothing in it is obeyed by a terminal or by a CI system that reads it in a log."""

from __future__ import annotations

import re

UNSAFE = re.compile(
    "["
    "\\x00-\\x1f\\x7f-\\x9f"  # control characters, among them escape sequences and line breaks
    "\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff"  # invisible, or change the direction of text
    "\\ufff9-\\ufffb\\U000e0000-\\U000e007f\\ud800-\\udfff"  # annotations, tags, halves of characters
    "]"
)
_COMMAND = re.compile(
    r"::(?=[A-Za-z][\w-]*(?:\s.*?)?::)"  # GitHub Actions and Gitea, at the beginning of a line
    r"|##(?=\[|vso\[|teamcity\[)"  # GitHub Actions (older form) and Azure DevOps, anywhere in a line; TeamCity
)


def clean(text: str) -> str:
    """Return a text as it is shown: on one line, without anything that a terminal or a CI system obeys."""
    shown = UNSAFE.sub(lambda found: _escape(found[0]), text)
    return _COMMAND.sub(lambda found: f"\\x{ord(found[0][0]):02x}{found[0][1:]}", shown)


def _escape(character: str) -> str:
    code = ord(character)
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    if code > 0xFFFF:
        return f"\\U{code:08x}"
    return named.get(character, f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
