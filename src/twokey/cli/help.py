"""How ``--help`` is written: no path and no option is broken at a hyphen, and ``--help`` speaks as all other help."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

WHOLE = "\N{NON-BREAKING HYPHEN}"


class Formatter(click.HelpFormatter):
    """Wraps text between words only."""

    def write_text(self, text: str) -> None:
        """Write a paragraph."""
        super().write_text(text.replace("-", WHOLE))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write a list of options or commands."""
        whole = [(name.replace("-", WHOLE), _ranges(text).replace("-", WHOLE)) for name, text in rows]
        super().write_dl(whole, col_max, col_spacing)

    def getvalue(self) -> str:
        """Return what was written."""
        return super().getvalue().replace(WHOLE, "-")


def _ranges(text: str) -> str:
    """Return the help of an option with click's ranges in words: ``1<=x<=64`` is ``1 to 64``."""
    return re.sub(r"\bx>=(\d+)", r"at least \1", re.sub(r"(\d+)<=x<=(\d+)", r"\1 to \2", text))


def epilog(*examples: tuple[str, str], times: bool = False) -> str:
    """Return the end of a command's help: examples, each with what it does; with ``times``, how a TIME is written."""
    lines = ["\b", "Examples:"]
    for command, meaning in examples:
        lines += [*_continued(command), f"      {meaning}"]
    return "\n".join([TIME, "", *lines] if times else lines)


def _continued(command: str) -> list[str]:
    """Return the lines of an example that 80 columns, less what click indents them by, have room for."""
    words = re.split(r" (?=--)", command)
    lines = [f"  {words[0]}"]
    for word in words[1:]:
        if len(lines[-1]) + len(word) < MOST_COLUMNS:
            lines[-1] += f" {word}"
        else:
            lines[-1] += " \\"
            lines.append(f"    {word}")
    return lines


MOST_COLUMNS = 76
"""The length of an example's line, with room for a backslash."""
TIME = (
    "TIME is a number and a unit (s, m, h, d or w for seconds to weeks), or several of them: 90s, 12h, 30d, 1d12h. "
    "The period is half the window; a rotation is due after 23/24 of it."
)


class Context(click.Context):
    """Uses the formatter."""

    formatter_class = Formatter


class Command(click.Command):
    """A command with the help of twokey."""

    context_class = Context

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Return the option that click adds."""
        return _described(super().get_help_option(ctx))


class Group(click.Group):
    """A command that has commands of its own."""

    context_class = Context
    command_class = Command

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Return the option that click adds."""
        return _described(super().get_help_option(ctx))


def _described(option: click.Option | None) -> click.Option | None:
    if option is not None:
        option.help = "Print this help and exit."
    return option
