"""How a run ended, or what is planned: plain lines, and at a terminal a table where it fits, otherwise paragraphs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from twokey.cli import terminal
from twokey.fleet.names import Names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.core.errors import ExitCode
    from twokey.reports.documents import DestinationStateEntry
    from twokey.rotation.results import Result

    Rows = Sequence[Sequence[str]]
    """For each user, further lines."""

HEADINGS = ("user", "outcome", "CURRENT", "LAST", "due")
BETWEEN = 2
"""Columns of white space between two cells."""
NARROWEST = 40
"""Columns below which sentences are hard to read: a table that leaves them less is not drawn."""

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


def report(
    results: Sequence[Result],
    document: object,
    counts: dict[str, int],
    *,
    as_json: bool,
    quiet: bool,
    actions: Rows | None = None,
    states: Sequence[Sequence[DestinationStateEntry]] | None = None,
) -> ExitCode:
    """Print how a run ended, or what is planned with ``actions``, in the requested form; return its exit code."""
    from twokey.reports import documents
    from twokey.rotation.results import exit_code

    planned = actions is not None
    if as_json:
        terminal.say_json(documents.encode(document))
    elif not quiet:
        show_results(results, actions, states)
        show_summary(counts, planned=planned)
    else:
        named = Names(result.user.key for result in results)
        for result in results:
            if result.outcome in ("failed", "refused"):
                name = named(result.user.key)
                for row in (line(result, name, planned=planned), *failed_lines(result, f"  {name}: ")):
                    terminal.tell(row)
    return exit_code(results)


def show_results(
    results: Sequence[Result],
    actions: Rows | None = None,
    states: Sequence[Sequence[DestinationStateEntry]] | None = None,
) -> None:
    """Print each user's result: with ``actions``, what is planned; with ``states``, what destinations hold."""
    named = Names(result.user.key for result in results)
    names = [named(result.user.key) for result in results]
    details = [
        [*failed_lines(result), *(state_line(state) for state in each)]
        for result, each in zip(results, states or [()] * len(results), strict=True)
    ]
    if terminal.is_interactive(sys.stdout):
        _draw(results, names, actions, details)
    else:
        for index, (result, name) in enumerate(zip(results, names, strict=True)):
            terminal.say(line(result, name, planned=actions is not None))
            for row in (*details[index], *(actions[index] if actions else ())):
                terminal.say(f"  {name}: {row}")
    for result, name in zip(results, names, strict=True):
        for warning in result.warnings:
            terminal.tell(f"Warning: {name}: {warning}")


def show_summary(counts: dict[str, int], *, planned: bool = False) -> None:
    """Print how many users ended, or will end, how."""
    parts = [
        f"{count} {PLANNED[outcome] if planned else outcome.replace('_', ' ')}"
        for outcome, count in counts.items()
        if count
    ]
    terminal.tell(", ".join(parts) + "." if parts else "Nothing to do.")


def line(result: Result, name: str, *, planned: bool = False) -> str:
    """Return one user's result, or what is planned for it, as a line for a log."""
    facts = [
        f"CURRENT {result.current}" if result.current else "",
        f"LAST {result.last}" if result.last else "",
        f"removed {', '.join(result.removed)}" if result.removed else "",
        _due(result),
    ]
    shown = ", ".join(fact for fact in facts if fact)
    why = "" if result.outcome.value == result.reason.value else f" ({result.reason})"
    return f"{name}: {ending(result, planned=planned)}{why}. {result.message}{f' [{shown}]' if shown else ''}"


def state_line(state: DestinationStateEntry) -> str:
    """Return what a destination holds as a line for a log."""
    detail = f", {state.message}" if state.message else ""
    return f"{state.destination}: {state.outcome.replace('_', ' ')}{detail}"


def failed_lines(result: Result, before: str = "") -> list[str]:
    """Return a line for each destination that failed, except those that the result's message already names."""
    failed = [one for one in result.destinations if one.outcome == "failed" and one.message not in result.message]
    return [f"{before}{one.destination}: failed, {one.message}" for one in failed]


def ending(result: Result, *, planned: bool) -> str:
    """Return how it ended for a user, or will end, in words."""
    return PLANNED.get(result.outcome, "") if planned else result.outcome.replace("_", " ")


def _due(result: Result) -> str:
    """Return when the next rotation is due, or since when it has been."""
    from datetime import UTC, datetime

    if result.next_due is None:
        return ""
    past = result.next_due < datetime.now(UTC)
    return f"{'due since' if past else 'next due'} {terminal.when(result.next_due)}"


def _draw(results: Sequence[Result], names: Sequence[str], actions: Rows | None, details: Rows) -> None:
    planned = actions is not None
    rows = [_cells(result, name, planned=planned) for result, name in zip(results, names, strict=True)]
    further = [
        (*details[index], *(f"→ {one}" for one in (actions[index] if actions else ()))) for index in range(len(results))
    ]
    widths = [max(map(len, column)) for column in zip(HEADINGS, *rows, strict=True)]
    if sum(widths) + BETWEEN * len(widths) + NARROWEST <= terminal.width():
        _table(results, rows, further)
    else:
        _paragraphs(results, names, further, planned=planned)


def _cells(result: Result, name: str, *, planned: bool) -> tuple[str, ...]:
    none = terminal.NOTHING
    return (
        name,
        ending(result, planned=planned),
        result.current or none,
        result.last or none,
        terminal.when(result.next_due),
    )


def _table(results: Sequence[Result], rows: Sequence[tuple[str, ...]], further: Rows) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, BETWEEN, 0, 0), header_style="bold")
    for heading in HEADINGS:
        table.add_column(heading, no_wrap=True)
    table.add_column("what and why", overflow="fold")
    for result, row, lines in zip(results, rows, further, strict=True):
        cells = [terminal.styled(cell) for cell in row]
        cells[1].stylize(COLOURS[result.outcome])
        table.add_row(*cells, terminal.styled((result.message, *lines)))
    terminal.draw(table)


def _paragraphs(results: Sequence[Result], names: Sequence[str], further: Rows, *, planned: bool) -> None:
    from rich.padding import Padding

    for result, name, lines in zip(results, names, further, strict=True):
        text = terminal.styled(line(result, name, planned=planned))
        begin = len(terminal.clean(f"{name}: "))
        text.stylize("bold", 0, begin)
        text.stylize(COLOURS[result.outcome], begin, begin + len(ending(result, planned=planned)))
        terminal.draw(text)
        for further_line in lines:
            terminal.draw(Padding(terminal.styled(further_line), (0, 0, 0, 2)))
