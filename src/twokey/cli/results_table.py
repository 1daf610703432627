"""How results look at a terminal: a table as wide as it has columns, and in a narrow terminal a block for each user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from twokey.cli import layout, repeats, result_messages, terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.cli.layout import Cell, Column, Line
    from twokey.rotation.results import Result

KEYS = tuple(map(layout.Column, ("CURRENT", "LAST")))
WIDE = (
    *map(layout.Column, ("user", "outcome")),
    *KEYS,
    layout.Column("due"),
    layout.Column("what and why", layout.NARROWEST),
)
COLOURS = {
    "rotated": "green",
    "completed": "green",
    "retired": "green",
    "not_due": "dim",
    "refused": "yellow",
    "failed": "bold red",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown of one user's result: ``why`` is empty where the same was shown for many users before.

    ``also``: what is said below it of the users that ended for the same reason, and of which nothing else is known.
    """

    result: Result
    name: str
    why: str
    details: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    also: str = ""


def drawn(shown: Sequence[Shown], width: int, *, planned: bool) -> Sequence[Line]:
    """Return the widest table that fits: with the sentences beside each user, or below; otherwise blocks."""
    return _wide(shown, width, planned) or _narrow(shown, width, planned) or _blocks(shown, width, planned)


def sentences(results: Sequence[Result], names: Sequence[str]) -> list[str]:
    """Return what a terminal shows of each user's message, of one that many users have only the first time."""
    before = repeats.references(names, [one.message for one in results])
    return [_sentence(one, known) for one, known in zip(results, before, strict=True)]


def _sentence(result: Result, known: str) -> str:
    if not known:
        return result.message
    # Where nothing is to be done, the reason's code says enough.
    return repeats.sentence(known) if result.outcome in result_messages.BAD else ""


def _wide(shown: Sequence[Shown], width: int, planned: bool) -> list[Line] | None:
    rows = []
    for one in shown:
        removed = (f"removed {', '.join(one.result.removed)}",) if one.result.removed else ()
        what = tuple(filter(None, (one.why, *one.details, *_arrows(one), *removed)))
        row = _row(one, planned)
        rows.append([*row, layout.cell(terminal.when(one.result.next_due)), layout.cell(what)])
    return layout.table(WIDE, rows, width, [_also(one) for one in shown])


def _narrow(shown: Sequence[Shown], width: int, planned: bool) -> list[Line] | None:
    """Return the table with all sentences below the rows, in the whole width."""
    rows = [[layout.cell(one.name, "bold"), *_row(one, planned)[1:]] for one in shown]
    columns: tuple[Column, ...] = (
        layout.Column("user", layout.narrowest_of(one.name for one in shown)),
        layout.Column("outcome", 1, words=True),
        *KEYS,
    )
    return layout.table(columns, rows, width, [_below(one) for one in shown])


def _row(one: Shown, planned: bool) -> list[Cell]:
    return [
        layout.cell(one.name),
        layout.cell(result_messages.headline(one.result, planned=planned), COLOURS[one.result.outcome]),
        layout.cell(one.result.current or terminal.NOTHING),
        layout.cell(one.result.last or terminal.NOTHING),
    ]


def _below(one: Shown) -> list[Cell]:
    facts = result_messages.in_brackets([("removed", ", ".join(one.result.removed)), result_messages.due(one.result)])
    why = f"{one.why}{facts}".strip()
    texts = (*((why,) if why else ()), *one.details, *_arrows(one))
    return [*map(layout.cell, texts), *_also(one)]


def _arrows(one: Shown) -> tuple[str, ...]:
    return tuple(f"→ {step}" for step in one.steps)


def _also(one: Shown) -> list[Cell]:
    return [layout.cell(one.also)] if one.also else []


def _blocks(shown: Sequence[Shown], width: int, planned: bool) -> list[Line]:
    lines: list[Line] = []
    for one in shown:
        headline = result_messages.headline(one.result, planned=planned)
        title = [(f"{one.name}: ", "bold"), (headline, COLOURS[one.result.outcome])]
        labelled = [("why", layout.cell(one.why))] if one.why else []
        labelled += [(label, layout.cell(fact)) for label, fact in result_messages.facts(one.result)]
        labelled += [("destination", layout.cell(detail)) for detail in one.details]
        labelled += [("will", layout.cell(step)) for step in one.steps]
        lines += layout.block(title, labelled, width)
        lines += [[(line, "")] for line in layout.wrap(one.also, width)] if one.also else []
    return lines
