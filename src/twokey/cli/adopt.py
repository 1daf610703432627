"""``twokey adopt``: show users that were managed outside twokey, and take them over."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from twokey.cli.help import Command, epilog
from twokey.cli.options import MAX_USERS, SELECTION, Flags, options, settings_of
from twokey.cli.over_users import AUDIT_LOG, VERBOSE, over_users
from twokey.core.errors import ServiceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twokey.adoption.sources import CredentialSource
    from twokey.config.settings import Settings
    from twokey.core.events import Listener
    from twokey.core.secret import Credential
    from twokey.fleet.auditing import Auditing
    from twokey.fleet.roster import Job
    from twokey.fleet.run import Run
    from twokey.reports.documents import AdoptEntry
    from twokey.rotation.results import Result

LONGEST = 65_536
"""Bytes that are read of standard input: as many as a secret in Secrets Manager can have."""

SHAPE = "Pipe in a JSON object with AccessKeyId and SecretAccessKey; aws iam create-access-key also prints one."


@click.command(
    "adopt",
    cls=Command,
    epilog=epilog(
        ("twokey adopt", "Show what would be taken over; change nothing."),
        ("twokey adopt ci --from ssm:/old/{user} --yes", "Take ci over with the credential in a parameter."),
        ("twokey adopt ci --stdin --yes < pair.json", "Take ci over with the credential in a file."),
        times=True,
    ),
)
@options(SELECTION, (MAX_USERS,))
@click.option("--yes", is_flag=True, help="Take the users over; without it, nothing is changed.")
@click.option("--from", "source", metavar="URL", help="Read the credential from this URL.")
@click.option("--stdin", is_flag=True, help="Read one user's credential from standard input, as JSON.")
@options((VERBOSE, AUDIT_LOG))
def command(*, yes: bool, source: str | None, stdin: bool, verbose: bool, **parameters: Any) -> int:
    """Show users that were managed outside twokey, and take them over.

    Without --yes, nothing is changed: adopt shows each user's keys and destinations, what it would do, and what is
    unknown. With --yes, it puts the credential in use into the store, if the store is empty, and writes the journal.
    It refuses users for whom it would have to guess. No key is created, deactivated or deleted.
    """
    flags = Flags(**parameters)
    settings = settings_of(flags)
    _check(flags, settings, source, stdin=stdin)
    credential = _read_standard_input() if stdin else None

    from twokey.cli import progress

    def work(run: Run, audit: Auditing) -> Callable[[Job, Listener], AdoptEntry]:
        return _takeover(run, audit, source, credential, perform=yes)

    def report(results: Sequence[AdoptEntry | Result]) -> int:
        return _report(results, flags, performed=yes)

    steps = progress.Steps(verbose=verbose, quiet=flags.quiet)
    return over_users(flags, settings, work, report, audit_log=settings.audit_log if yes else None, steps=steps)


def _takeover(
    run: Run, audit: Auditing, source: str | None, credential: Credential | None, *, perform: bool
) -> Callable[[Job, Listener], AdoptEntry]:
    from twokey.adoption import report, takeover
    from twokey.adoption.sources import Sources, SuppliedCredential
    from twokey.fleet import pool
    from twokey.planning.plan import Overrides

    def one(job: Job, listener: Listener) -> AdoptEntry:
        world = run.world(job, listener)
        chosen = SuppliedCredential(credential) if credential else _opened(source, job, run) if source else None
        sources = Sources.among(world.destinations, chosen)
        if perform:
            taken = takeover.take_over(job.user, job.policy, audit.watch(job, Overrides(), world), sources)
        else:
            taken = takeover.preview(job.user, job.policy, world, sources)
        return report.entry_of(taken, job.policy)

    return one if perform else pool.reading(one)


def _report(results: Sequence[AdoptEntry | Result], flags: Flags, *, performed: bool) -> int:
    from twokey.adoption import report
    from twokey.cli import adopt_view, terminal
    from twokey.reports import documents
    from twokey.rotation.results import Result

    entries = [report.failed_entry(one) if isinstance(one, Result) else one for one in results]
    document = report.document(entries, performed=performed)
    if flags.as_json:
        terminal.say_json(documents.encode(document))
    else:
        adopt_view.show(document, quiet=flags.quiet)
    return report.exit_code(entries)


def _check(flags: Flags, settings: Settings, source: str | None, *, stdin: bool) -> None:
    """Raise ``UsageError`` for errors that show before anything is called."""
    if stdin and source:
        raise UsageError(
            "--stdin and --from exclude each other.", remedy="Keep the one that supplies the credential in use."
        )
    if stdin and len(set(flags.users)) != 1:
        raise UsageError(
            "--stdin needs exactly one user.", remedy="Name the user: twokey adopt USER --stdin … < pair.json"
        )
    if source is not None:
        _check_source(settings, source)


def _check_source(settings: Settings, source: str) -> None:
    from twokey.destinations import registry

    try:
        registry.parse(source)
    except UsageError as error:
        raise UsageError(f"--from: {error.message}", state=error.state, remedy=error.remedy) from None
    if source in {selection.store for selection in settings.selections}:
        raise UsageError(
            f"--from: {source!r} is the store itself.", remedy="Omit --from: adopt reads the store in any case."
        )


def _opened(source: str, job: Job, run: Run) -> CredentialSource:
    """Open the URL that ``--from`` names; raises ``UsageError`` where the credential cannot be read from it."""
    from twokey.adoption.sources import credential_source
    from twokey.destinations import registry
    from twokey.fleet.runtime import fill

    url = fill(source, job.user)
    found = credential_source(registry.open_destination(url, run.runtime.destinations_in(job).services))
    if found is None:
        raise UsageError(
            f"--from: the credential cannot be read from {url}.", remedy="Pipe the credential in with --stdin."
        )
    return found


def _read_standard_input() -> Credential:
    """Read the pair; raises ``UsageError``, which repeats nothing of it."""
    from twokey.destinations.formats.options import supplied_credential

    if sys.stdin.isatty():
        raise UsageError(
            "--stdin reads a credential, and a terminal would show it.",
            remedy="Pipe it in, or redirect a file: twokey adopt USER --stdin … < pair.json",
        )
    try:
        credential = supplied_credential(memoryview(sys.stdin.buffer.read(LONGEST)), "Standard input")
    except ServiceError as error:
        raise UsageError(f"--stdin: {error.message}", remedy=SHAPE) from None
    if credential is None:
        raise UsageError("--stdin: Standard input holds no credential.", remedy=SHAPE)
    return credential
