"""``--fail-on``: the severity from which on a finding decides the exit code of a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from twokey.core.errors import ExitCode
from twokey.permissions.findings import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twokey.permissions.findings import Severity

FAIL_ON = click.option(
    "--fail-on", type=click.Choice(SEVERITIES), help="Exit with 4 if a finding is at least this severe."
)


def exit_code(found: Iterable[Severity], fail_on: Severity | None, *, complete: bool = True) -> ExitCode:
    """Return what a command with findings of these severities exits with; ``complete``: everything could be read."""
    if fail_on and any(SEVERITIES.index(one) >= SEVERITIES.index(fail_on) for one in found):
        return ExitCode.FOUND
    return ExitCode.DONE if complete else ExitCode.FAILED
