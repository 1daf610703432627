"""How ``--help`` is written: no path and no option is broken at a hyphen, and ``--help`` speaks as all other help."""

from __future__ import annotations

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
        whole = [(name.replace("-", WHOLE), text.replace("-", WHOLE)) for name, text in rows]
        super().write_dl(whole, col_max, col_spacing)

    def getvalue(self) -> str:
        """Return what was written."""
        return super().getvalue().replace(WHOLE, "-")


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
