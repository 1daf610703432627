"""How a run ended, or what is planned, for a person at a terminal: a table where it fits, otherwise paragraphs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.cli import terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.rotation.results import Result

HEADINGS = ("user", "outcome", "CURRENT", "LAST", "due")
BETWEEN = 2
"""Columns of white space between two cells."""
NARROWEST = 40
"""Columns below which sentences are hard to read: a table that leaves them less is not drawn."""


def show(results: Sequence[Result], actions: Sequence[Sequence[str]] | None, held: Sequence[Sequence[str]]) -> None:
    """Print each user's result; with ``actions``, what is planned. ``held`` are further lines for each."""
    from rich.console import Console

    planned = actions is not None
    rows = [_cells(result, planned=planned) for result in results]
    further = [
        (*held[index], *(f"→ {one}" for one in (actions[index] if actions else ()))) for index in range(len(results))
    ]
    widths = [max(map(len, column)) for column in zip(HEADINGS, *rows, strict=True)]
    if sum(widths) + BETWEEN * len(widths) + NARROWEST <= Console().width:
        _table(results, rows, further)
    else:
        _paragraphs(results, further, planned=planned)


def _cells(result: Result, *, planned: bool) -> tuple[str, ...]:
    ended = terminal.ending(result, planned=planned)
    none = terminal.NOTHING
    return (result.user.name, ended, result.current or none, result.last or none, terminal.when(result.next_due))


def _table(results: Sequence[Result], rows: Sequence[tuple[str, ...]], further: Sequence[Sequence[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, BETWEEN, 0, 0), header_style="bold")
    for heading in HEADINGS:
        table.add_column(heading, no_wrap=True)
    table.add_column("what and why", overflow="fold")
    for result, row, lines in zip(results, rows, further, strict=True):
        cells = [Text(cell) for cell in row]
        cells[1].stylize(terminal.COLOURS[result.outcome])
        table.add_row(*cells, Text("\n".join((result.message, *lines))))
    terminal.draw(table)


def _paragraphs(results: Sequence[Result], further: Sequence[Sequence[str]], *, planned: bool) -> None:
    from rich.padding import Padding
    from rich.text import Text

    for result, lines in zip(results, further, strict=True):
        said = Text(terminal.line(result, planned=planned))
        begin = len(f"{result.user.name}: ")
        said.stylize("bold", 0, begin)
        said.stylize(terminal.COLOURS[result.outcome], begin, begin + len(terminal.ending(result, planned=planned)))
        terminal.draw(said)
        for line in lines:
            terminal.draw(Padding(Text(line), (0, 0, 0, 2)))
