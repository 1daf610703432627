"""``twokey audit``: the keys of an account, what they were last used for, and which rules they break."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from twokey.cli.audit_formats import FORMATS, JSON, text_of
from twokey.cli.fail_on import FAIL_ON, exit_code
from twokey.cli.help import Command, epilog
from twokey.cli.options import ACCOUNT, DEFAULT_CONFIG, configuration
from twokey.cli.requested_format import requested_format
from twokey.core.errors import UsageError

if TYPE_CHECKING:
    from twokey.fleet.runtime import Runtime
    from twokey.http.client import Http
    from twokey.permissions.findings import Severity
    from twokey.reports.audit import Audit


@click.command(
    "audit",
    cls=Command,
    epilog=epilog(
        ("twokey audit", "Show every key of the account, and what is wrong."),
        ("twokey audit --path /machine-users/ --fail-on high", "Exit with 4 if a finding is high or critical."),
        ("twokey audit --format csv --output keys.csv", "Write a file for a spreadsheet."),
    ),
)
@click.option("--path", metavar="PATH", help="Only the users below this IAM path, such as /machine-users/.")
@click.option("--config", metavar="FILE", help=f"The configuration file.  [default: ./{DEFAULT_CONFIG}, if it exists]")
@click.option(
    "--format",
    "as_format",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help="A table, one JSON object, CSV, an HTML page, or the format of another service.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--output", "-o", metavar="FILE", help="Write to this file instead of stdout.")
@FAIL_ON
@click.option("--ids", is_flag=True, help="Show the ID of every key: one more request for each user with keys.")
@click.option(
    "--max-age",
    metavar="TIME",
    default="4h",
    show_default=True,
    help="Fail if IAM's credential report is older; IAM makes one every 4 hours at most.",
)
@click.option(
    "--within",
    metavar="TIME",
    default="7d",
    show_default=True,
    help="Also report keys that will be too old within this time.",
)
@click.option(
    "--limit",
    metavar="TIME",
    default="90d",
    show_default=True,
    help="The maximum age of the keys that twokey does not rotate.",
)
@click.option(
    "--push-gateway", metavar="URL", help="Also send the metrics to this push gateway of Prometheus, http://HOST:9091."
)
@click.option(
    "--state",
    "states",
    metavar="FILE",
    multiple=True,
    help="Also find keys and secrets in this state or plan file of Terraform or OpenTofu, or s3://BUCKET/KEY; may be "
    "repeated.",
)
@ACCOUNT
@click.option("--redact", is_flag=True, help="Shorten key IDs to their first and last four characters.")
@click.option("--quiet", "-q", is_flag=True, help="Print no warnings and no summary on stderr.")
def command(
    *,
    path: str | None,
    config: str | None,
    as_format: str,
    as_json: bool,
    output: str | None,
    fail_on: Severity | None,
    ids: bool,
    max_age: str,
    within: str,
    limit: str,
    push_gateway: str | None,
    states: tuple[str, ...],
    accounts: tuple[str, ...],
    redact: bool,
    quiet: bool,
) -> int:
    """Show every key of the account: age, last use, role, holders, window; and what is wrong. Change nothing.

    The users that ./twokey.yaml covers are shown with the roles of their keys, from the journals in their stores. All
    others, and the root user, are shown as well. Most of it comes from one credential report of IAM, so it takes few
    requests, whatever the number of users.
    """
    as_format = requested_format(as_format, as_json=as_json, output=output, known=FORMATS)
    if as_format == "html":
        from twokey.cli import terminal

        terminal.refuse_page(output)
    settings = configuration(config, accounts)

    from twokey.fleet import account_audit

    request = account_audit.request(settings, path, ids=ids, max_age=max_age, within=within, limit=limit)

    from contextlib import ExitStack

    from twokey.fleet.runtime import Runtime
    from twokey.system.report_files import ReportFile

    runtime = Runtime(settings)
    region = _region(runtime, as_format)
    gateway = _gateway(push_gateway, runtime)
    with ExitStack() as stack:
        file = stack.enter_context(ReportFile(Path(output))) if output else None
        result = account_audit.audit_account(runtime, settings, request, states, redact=redact)
        text = None if as_format == "table" else text_of(result, as_format, config or DEFAULT_CONFIG, region)
        if file:
            file.write(text if text is not None else _lines(result))
    _show(result, text, as_format, to_file=bool(output), quiet=quiet, configured=settings is not None)
    if gateway:
        from twokey.reports.push_gateway import push

        push(gateway, result)
    return exit_code((one.severity for one in result.findings), fail_on, complete=result.complete)


def _gateway(url: str | None, runtime: Runtime) -> Http | None:
    if url is None:
        return None
    from twokey.reports.push_gateway import open_gateway

    return open_gateway(url, runtime.clients.clock)


def _region(runtime: Runtime, as_format: str) -> str:
    region = runtime.clients.region
    if as_format == "asff" and not region:
        raise UsageError(
            "--format asff needs a region: that of the Security Hub which imports the findings.",
            state="Nothing was called.",
            remedy="Set AWS_REGION.",
        )
    return region


def _lines(result: Audit) -> str:
    from twokey.cli import audit_view

    return "".join(f"{line}\n" for line in audit_view.lines(result))


def _show(result: Audit, text: str | None, as_format: str, *, to_file: bool, quiet: bool, configured: bool) -> None:
    from twokey.cli import audit_view, terminal

    if not to_file:
        if text is None:
            audit_view.show(result)
        elif as_format in JSON:
            terminal.say_json(text.removesuffix("\n"))
        elif as_format == "html":
            terminal.say_page(text)
        else:
            for line in text.splitlines():
                terminal.say(line)
    if quiet:
        return
    if not configured:
        terminal.tell(
            f"There is no ./{DEFAULT_CONFIG}, so no user counts as one that twokey rotates: name it with --config."
        )
    elif result.users and not any(user.managed for user in result.users):
        terminal.tell("The configuration covers none of these users, so none counts as one that twokey rotates.")
    for warning in result.warnings:
        terminal.tell(f"Warning: {warning}")
    terminal.tell(audit_view.summary(result))
