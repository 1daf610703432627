"""What ``twokey status`` shows: keys and their holders, what is due, problems."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from msgspec.structs import replace

from twokey.cli import layout, repeats, result_messages, terminal
from twokey.core.model import UserKey
from twokey.fleet.names import Names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from twokey.cli.layout import Cell, Line
    from twokey.reports.documents import DestinationStateEntry, KeyEntry, StatusEntry

KEY = (layout.Column("key"), layout.Column("role", 1, words=True), layout.Column("age"))
KEYS = (
    layout.Column("user"),
    *KEY,
    layout.Column("last use"),
    layout.Column("held by", 30),
    layout.Column("next", 25),
)
STATES = (
    layout.Column("user"),
    layout.Column("destination", 30),
    layout.Column("state"),
    layout.Column("what it holds", layout.NARROWEST),
)


def show_status(entries: Sequence[StatusEntry]) -> None:
    """Print each user's keys and their holders, what is due, and problems."""
    keys = [UserKey(entry.account, entry.user) for entry in entries]
    names = [*map(Names(keys), keys)]
    problems = _problems(entries, names)
    entries = _without_repeats(entries, names)
    if terminal.is_interactive(sys.stdout):
        width = terminal.width()
        terminal.draw(_tables(entries, names, problems, width) or _blocks(entries, names, problems, width))
        return
    for entry, name, each in zip(entries, names, problems, strict=True):
        terminal.say(f"{name}: {entry.next}")
        for key in entry.keys:
            terminal.say(f"  {name}: {key_line(key)}")
        for state in _beside_the_store(entry):
            terminal.say(f"  {name}: {result_messages.state_line(state)}")
        for problem in each:
            terminal.say(f"  {name}: problem: {problem}")


def key_line(key: KeyEntry) -> str:
    """Return a key as a line for a log."""
    return f"{terminal.role_name(key.role)} {', '.join((key.id, *key_facts(key)))}"


def key_facts(key: KeyEntry) -> tuple[str, ...]:
    """Return what there is to say about a key, in one line and, if anything holds it, a second."""
    state = "Active" if key.active else "Inactive"
    held = (f"held by {', '.join(key.held_by)}",) if key.held_by else ()
    return f"{state}, age {terminal.age(key.age_seconds)}, {use(key)}", *held


def use(key: KeyEntry) -> str:
    """Return when a key was last used, and for what."""
    if key.last_used is None:
        return "no use known"
    return f"used {terminal.when(key.last_used)} for {key.last_used_service}"


def labelled_keys(keys: Sequence[KeyEntry]) -> Iterator[tuple[str, Cell]]:
    """Return the lines of a block about keys."""
    for key in keys:
        first, *further = key_facts(key)
        yield terminal.role_name(key.role), layout.cell((f"{key.id}, {first}", *further))


def _problems(entries: Sequence[StatusEntry], names: Sequence[str]) -> list[list[str]]:
    """Return each user's problems; of one that many users have, only the first time what it is."""
    owners = [name for entry, name in zip(entries, names, strict=True) for _ in entry.problems]
    texts = [problem for entry in entries for problem in entry.problems]
    shown = (known or text for text, known in zip(texts, repeats.references(owners, texts), strict=True))
    return [[next(shown) for _ in entry.problems] for entry in entries]


def _without_repeats(entries: Sequence[StatusEntry], names: Sequence[str]) -> list[StatusEntry]:
    """Return the entries; why many destinations cannot be read is said of the first one."""
    states = [(state, name) for entry, name in zip(entries, names, strict=True) for state in entry.destinations]
    messages = [state.message or "" if state.outcome in result_messages.STATES else "" for state, _ in states]
    destinations, owners = [state.destination for state, _ in states], [name for _, name in states]
    before = iter(repeats.references_of_destinations(destinations, messages, owners))

    def shortened(state: DestinationStateEntry) -> DestinationStateEntry:
        return replace(state, message=next(before) or state.message)

    return [replace(entry, destinations=[*map(shortened, entry.destinations)]) for entry in entries]


def _tables(
    entries: Sequence[StatusEntry], names: Sequence[str], problems: Sequence[Sequence[str]], width: int
) -> list[Line]:
    """Return the widest tables of keys and destinations that fit, and the problems; nothing if none fits."""
    states = [row for entry, name in zip(entries, names, strict=True) for row in _state_rows(entry, name)]
    keys = [row for entry, name in zip(entries, names, strict=True) for row in _key_rows(entry, name)]
    lines = layout.table(KEYS, keys, width)
    beside = layout.table(STATES, states, width) if states else []
    if lines is None or beside is None:
        return _narrow(entries, names, problems, width)
    lines += [[], *beside] if beside else []
    for name, each in zip(names, problems, strict=True):
        lines += [[(line, "yellow")] for problem in each for line in layout.wrap(f"{name}: {problem}", width)]
    return lines


def _narrow(
    entries: Sequence[StatusEntry], names: Sequence[str], problems: Sequence[Sequence[str]], width: int
) -> list[Line]:
    """Return a table of the keys; what else there is of each user stands below them, in the whole width."""
    columns = (layout.Column("user", layout.narrowest_of(names)), *KEY, layout.Column("last use", 1, words=True))
    rows: list[list[Cell]] = []
    below: list[list[Cell]] = []
    for entry, name, each in zip(entries, names, problems, strict=True):
        found = [[layout.cell(row[0].lines, "bold"), *row[1 : len(columns)]] for row in _key_rows(entry, name)]
        rows += found
        below += [[] for _ in found[1:]]
        below.append(_below(entry, each))
    return layout.table(columns, rows, width, below) or []


def _below(entry: StatusEntry, problems: Sequence[str]) -> list[Cell]:
    held = [f"{key.id} is held by {', '.join(key.held_by)}" for key in entry.keys if key.held_by]
    states = [result_messages.state_line(state) for state in _beside_the_store(entry) if state.outcome != "held"]
    return [
        layout.cell(entry.next),
        *map(layout.cell, (*held, *states)),
        *(layout.cell(f"problem: {problem}", "yellow") for problem in problems),
    ]


def _key_rows(entry: StatusEntry, name: str) -> Iterator[list[Cell]]:
    first, last = name, entry.next
    for key in entry.keys:
        texts = (first, *key_cells(key), key.held_by or terminal.NOTHING, last)
        yield [*map(layout.cell, texts)]
        first, last = "", ""
    if not entry.keys:
        yield [*map(layout.cell, (name, *[terminal.NOTHING] * 5, entry.next))]


def key_cells(key: KeyEntry) -> tuple[str, str, str, str]:
    """Return a key in the columns of ``KEY``, and when it was last used."""
    role = terminal.role_name(key.role) + ("" if key.active else " (Inactive)")
    return key.id, role, terminal.age(key.age_seconds), _used_ago(key)


def _state_rows(entry: StatusEntry, name: str) -> Iterator[list[Cell]]:
    first = name
    for state in _beside_the_store(entry):
        word = layout.cell(result_messages.state_word(state), "" if state.outcome == "held" else "yellow")
        yield [layout.cell(first), layout.cell(state.destination), word, layout.cell(state.message or terminal.NOTHING)]
        first = ""


def _blocks(
    entries: Sequence[StatusEntry], names: Sequence[str], problems: Sequence[Sequence[str]], width: int
) -> list[Line]:
    lines: list[Line] = []
    for entry, name, each in zip(entries, names, problems, strict=True):
        labelled = [*labelled_keys(entry.keys)]
        labelled += [
            ("destination", layout.cell(result_messages.state_line(state))) for state in _beside_the_store(entry)
        ]
        labelled += [("problem", layout.cell(problem, "yellow")) for problem in each]
        lines += layout.block([(f"{name}: ", "bold"), (entry.next, "")], labelled, width)
    return lines


def _beside_the_store(entry: StatusEntry) -> list[DestinationStateEntry]:
    return [state for state in entry.destinations if state.destination != entry.store]


def _used_ago(key: KeyEntry) -> str:
    if key.last_used is None:
        return "none known"
    ago = key.age_seconds - (key.last_used - key.created).total_seconds()
    return f"{terminal.age(int(ago))} ago, {key.last_used_service}"
