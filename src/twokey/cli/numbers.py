"""The numbers of options: what is expected is said in words, as in every other message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click import Context, Parameter


class WholeNumber(click.IntRange):
    """A whole number between two bounds, each of which may be missing."""

    def convert(self, value: Any, param: Parameter | None, ctx: Context | None) -> Any:
        """Return the number; raises ``BadParameter``."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"expected a whole number{_bounds(self.min, self.max)}, got {value!r}.", param, ctx)

    def _describe_range(self) -> str:
        """Return the bounds as help shows them; without any, click would show ``x<=None``."""
        return "" if self.min is None and self.max is None else super()._describe_range()


class Number(click.FloatRange):
    """A number between two bounds, each of which may be missing."""

    def convert(self, value: Any, param: Parameter | None, ctx: Context | None) -> Any:
        """Return the number; raises ``BadParameter``."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"expected a number{_bounds(self.min, self.max)}, got {value!r}.", param, ctx)


def _bounds(least: float | None, most: float | None) -> str:
    if least is None:
        return ""
    return f" of at least {least:,}" if most is None else f" from {least:,} to {most:,}"
