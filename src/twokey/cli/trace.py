"""``twokey trace``: whose an access key is, who used it, and what they may have left behind."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from twokey.cli.help import Command, epilog
from twokey.cli.numbers import WholeNumber
from twokey.cli.options import DEFAULT_CONFIG, configuration
from twokey.cli.requested_format import requested_format
from twokey.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.config.settings import Settings
    from twokey.core.model import MachineUser
    from twokey.inventory.decision import Managed
    from twokey.reports.trace import Trace

FORMATS = ("table", "json", "html")
_KEY_ID = re.compile(r"[A-Z0-9]{16,128}")
"""The id of an access key ("AccessKey", IAM API Reference), which is in uppercase."""
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")


@click.command(
    "trace",
    cls=Command,
    epilog=epilog(
        ("twokey trace AKIAIOSFODNN7EXAMPLE", "Show whose the key is, and who used it in the last 90 days."),
        ("twokey trace AKIAIOSFODNN7EXAMPLE --days 2 --region us-east-1", "Look at two days of one region only."),
        ("twokey trace AKIAIOSFODNN7EXAMPLE --format html -o trace.html", "Write a page with a timeline of the uses."),
        ("twokey trace AKIAIOSFODNN7EXAMPLE --json | jq '.uses[] | select(.mark)'", "List what may be left behind."),
    ),
)
@click.argument("key_id", metavar="KEY_ID")
@click.option(
    "--days",
    metavar="DAYS",
    type=WholeNumber(1, 90),
    default=90,
    show_default=True,
    help="How many days to look back.",
)
@click.option(
    "--region",
    "regions",
    metavar="REGION",
    multiple=True,
    help="Only the events of this region; may be repeated.  [default: all that the account has enabled]",
)
@click.option("--config", metavar="FILE", help=f"The configuration file.  [default: ./{DEFAULT_CONFIG}, if it exists]")
@click.option(
    "--format",
    "as_format",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help="A table, one JSON object, or an HTML page with a timeline.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--output", "-o", metavar="FILE", help="Write to this file instead of stdout.")
@click.option("--quiet", "-q", is_flag=True, help="Print no notes on stderr.")
def command(
    *,
    key_id: str,
    days: int,
    regions: tuple[str, ...],
    config: str | None,
    as_format: str,
    as_json: bool,
    output: str | None,
    quiet: bool,
) -> int:
    """Show whose an access key is, what it can reach, who used it and from where. Change nothing.

    The events come from CloudTrail's event history, also those of sessions that were made from the key. Events that
    create or change what outlives the key are marked. Without a configuration, no key counts as one that twokey
    rotates.
    """
    from contextlib import ExitStack

    from twokey.cli import terminal
    from twokey.system.report_files import ReportFile

    as_format = requested_format(as_format, as_json=as_json, output=output, known=FORMATS)
    if as_format == "html":
        terminal.refuse_page(output)
    _check(key_id, regions)
    settings = configuration(config)
    with ExitStack() as stack:
        file = stack.enter_context(ReportFile(Path(output))) if output else None
        result = _trace(key_id, days, regions, settings, quiet=quiet)
        text = _text(result, as_format)
        if file:
            file.write(text)
    if not output:
        _show(result, text, as_format)
    if not quiet:
        if settings is None and result.user:
            terminal.tell(
                f"There is no ./{DEFAULT_CONFIG}, so no user counts as one that twokey rotates: name it with --config."
            )
        for note in (*(f"Not complete: {why}" for why in result.incomplete), *result.notes):
            terminal.tell(note)
    return _code(result)


def _check(key_id: str, regions: Sequence[str]) -> None:
    """Raise ``UsageError`` for what is no key id, which is not shown: it may be a secret."""
    if not _KEY_ID.fullmatch(key_id):
        raise UsageError(
            "KEY_ID: expected the ID of an access key, such as AKIAIOSFODNN7EXAMPLE.",
            state="Nothing was called.",
            remedy="If what you typed was a secret, it is now in the history of your shell: remove it there.",
        )
    for region in regions:
        if not _REGION.fullmatch(region):
            raise UsageError(f"--region: expected the name of a region, such as eu-central-1, not {region!r}.")


def _trace(key_id: str, days: int, regions: Sequence[str], settings: Settings | None, *, quiet: bool) -> Trace:
    from twokey.aws.cloudtrail import CloudTrail
    from twokey.cli import terminal
    from twokey.fleet.members import members
    from twokey.fleet.runtime import Runtime
    from twokey.revocation.trace import Request, Sources, trace

    runtime = Runtime(settings)

    def managed(users: Sequence[MachineUser]) -> Sequence[Managed]:
        return members(runtime, settings, users)

    sources = Sources(runtime.iam, runtime.sts, CloudTrail(runtime.clients), managed, settings is not None)
    return trace(Request(key_id, days, tuple(regions)), sources, terminal.announcer(quiet=quiet))


def _text(result: Trace, as_format: str) -> str:
    if as_format == "json":
        from twokey.reports import documents

        return documents.encode(result) + "\n"
    if as_format == "html":
        from twokey.reports.html import trace_page

        return trace_page.render(result)
    from twokey.cli import trace_view

    return "".join(f"{line}\n" for line in trace_view.lines(result))


def _show(result: Trace, text: str, as_format: str) -> None:
    from twokey.cli import terminal, trace_view

    if as_format == "json":
        terminal.say_json(text.removesuffix("\n"))
    elif as_format == "html":
        terminal.say_page(text)
    else:
        trace_view.show(result)


def _code(result: Trace) -> int:
    from twokey.core.errors import ExitCode

    return ExitCode.DONE if result.complete else ExitCode.FAILED
