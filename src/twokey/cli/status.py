"""``twokey status``: every key with its role, age and holders; what is due; problems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from twokey.cli import terminal
from twokey.cli.help import Command, epilog
from twokey.cli.options import SELECTION, Flags, options, settings_of
from twokey.cli.over_users import over_users
from twokey.core.errors import TwokeyError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twokey.core.events import Listener
    from twokey.fleet.auditing import Auditing
    from twokey.fleet.roster import Job
    from twokey.fleet.run import Run
    from twokey.reports.documents import StatusEntry
    from twokey.rotation.results import Result

UNKNOWN = 3
"""The exit code of ``--check`` if nothing is known."""


class _Status(Command):
    """With ``--check``, what is typed wrongly is unknown: a monitor would take the usual exit code for another."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line."""
        checks = "--check" in args
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            if not checks:
                raise
            terminal.say(f"unknown: {error.format_message()}")
            ctx.exit(UNKNOWN)


@click.command(
    "status",
    cls=_Status,
    epilog=epilog(
        ("twokey status", "Show all users of ./twokey.yaml."),
        ("twokey status --path /ci/ --store 'ssm:/keys/{user}'", "Show every user below a path, without a file."),
        ("twokey status --check", "Print one line and set the exit code, for a monitoring system."),
        times=True,
    ),
)
@options(SELECTION)
@click.option(
    "--check",
    is_flag=True,
    help="Print one line; exit with 0 if all is well, 1 if a rotation is late or a destination out of date, 2 if a "
    "window is broken or a job would fail, 3 if that is unknown.",
)
def command(*, check: bool, **parameters: Any) -> int:
    """Show every key with its role, age and holders, the state of each destination, what is due, and problems.

    Writes nothing.
    """
    flags = Flags(**parameters)
    if not check:
        return _status(flags, _report)
    try:
        return _status(flags, _check)
    except TwokeyError as error:
        if not flags.quiet:
            terminal.say(f"unknown: {error}")
        return UNKNOWN
    except Exception as error:  # noqa: BLE001  whatever it is, it says nothing about the users
        from twokey.cli import defects

        defects.show(error)
        terminal.say(f"unknown: twokey itself failed ({type(error).__name__})")
        return UNKNOWN


def _status(flags: Flags, show: Callable[[Sequence[StatusEntry], Flags], int]) -> int:
    from twokey.fleet import commands

    def work(run: Run, _audit: Auditing) -> Callable[[Job, Listener], StatusEntry]:
        return commands.showing(run)

    def report(results: Sequence[StatusEntry | Result]) -> int:
        from twokey.reports.status import unknown
        from twokey.rotation.results import Result

        return show([unknown(one) if isinstance(one, Result) else one for one in results], flags)

    return over_users(flags, settings_of(flags), work, report, limited=False)


def _report(entries: Sequence[StatusEntry], flags: Flags) -> int:
    from twokey.cli import status_view
    from twokey.core.errors import ExitCode
    from twokey.reports.status import complete

    if flags.as_json:
        _print_json(entries)
    elif not flags.quiet:
        status_view.show_status(entries)
    return ExitCode.DONE if all(map(complete, entries)) else ExitCode.FAILED


def _check(entries: Sequence[StatusEntry], flags: Flags) -> int:
    from twokey.core.model import UserKey
    from twokey.fleet.names import Names
    from twokey.reports import check

    keys = [UserKey(entry.account, entry.user) for entry in entries]
    level, line = check.summary(entries, [*map(Names(keys), keys)])
    if flags.as_json:
        _print_json(entries)
    elif not flags.quiet:
        terminal.say(line)
    return check.EXIT_CODES[level]


def _print_json(entries: Sequence[StatusEntry]) -> None:
    from twokey.reports import documents

    terminal.say_json(documents.encode(documents.StatusDocument(list(entries))))
