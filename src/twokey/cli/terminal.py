"""The only module that prints. Results go to stdout, everything else to stderr; tables only at a terminal.

Text may hold what services, journals, files and names contain. A terminal obeys escape sequences in it, and a CI system
obeys lines and marks (``::add-path::``, ``##vso[``), so all text passes through ``clean``. A caller prints one line at
a time: a line break inside a text is shown, not printed.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from typing import TYPE_CHECKING, Any

from twokey.cli.cleaning import UNSAFE, clean
from twokey.cli.layout import wrap
from twokey.core import durations, timestamps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from re import Match
    from typing import TextIO

    from click import ClickException

    from twokey.cli.layout import Line
    from twokey.core.errors import TwokeyError

NOTHING = "-"
_PIECE = 100_000
_UNSAFE_WITHOUT_UNICODE = re.compile(rf"{UNSAFE.pattern}|[^\x00-\x7f]", UNSAFE.flags)


def say(text: str = "") -> None:
    """Print a line of a result on stdout."""
    sys.stdout.write(clean(text) + "\n")


def say_json(document: str | Iterable[str]) -> None:
    """Print a JSON document on stdout: the same document, with unsafe characters written as JSON escapes them.

    So are those that the encoding of stdout may not have. Written in pieces, also one that is given in parts: a
    document may have many megabytes.
    """
    unsafe = UNSAFE if (sys.stdout.encoding or "utf-8").lower().startswith("utf") else _UNSAFE_WITHOUT_UNICODE
    for lines in _pieces([document] if isinstance(document, str) else document):
        sys.stdout.write("\n".join(unsafe.sub(_escape_in_json, line) for line in lines.split("\n")))


def _pieces(parts: Iterable[str]) -> Iterator[str]:
    """Join or split the parts of a document, with a line break at its end.

    A piece has many lines, because each write goes to the file at once.
    """
    piece: list[str] = []
    length = 0
    for part in parts:
        piece.append(part)
        length += len(part)
        if length <= _PIECE:
            continue
        text, start = "".join(piece), 0
        while (end := text.find("\n", start + _PIECE)) >= 0:
            yield text[start : end + 1]
            start = end + 1
        piece, length = [text[start:]], len(text) - start
    yield "".join((*piece, "\n"))


def refuse_page(output: str | None) -> None:
    """Refuse to print an HTML page at a terminal; raises ``UsageError``. ``output`` is the file to write instead."""
    from twokey.core.errors import UsageError

    if output is None and sys.stdout is not None and is_interactive(sys.stdout):
        raise UsageError(
            "The report is an HTML page, and stdout is a terminal.", remedy="Name a file: --output report.html."
        )


def say_page(page: str) -> None:
    """Print an HTML page on stdout. Nothing in it has to be cleaned: what it shows was made harmless with its markup.

    Characters that the encoding of stdout may not have are written as HTML writes them.
    """
    utf = (sys.stdout.encoding or "utf-8").lower().startswith("utf")
    sys.stdout.write((page if utf else page.encode("ascii", "xmlcharrefreplace").decode()) + "\n")


def _escape_in_json(found: Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def draw(lines: Iterable[Line]) -> None:
    """Print lines of styled parts on stdout at a terminal: plain text, whatever they hold."""
    from rich.console import Console
    from rich.text import Text

    console = Console(width=width())
    for line in lines:
        text = Text.assemble(*((clean(part), style) for part, style in line))
        console.print(text, no_wrap=True, overflow="ignore", crop=False, highlight=False)


def width(stream: TextIO | None = None) -> int:
    """Return the columns of the terminal that a stream is, by default stdout; 80 where it is none."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size((stream or sys.stdout).fileno()).columns or 80
    except (OSError, ValueError, AttributeError):
        return 80


def tell(text: str) -> None:
    """Print a line that is not a result on stderr, if there is one: at a terminal wrapped, further lines indented."""
    shown = clean(text)
    room = width(sys.stderr)
    if sys.stderr is None or len(shown) <= room or not is_interactive(sys.stderr):
        _write_error(shown)
        return
    indent = shown[: len(shown) - len(shown.lstrip())]
    first, *further = wrap(shown.strip(), max(room - len(indent) - 2, 1))
    _write_error("\n".join([indent + first, *(f"{indent}  {line}" for line in further)]))


def tell_ci(command: str) -> None:
    """Print on stderr a line that a CI system is to obey."""
    _write_error(command)


def _write_error(line: str) -> None:
    if sys.stderr is None:
        return
    # A message that cannot be written must not end the rotation that it is about.
    with contextlib.suppress(OSError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def replace_line(text: str) -> None:
    """Write a line to stderr in place of the one that this wrote before; without text, only remove that."""
    sys.stderr.write(f"\r\x1b[K{clean(text)}")
    sys.stderr.flush()


def announcer(*, quiet: bool) -> Callable[[str], None]:
    """Return what prints a line on stderr, or, with ``quiet``, prints nothing."""
    return (lambda _text: None) if quiet else tell


def is_interactive(stream: TextIO) -> bool:
    """Return whether a stream is a terminal, and not a CI system's log."""
    return bool(stream.isatty()) and os.environ.get("TERM") != "dumb" and not os.environ.get("CI")


def show_error(error: TwokeyError) -> None:
    """Print what happened, what the state is now, and what to do."""
    tell(f"Error: {error.message}")
    for part in (error.state, error.remedy):
        if part:
            tell(f"  {part}")


def show_usage_error(error: ClickException) -> None:
    """Print what is wrong with the command line, which may hold anything."""
    from io import StringIO

    shown = StringIO()
    error.show(file=shown)
    for line in shown.getvalue().split("\n")[:-1]:
        tell(line)


def show_ending() -> None:
    """Print that a signal arrived, and what a second one does."""
    _tell_from_handler(
        "Ending: no further user is begun, and those under way are finished. A second Ctrl-C or SIGTERM ends at once; "
        "the next run then continues from what it finds."
    )


def show_finishing() -> None:
    """Print what a signal means for the drop-in: it outputs every new secret before it ends."""
    _tell_from_handler(
        "Ending: no further user is begun. The user under way is finished, and every new key is output. A further "
        "signal does not hasten it."
    )


def show_ended_at_once() -> None:
    """Print what the second signal did."""
    _tell_from_handler(
        "Ended at once. A user that was under way may be half done; no key in use was lost. Run the same command again "
        "to continue."
    )


def _tell_from_handler(text: str) -> None:
    """Print a line on stderr from a signal's handler: past the buffer, which the interrupted code may be writing to.

    At a terminal, it replaces the ``^C`` that the terminal has shown.
    """
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if is_interactive(sys.stderr):
            first, *further = wrap(text, max(width(sys.stderr) - 2, 1))
            text = "\r\x1b[K" + "\r\n".join([first, *(f"  {line}" for line in further)])
        os.write(sys.stderr.fileno(), f"{text}\n".encode())


def show_interrupted() -> None:
    """Print what an interruption means."""
    tell("Interrupted. Completed changes remain, and no key in use was lost. Run the same command again to continue.")


def role_name(role: str) -> str:
    """Return a key's role as text shows it: CURRENT and LAST, and the others in lowercase."""
    return role.upper() if role in ("current", "last") else role


def age(seconds: int) -> str:
    """Return a number of seconds as every output shows it."""
    from datetime import timedelta

    return durations.show(timedelta(seconds=max(0, seconds)))


def when(moment: Any) -> str:
    """Return a moment as every output shows it."""
    return timestamps.utc(moment) if moment else NOTHING


def paragraph(text: str, indent: str = "", further: str = "") -> None:
    """Print a text on stdout: at a terminal wrapped, its further lines indented more, otherwise on one line."""
    for number, line in enumerate(_wrapped(text, indent, further)):
        say(f"{indent}{further if number else ''}{line}")


def _wrapped(text: str, indent: str, further: str) -> list[str]:
    shown, room = clean(text), width() - len(indent)
    fits = len(shown) <= room or not is_interactive(sys.stdout)
    return [shown] if fits else wrap(shown, max(room - len(further), 1))


def headline(text: str) -> None:
    """Print the title of a section."""
    say()
    for line in _wrapped(text, "", ""):
        _say_styled("", line, "\x1b[1m")


def typed(text: str) -> None:
    """Print a command as the operator would type it."""
    _say_styled("  ", f"$ {text}", "\x1b[36m")


def block(text: str) -> None:
    """Print what a command printed, or a file's content, indented; a line that is too long is wrapped at a terminal."""
    for row in text.rstrip().splitlines():
        begin = row[: len(row) - len(row.lstrip())]
        paragraph(row.lstrip(), f"    {begin}", "  ")


def fact(text: str, *, holds: bool) -> None:
    """Print a fact that was checked."""
    mark, code = ("ok", "\x1b[32m") if holds else ("FAILED", "\x1b[1;31m")
    indent = " " * len(f"  {mark}  ")
    first, *further = _wrapped(text, indent, "")
    _say_styled("  ", mark, code, f"  {first}")
    for line in further:
        say(f"{indent}{line}")


def _say_styled(before: str, text: str, code: str, after: str = "") -> None:
    """Print a line of which one part is styled, where styles are shown."""
    coloured = is_interactive(sys.stdout) and not os.environ.get("NO_COLOR")
    shown = f"{code}{clean(text)}\x1b[0m" if coloured else clean(text)
    sys.stdout.write(f"{clean(before)}{shown}{clean(after)}\n")
