"""``twokey report``: results of ``twokey audit`` as one HTML page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from twokey.cli.help import Command, epilog
from twokey.core import timestamps
from twokey.core.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.reports.audit import Audit

STDIN = "-"


@click.command(
    "report",
    cls=Command,
    epilog=epilog(
        ("twokey report audit.json --output report.html", "Write the page of one result."),
        ("twokey report results/*.json --output report.html", "Write the page of the latest result, with a history."),
        ("twokey audit --json | twokey report - > report.html", "Read the result from standard input."),
    ),
)
@click.argument("result", nargs=-1, required=True, metavar="RESULT ...")
@click.option("--output", "-o", metavar="FILE", help="Write to this file instead of stdout.")
@click.option("--redact", is_flag=True, help="Shorten key IDs to their first and last four characters.")
@click.option("--quiet", "-q", is_flag=True, help="Print no summary on stderr.")
def command(*, result: tuple[str, ...], output: str | None, redact: bool, quiet: bool) -> int:
    """Show results of twokey audit --json as one HTML page; call no service.

    RESULT is a file that twokey audit --json wrote, or - for standard input. The page shows the latest result; several
    results of one account also make a history. It is one file that loads nothing: it can be sent, archived and printed.
    """
    from contextlib import ExitStack

    from twokey.cli import terminal
    from twokey.cli.audit_formats import titles
    from twokey.reports.html import page
    from twokey.system.report_files import ReportFile

    terminal.refuse_page(output)
    with ExitStack() as stack:
        file = stack.enter_context(ReportFile(Path(output))) if output else None
        results = _results(result)
        if redact:
            from twokey.reports.audit import redact as redacted

            results = [redacted(one) for one in results]
        text = page.render(results, titles())
        if file:
            file.write(text)
        else:
            terminal.say_page(text)
    if not quiet:
        terminal.tell(_summary(results, output))
    return ExitCode.DONE


def _results(files: Sequence[str]) -> list[Audit]:
    """Return the results, the oldest first; raises ``UsageError`` where they are not results of one account."""
    read = [(file, _result(file)) for file in dict.fromkeys(files)]
    accounts = {audit.account: file for file, audit in reversed(read)}
    if len(accounts) > 1:
        named = ", ".join(f"{account} ({file})" for account, file in sorted(accounts.items())[:3])
        more = f" and {len(accounts) - 3} more" if len(accounts) > 3 else ""
        raise UsageError(
            f"A history has results of one account, and these are of {len(accounts)}: {named}{more}.",
            remedy="Make one report for each account.",
        )
    return sorted((audit for _, audit in read), key=lambda audit: audit.generated)


def _result(file: str) -> Audit:
    from twokey.reports import audit

    try:
        data = sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read: {error.strerror}.", remedy="Name files that twokey audit --json wrote."
        ) from None
    name = "standard input" if file == STDIN else file
    try:
        return audit.decode(data)
    except ValueError as error:
        raise UsageError(f"{name}: {error}.", remedy="Name files that twokey audit --json wrote.") from None


def _summary(results: Sequence[Audit], output: str | None) -> str:
    from twokey.reports.audit import people

    latest = results[-1]
    earlier = f", and {_count(len(results) - 1, 'earlier result')}" if len(results) > 1 else ""
    return (
        f"{output or 'stdout'}: {_count(people(latest), 'user')} and {_count(len(latest.findings), 'finding')} "
        f"as of {timestamps.utc(latest.generated)}{earlier}."
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
