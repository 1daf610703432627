"""How a run ended, or what is planned: plain lines, and at a terminal a table, or blocks where it does not fit."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from twokey.cli import repeats, result_messages, results_table, terminal
from twokey.fleet.names import Names

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from twokey.core.errors import ExitCode
    from twokey.reports.documents import DestinationStateEntry, OutcomeEntry
    from twokey.rotation.results import Result

    Rows = Sequence[Sequence[str]]
    """For each user, further lines."""


def report(
    results: Sequence[Result],
    entries: Iterable[OutcomeEntry] | None = None,
    *,
    as_json: bool,
    quiet: bool,
    actions: Rows | None = None,
    states: Sequence[Sequence[DestinationStateEntry]] | None = None,
) -> ExitCode:
    """Print how a run ended, or what is planned with ``actions``, in the requested form; return its exit code.

    ``entries``: those of the document, where they are not those of a rotation.
    """
    from twokey.reports import documents
    from twokey.rotation.results import exit_code

    planned = actions is not None
    if as_json:
        terminal.say_json(documents.encode_results(entries or map(documents.result_entry, results)))
    elif not quiet:
        show_results(results, actions, states)
        show_summary(results, planned=planned)
    else:
        bad = [result for result in results if result.outcome in result_messages.BAD]
        named = Names(result.user.key for result in results)
        names = [named(one.user.key) for one in bad]
        for row in _lines(bad, names, planned=planned, details=_details(bad, names)):
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
    details = _details(results, names, states)
    planned = actions is not None
    if terminal.is_interactive(sys.stdout):
        shown = _shown(results, names, details, actions, planned=planned)
        terminal.draw(results_table.drawn(shown, terminal.width(), planned=planned))
    else:
        for row in _lines(results, names, planned=planned, details=details, actions=actions):
            terminal.say(row)
    show_warnings([(name, warning) for result, name in zip(results, names, strict=True) for warning in result.warnings])


def show_warnings(warnings: Sequence[tuple[str, str]]) -> None:
    """Print warnings about users on stderr, each after the name of its user; one that many share only once."""
    names, texts = [name for name, _ in warnings], [text for _, text in warnings]
    for first, *others in repeats.groups(names, texts, values=True):
        terminal.tell(f"Warning: {names[first]}: {texts[first]}")
        if others:
            more = [_with_keys(names[index], texts[index], texts[first]) for index in others]
            terminal.tell(f"Warning: the same for {repeats.more(more)}.")


def _with_keys(name: str, text: str, first: str) -> str:
    keys = [value for value in repeats.differing(text, first) if value.startswith("A")]
    return f"{name} with {' and '.join(keys)}" if keys else name


def show_summary(results: Sequence[Result], *, planned: bool = False) -> None:
    """Print how many users ended, or will end, how."""
    from twokey.core.reasons import Outcome

    order = list(Outcome)
    in_order = sorted(results, key=lambda one: order.index(one.outcome))
    endings = [result_messages.ending(result, planned=planned) for result in in_order]
    counts = {each: endings.count(each) for each in dict.fromkeys(endings)}
    parts = [f"{count} {each}" for each, count in counts.items()]
    terminal.tell(", ".join(parts) + "." if parts else "Nothing to do.")


def line(result: Result, name: str, message: str, *, planned: bool = False) -> str:
    """Return one user's result, or what is planned for it, as a line for a log."""
    facts = result_messages.in_brackets(result_messages.facts(result))
    return f"{name}: {result_messages.headline(result, planned=planned)}. {message}{facts}"


def _details(
    results: Sequence[Result], names: Sequence[str], states: Sequence[Sequence[DestinationStateEntry]] | None = None
) -> Rows:
    """Return a line for each destination of each user that failed, or that does not hold CURRENT.

    What is said of many destinations is said once.
    """
    rows = [
        [*result_messages.failed_parts(result), *map(result_messages.state_parts, each)]
        for result, each in zip(results, states or [()] * len(results), strict=True)
    ]
    parts = [part for row in rows for part in row]
    owners = [name for name, row in zip(names, rows, strict=True) for _ in row]
    destinations = [re.split(r": | \(", subject, maxsplit=1)[0] for subject, _, _ in parts]
    before = iter(repeats.references_of_destinations(destinations, [message for _, _, message in parts], owners))
    return [[f"{subject}{between}{next(before) or message}" for subject, between, message in row] for row in rows]


def _groups(results: Sequence[Result], names: Sequence[str], details: Rows) -> list[list[int]]:
    """Return the users in groups: those together that were refused, or failed, with the same sentence and no more."""
    texts = [
        "" if more or one.removed or one.outcome not in result_messages.BAD else f"{one.reason}: {one.message}"
        for one, more in zip(results, details, strict=True)
    ]
    return repeats.groups(names, texts)


def _others(results: Sequence[Result], names: Sequence[str], group: Sequence[int], *, planned: bool) -> str:
    first, *others = group
    if not others:
        return ""
    more = repeats.more([names[index] for index in others])
    headline = result_messages.headline(results[first], planned=planned)
    return f"{more}: {headline}, for the same reason as {names[first]}."


def _lines(
    results: Sequence[Result], names: Sequence[str], *, planned: bool, details: Rows, actions: Rows | None = None
) -> list[str]:
    """Return the lines for a log: of a user that needs no attention always with its sentence, so that it is found."""
    short = results_table.sentences(results, names)
    lines = []
    for group in _groups(results, names, details):
        index = group[0]
        message = short[index] or results[index].message
        lines.append(line(results[index], names[index], message, planned=planned))
        lines += [f"  {names[index]}: {row}" for row in (*details[index], *(actions[index] if actions else ()))]
        others = _others(results, names, group, planned=planned)
        lines += [others] if others else []
    return lines


def _shown(
    results: Sequence[Result], names: Sequence[str], details: Rows, actions: Rows | None, *, planned: bool
) -> list[results_table.Shown]:
    short, steps = results_table.sentences(results, names), _steps(names, actions or [()] * len(results))
    return [
        results_table.Shown(
            results[group[0]],
            names[group[0]],
            short[group[0]],
            tuple(details[group[0]]),
            steps[group[0]],
            _others(results, names, group, planned=planned),
        )
        for group in _groups(results, names, details)
    ]


def _steps(names: Sequence[str], actions: Rows) -> list[tuple[str, ...]]:
    """Return the planned steps of each user, those that many users have only once; the keys in them always."""
    before = repeats.references(names, ["\n".join(steps) for steps in actions])
    return [(known,) if known else tuple(steps) for known, steps in zip(before, actions, strict=True)]
