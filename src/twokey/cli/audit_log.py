"""``twokey audit-log``: verify a file that ``--audit-log`` wrote."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from twokey.cli.help import Group, epilog
from twokey.core.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.reports.documents import AuditLogDocument, AuditRule

RULES: dict[AuditRule, str] = {
    "chain": "the chain of lines",
    "head": "a hash that was recorded elsewhere",
    "order": "the order of lines",
    "lease": "effects take place under the lease only",
    "I1": "I1: a key is delivered only after it was proved",
    "I2": "I2: a key works until its grace is over",
    "I3": "I3: no key that a destination holds is taken out of use",
    "I4": "I4: a rotation ends with all destinations holding CURRENT",
    "I5": "I5: a key is created only where fewer than two exist",
    "I6": "I6: at most one orphaned key, and it can be attributed",
    "I7": "I7: an unmanaged key is never touched",
    "I8": "I8: with soak, a key is Inactive that long before it is deleted",
}


@click.group(
    "audit-log",
    cls=Group,
    no_args_is_help=True,
    epilog=epilog(("twokey audit-log verify audit.log", "Check a whole log.")),
)
def command() -> None:
    """Verify a file that --audit-log wrote."""


@command.command(
    "verify",
    epilog=epilog(
        ("twokey audit-log verify audit.log", "Check a whole log, and print the hash of its last line."),
        ("twokey audit-log verify audit.log --expect-head HASH", "Check also that the line with HASH is there."),
    ),
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--expect-head",
    "heads",
    metavar="HASH",
    multiple=True,
    help="A hash recorded elsewhere that a line must have; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify_command(file: Path, heads: tuple[str, ...], *, as_json: bool) -> int:
    """Detect lines that were removed, changed or forged.

    Checks the chain of hashes, and replays the log against the rules of the protocol. Lines that were cut off the end
    are detected only with --expect-head. Exit codes: 0 valid, 1 not valid, 2 usage error or unreadable file.
    """
    for head in heads:
        if not re.fullmatch(r"[0-9a-f]{64}", head):
            raise UsageError(
                f"--expect-head: expected the hash of a line, got {head!r}.", remedy="Copy all of its 64 hex digits."
            )

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
        terminal.say_json(documents.encode(document))
    else:
        _show(document)
    return ExitCode.DONE if report.good else ExitCode.FAILED


def _sentences(document: AuditLogDocument) -> Iterator[str]:
    from twokey.cli.terminal import when

    if document.first is None:
        found = f"none of its {document.lines} lines is a line of one" if document.lines else "it is empty"
        yield (
            f"this is not an audit log: {found}. Name the file that rotate, deliver or adopt wrote (--audit-log, or "
            "audit_log in twokey.yaml). If this is that file, it was overwritten, and nothing in it is evidence."
        )
        return
    for finding in document.findings:
        yield f"{finding.message} [{RULES[finding.rule]}]"
    yield (
        f"lines: {document.lines}, runs: {document.runs}, effects: {document.effects}, from {when(document.first)} to "
        f"{when(document.last)}."
    )
    for line in document.interrupted:
        yield f"the effect that begins in line {line} has no end: its run was interrupted, or still is."
    for line in document.elsewhere:
        yield (
            f"before line {line}, runs that are not in this log held the lease: on another machine, without a log, or "
            "removed from it."
        )
    if document.torn:
        torn = f"{document.torn} lines were" if document.torn > 1 else "1 line was"
        yield f"{torn} torn by a crash; the next run recorded that."
    if document.good:
        yield f"the log is valid. The last line has the hash {document.head}."


def _show(document: AuditLogDocument) -> None:
    from twokey.cli.terminal import paragraph, tell

    for sentence in _sentences(document):
        paragraph(f"{document.file}: {sentence}", further="  ")
    if document.good:
        tell("Record the hash elsewhere: with --expect-head, it detects lines that are cut off or rewritten.")
    elif document.first is not None:
        tell("Do not trust this log from the first line named above. Hashes that were recorded elsewhere stay valid.")
