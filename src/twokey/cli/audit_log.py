"""``twokey audit-log``: what can be done with a file that ``rotate --audit-log`` wrote."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from twokey.core.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from twokey.reports.documents import AuditLogDocument, AuditRule

RULES: dict[AuditRule, str] = {
    "chain": "the chain of lines",
    "head": "a hash that was noted elsewhere",
    "order": "the order of lines",
    "lease": "effects take place under the lease only",
    "I1": "I1: a place is given a key only after it was proved",
    "I2": "I2: a key works until its grace is over",
    "I3": "I3: no key that a place holds is taken out of use",
    "I4": "I4: a rotation ends with all places holding CURRENT",
    "I5": "I5: a key is created only where fewer than two exist",
    "I6": "I6: one orphan at most, and it can be attributed",
    "I7": "I7: an unmanaged key is never touched",
    "I8": "I8: with soak, a key is Inactive that long before it is deleted",
}


@click.group("audit-log", no_args_is_help=True)
def command() -> None:
    """Check a file that --audit-log wrote."""


@command.command("verify")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--expect-head", "heads", metavar="HASH", multiple=True, help="A hash noted elsewhere that must be in it."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify_command(file: Path, heads: tuple[str, ...], *, as_json: bool) -> int:
    """Find a line that was removed, changed or invented.

    Holds each line against the chain of hashes, and plays the log through a checker of the protocol. Lines that were
    cut off the end are found with --expect-head only. Exit codes: 0 nothing is wrong, 1 something is, 2 usage.
    """
    for head in heads:
        if not re.fullmatch(r"[0-9a-f]{64}", head):
            raise UsageError(f"--expect-head: {head!r} is not the hash of a line.", remedy="It has 64 hex digits.")

    from twokey.audit_log.verification import verify
    from twokey.cli import terminal
    from twokey.reports import documents

    report = verify(file, heads)
    document = documents.AuditLogDocument(
        file=str(file),
        good=report.good,
        lines=report.lines,
        runs=report.runs,
        effects=report.effects,
        interrupted=list(report.interrupted),
        elsewhere=list(report.elsewhere),
        torn=report.torn,
        first=documents.whole_seconds(report.first),
        last=documents.whole_seconds(report.last),
        head=report.head,
        findings=[documents.FindingEntry(one.line, one.rule, one.message) for one in report.findings],
    )
    if as_json:
        terminal.say(documents.encode(document))
    else:
        _show(document)
    return ExitCode.DONE if report.good else ExitCode.FAILED


def _show(document: AuditLogDocument) -> None:
    from twokey.cli.terminal import say, tell, when

    for finding in document.findings:
        say(f"{document.file}: {finding.message} [{RULES[finding.rule]}]")
    say(
        f"{document.file}: lines: {document.lines}, runs: {document.runs}, effects: {document.effects}, "
        f"from {when(document.first)} to {when(document.last)}."
    )
    for line in document.interrupted:
        say(f"{document.file}: the effect that begins in line {line} has no end: its run was interrupted, or still is.")
    for line in document.elsewhere:
        say(
            f"{document.file}: before line {line} runs had the lease that are not in this log: on another machine, "
            "without a log, or removed from it."
        )
    if document.torn:
        torn = f"{document.torn} lines were" if document.torn > 1 else "1 line was"
        say(f"{document.file}: {torn} torn by a crash; the next run noted it.")
    if document.good:
        say(f"{document.file}: nothing is wrong. The last line has the hash {document.head}.")
        tell("Note the hash elsewhere: with --expect-head it finds lines that are cut off or written anew.")
    else:
        tell("This log cannot be trusted from the first line named on. What was noted elsewhere can.")
