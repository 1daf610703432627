"""The only module that prints. Results go to stdout, everything else to stderr; a table only when a person looks."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

from twokey.core import durations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.core.errors import ExitCode, TwokeyError
    from twokey.reports.documents import PlaceEntry, StatusEntry
    from twokey.rotation.results import Result

PLANNED = {
    "rotated": "will be rotated",
    "completed": "will be completed",
    "retired": "will be retired",
    "not_due": "not due",
    "refused": "will be refused",
    "failed": "cannot be planned",
}
NOTHING = "-"
COLOURS = {
    "rotated": "green",
    "completed": "green",
    "retired": "green",
    "not_due": "dim",
    "refused": "yellow",
    "failed": "bold red",
}


def say(text: str = "") -> None:
    """Print a result on stdout."""
    sys.stdout.write(text + "\n")


def draw(table: Any) -> None:
    """Print a table on stdout, for a person who looks."""
    from rich.console import Console

    Console().print(table)


def tell(text: str) -> None:
    """Print something for people on stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def person_looks(stream: Any) -> bool:
    """Say whether a stream is a terminal that a person looks at, and not a CI system's log."""
    return bool(stream.isatty()) and os.environ.get("TERM") != "dumb" and not os.environ.get("CI")


def show_error(error: TwokeyError) -> None:
    """Print what happened, what state things are in, and what to do."""
    tell(f"Error: {error.message}")
    for part in (error.state, error.remedy):
        if part:
            tell(f"  {part}")


def show_defect(error: BaseException) -> None:
    """Print where an unforeseen exception comes from, and nothing of what it holds: that may be a secret."""
    import traceback

    tell(f"Error: a defect in twokey ({type(error).__name__}). What was done stands; the next run goes on from there.")
    for frame in traceback.extract_tb(error.__traceback__)[-4:]:
        tell(f"  at {frame.name}, line {frame.lineno} of {os.path.basename(frame.filename)}")  # noqa: PTH119
    tell("  Please report these lines; they hold no secret.")


def show_ending() -> None:
    """Print that a signal arrived, from its handler: past the buffer, which the interrupted code may be writing to."""
    said = "Ending: no further user is begun, and those under way are finished. A second signal ends at once.\n"
    with contextlib.suppress(OSError, ValueError):
        os.write(sys.stderr.fileno(), said.encode())


def show_interrupted() -> None:
    """Print what an interruption means."""
    tell("Interrupted. What was done stands, no key in use was lost; run the same command again to go on.")


def show_results(
    results: Sequence[Result],
    actions: Sequence[Sequence[str]] | None = None,
    places: Sequence[Sequence[PlaceEntry]] | None = None,
) -> None:
    """Print how the run ended for each user; with ``actions``, what would be done; with ``places``, what they hold."""
    held = [
        [*failed_lines(result), *(place_line(place) for place in each)]
        for result, each in zip(results, places or [()] * len(results), strict=True)
    ]
    if person_looks(sys.stdout):
        from twokey.cli import results_view

        results_view.show(results, actions, held)
    else:
        for index, result in enumerate(results):
            say(line(result, planned=actions is not None))
            for row in (*held[index], *(actions[index] if actions else ())):
                say(f"  {result.user.name}: {row}")
    for result in results:
        for warning in result.warnings:
            tell(f"Warning: {result.user.name}: {warning}")


def report(
    results: Sequence[Result],
    document: object,
    counts: dict[str, int],
    *,
    as_json: bool,
    quiet: bool,
    actions: Sequence[Sequence[str]] | None = None,
    places: Sequence[Sequence[PlaceEntry]] | None = None,
) -> ExitCode:
    """Print how a run ended, or what is planned with ``actions``, as was asked for; return its exit code."""
    from twokey.reports import documents
    from twokey.rotation.results import exit_code

    planned = actions is not None
    if as_json:
        say(documents.encode(document))
    elif not quiet:
        show_results(results, actions, places)
        show_summary(counts, planned=planned)
    else:
        for result in results:
            if result.outcome in ("failed", "refused"):
                for row in (line(result, planned=planned), *failed_lines(result, f"  {result.user.name}: ")):
                    tell(row)
    return exit_code(results)


def show_summary(counts: dict[str, int], *, planned: bool = False) -> None:
    """Print how many users ended, or will end, how."""
    said = [
        f"{count} {PLANNED[outcome] if planned else outcome.replace('_', ' ')}"
        for outcome, count in counts.items()
        if count
    ]
    tell(", ".join(said) + "." if said else "Nothing to do.")


def line(result: Result, *, planned: bool = False) -> str:
    """Return one user's result, or what is planned for it, as a line for a log."""
    facts = [
        f"CURRENT {result.current}" if result.current else "",
        f"LAST {result.last}" if result.last else "",
        f"removed {', '.join(result.removed)}" if result.removed else "",
        _due(result),
    ]
    said = ", ".join(fact for fact in facts if fact)
    ended = ending(result, planned=planned)
    why = "" if result.outcome.value == result.reason.value else f" ({result.reason})"
    return f"{result.user.name}: {ended}{why}. {result.message}{f' [{said}]' if said else ''}"


def place_line(place: PlaceEntry) -> str:
    """Return what a place holds as a line for a log."""
    said = f", {place.message}" if place.message else ""
    return f"{place.destination}: {place.outcome.replace('_', ' ')}{said}"


def failed_lines(result: Result, before: str = "") -> list[str]:
    """Return a line for each destination that failed, but for those that the result's message tells of."""
    failed = [one for one in result.destinations if one.outcome == "failed" and one.message not in result.message]
    return [f"{before}{one.destination}: failed, {one.message}" for one in failed]


def _due(result: Result) -> str:
    """Say when the next rotation is due, or since when it has been."""
    from datetime import UTC, datetime

    if result.next_due is None:
        return ""
    past = result.next_due < datetime.now(UTC)
    return f"{'due since' if past else 'next due'} {when(result.next_due)}"


def ending(result: Result, *, planned: bool) -> str:
    """Return how it ended for a user, or will end, in words."""
    return PLANNED.get(result.outcome, "") if planned else result.outcome.replace("_", " ")


def show_status(entries: Sequence[StatusEntry]) -> None:
    """Print each user's keys, who holds what, what is due, what is wrong."""
    if person_looks(sys.stdout):
        _status_table(entries)
        return
    for entry in entries:
        say(f"{entry.user}: {entry.next}")
        for key in entry.keys:
            held = f", held by {', '.join(key.held_by)}" if key.held_by else ""
            state = "Active" if key.active else "Inactive"
            say(f"  {entry.user}: {key.role} {key.id}, {state}, age {age(key.age_seconds)}, {use(key)}{held}")
        for place in _beside_the_store(entry):
            say(f"  {entry.user}: {place_line(place)}")
        for problem in entry.wrong:
            say(f"  {entry.user}: wrong: {problem}")


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
            role = key.role if key.active else f"{key.role} (Inactive)"
            row = (
                first[0],
                key.id,
                role,
                age(key.age_seconds),
                _used_ago(key),
                "\n".join(key.held_by) or NOTHING,
                first[1],
            )
            table.add_row(*(Text(cell) for cell in row))
            first = ("", "")
        if not entry.keys:
            table.add_row(Text(entry.user), NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, Text(entry.next))
    console.print(table)
    _places_table(entries, console)
    for entry in entries:
        for problem in entry.wrong:
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
            table.add_row(Text(user), Text(place.destination), state, Text(place.message or NOTHING))
            user = ""
    if table.row_count:
        console.print()
        console.print(table)


def _beside_the_store(entry: StatusEntry) -> list[PlaceEntry]:
    return [place for place in entry.destinations if place.destination != entry.store]


def use(key: Any) -> str:
    if key.last_used is None:
        return "never used"
    return f"used {when(key.last_used)} for {key.last_used_service}"


def _used_ago(key: Any) -> str:
    if key.last_used is None:
        return "never"
    ago = key.age_seconds - (key.last_used - key.created).total_seconds()
    return f"{age(int(ago))} ago, {key.last_used_service}"


def age(seconds: int) -> str:
    """Return a number of seconds as every output shows it."""
    from datetime import timedelta

    return durations.show(timedelta(seconds=max(0, seconds)))


def when(moment: Any) -> str:
    """Return a moment as every output shows it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else NOTHING


def headline(text: str) -> None:
    """Print the title of a part of a story."""
    say()
    say(_styled(text, "\x1b[1m"))


def typed(text: str) -> None:
    """Print a command as a person would type it."""
    say("  " + _styled(f"$ {text}", "\x1b[36m"))


def block(text: str) -> None:
    """Print what a command printed, or a file's content, indented."""
    for row in text.rstrip().splitlines():
        say(f"    {row}")


def fact(text: str, *, holds: bool) -> None:
    """Print a fact that was checked."""
    mark = _styled("ok", "\x1b[32m") if holds else _styled("NOT SO", "\x1b[1;31m")
    say(f"  {mark}  {text}")


def _styled(text: str, code: str) -> str:
    coloured = person_looks(sys.stdout) and not os.environ.get("NO_COLOR")
    return f"{code}{text}\x1b[0m" if coloured else text
