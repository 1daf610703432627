"""The only module that prints. Results go to stdout, everything else to stderr; tables only at a terminal."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

from twokey.core import durations, timestamps

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from typing import TextIO

    from rich.table import Table

    from twokey.core.errors import TwokeyError

NOTHING = "-"


def say(text: str = "") -> None:
    """Print a result on stdout."""
    sys.stdout.write(text + "\n")


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


def add_row(to: Table, *cells: str) -> None:
    """Add a row to a table; the cells are plain text, whatever they hold."""
    from rich.text import Text

    to.add_row(*map(Text, cells))


def tell(text: str) -> None:
    """Print something that is not a result on stderr, if there is one."""
    if sys.stderr is None:
        return
    sys.stderr.write(text + "\n")
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
    say(_styled(text, "\x1b[1m"))


def typed(text: str) -> None:
    """Print a command as the operator would type it."""
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
    coloured = is_interactive(sys.stdout) and not os.environ.get("NO_COLOR")
    return f"{code}{text}\x1b[0m" if coloured else text
