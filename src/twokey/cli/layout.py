"""How text is laid out for a width: wrapped between words and parts of URLs, as a table, or as a block with labels.

Nothing is printed here. A line consists of parts, each a text with its style; ``terminal`` prints them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from twokey.cli.cleaning import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Part = tuple[str, str]
"""A text and its style."""
Line = list[Part]

BETWEEN = "  "
"""What separates two columns."""
NARROWEST = 40
"""The least width of a column of sentences: a table that leaves it less is not drawn."""
_WORD = re.compile(r"\s*\S+")
_PARTS = (
    re.compile(r"\S*?(?:[/?&=,](?=[^\s/])|:(?=[^\W\d]|\{)|$)"),
    re.compile(r"\S*?(?:[-._@](?=\w)|$)"),
)
"""The parts after which a word that is longer than a line is broken: those of a URL, then those of a name."""


@dataclass(frozen=True, slots=True)
class Cell:
    """The lines of a cell, or of what stands behind a label, in one style."""

    lines: tuple[str, ...]
    style: str = ""


def cell(text: str | Iterable[str], style: str = "") -> Cell:
    """Return a cell of one line, or of several: plain text, whatever it holds."""
    return Cell(tuple(map(clean, (text,) if isinstance(text, str) else text)), style)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. ``least``: it may be wrapped, but is never narrower than this; None: it is never wrapped.

    With ``words``, it is also never narrower than its longest word.
    """

    heading: str
    least: int | None = None
    words: bool = False


def wrap(text: str, width: int) -> list[str]:
    """Return a text in lines of at most so many columns.

    A line ends between two words. A word that is longer than a line is broken between the parts of a URL or of a name;
    only such a part that is longer than a line is cut.
    """
    lines = [""]
    for found in _WORD.findall(text):
        word = found.lstrip() if lines == [""] or not lines[-1] else found
        if len(lines[-1]) + len(word) <= width:
            lines[-1] += word
        elif len(word.strip()) <= width:
            lines.append(word.strip())
        else:
            _fill(lines, word, width)
    return lines


def _fill(lines: list[str], word: str, width: int) -> None:
    """Add a word that is longer than a line, part by part."""
    before = word[: len(word) - len(word.lstrip())]
    for part in _parts(word.strip(), width):
        if len(lines[-1]) + len(before) + len(part) > width:
            lines.append("")
            before = ""
        lines[-1] += before + part
        before = ""


def _parts(word: str, width: int) -> Iterator[str]:
    parts = [word]
    for pattern in _PARTS:
        parts = [each for part in parts for each in (pattern.findall(part) if len(part) > width else [part])]
    for part in parts:
        yield from (part[at : at + width] for at in range(0, len(part), width))


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int, below: Sequence[Sequence[Cell]] = ()
) -> list[Line] | None:
    """Return a table in lines, or None if it does not fit so that it can be read.

    ``below``: for each row, the texts that stand below it, indented, in the whole width.
    """
    headings = [cell(column.heading, "bold") for column in columns]
    all_rows = [headings, *rows]
    natural = [max(map(len, _texts(all_rows, index))) for index in range(len(columns))]
    least = [_least(column, all_rows, index, natural[index]) for index, column in enumerate(columns)]
    room = width - len(BETWEEN) * (len(columns) - 1)
    if sum(least) > room:
        return None
    widths = _shared(least, natural, room)
    lines = _row(headings, widths)
    for row, texts in zip_longest(rows, below[: len(rows)], fillvalue=()):
        lines += _row(row, widths)
        lines += [line for each in texts for line in indented(each, width)]
    return lines


def indented(text: Cell, width: int) -> list[Line]:
    """Return a text in lines of the whole width but an indent, its further lines indented more."""
    lines: list[Line] = []
    for each in text.lines:
        first, *further = wrap(each, max(width - 2 * len(BETWEEN), 1))
        lines += [[(BETWEEN + first, text.style)], *([(2 * BETWEEN + line, text.style)] for line in further)]
    return lines


def narrowest_of(names: Iterable[str], lines: int = 2) -> int:
    """Return the width at which each name needs no more than so many lines, and no part of one is cut."""
    return max((_narrowest(clean(name), lines) for name in names), default=0)


def _narrowest(name: str, lines: int) -> int:
    parts = [part for whole in _PARTS[0].findall(name) for part in _PARTS[1].findall(whole)]
    least = max(-(-len(name) // lines), *map(len, parts), 1)
    return next(width for width in range(least, len(name) + 2) if len(wrap(name, width)) <= lines)


def _least(column: Column, rows: Sequence[Sequence[Cell]], index: int, natural: int) -> int:
    if column.least is None:
        return natural
    longest = (
        max((len(word) for text in _texts(rows, index) for word in text.split()), default=0) if column.words else 0
    )
    return min(max(column.least, longest), natural)


def block(title: Line, labelled: Iterable[tuple[str, Cell]], width: int) -> list[Line]:
    """Return a title, and below it each text behind its label; further lines of a text stand below its first."""
    rows = [(clean(label), each) for label, each in labelled]
    longest = max((len(label) for label, _ in rows), default=0)
    inner = max(width - longest - 2 * len(BETWEEN), 1)
    lines = _title(title, width)
    for label, each in rows:
        shown = [line for text in each.lines for line in wrap(text, inner)]
        for before, line in zip_longest((label,), shown, fillvalue=""):
            lines.append([(f"{BETWEEN}{before:{longest}}{BETWEEN}", "dim"), (line, each.style)])
    return lines


def _title(parts: Line, width: int) -> list[Line]:
    """Return a title on one line, or each part of it on lines of its own, those after the first indented."""
    if sum(len(clean(text)) for text, _ in parts) <= width:
        return [parts]
    lines: list[Line] = []
    for text, style in parts:
        indent = BETWEEN if lines else ""
        lines += [[(indent + line, style)] for line in wrap(clean(text).rstrip(), max(width - len(indent), 1))]
    return lines


def _texts(rows: Iterable[Sequence[Cell]], index: int) -> Iterator[str]:
    for row in rows:
        yield from row[index].lines


def _shared(least: Sequence[int], natural: Sequence[int], room: int) -> list[int]:
    """Give each column its least width, and what is left to those that need more, evenly."""
    widths = list(least)
    left = room - sum(widths)
    while left and (short := [index for index, full in enumerate(natural) if widths[index] < full]):
        narrowest = min(short, key=widths.__getitem__)
        widths[narrowest] += 1
        left -= 1
    return widths


def _row(cells: Sequence[Cell], widths: Sequence[int]) -> list[Line]:
    wrapped = [
        [line for text in each.lines for line in wrap(text, width)] for each, width in zip(cells, widths, strict=True)
    ]
    lines = []
    for texts in zip_longest(*wrapped, fillvalue=""):
        padded = [f"{text:{width}}" for text, width in zip(texts, widths, strict=True)]
        parts = [(text + BETWEEN, each.style) for text, each in zip(padded, cells, strict=True)]
        lines.append(_stripped(parts))
    return lines


def _stripped(parts: Line) -> Line:
    """Return a line without white space at its end."""
    while parts and not parts[-1][0].rstrip():
        parts = parts[:-1]
    return [*parts[:-1], (parts[-1][0].rstrip(), parts[-1][1])] if parts else []
