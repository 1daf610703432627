"""How a run ended, or what is planned: plain lines, and at a terminal a table where it fits, otherwise blocks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from twokey.cli import layout, repeats, terminal
from twokey.fleet.names import Names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.cli.layout import Cell
    from twokey.core.errors import ExitCode
    from twokey.reports.documents import DestinationStateEntry
    from twokey.rotation.results import Result

    Rows = Sequence[Sequence[str]]
    """For each user, further lines."""

COLUMNS = (
    *map(layout.Column, ("user", "outcome", "CURRENT", "LAST", "due")),
    layout.Column("what and why", layout.NARROWEST),
)

PLANNED = {
    "rotated": "will be rotated",
    "completed": "will be completed",
    "retired": "will be retired",
    "not_due": "not due",
    "refused": "will be refused",
    "failed": "cannot be planned",
}
STATES = {"unreachable": "cannot be read"}
"""The states of a destination that text calls otherwise than JSON: one that denies access is not out of reach."""
UP_TO_DATE = "up to date"
"""How a delivery ended that had nothing to do; a rotation is not meant."""

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
        show_summary(results, planned=planned)
    else:
        bad = [result for result in results if result.outcome in ("failed", "refused")]
        named = Names(result.user.key for result in results)
        for row in _lines(
            bad, [named(one.user.key) for one in bad], planned=planned, details=list(map(failed_lines, bad))
        ):
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
        [*failed_lines(result), *map(state_line, each)]
        for result, each in zip(results, states or [()] * len(results), strict=True)
    ]
    if terminal.is_interactive(sys.stdout):
        terminal.draw(_drawn(results, names, actions, details))
    else:
        for row in _lines(results, names, planned=actions is not None, details=details, actions=actions):
            terminal.say(row)
    show_warnings([(name, warning) for result, name in zip(results, names, strict=True) for warning in result.warnings])


def show_warnings(warnings: Sequence[tuple[str, str]]) -> None:
    """Print warnings about users on stderr, each after the name of its user; one that many share only once."""
    names, texts = [name for name, _ in warnings], [text for _, text in warnings]
    for first, *others in repeats.groups(names, texts):
        terminal.tell(f"Warning: {names[first]}: {texts[first]}")
        if others:
            terminal.tell(f"Warning: the same for {repeats.more([names[index] for index in others])}.")


def show_summary(results: Sequence[Result], *, planned: bool = False) -> None:
    """Print how many users ended, or will end, how."""
    from twokey.core.reasons import Outcome

    order = list(Outcome)
    endings = [ending(result, planned=planned) for result in sorted(results, key=lambda one: order.index(one.outcome))]
    counts = {each: endings.count(each) for each in dict.fromkeys(endings)}
    parts = [f"{count} {each}" for each, count in counts.items()]
    terminal.tell(", ".join(parts) + "." if parts else "Nothing to do.")


def line(result: Result, name: str, *, planned: bool = False) -> str:
    """Return one user's result, or what is planned for it, as a line for a log."""
    return f"{name}: {_headline(result, planned=planned)}. {result.message}{_facts_of(result)}"


def state_line(state: DestinationStateEntry) -> str:
    """Return what a destination holds as a line for a log."""
    detail = f"{': ' if state.outcome in STATES else ', '}{state.message}" if state.message else ""
    return f"{state.destination}: {state_word(state)}{detail}"


def state_word(state: DestinationStateEntry) -> str:
    """Return what text calls the state of a destination."""
    return STATES.get(state.outcome, state.outcome.replace("_", " "))


def failed_lines(result: Result) -> list[str]:
    """Return a line for each destination that failed, except those that the result's message already names."""
    failed = [one for one in result.destinations if one.outcome == "failed" and one.message not in result.message]
    return [f"{one.destination}: failed, {one.message}" for one in failed]


def ending(result: Result, *, planned: bool) -> str:
    """Return how it ended for a user, or will end, in words."""
    if result.reason == "held":
        return UP_TO_DATE
    return PLANNED.get(result.outcome, "") if planned else result.outcome.replace("_", " ")


def _headline(result: Result, *, planned: bool) -> str:
    why = "" if result.outcome.value == result.reason.value else f" ({result.reason})"
    return f"{ending(result, planned=planned)}{why}"


def _facts(result: Result) -> list[tuple[str, str]]:
    """Return which key is what, and when the next rotation is due, or since when it has been."""
    from datetime import UTC, datetime

    past = result.next_due is not None and result.next_due < datetime.now(UTC)
    facts = (
        ("CURRENT", result.current),
        ("LAST", result.last),
        ("removed", ", ".join(result.removed)),
        ("due since" if past else "next due", terminal.when(result.next_due) if result.next_due else ""),
    )
    return [(label, fact) for label, fact in facts if fact]


def _facts_of(result: Result) -> str:
    shown = ", ".join(f"{label} {fact}" for label, fact in _facts(result))
    return f" [{shown}]" if shown else ""


def _groups(results: Sequence[Result], names: Sequence[str], details: Rows) -> list[list[int]]:
    """Return the users in groups: those together that were refused, or failed, with the same sentence and no more."""
    texts = [
        "" if more or one.removed or one.outcome not in ("refused", "failed") else f"{one.reason}: {one.message}"
        for one, more in zip(results, details, strict=True)
    ]
    return repeats.groups(names, texts)


def _others(results: Sequence[Result], names: Sequence[str], group: Sequence[int], *, planned: bool) -> str:
    first, *others = group
    more = repeats.more([names[index] for index in others])
    return f"{more}: {_headline(results[first], planned=planned)}, for the same reason as {names[first]}."


def _lines(
    results: Sequence[Result], names: Sequence[str], *, planned: bool, details: Rows, actions: Rows | None = None
) -> list[str]:
    lines = []
    for group in _groups(results, names, details):
        index, *others = group
        lines.append(line(results[index], names[index], planned=planned))
        lines += [f"  {names[index]}: {row}" for row in (*details[index], *(actions[index] if actions else ()))]
        if others:
            lines.append(_others(results, names, group, planned=planned))
    return lines


def _drawn(
    results: Sequence[Result], names: Sequence[str], actions: Rows | None, details: Rows
) -> Sequence[layout.Line]:
    planned, width = actions is not None, terminal.width()
    steps = actions or [()] * len(results)
    before = repeats.said_of(names, [one.message if one.outcome in ("refused", "failed") else "" for one in results])
    rows = [
        _row(one, name, (f"As for {known}." if known else one.message, *more, *(f"→ {step}" for step in then)), planned)
        for one, name, known, more, then in zip(results, names, before, details, steps, strict=True)
    ]
    table = layout.table(COLUMNS, rows, width)
    if table is not None:
        return table
    lines: list[layout.Line] = []
    for group in _groups(results, names, details):
        index, *others = group
        lines += _block(results[index], names[index], details[index], steps[index], planned=planned, width=width)
        if others:
            text = _others(results, names, group, planned=planned)
            lines += [[(shown, "")] for shown in layout.wrap(text, width)]
    return lines


def _row(result: Result, name: str, what: Sequence[str], planned: bool) -> list[Cell]:
    none = terminal.NOTHING
    removed = (f"removed {', '.join(result.removed)}",) if result.removed else ()
    return [
        layout.cell(name),
        layout.cell(_headline(result, planned=planned), COLOURS[result.outcome]),
        layout.cell(result.current or none),
        layout.cell(result.last or none),
        layout.cell(terminal.when(result.next_due)),
        layout.cell((*what, *removed)),
    ]


def _block(
    result: Result, name: str, details: Sequence[str], steps: Sequence[str], *, planned: bool, width: int
) -> list[layout.Line]:
    title = [(f"{name}: ", "bold"), (_headline(result, planned=planned), COLOURS[result.outcome])]
    labelled = [("why", layout.cell(result.message))]
    labelled += [(label, layout.cell(fact)) for label, fact in _facts(result)]
    labelled += [("destination", layout.cell(detail)) for detail in details]
    labelled += [("will", layout.cell(step)) for step in steps]
    return layout.block(title, labelled, width)
