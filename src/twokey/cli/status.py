"""``twokey status``: every key with its role, age and holders; what is due; problems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from twokey.cli.help import Command, epilog
from twokey.cli.options import SELECTION, Flags, options, settings_of
from twokey.cli.over_users import over_users

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twokey.core.events import Listener
    from twokey.fleet.auditing import Auditing
    from twokey.fleet.roster import Job
    from twokey.fleet.run import Run
    from twokey.reports.documents import StatusEntry
    from twokey.rotation.results import Result


@click.command(
    "status",
    cls=Command,
    epilog=epilog(
        ("twokey status", "Show all users of ./twokey.yaml."),
        ("twokey status --path /ci/ --store 'ssm:/keys/{user}'", "Show every user below a path, without a file."),
        times=True,
    ),
)
@options(SELECTION)
def command(**parameters: Any) -> int:
    """Show every key with its role, age and holders, the state of each destination, what is due, and problems.

    Writes nothing.
    """
    flags = Flags(**parameters)

    from twokey.reports.status import status

    def work(run: Run, _audit: Auditing) -> Callable[[Job, Listener], StatusEntry]:
        return lambda job, _listener: status(job.user, job.policy, run.world(job), run.settings.schedule)

    def report(results: Sequence[StatusEntry | Result]) -> int:
        return _report(results, flags)

    return over_users(flags, settings_of(flags), work, report, limited=False)


def _report(results: Sequence[StatusEntry | Result], flags: Flags) -> int:
    from twokey.cli import status_view, terminal
    from twokey.core.errors import ExitCode
    from twokey.reports import documents
    from twokey.reports.status import complete, unknown
    from twokey.rotation.results import Result

    entries = [unknown(one) if isinstance(one, Result) else one for one in results]
    if flags.as_json:
        terminal.say_json(documents.encode(documents.StatusDocument(entries)))
    elif not flags.quiet:
        status_view.show_status(entries)
    return ExitCode.DONE if all(map(complete, entries)) else ExitCode.FAILED
