"""``twokey lint``: machine users that can do too much, and roles that trust too many."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from twokey.cli.fail_on import FAIL_ON, exit_code
from twokey.cli.help import Command, epilog
from twokey.cli.options import DEFAULT_CONFIG, configuration
from twokey.cli.requested_format import requested_format
from twokey.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.config.settings import Settings
    from twokey.permissions.account import Account, Principal
    from twokey.permissions.findings import Finding, Severity

_COLOURS = {"critical": "bold red", "high": "red", "medium": "yellow", "low": ""}


@click.command(
    "lint",
    cls=Command,
    epilog=epilog(
        ("twokey lint", "Check the users of ./twokey.yaml and all roles of the account."),
        ("twokey lint --path /machine-users/ --fail-on high", "Exit with 4 if a finding is high or critical."),
        ("twokey lint --format sarif > lint.sarif", "Write a file for a code scanning service."),
    ),
)
@click.argument("users", nargs=-1, metavar="[USER ...]")
@click.option("--path", metavar="PATH", help="Check every user below this IAM path, such as /machine-users/.")
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
def command(
    *,
    users: tuple[str, ...],
    path: str | None,
    config: str | None,
    as_format: str,
    as_json: bool,
    fail_on: Severity | None,
) -> int:
    """Find machine users that can do too much, and roles that trust too many; change nothing.

    A machine user should only assume the roles made for it. lint reads the whole account with a few requests, whatever
    the number of users, and follows roles through chains.
    """
    as_format = requested_format(as_format, as_json=as_json)
    settings = configuration(config)

    from functools import partial

    from twokey.fleet import on_aws
    from twokey.fleet.runtime import Runtime
    from twokey.inventory import collect
    from twokey.permissions.lint import lint

    if settings and settings.accounts:
        from twokey.cli import terminal

        terminal.tell(f"Warning: only the account that twokey runs in is read, not the others of {settings.source}.")
    runtime = Runtime(settings)
    account = collect.account(runtime.iam)
    selected = _selected(account, settings, users, path)
    findings = lint(
        account,
        selected,
        settings.tiers if settings else (),
        _deliveries(settings, selected),
        every_role=not users,
        on_aws=partial(on_aws.service_of, services=runtime.services),
    )
    _print(findings, as_format, config or DEFAULT_CONFIG, len(selected), account)
    return exit_code((one.level for one in findings), fail_on)


def _selected(account: Account, settings: Settings | None, users: tuple[str, ...], path: str | None) -> list[Principal]:
    """Return the users to check: the named ones, those below the path, those of the configuration, or all."""
    from twokey.config.settings import path_prefix, same_name

    found = list(account.users)
    if path is not None:
        prefix = path_prefix(path, "--path")
        found = [user for user in found if user.path.startswith(prefix)]
    if users:
        wanted = set(map(same_name, users))
        missing = [name for name in users if same_name(name) not in {same_name(user.name) for user in found}]
        if missing:
            where = f" below {path}" if path is not None else ""
            raise UsageError(
                f"There is no IAM user {', '.join(missing)}{where} in this account.",
                remedy="Check the name and the account: aws sts get-caller-identity.",
            )
        return [user for user in found if same_name(user.name) in wanted]
    if path is None and settings is not None:
        return [user for user in found if _configured(user, settings)]
    return found


def _configured(user: Principal, settings: Settings) -> bool:
    from twokey.core.model import MachineUser

    known = MachineUser(user.name, user.path, "", user.account, user.arn)
    return any(selection.means(known) for selection in settings.selections)


def _deliveries(settings: Settings | None, users: Sequence[Principal]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return where the configuration delivers each user's key."""
    from twokey.config.settings import same_name
    from twokey.core.model import MachineUser
    from twokey.fleet.runtime import fill

    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for user in users if settings else ():
        name = settings.account_name(user.account) if settings else ""
        known = MachineUser(user.name, user.path, "", user.account, user.arn, name)
        for selection in settings.selections if settings else ():
            if selection.means(known):
                urls = tuple(fill(url, known) for url in selection.deliver)
                found[same_name(user.name)] = (fill(selection.store, known), urls)
    return found


def _print(findings: Sequence[Finding], as_format: str, file: str, users: int, account: Account) -> None:
    from twokey.cli import terminal
    from twokey.reports import documents, sarif

    if as_format == "json":
        terminal.say_json(documents.encode(documents.lint_document(findings)))
        return
    if as_format == "sarif":
        terminal.say_json(sarif.sarif(findings, file))
        return
    if terminal.is_interactive(sys.stdout):
        for finding, texts in zip(findings, _sentences(findings), strict=True):
            heading = f"{finding.level}  {finding.id}  {finding.user or finding.resource}"
            terminal.draw([[(heading, _COLOURS[finding.level])]])
            for text in texts:
                terminal.paragraph(text, "  ", "  ")
    else:
        for finding in findings:
            terminal.say(
                f"{finding.level} {finding.id} {finding.user or finding.resource}: {finding.message} {finding.remedy}"
            )
    if account.passwords is None:
        terminal.tell(
            "Warning: the credential report cannot be read, so console passwords are unknown. Allow "
            "iam:GenerateCredentialReport and iam:GetCredentialReport."
        )
    counts = documents.lint_document(findings).summary
    found = ", ".join(f"{count} {severity}" for severity, count in counts.items() if count) or "no finding"
    terminal.tell(f"{found}: {_count(users, 'user')} and {_count(len(account.roles), 'role')} checked.")


def _sentences(findings: Sequence[Finding]) -> list[list[str]]:
    """Return what a terminal shows of each finding, of what many users have in common only the first time."""
    from twokey.cli import repeats

    subjects = [finding.user or finding.resource for finding in findings]
    messages = repeats.references(subjects, [f"{finding.id} {finding.message}" for finding in findings])
    remedies = repeats.references(subjects, [f"{finding.id} {finding.remedy}" for finding in findings])
    shown = []
    for finding, message, remedy in zip(findings, messages, remedies, strict=True):
        texts = (repeats.sentence(message) or finding.message, repeats.sentence(remedy) or finding.remedy)
        shown.append(list(dict.fromkeys(texts)))
    return shown


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
