"""The format that a command prints or writes, of what ``--format``, ``--json`` and ``--output`` say together."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from twokey.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection

SUFFIXES = {".csv": "csv", ".html": "html", ".json": "json", ".prom": "prometheus", ".sarif": "sarif"}


def requested_format(as_format: str, *, as_json: bool, output: str | None = None, known: Collection[str] = ()) -> str:
    """Return the format; raises ``UsageError`` where two are requested, or the file's name promises another one.

    ``known`` are the formats that the command can write to a file.
    """
    typed = click.get_current_context().get_parameter_source("as_format") is not ParameterSource.DEFAULT
    if as_json:
        if typed and as_format != "json":
            raise UsageError(
                f"--json and --format {as_format} exclude each other.",
                state="Nothing was called.",
                remedy="Leave one of them out.",
            )
        return "json"
    suggested = SUFFIXES.get(PurePath(output).suffix.lower()) if output and not typed else None
    if suggested in known:
        raise UsageError(
            f"--output: {output} would hold text.",
            state="Nothing was called.",
            remedy=f"Add --format {suggested}, or --format table if you mean text.",
        )
    return as_format
