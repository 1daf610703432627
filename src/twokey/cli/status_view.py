"""What ``twokey status`` shows: keys, holders, what is due, what is wrong."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from twokey.cli import results_view, terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.reports.documents import DestinationStateEntry, StatusEntry


def show_status(entries: Sequence[StatusEntry]) -> None:
    """Print each user's keys, who holds what, what is due, what is wrong."""
    if terminal.person_looks(sys.stdout):
        _status_table(entries)
        return
    for entry in entries:
        terminal.say(f"{entry.user}: {entry.next}")
        for key in entry.keys:
            held = f", held by {', '.join(key.held_by)}" if key.held_by else ""
            state = "Active" if key.active else "Inactive"
            terminal.say(
                f"  {entry.user}: {terminal.role_name(key.role)} {key.id}, {state}, age "
                f"{terminal.age(key.age_seconds)}, {use(key)}{held}"
            )
        for place in _beside_the_store(entry):
            terminal.say(f"  {entry.user}: {results_view.place_line(place)}")
        for problem in entry.problems:
            terminal.say(f"  {entry.user}: problem: {problem}")


def _status_table(entries: Sequence[StatusEntry]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("user", "key", "role", "age", "last use", "held by", "next"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("key", "role"))
    for entry in entries:
        first = (entry.user, entry.next)
        for key in entry.keys:
            role = terminal.role_name(key.role) + ("" if key.active else " (Inactive)")
            row = (
                first[0],
                key.id,
                role,
                terminal.age(key.age_seconds),
                _used_ago(key),
                "\n".join(key.held_by) or terminal.NOTHING,
                first[1],
            )
            table.add_row(*(Text(cell) for cell in row))
            first = ("", "")
        if not entry.keys:
            table.add_row(
                Text(entry.user),
                terminal.NOTHING,
                terminal.NOTHING,
                terminal.NOTHING,
                terminal.NOTHING,
                terminal.NOTHING,
                Text(entry.next),
            )
    console.print(table)
    _places_table(entries, console)
    for entry in entries:
        for problem in entry.problems:
            console.print(Text(f"{entry.user}: {problem}", style="yellow"))


def _places_table(entries: Sequence[StatusEntry], console: Any) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("user", "destination", "state", "what it holds"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "state")
    for entry in entries:
        user = entry.user
        for place in _beside_the_store(entry):
            state = Text(place.outcome.replace("_", " "), style="" if place.outcome == "held" else "yellow")
            table.add_row(Text(user), Text(place.destination), state, Text(place.message or terminal.NOTHING))
            user = ""
    if table.row_count:
        console.print()
        console.print(table)


def _beside_the_store(entry: StatusEntry) -> list[DestinationStateEntry]:
    return [place for place in entry.destinations if place.destination != entry.store]


def use(key: Any) -> str:
    if key.last_used is None:
        return "never used"
    return f"used {terminal.when(key.last_used)} for {key.last_used_service}"


def _used_ago(key: Any) -> str:
    if key.last_used is None:
        return "never"
    ago = key.age_seconds - (key.last_used - key.created).total_seconds()
    return f"{terminal.age(int(ago))} ago, {key.last_used_service}"
