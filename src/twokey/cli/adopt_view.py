"""What ``twokey adopt`` shows: keys and destinations of each user, what is done, what is unknown."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from msgspec.structs import replace

from twokey.cli import layout, repeats, result_messages, status_view, terminal
from twokey.core.model import UserKey
from twokey.fleet.names import Names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.cli.layout import Cell, Line
    from twokey.reports.documents import AdoptDocument, AdoptEntry, HoldingEntry, KeyEntry

KEYS = (*status_view.KEY, layout.Column("last use", 1, words=True), layout.Column("held by", 24))
DESTINATIONS = (layout.Column("destination", 30), layout.Column("what it holds", layout.NARROWEST))
MANAGED = "already managed"
OUTCOMES = {"adopted": "taken over", "nothing": "nothing to take over", "refused": "refused", "failed": "failed"}
PREVIEW = {**OUTCOMES, "adopted": "can be taken over", "refused": "will be refused"}
COLOURS = {"adopted": "green", "nothing": "dim", "refused": "yellow", "failed": "bold red"}


def show(document: AdoptDocument, *, quiet: bool) -> None:
    """Print each user, and on stderr how many ended how; if ``quiet``, only users that failed or were refused."""
    keys = [UserKey(entry.account, entry.user) for entry in document.results]
    names = [*map(Names(keys), keys)]
    messages = _messages(document, names)
    document = _without_repeats(document, names)
    if quiet:
        for entry, name, message in zip(document.results, names, messages, strict=True):
            if entry.outcome in ("failed", "refused"):
                terminal.tell(_line(entry, name, message, performed=document.performed))
        return
    if terminal.is_interactive(sys.stdout):
        terminal.draw(_drawn(document, names, messages))
    else:
        _say(document, names, messages)
    endings = [_words(entry, performed=document.performed) for entry in sorted(document.results, key=_order)]
    counts = [f"{endings.count(each)} {each}" for each in dict.fromkeys(endings)]
    todo = document.summary["adopted"] and not document.performed
    terminal.tell(f"{', '.join(counts)}.{' Nothing was changed; add --yes to take over.' if todo else ''}")


def _order(entry: AdoptEntry) -> int:
    return list(OUTCOMES).index(entry.outcome)


def _ending(entry: AdoptEntry, *, performed: bool) -> str:
    """Return how it ended for a user, or will end, and why unless the words say it."""
    words = _words(entry, performed=performed)
    return words if entry.reason.value in words else f"{words} ({entry.reason})"


def _words(entry: AdoptEntry, *, performed: bool) -> str:
    if entry.outcome == "nothing" and entry.reason != "no_key":
        return MANAGED
    return (OUTCOMES if performed else PREVIEW)[entry.outcome]


def _line(entry: AdoptEntry, name: str, message: str, *, performed: bool) -> str:
    """Return how it ended for one user, as a line for a log."""
    return f"{name}: {_ending(entry, performed=performed)}. {message}"


def _messages(document: AdoptDocument, names: Sequence[str]) -> list[str]:
    """Return each user's message; of one that many users have, only the first time what it says."""
    texts = [entry.message if entry.outcome in ("failed", "refused") else "" for entry in document.results]
    before = repeats.references(names, texts)
    return [repeats.sentence(known) or entry.message for known, entry in zip(before, document.results, strict=True)]


def _without_repeats(document: AdoptDocument, names: Sequence[str]) -> AdoptDocument:
    """Return the document; why many destinations cannot be read is said of the first one."""
    found = [(one, name) for entry, name in zip(document.results, names, strict=True) for one in entry.destinations]
    messages = [one.message or "" if one.holds in result_messages.STATES else "" for one, _ in found]
    destinations, owners = [one.destination for one, _ in found], [name for _, name in found]
    before = iter(repeats.references_of_destinations(destinations, messages, owners))

    def shortened(one: HoldingEntry) -> HoldingEntry:
        return replace(one, message=next(before) or one.message)

    results = [replace(entry, destinations=[*map(shortened, entry.destinations)]) for entry in document.results]
    return replace(document, results=results)


def _say(document: AdoptDocument, names: Sequence[str], messages: Sequence[str]) -> None:
    for entry, name, message in zip(document.results, names, messages, strict=True):
        terminal.say(_line(entry, name, message, performed=document.performed))
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
        case "unreachable":
            return f"{result_messages.STATES[entry.holds]}: {entry.message}"
        case _:
            return f"does not tell what it holds: {entry.message}"


def _drawn(document: AdoptDocument, names: Sequence[str], messages: Sequence[str]) -> list[Line]:
    """Return each user with tables of its keys and destinations, or, if one of them does not fit, all in blocks."""
    width = terminal.width()
    tables = [_tables(entry, width) for entry in document.results]
    fits = all(each is not None for each in tables)
    lines: list[Line] = []
    for entry, name, message, drawn in zip(document.results, names, messages, tables, strict=True):
        title = [(f"{name}: ", "bold"), (_ending(entry, performed=document.performed), COLOURS[entry.outcome])]
        further = [("unknown", layout.cell(one)) for one in entry.unknown]
        if not document.performed:
            further += [("will", layout.cell(action)) for action in entry.actions]
        why = ("why", layout.cell(message))
        if fits:
            lines += [*layout.block(title, [], width), *(drawn or []), *layout.block([], [why, *further], width)[1:]]
        else:
            holders = [("destination", layout.cell(f"{one.destination} {_holds(one)}")) for one in entry.destinations]
            lines += layout.block(title, [why, *status_view.labelled_keys(entry.keys), *holders, *further], width)
        lines.append([])
    return lines


def _tables(entry: AdoptEntry, width: int) -> list[Line] | None:
    """Return the tables of a user's keys and destinations, or None if one of them does not fit."""
    keys = layout.table(KEYS, [*map(_key_row, entry.keys)], width) if entry.keys else []
    rows = [[layout.cell(one.destination), layout.cell(_holds(one))] for one in entry.destinations]
    destinations = layout.table(DESTINATIONS, rows, width) if rows else []
    return None if keys is None or destinations is None else [*keys, *destinations]


def _key_row(key: KeyEntry) -> list[Cell]:
    return [*map(layout.cell, (*status_view.key_cells(key), key.held_by or terminal.NOTHING))]
