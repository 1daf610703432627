"""What ``twokey adopt`` shows: keys and places of each user, what is done, what is unknown."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from twokey.cli import status_view, terminal

if TYPE_CHECKING:
    from twokey.reports.documents import AdoptDocument, AdoptEntry, HoldingEntry, KeyEntry

WORDS = {"adopted": "taken over", "nothing": "nothing to take over", "refused": "refused", "failed": "failed"}
PREVIEW = {**WORDS, "adopted": "can be taken over", "refused": "will be refused"}
COLOURS = {"adopted": "green", "nothing": "dim", "refused": "yellow", "failed": "bold red"}


def show(document: AdoptDocument) -> None:
    """Print each user, and on stderr how many ended how."""
    if terminal.person_looks(sys.stdout):
        _tables(document)
    else:
        _lines(document)
    words = WORDS if document.performed else PREVIEW
    counts = [f"{count} {words[ending]}" for ending, count in document.summary.items() if count]
    todo = document.summary["adopted"] and not document.performed
    terminal.tell(f"{', '.join(counts)}.{' Nothing was changed; --yes takes over.' if todo else ''}")


def line(entry: AdoptEntry, *, performed: bool) -> str:
    """Return how it ended for one user, as a line for a log."""
    outcome = (WORDS if performed else PREVIEW)[entry.outcome]
    return f"{entry.user}: {outcome} ({entry.reason}). {entry.message}"


def _lines(document: AdoptDocument) -> None:
    for entry in document.results:
        terminal.say(line(entry, performed=document.performed))
        facts = [_key(key) for key in entry.keys] + [f"{one.destination} {_holds(one)}" for one in entry.destinations]
        facts += [f"unknown: {one}" for one in entry.unknown]
        if not document.performed:
            facts += [f"will {action}" for action in entry.actions]
        for fact in facts:
            terminal.say(f"  {entry.user}: {fact}")


def _key(key: KeyEntry) -> str:
    held = f", held by {', '.join(key.held_by)}" if key.held_by else ""
    state = "Active" if key.active else "Inactive"
    age, use = terminal.age(key.age_seconds), status_view.use(key)
    return f"{terminal.role_name(key.role)} {key.id}, {state}, age {age}, {use}{held}"


def _holds(place: HoldingEntry) -> str:
    match place.holds:
        case "key":
            return f"holds {place.key}"
        case "empty":
            return "is empty"
        case _:
            return f"cannot tell what it holds: {place.message}"


def _tables(document: AdoptDocument) -> None:
    from rich.text import Text

    words = WORDS if document.performed else PREVIEW
    for entry in document.results:
        title = Text(f"{entry.user}: ", style="bold")
        title.append(words[entry.outcome], style=COLOURS[entry.outcome])
        terminal.draw(title)
        if entry.keys:
            terminal.draw(_keys_table(entry))
        if entry.destinations:
            terminal.draw(_destinations_table(entry))
        rows = [entry.message, *(f"unknown: {one}" for one in entry.unknown)]
        if not document.performed:
            rows += [f"→ {action}" for action in entry.actions]
        terminal.draw(Text("\n".join(rows) + "\n"))


def _keys_table(entry: AdoptEntry) -> object:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("key", "role", "status", "age", "last use", "held by"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("key", "role"))
    for key in entry.keys:
        state, holders = "Active" if key.active else "Inactive", "\n".join(key.held_by) or terminal.NOTHING
        row = (
            key.id,
            terminal.role_name(key.role),
            state,
            terminal.age(key.age_seconds),
            status_view.use(key),
            holders,
        )
        table.add_row(*(Text(cell) for cell in row))
    return table


def _destinations_table(entry: AdoptEntry) -> object:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("destination", "what it holds"):
        table.add_column(heading, overflow="fold")
    for place in entry.destinations:
        table.add_row(Text(place.destination), Text(_holds(place)))
    return table
