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

from twokey.core import durations, timestamps

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from typing import TextIO

    from click import ClickException
    from rich.table import Table
    from rich.text import Text

    from twokey.core.errors import TwokeyError

NOTHING = "-"
_UNSAFE = re.compile(
    "["
    "\\x00-\\x1f\\x7f-\\x9f"  # control characters, among them escape sequences and line breaks
    "\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff"  # invisible, or change the direction of text
    "\\ufff9-\\ufffb\\U000e0000-\\U000e007f\\ud800-\\udfff"  # annotations, tags, halves of characters
    "]"
)
_COMMAND = re.compile(
    r"::(?=[A-Za-z][\w-]*(?:\s.*?)?::)"  # GitHub Actions and Gitea, at the beginning of a line
    r"|##(?=\[|vso\[|teamcity\[)"  # GitHub Actions (older form) and Azure DevOps, anywhere in a line; TeamCity
)


def clean(text: str) -> str:
    """Return a text as it is shown: on one line, without anything that a terminal or a CI system obeys."""
    shown = _UNSAFE.sub(lambda found: _escape(found[0]), text)
    return _COMMAND.sub(lambda found: f"\\x{ord(found[0][0]):02x}{found[0][1:]}", shown)


def _escape(character: str) -> str:
    code = ord(character)
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    if code > 0xFFFF:
        return f"\\U{code:08x}"
    return named.get(character, f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def say(text: str = "") -> None:
    """Print a line of a result on stdout."""
    sys.stdout.write(clean(text) + "\n")


def say_json(document: str) -> None:
    """Print a JSON document on stdout: the same document, with unsafe characters written as JSON escapes them."""
    sys.stdout.write("\n".join(_UNSAFE.sub(_escape_in_json, line) for line in document.split("\n")) + "\n")


def _escape_in_json(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def draw(shown: Any) -> None:
    """Print a table, or a styled text, on stdout at a terminal."""
    from rich.console import Console

    Console().print(shown)


def width() -> int:
    """Return the columns of the terminal."""
    from rich.console import Console

    return Console().width


def table(headings: Sequence[str], *, whole: Collection[str] = ()) -> Table:
    """Return an empty table; the columns in ``whole`` are never wrapped."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        made.add_column(heading, overflow="fold", no_wrap=heading in whole)
    return made


def styled(text: str | Sequence[str], style: str = "") -> Text:
    """Return a line, or several, for ``draw`` and for a cell: plain text, whatever it holds."""
    from rich.text import Text

    return Text("\n".join(map(clean, [text] if isinstance(text, str) else text)), style=style)


def add_row(to: Table, *cells: str | Sequence[str] | Text) -> None:
    """Add a row to a table; a cell is a line, or several, of plain text, whatever it holds."""
    from rich.text import Text

    to.add_row(*(cell if isinstance(cell, Text) else styled(cell) for cell in cells))


def tell(text: str) -> None:
    """Print a line that is not a result on stderr, if there is one."""
    _write_error(clean(text))


def tell_ci(command: str) -> None:
    """Print on stderr a line that a CI system is to obey."""
    _write_error(command)


def _write_error(line: str) -> None:
    if sys.stderr is None:
        return
    sys.stderr.write(line + "\n")
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


def show_defect(error: BaseException) -> None:
    """Print where an unforeseen exception comes from, and nothing of what it holds: that may be a secret."""
    import traceback

    tell(f"Error: a defect in twokey ({type(error).__name__}). What was done stands; the next run goes on from there.")
    for frame in traceback.extract_tb(error.__traceback__)[-4:]:
        tell(f"  at {frame.name}, line {frame.lineno} of {os.path.basename(frame.filename)}")  # noqa: PTH119
    tell("  Please report these lines; they hold no secret.")


def show_ending() -> None:
    """Print that a signal arrived, from its handler: past the buffer, which the interrupted code may be writing to."""
    text = "Ending: no further user is begun, and those under way are finished. A second signal ends at once.\n"
    with contextlib.suppress(OSError, ValueError):
        os.write(sys.stderr.fileno(), text.encode())


def show_uncaught(error: BaseException) -> None:
    """Print what an uncaught exception means."""
    if isinstance(error, KeyboardInterrupt):
        show_interrupted()
    else:
        show_defect(error)


def show_interrupted() -> None:
    """Print what an interruption means."""
    tell("Interrupted. What was done stands, no key in use was lost; run the same command again to go on.")


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


def headline(text: str) -> None:
    """Print the title of a section."""
    say()
    _say_styled("", text, "\x1b[1m")


def typed(text: str) -> None:
    """Print a command as the operator would type it."""
    _say_styled("  ", f"$ {text}", "\x1b[36m")


def block(text: str) -> None:
    """Print what a command printed, or a file's content, indented."""
    for row in text.rstrip().splitlines():
        say(f"    {row}")


def fact(text: str, *, holds: bool) -> None:
    """Print a fact that was checked."""
    mark, code = ("ok", "\x1b[32m") if holds else ("NOT SO", "\x1b[1;31m")
    _say_styled("  ", mark, code, f"  {text}")


def _say_styled(before: str, text: str, code: str, after: str = "") -> None:
    """Print a line of which one part is styled, where styles are shown."""
    coloured = is_interactive(sys.stdout) and not os.environ.get("NO_COLOR")
    shown = f"{code}{clean(text)}\x1b[0m" if coloured else clean(text)
    sys.stdout.write(f"{clean(before)}{shown}{clean(after)}\n")
