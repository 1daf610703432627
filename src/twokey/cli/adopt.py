"""``twokey adopt``: show what users managed by hand have, and take them over."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from twokey.cli.options import MOST, SELECTION, Flags, options, settings
from twokey.cli.signals import terminable
from twokey.core.errors import ServiceError, UsageError

if TYPE_CHECKING:
    from twokey.adoption.sources import CredentialSource
    from twokey.config.settings import Settings
    from twokey.core.secret import Credential
    from twokey.fleet.roster import Job
    from twokey.fleet.runtime import Session
    from twokey.reports.documents import AdoptEntry
    from twokey.rotation.results import Result

LONGEST = 65_536
"""Bytes that are read of standard input: as many as a secret in Secrets Manager can have."""

SHAPE = "It is a JSON object with AccessKeyId and SecretAccessKey, as aws iam create-access-key prints it too."


@click.command("adopt")
@options(SELECTION, (MOST,))
@click.option("--yes", is_flag=True, help="Take over; without it nothing is changed.")
@click.option("--from", "source", metavar="URL", help="A place to take the credential from.")
@click.option("--stdin", "handed", is_flag=True, help="Read one user's credential from standard input, as JSON.")
@click.option("--verbose", "-v", is_flag=True, help="Tell each step on stderr.")
@click.option("--audit-log", metavar="FILE", help="Write each change, before and after, into this file.")
def command(*, yes: bool, source: str | None, handed: bool, verbose: bool, **given: Any) -> int:
    """Show what users managed by hand have, and take them over without guessing.

    Without --yes nothing is changed: each user's keys and places are shown, what would be done, and what is unknown.
    Taking over puts the credential in use into the store, if it is not there, and writes the journal. No key is
    created, deactivated or deleted.
    """
    flags = Flags(**given)
    wanted = settings(flags)
    _check(flags, wanted, source, handed=handed)
    credential = _read_standard_input() if handed else None

    from twokey.adoption import report, takeover
    from twokey.adoption.sources import Sources, SuppliedCredential
    from twokey.cli import progress, terminal
    from twokey.fleet import pool
    from twokey.fleet.auditing import auditing
    from twokey.fleet.roster import too_many
    from twokey.fleet.runtime import Session
    from twokey.planning.plan import Overrides
    from twokey.rotation.results import Result

    session = Session(wanted)
    listener = progress.Steps(verbose=verbose, quiet=flags.quiet)
    with auditing(wanted.audit_log if yes else None, session, terminal.announcer(quiet=flags.quiet)) as audit:
        own_key = session.clients.own_key()
        roster = session.check(session.roster(wanted, flags.users))

        def work(job: Job) -> AdoptEntry:
            world = session.world(job, own_key, listener)
            chosen = SuppliedCredential(credential) if credential else _opened(source, job, session) if source else None
            sources = Sources.among(world.destinations, chosen)
            if yes:
                taken = takeover.take_over(job.user, job.policy, audit.watch(job, Overrides(), world), sources)
            else:
                taken = takeover.preview(job.user, job.policy, world, sources)
            return report.entry_of(taken, job.policy)

        interrupted: KeyboardInterrupt | None = None
        found: list[AdoptEntry | Result]
        if len(roster.jobs) > wanted.max_users:
            found = [*too_many(roster.jobs, wanted.max_users)]
        else:
            with progress.Progress(len(roster.jobs), quiet=flags.quiet) as bar, terminable():
                try:
                    found = pool.run(roster.jobs, work, wanted.concurrency, bar.step, session.stop)
                except pool.Interrupted as error:
                    found, interrupted = error.results, error
    found = [*found, *roster.failed]
    entries = [report.failed_entry(one) if isinstance(one, Result) else one for one in found]
    _report(entries, flags, performed=yes)
    if interrupted:
        raise interrupted
    return report.exit_code(entries)


def _report(entries: list[AdoptEntry], flags: Flags, *, performed: bool) -> None:
    from twokey.adoption import report
    from twokey.cli import adopt_view, terminal
    from twokey.reports import documents

    document = report.document(entries, performed=performed)
    if flags.as_json:
        terminal.say(documents.encode(document))
    elif not flags.quiet:
        adopt_view.show(document)
    else:
        for entry in entries:
            if entry.outcome in ("failed", "refused"):
                terminal.tell(adopt_view.line(entry, performed=performed))


def _check(flags: Flags, wanted: Settings, source: str | None, *, handed: bool) -> None:
    """Raise ``UsageError`` for what can be known to be wrong before anything is called."""
    if handed and source:
        raise UsageError("--stdin and --from do not go together.", remedy="Give the one that has the credential.")
    if handed and len(set(flags.users)) != 1:
        raise UsageError(
            "--stdin goes with exactly one user.", remedy="Name it: twokey adopt USER --stdin … < pair.json"
        )
    if source is not None:
        _check_source(wanted, source)


def _check_source(wanted: Settings, source: str) -> None:
    from twokey.destinations import registry

    try:
        registry.parse(source)
    except UsageError as error:
        raise UsageError(f"--from: {error.message}", state=error.state, remedy=error.remedy) from None
    if source in {selection.store for selection in wanted.selections}:
        raise UsageError(f"--from: {source!r} is the store itself.", remedy="Leave --from out.")


def _opened(source: str, job: Job, session: Session) -> CredentialSource:
    """Open the place that ``--from`` names; raises ``UsageError`` where it cannot give back what it holds."""
    from twokey.adoption.sources import credential_source
    from twokey.destinations import registry

    user = job.user
    url = registry.fill(source, user=user.name, path=user.path, account=user.account)
    found = credential_source(registry.open_destination(url, session.services))
    if found is None:
        raise UsageError(f"--from: {url} cannot give back the credential that it holds.", remedy="Use --stdin.")
    return found


def _read_standard_input() -> Credential:
    """Read the pair; raises ``UsageError``, which repeats nothing of it."""
    from twokey.destinations.formats.format import supplied_credential

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
