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
_CHUNK = re.compile(r"\S*?(?:[/?&=,](?=[^\s/])|:(?=[^\W\d]|\{)|(?=\s)|$)\s*")
"""A word, or a part of a URL: a line may end after it. A time, such as 01:00:00, is whole."""


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
    """A column of a table. ``least``: it may be wrapped, but is never narrower than this; None: it is never wrapped."""

    heading: str
    least: int | None = None


def wrap(text: str, width: int) -> list[str]:
    """Return a text in lines of at most so many columns.

    A line ends between two words or two parts of a URL; only a part that is longer than a whole line is cut.
    """
    lines = [""]
    for chunk in _CHUNK.findall(text):
        if lines[-1] and len(lines[-1]) + len(chunk.rstrip()) > width:
            lines.append("")
        lines[-1] += chunk
        while len(lines[-1].rstrip()) > width:
            lines[-1:] = [lines[-1][:width], lines[-1][width:]]
    return [line.rstrip() for line in lines]


def table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int) -> list[Line] | None:
    """Return a table in lines, or None if it does not fit so that it can be read."""
    headings = [cell(column.heading, "bold") for column in columns]
    all_rows = [headings, *rows]
    natural = [max(map(len, _texts(all_rows, index))) for index in range(len(columns))]
    least = [min(column.least or full, full) for column, full in zip(columns, natural, strict=True)]
    room = width - len(BETWEEN) * (len(columns) - 1)
    if sum(least) > room:
        return None
    widths = _shared(least, natural, room)
    return [line for row in all_rows for line in _row(row, widths)]


def block(title: Line, labelled: Iterable[tuple[str, Cell]], width: int) -> list[Line]:
    """Return a title, and below it each text behind its label; further lines of a text stand below its first."""
    rows = [(clean(label), each) for label, each in labelled]
    longest = max((len(label) for label, _ in rows), default=0)
    inner = max(width - longest - 2 * len(BETWEEN), 1)
    lines = [title]
    for label, each in rows:
        shown = [line for text in each.lines for line in wrap(text, inner)]
        for before, line in zip_longest((label,), shown, fillvalue=""):
            lines.append([(f"{BETWEEN}{before:{longest}}{BETWEEN}", "dim"), (line, each.style)])
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
