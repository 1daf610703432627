"""``twokey plan``: the same decisions as ``rotate``, nothing changed (a dry run)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from twokey.cli.help import Command, epilog
from twokey.cli.options import OVERRIDES, SELECTION, Flags, options, overrides, settings_of
from twokey.cli.over_users import over_users

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twokey.core.events import Listener
    from twokey.fleet.auditing import Auditing
    from twokey.fleet.roster import Job
    from twokey.fleet.run import Run
    from twokey.rotation.preview import Preview
    from twokey.rotation.results import Result


@click.command(
    "plan",
    cls=Command,
    epilog=epilog(
        ("twokey plan", "Show what is due among the users of ./twokey.yaml."),
        ("twokey plan ci --retire AKIAIOSFODNN7EXAMPLE", "Show what a rotation would do if that key may be removed."),
        ("twokey plan --out plan.json", "Write a plan to approve: twokey rotate --plan plan.json performs it."),
        times=True,
    ),
)
@options(SELECTION, OVERRIDES)
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 4 if changes are planned.")
@click.option("--out", metavar="FILE", help="Write the plan to this file, for rotate --plan after an approval.")
@click.option("--sign-with", metavar="FILE", help="Sign the file with this private key (Ed25519, PEM).")
def command(
    *,
    force: bool,
    ignore_last_use: bool,
    retire: tuple[str, ...],
    detailed_exitcode: bool,
    out: str | None,
    sign_with: str | None,
    **parameters: Any,
) -> int:
    """Show what rotate would do, and why (dry run). Nothing is changed."""
    flags = Flags(**parameters)
    requested = overrides(force=force, ignore_last_use=ignore_last_use, retire=retire)
    settings = settings_of(flags)

    from twokey.cli import terminal
    from twokey.fleet import commands, plan_files
    from twokey.rotation.preview import Preview

    with plan_files.writing(out, sign_with) as file:

        def work(run: Run, _audit: Auditing) -> Callable[[Job, Listener], Preview]:
            return commands.previewing(run, requested, file.begin(run))

        def report(results: Sequence[Preview | Result]) -> int:
            previews = [one if isinstance(one, Preview) else Preview(one) for one in results]
            if (written := file.write(previews, requested)) and not flags.quiet:
                terminal.tell(written)
            return _report(previews, flags, detailed_exitcode=detailed_exitcode)

        return over_users(flags, settings, work, report, retire=requested.retire)


def _report(previews: Sequence[Preview], flags: Flags, *, detailed_exitcode: bool) -> int:
    from twokey.cli import results_view
    from twokey.core.errors import ExitCode
    from twokey.reports import documents

    results = [one.result for one in previews]
    document = documents.plan_document(previews)
    actions = [entry.actions for entry in document.results]
    # The message speaks of the store, which comes first.
    states = [[state for state in entry.destinations[1:] if state.outcome != "held"] for entry in document.results]
    code = results_view.report(
        results, document.results, as_json=flags.as_json, quiet=flags.quiet, actions=actions, states=states
    )
    return ExitCode.PLANNED if detailed_exitcode and code == ExitCode.DONE and any(actions) else code
