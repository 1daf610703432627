"""How a run ended, or what is planned, for a person at a terminal: a table where it fits, otherwise paragraphs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.core.errors import ExitCode
    from twokey.reports.documents import DestinationStateEntry
    from twokey.rotation.results import Result

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
    ended = ending(result, planned=planned)
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
        cells[1].stylize(COLOURS[result.outcome])
        table.add_row(*cells, Text("\n".join((result.message, *lines))))
    terminal.draw(table)


def _paragraphs(results: Sequence[Result], further: Sequence[Sequence[str]], *, planned: bool) -> None:
    from rich.padding import Padding
    from rich.text import Text

    for result, lines in zip(results, further, strict=True):
        said = Text(line(result, planned=planned))
        begin = len(f"{result.user.name}: ")
        said.stylize("bold", 0, begin)
        said.stylize(COLOURS[result.outcome], begin, begin + len(ending(result, planned=planned)))
        terminal.draw(said)
        for further_line in lines:
            terminal.draw(Padding(Text(further_line), (0, 0, 0, 2)))


PLANNED = {
    "rotated": "will be rotated",
    "completed": "will be completed",
    "retired": "will be retired",
    "not_due": "not due",
    "refused": "will be refused",
    "failed": "cannot be planned",
}


COLOURS = {
    "rotated": "green",
    "completed": "green",
    "retired": "green",
    "not_due": "dim",
    "refused": "yellow",
    "failed": "bold red",
}


def show_results(
    results: Sequence[Result],
    actions: Sequence[Sequence[str]] | None = None,
    places: Sequence[Sequence[DestinationStateEntry]] | None = None,
) -> None:
    """Print how the run ended for each user; with ``actions``, what would be done; with ``places``, what they hold."""
    held = [
        [*failed_lines(result), *(place_line(place) for place in each)]
        for result, each in zip(results, places or [()] * len(results), strict=True)
    ]
    if terminal.person_looks(sys.stdout):
        show(results, actions, held)
    else:
        for index, result in enumerate(results):
            terminal.say(line(result, planned=actions is not None))
            for row in (*held[index], *(actions[index] if actions else ())):
                terminal.say(f"  {result.user.name}: {row}")
    for result in results:
        for warning in result.warnings:
            terminal.tell(f"Warning: {result.user.name}: {warning}")


def report(
    results: Sequence[Result],
    document: object,
    counts: dict[str, int],
    *,
    as_json: bool,
    quiet: bool,
    actions: Sequence[Sequence[str]] | None = None,
    places: Sequence[Sequence[DestinationStateEntry]] | None = None,
) -> ExitCode:
    """Print how a run ended, or what is planned with ``actions``, as was asked for; return its exit code."""
    from twokey.reports import documents
    from twokey.rotation.results import exit_code

    planned = actions is not None
    if as_json:
        terminal.say(documents.encode(document))
    elif not quiet:
        show_results(results, actions, places)
        show_summary(counts, planned=planned)
    else:
        for result in results:
            if result.outcome in ("failed", "refused"):
                for row in (line(result, planned=planned), *failed_lines(result, f"  {result.user.name}: ")):
                    terminal.tell(row)
    return exit_code(results)


def show_summary(counts: dict[str, int], *, planned: bool = False) -> None:
    """Print how many users ended, or will end, how."""
    said = [
        f"{count} {PLANNED[outcome] if planned else outcome.replace('_', ' ')}"
        for outcome, count in counts.items()
        if count
    ]
    terminal.tell(", ".join(said) + "." if said else "Nothing to do.")


def line(result: Result, *, planned: bool = False) -> str:
    """Return one user's result, or what is planned for it, as a line for a log."""
    facts = [
        f"CURRENT {result.current}" if result.current else "",
        f"LAST {result.last}" if result.last else "",
        f"removed {', '.join(result.removed)}" if result.removed else "",
        _due(result),
    ]
    said = ", ".join(fact for fact in facts if fact)
    ended = ending(result, planned=planned)
    why = "" if result.outcome.value == result.reason.value else f" ({result.reason})"
    return f"{result.user.name}: {ended}{why}. {result.message}{f' [{said}]' if said else ''}"


def place_line(place: DestinationStateEntry) -> str:
    """Return what a place holds as a line for a log."""
    said = f", {place.message}" if place.message else ""
    return f"{place.destination}: {place.outcome.replace('_', ' ')}{said}"


def failed_lines(result: Result, before: str = "") -> list[str]:
    """Return a line for each destination that failed, but for those that the result's message tells of."""
    failed = [one for one in result.destinations if one.outcome == "failed" and one.message not in result.message]
    return [f"{before}{one.destination}: failed, {one.message}" for one in failed]


def _due(result: Result) -> str:
    """Say when the next rotation is due, or since when it has been."""
    from datetime import UTC, datetime

    if result.next_due is None:
        return ""
    past = result.next_due < datetime.now(UTC)
    return f"{'due since' if past else 'next due'} {terminal.when(result.next_due)}"


def ending(result: Result, *, planned: bool) -> str:
    """Return how it ended for a user, or will end, in words."""
    return PLANNED.get(result.outcome, "") if planned else result.outcome.replace("_", " ")
