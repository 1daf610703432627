"""What is wrong with a text that is not YAML, in plain words: the line, what is expected there, and what to write.

PyYAML has two parsers whose errors are worded differently; the one written in C is used where it is there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from twokey.core.errors import UsageError

_IN_QUOTES = "Put the whole value in quotes."
_INDENT = "Indent it like the other lines of the same level."
_FIELD = re.compile(r"""(?<![^\s\[{,])[^\s"'\[{,]*\{(?:user|USER|path|account)\}[^\s"',}\]]*""")
"""A URL with a field that is not in quotes."""


def syntax_error(error: yaml.YAMLError, text: str, name: str) -> UsageError:
    """Return the error about ``text``, which was read from the file ``name``."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return UsageError(f"{name}: this is not YAML: {getattr(error, 'reason', 'it cannot be read')}.")
    mark, begin = error.problem_mark, error.context_mark
    found = _Found(text, error.problem or "", error.context or "", mark.line, mark.column, begin)
    line, message, remedy = _meaning(found)
    return UsageError(f"{name} line {line + 1}: {message}", remedy=remedy)


@dataclass(frozen=True, slots=True)
class _Found:
    """What PyYAML says, and where: ``begin`` is the mark of what it was reading."""

    text: str
    problem: str
    context: str
    line: int
    column: int
    begin: Any

    @property
    def before(self) -> str:
        """The part of the line before the error."""
        return self.text.split("\n")[self.line][: self.column] if self.line < self.text.count("\n") + 1 else ""

    @property
    def character(self) -> str:
        """The character at the error."""
        return self.text.split("\n")[self.line][self.column : self.column + 1]

    @property
    def first_line(self) -> int:
        """The line on which what was being read begins."""
        return int(self.begin.line) if self.begin is not None else self.line


def _meaning(found: _Found) -> tuple[int, str, str]:
    """Return the line, counted from 0, what is expected there, and the remedy."""
    problem, context = found.problem, found.context
    if "cannot start any token" in problem:
        if found.character == "\t":
            return found.line, "a tab cannot indent.", "Indent with spaces."
        return found.line, f"a value cannot begin with `{found.character}`.", "Put the value in quotes."
    if "alias" in problem or "alias" in context:
        return found.line, "`*` begins a YAML alias.", 'Quote a pattern that begins with it: "*-old".'
    if "another document" in problem:
        return found.line, "expected one YAML document, found several.", "Remove the `---` between them."
    return (
        _of_text(found)
        or _of_fields(found)
        or _of_structure(found)
        or (found.line, f"this is not YAML: {_quoted(found)}.", "")
    )


def _of_text(found: _Found) -> tuple[int, str, str] | None:
    if "unexpected end of stream" in found.problem:
        # It is detected at the end of the file; the error is where the quote begins.
        return found.first_line, "expected a closing quote: the one that begins here has no end.", "Add it."
    if "unknown escape" in found.problem:
        return (
            found.line,
            "expected an escape that YAML knows after `\\`.",
            "Use single quotes: a `\\` is itself there.",
        )
    if "simple key" in found.context:
        return found.first_line, "expected a colon after the key, as in `window: 30d`.", "Add it."
    return None


def _of_fields(found: _Found) -> tuple[int, str, str] | None:
    """Say what is wrong with a field such as ``{user}`` where YAML reads its braces as a mapping."""
    lines = found.text.split("\n")
    flow = "flow " in found.context
    for number in range(found.first_line if flow else found.line, min(found.line + 1, len(lines))):
        url = _FIELD.search(lines[number].partition(" #")[0])
        if url and (flow or url[0].startswith("{")):
            within = "within braces or brackets, YAML reads" if flow else "at the beginning of a value, YAML reads"
            field = url[0][url[0].index("{") : url[0].index("}") + 1]
            return number, f"{within} `{field}` as a mapping, not as a field.", f'Quote the value: "{url[0]}".'
    return None


def _of_structure(found: _Found) -> tuple[int, str, str] | None:
    problem, context, begin = found.problem, found.context, found.first_line + 1
    since = f", which begins on line {begin}" if found.first_line != found.line else ""
    known = (
        (
            "flow sequence" in context,
            f"expected `,` or `]` in this list{since}.",
            "Close the list, or quote its values.",
        ),
        ("flow mapping" in context, f"expected `,` or `}}` in this mapping{since}.", "Close it, or quote its values."),
        (
            "mapping values" in problem and ": " in found.before,
            "expected one `key: value` on this line, found a second colon.",
            _IN_QUOTES,
        ),
        (
            "mapping values" in problem,
            "expected the value of the key above, found another key, indented deeper.",
            _INDENT,
        ),
        (
            "sequence entries" in problem,
            "expected a value after the key, found an item of a list.",
            "Put `- ` on the next line.",
        ),
        (
            "block collection" in context,
            f"expected `- `, as before the items of the list that begins on line {begin}.",
            _INDENT,
        ),
        (
            "block mapping" in context and bool(found.before.strip()),
            "expected the end of the line after this value.",
            _IN_QUOTES,
        ),
        ("block mapping" in context, f"expected a key of the mapping that begins on line {begin}.", _INDENT),
        (
            "node content" in problem,
            f"expected a value, found `{found.character}`.",
            "Write a value here, or quote the whole of it.",
        ),
    )
    return next(((found.line, message, remedy) for applies, message, remedy in known if applies), None)


def _quoted(found: _Found) -> str:
    return ", ".join(part for part in (found.context, found.problem) if part)
