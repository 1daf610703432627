"""Lines ``NAME=value``, read so that ``sh`` and dotenv libraries agree, and written so that they do. Pure.

Sources: POSIX.1-2017, Shell Command Language, 2.2 "Quoting"; python-dotenv, "File format". A value that they
read differently counts as unreadable and is not written. The last assignment of a name counts.
The ``repr`` of a regular expression's match contains what it matched, so only positions are kept.
"""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twokey.core.errors import ServiceRejected
from twokey.core.model import CannotTell
from twokey.core.secret import Hidden

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

_STATEMENT = re.compile(
    r"""
    (?P<head>[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*)
    (?:
        (?P<quoted>'(?:\\'|[^'])*'|"(?:\\.|[^"\\])*")(?P<tail>(?:[ \t]+\#[^\r\n]*|[ \t]*)(?:\r?\n|\Z))
        | (?P<bare>[^\r\n]*)(?P<end>\r?\n|\Z)
    )
    | [^\n]*\n | [^\n]+
    """,
    re.VERBOSE | re.DOTALL,
)
_HEAD, _NAME, _QUOTED, _TAIL, _BARE, _END = range(1, 7)
_SAFE = re.compile(r"[A-Za-z0-9@%+=:,./_-]+", re.ASCII)
"""Values that need no quotes; readers that do not support quotes, such as ``docker run --env-file``, read them too."""
_PLAIN = re.compile(r"(?:(?!\$\{)[^\x00-\x1f\x7f'\\\x85\u2028\u2029])*")
"""Values that all readers read alike between single quotes. python-dotenv replaces ``${NAME}`` even there."""
_COMMENT = re.compile(r"[ \t]+#")
_NOTHING = Hidden()
_QUOTES = ("'", '"')
_NOT_IN_DOUBLE = re.compile(r'["`$]')


@dataclass(frozen=True, slots=True)
class Statement:
    """An assignment in four parts; or any other line, in ``head``, with an empty ``name``. Together they are the text.

    ``loose``: ``sh`` reads the next line as a part of it, dotenv libraries do not.
    """

    head: Hidden
    name: str = ""
    body: Hidden = _NOTHING
    tail: Hidden = _NOTHING
    loose: bool = False

    @property
    def text(self) -> Hidden:
        """Return the statement as it is written."""
        return Hidden(f"{self.head}{self.body}{self.tail}")

    @property
    def value(self) -> Hidden | None:
        """Return the value; None if readers would not agree on it."""
        quote = self.body[:1]
        if quote not in _QUOTES:
            return self.body if not self.body or _SAFE.fullmatch(self.body) else None
        inner = self.body[1:-1]
        if not _PLAIN.fullmatch(inner) or (quote == '"' and _NOT_IN_DOUBLE.search(inner)):
            return None
        return inner

    def with_value(self, value: Hidden) -> Statement:
        """Return the assignment of another value, in the same quotes. Spaces that ``sh`` does not allow are removed."""
        if self.value == value:
            return self
        body = quoted(self.name, value)
        quote = self.body[:1]
        if body == value and quote in _QUOTES and self.body[-1:] == quote:
            body = Hidden(f"{quote}{value}{quote}")
        head = re.sub(r"[ \t]*=[ \t]*$", "=", self.head)
        return Statement(Hidden(head), self.name, body, self.tail)


def statements(text: Hidden) -> list[Statement]:
    """Split a text; the statements' texts together are the text again."""
    return [_statement(text, regs) for regs in map(operator.attrgetter("regs"), _STATEMENT.finditer(text))]


def values(lines: Sequence[Statement], names: Iterable[str]) -> dict[str, Hidden] | CannotTell:
    """Return the values of those names that are assigned; the last assignment of a name counts."""
    latest = {line.name: line for line in lines if line.name in tuple(names)}
    for name, line in latest.items():
        if line.value is None:
            return CannotTell(f"its {name} is written so that sh and dotenv libraries read it differently")
    return {name: line.value for name, line in latest.items() if line.value is not None}


def edited(text: Hidden, wanted: Mapping[str, Hidden], without: Collection[str] = ()) -> Hidden:
    """Return the text with these values and all else unchanged; names that are not assigned yet are added at the end.

    The assignments of the names ``without`` are removed.

    Raises ``ServiceRejected`` if readers would not agree on where a line ends.
    """
    lines = statements(text)
    for number, line in enumerate(lines, start=1):
        if line.loose:
            raise ServiceRejected(
                f"Assignment or line {number} of the file{f' ({line.name})' if line.name else ''} has a quote that is "
                "not closed, or ends with a backslash.",
                state="Nothing was written.",
                remedy="Close the quote or remove the backslash in the file, and run again.",
            )
    newline = "\r\n" if lines and lines[0].text.endswith("\r\n") else "\n"
    parts = [
        line.with_value(wanted[line.name]).text if line.name in wanted else line.text
        for line in lines
        if line.name not in without
    ]
    assigned = [line for line in lines if line.name in wanted] or [line for line in lines if line.name]
    export = "export " if assigned and assigned[-1].head.lstrip().startswith("export") else ""
    present = {line.name for line in lines}
    missing = {name: value for name, value in wanted.items() if name not in present}
    if missing and parts and not parts[-1].endswith("\n"):
        parts.append(Hidden(newline))
    parts += [Hidden(f"{export}{name}={quoted(name, value)}{newline}") for name, value in missing.items()]
    return Hidden("".join(parts))


def seen(lines: Sequence[Statement]) -> dict[str, Hidden | None]:
    """Return what every name is assigned last, None for a value that readers would not agree on."""
    return {line.name: line.value for line in lines if line.name}


def are_assignments(lines: Sequence[Statement]) -> bool:
    """Say whether a text consists of nothing but assignments, comments and empty lines, and has an assignment."""
    others = [line.head for line in lines if not line.name]
    return any(line.name for line in lines) and all(not one.strip() or one.lstrip()[0] == "#" for one in others)


def writable(value: str) -> bool:
    """Say whether all readers would read this value back."""
    return bool(_PLAIN.fullmatch(value))


def quoted(name: str, value: Hidden) -> Hidden:
    """Return a value as it is to be written: without quotes if that is safe, else between single quotes.

    Raises ``ServiceRejected`` for a value that ``sh`` and python-dotenv would not both read back. An access key is
    never such a value.
    """
    if _SAFE.fullmatch(value):
        return value
    if not writable(value):
        raise ServiceRejected(
            f"The value of {name} contains a quote, a backslash, ${{ or a control character, which sh and dotenv "
            "libraries read differently.",
            state="Nothing was written.",
            remedy="Use another format, such as json.",
        )
    return Hidden(f"'{value}'")


def _statement(text: Hidden, regs: tuple[tuple[int, int], ...]) -> Statement:
    if regs[_HEAD][0] < 0:
        line = text[slice(*regs[0])]
        return Statement(line, loose=not line.lstrip().startswith("#") and _continues(Hidden(line.rstrip("\r\n"))))
    head, name = text[slice(*regs[_HEAD])], str(text[slice(*regs[_NAME])])
    if regs[_QUOTED][0] >= 0:
        return Statement(head, name, text[slice(*regs[_QUOTED])], text[slice(*regs[_TAIL])])
    start, end = regs[_BARE][0], regs[_END][1]
    bare = text[slice(*regs[_BARE])]
    comment = _COMMENT.search(bare)
    value = Hidden(bare[: comment.start() if comment else len(bare)].rstrip(" \t"))
    return Statement(head, name, value, text[start + len(value) : end], loose=_continues(value))


def _continues(value: Hidden) -> bool:
    """Say whether ``sh`` reads the next line as a part of this: after a backslash, or a quote that is not closed."""
    return value.endswith("\\") or any(value.count(quote) % 2 for quote in _QUOTES)
