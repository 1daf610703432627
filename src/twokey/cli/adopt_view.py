"""What ``twokey adopt`` shows: keys and destinations of each user, what is done, what is unknown."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from twokey.cli import status_view, terminal
from twokey.core.model import UserKey
from twokey.fleet.names import Names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from twokey.reports.documents import AdoptDocument, AdoptEntry, HoldingEntry

OUTCOMES = {"adopted": "taken over", "nothing": "nothing to take over", "refused": "refused", "failed": "failed"}
PREVIEW = {**OUTCOMES, "adopted": "can be taken over", "refused": "will be refused"}
COLOURS = {"adopted": "green", "nothing": "dim", "refused": "yellow", "failed": "bold red"}


def show(document: AdoptDocument, *, quiet: bool) -> None:
    """Print each user, and on stderr how many ended how; if ``quiet``, only users that failed or were refused."""
    keys = [UserKey(entry.account, entry.user) for entry in document.results]
    names = [*map(Names(keys), keys)]
    if quiet:
        for entry, name in zip(document.results, names, strict=True):
            if entry.outcome in ("failed", "refused"):
                terminal.tell(_line(entry, name, performed=document.performed))
        return
    if terminal.is_interactive(sys.stdout):
        _tables(document, names)
    else:
        _lines(document, names)
    words = OUTCOMES if document.performed else PREVIEW
    counts = [f"{count} {words[outcome]}" for outcome, count in document.summary.items() if count]
    todo = document.summary["adopted"] and not document.performed
    terminal.tell(f"{', '.join(counts)}.{' Nothing was changed; add --yes to take over.' if todo else ''}")


def _line(entry: AdoptEntry, name: str, *, performed: bool) -> str:
    """Return how it ended for one user, as a line for a log."""
    outcome = (OUTCOMES if performed else PREVIEW)[entry.outcome]
    return f"{name}: {outcome} ({entry.reason}). {entry.message}"


def _lines(document: AdoptDocument, names: Sequence[str]) -> None:
    for entry, name in zip(document.results, names, strict=True):
        terminal.say(_line(entry, name, performed=document.performed))
        facts = [status_view.key_line(key) for key in entry.keys]
        facts += [f"{one.destination} {_holds(one)}" for one in entry.destinations]
        facts += [f"unknown: {one}" for one in entry.unknown]
        if not document.performed:
            facts += [f"will {action}" for action in entry.actions]
        for fact in facts:
            terminal.say(f"  {name}: {fact}")


def _holds(entry: HoldingEntry) -> str:
    match entry.holds:
        case "key":
            return f"holds {entry.key}"
        case "empty":
            return "is empty"
        case _:
            return f"cannot tell what it holds: {entry.message}"


def _tables(document: AdoptDocument, names: Sequence[str]) -> None:
    words = OUTCOMES if document.performed else PREVIEW
    for entry, name in zip(document.results, names, strict=True):
        title = terminal.styled(f"{name}: ", "bold")
        title.append(words[entry.outcome], style=COLOURS[entry.outcome])
        terminal.draw(title)
        if entry.keys:
            terminal.draw(_keys_table(entry))
        if entry.destinations:
            terminal.draw(_destinations_table(entry))
        rows = [entry.message, *(f"unknown: {one}" for one in entry.unknown)]
        if not document.performed:
            rows += [f"→ {action}" for action in entry.actions]
        terminal.draw(terminal.styled([*rows, ""]))


def _keys_table(entry: AdoptEntry) -> Table:
    table = terminal.table(("key", "role", "status", "age", "last use", "held by"), whole=("key", "role"))
    for key in entry.keys:
        state, holders = "Active" if key.active else "Inactive", key.held_by or terminal.NOTHING
        role, age, use = terminal.role_name(key.role), terminal.age(key.age_seconds), status_view.use(key)
        terminal.add_row(table, key.id, role, state, age, use, holders)
    return table


def _destinations_table(entry: AdoptEntry) -> Table:
    table = terminal.table(("destination", "what it holds"))
    for one in entry.destinations:
        terminal.add_row(table, one.destination, _holds(one))
    return table
