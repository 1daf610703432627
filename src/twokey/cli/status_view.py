"""What ``twokey status`` shows: keys and their holders, what is due, problems."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from twokey.cli import results_view, terminal
from twokey.core.model import UserKey
from twokey.fleet.names import Names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from twokey.reports.documents import DestinationStateEntry, KeyEntry, StatusEntry


def show_status(entries: Sequence[StatusEntry]) -> None:
    """Print each user's keys and their holders, what is due, and problems."""
    keys = [UserKey(entry.account, entry.user) for entry in entries]
    names = [*map(Names(keys), keys)]
    if terminal.is_interactive(sys.stdout):
        _tables(entries, names)
        return
    for entry, name in zip(entries, names, strict=True):
        terminal.say(f"{name}: {entry.next}")
        for key in entry.keys:
            terminal.say(f"  {name}: {key_line(key)}")
        for state in _beside_the_store(entry):
            terminal.say(f"  {name}: {results_view.state_line(state)}")
        for problem in entry.problems:
            terminal.say(f"  {name}: problem: {problem}")


def key_line(key: KeyEntry) -> str:
    """Return a key as a line for a log."""
    held = f", held by {', '.join(key.held_by)}" if key.held_by else ""
    state = "Active" if key.active else "Inactive"
    return f"{terminal.role_name(key.role)} {key.id}, {state}, age {terminal.age(key.age_seconds)}, {use(key)}{held}"


def use(key: KeyEntry) -> str:
    """Return when a key was last used, and for what."""
    if key.last_used is None:
        return "never used"
    return f"used {terminal.when(key.last_used)} for {key.last_used_service}"


def _tables(entries: Sequence[StatusEntry], names: Sequence[str]) -> None:
    terminal.draw(_keys_table(entries, names))
    states = _states_table(entries, names)
    if states.row_count:
        terminal.say()
        terminal.draw(states)
    for entry, name in zip(entries, names, strict=True):
        for problem in entry.problems:
            terminal.draw(terminal.styled(f"{name}: {problem}", "yellow"))


def _keys_table(entries: Sequence[StatusEntry], names: Sequence[str]) -> Table:
    table = terminal.table(("user", "key", "role", "age", "last use", "held by", "next"), whole=("key", "role"))
    for entry, name in zip(entries, names, strict=True):
        first, last = name, entry.next
        for key in entry.keys:
            role = terminal.role_name(key.role) + ("" if key.active else " (Inactive)")
            holders = key.held_by or terminal.NOTHING
            terminal.add_row(table, first, key.id, role, terminal.age(key.age_seconds), _used_ago(key), holders, last)
            first, last = "", ""
        if not entry.keys:
            terminal.add_row(table, name, *[terminal.NOTHING] * 5, entry.next)
    return table


def _states_table(entries: Sequence[StatusEntry], names: Sequence[str]) -> Table:
    table = terminal.table(("user", "destination", "state", "what it holds"), whole=("state",))
    for entry, name in zip(entries, names, strict=True):
        first = name
        for state in _beside_the_store(entry):
            word = terminal.styled(state.outcome.replace("_", " "), "" if state.outcome == "held" else "yellow")
            terminal.add_row(table, first, state.destination, word, state.message or terminal.NOTHING)
            first = ""
    return table


def _beside_the_store(entry: StatusEntry) -> list[DestinationStateEntry]:
    return [state for state in entry.destinations if state.destination != entry.store]


def _used_ago(key: KeyEntry) -> str:
    if key.last_used is None:
        return "never"
    ago = key.age_seconds - (key.last_used - key.created).total_seconds()
    return f"{terminal.age(int(ago))} ago, {key.last_used_service}"
