"""``twokey watch``: check once whether keys of the account have leaked."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from twokey.cli.fail_on import FAIL_ON, exit_code
from twokey.cli.help import Command, epilog
from twokey.cli.options import DEFAULT_CONFIG, configuration
from twokey.cli.requested_format import requested_format
from twokey.core.errors import TwokeyError, UsageError

if TYPE_CHECKING:
    from twokey.config.settings import Settings
    from twokey.fleet.alerting import Alerting
    from twokey.fleet.watching import Event
    from twokey.permissions.findings import Severity
    from twokey.reports.documents import WatchDocument
    from twokey.reports.watch import Finding

_COLOURS = {"critical": "bold red", "high": "red", "medium": "yellow", "low": ""}
_SHOWN = 5
"""Further locations of a key that the text shows; the JSON has more."""


@click.command(
    "watch",
    cls=Command,
    epilog=epilog(
        ("twokey watch --fail-on high", "Exit with 4 if AWS has put a user under quarantine."),
        ("twokey watch --scan . --fail-on critical", "Search this directory and its Git history for keys."),
        ("twokey watch --event event.json", "Look at an event of AWS, or at a signed alert of GitHub."),
    ),
)
@click.option(
    "--scan",
    "paths",
    metavar="PATH",
    multiple=True,
    help="Search this file or directory, and the history of each Git repository in it; may be repeated.",
)
@click.option(
    "--event",
    "files",
    metavar="FILE",
    multiple=True,
    help="Read an event of AWS, or a request of a GitHub webhook with its headers; - is stdin. May be repeated.",
)
@click.option(
    "--github-keys",
    metavar="FILE",
    help="A file with the public keys of GitHub's secret scanning, instead of asking GitHub.",
)
@click.option("--config", metavar="FILE", help=f"The configuration file.  [default: ./{DEFAULT_CONFIG}, if it exists]")
@click.option(
    "--format",
    "as_format",
    type=click.Choice(["table", "json", "sarif"]),
    default="table",
    show_default=True,
    help="Print a table, one JSON object, or SARIF 2.1.0.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@FAIL_ON
@click.option("--quiet", "-q", is_flag=True, help="Print no notes and no summary on stderr.")
def command(
    *,
    paths: tuple[str, ...],
    files: tuple[str, ...],
    github_keys: str | None,
    config: str | None,
    as_format: str,
    as_json: bool,
    fail_on: Severity | None,
    quiet: bool,
) -> int:
    """Check once whether keys of the account have leaked; meant for a schedule.

    Always looks for users that AWS has put under quarantine, with one read of the account. With --scan, it searches
    files and repositories for key IDs with a secret beside them; no secret is shown or kept. With --event, it reads
    what AWS and GitHub report. Only keys of this account are findings.
    """
    as_format = requested_format(as_format, as_json=as_json)
    settings = configuration(config)

    from twokey.fleet import watching
    from twokey.fleet.runtime import Runtime
    from twokey.reports import documents
    from twokey.reports.documents import RevokeEntry

    request = watching.Request(paths, [_read(one) for one in _once(files)], github_keys or "")
    alerting = _alerting(settings)
    try:
        result = watching.look(Runtime(settings), settings, request)
    except TwokeyError as error:
        if alerting and not isinstance(error, UsageError):
            alerting.failed(error)
        raise
    leaked, revocations, failed = watching.revocable(settings, result), list[RevokeEntry](), 0
    if leaked:
        from twokey.cli import on_leak

        # Before anything is printed: the key works until then.
        revocations, failed = on_leak.revoke(leaked, config or DEFAULT_CONFIG)
    document = documents.watch_document(result, revocations)
    _print(document, as_format, config or DEFAULT_CONFIG, quiet=quiet)
    if alerting:
        alerting.leaked(watching.alerts(document))
    return failed or exit_code((one.severity for one in result.findings), fail_on, complete=result.complete)


def _alerting(settings: Settings | None) -> Alerting | None:
    from twokey.cli import terminal
    from twokey.fleet.alerting import Alerting

    if settings is None:
        return None
    return Alerting(settings, "watch", lambda failure: terminal.tell(f"Warning: {failure}"), whole=False)


def _once(files: tuple[str, ...]) -> tuple[str, ...]:
    if files.count("-") > 1:
        raise UsageError("--event: stdin is named twice.", remedy="Name - once, and files for the others.")
    return files


def _read(name: str) -> Event:
    from twokey.fleet import watching

    if name == "-":
        return watching.checked(watching.Event("stdin", sys.stdin.buffer.read(watching.LARGEST + 1)))
    return watching.read_file(name)


def _print(result: WatchDocument, as_format: str, file: str, *, quiet: bool) -> None:
    from twokey.cli import terminal
    from twokey.reports import documents, watch_sarif
    from twokey.revocation.watch import RULES

    revoked = [f"{one.outcome} {one.user}: {one.message}" for one in result.revocations]

    if as_format == "json":
        terminal.say_json(documents.encode(result))
    elif as_format == "sarif":
        terminal.say_json(watch_sarif.render(result, {name: rule.title for name, rule in RULES.items()}, file))
    else:
        for finding in result.findings:
            _show(finding)
        for text in revoked:
            terminal.paragraph(text)
    for warning in result.warnings:
        terminal.tell(f"Not looked at: {warning}")
    if quiet:
        return
    for note in result.notes:
        terminal.tell(note)
    if result.other_accounts:
        others = ", ".join(f"{account} ({count})" for account, count in result.other_accounts.items())
        terminal.tell(f"Keys of other accounts, which are no findings here: {others}.")
    counts = ", ".join(f"{count} {severity}" for severity, count in result.summary.items() if count)
    terminal.tell(f"{counts or 'no finding'} in account {result.account}.")


def _show(finding: Finding) -> None:
    from twokey.cli import terminal

    subject = finding.key_id or finding.user or finding.resource
    further = [str(one) for one in finding.locations[1 : 1 + _SHOWN]]
    if not terminal.is_interactive(sys.stdout):
        also = f" Also: {', '.join(further)}." if further else ""
        terminal.say(f"{finding.severity} {finding.id} {subject}: {finding.message} {finding.remedy}{also}")
        return
    terminal.draw([[(f"{finding.severity}  {finding.id}  {subject}", _COLOURS[finding.severity])]])
    for text in (finding.message, finding.remedy, *(f"Also: {one}" for one in further)):
        terminal.paragraph(text, "  ", "  ")
