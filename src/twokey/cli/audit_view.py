"""What ``twokey audit`` shows: every key in a table, then the findings."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from twokey.cli import layout, repeats, terminal
from twokey.core import timestamps
from twokey.core.model import UserKey
from twokey.fleet.names import Names
from twokey.inventory.credential_report import ROOT
from twokey.reports.audit import people as people_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from twokey.cli.layout import Cell, Line
    from twokey.reports.audit import Audit, Finding, Key

COLOURS = {"critical": "bold red", "high": "red", "medium": "yellow", "low": ""}
_WINDOWS = {"kept": "", "broken": "red", "unknown": "yellow"}


def show(result: Audit) -> None:
    """Print the keys and the findings: a table and paragraphs at a terminal, lines otherwise."""
    if not terminal.is_interactive(sys.stdout):
        for line in lines(result):
            terminal.say(line)
        return
    width, named = terminal.width(), _names(result)
    terminal.draw(_table(result, width) or _blocks(result, width))
    if any(key.key_id is None and key.user != ROOT for key in result.keys):
        terminal.paragraph(f"key {terminal.NOTHING}: its ID is not in the credential report; --ids shows it.")
    for finding, texts in zip(result.findings, _sentences(result.findings), strict=True):
        terminal.say()
        style = COLOURS[finding.severity]
        terminal.draw(
            layout.block([(f"{finding.severity}  {finding.id}  ", style), (named(_of(finding)), style)], [], width)
        )
        for text in texts:
            terminal.paragraph(text, "  ", "  ")


def lines(result: Audit) -> Iterator[str]:
    """Return the keys and the findings as lines for a log."""
    named = _names(result)
    for key in result.keys:
        held = f", held by {', '.join(key.held_by)}" if key.held_by else ""
        yield (
            f"{named(_of(key))}: {terminal.role_name(key.role)} {key.key_id or 'key of unknown ID'}, {key.status}, "
            f"age {_age(result, key)}, {_use(key)}, window {_window(result, key)}{held}"
        )
    for finding in result.findings:
        controls = f" ({', '.join(finding.controls)})" if finding.controls else ""
        yield f"{finding.severity} {finding.id} {named(_of(finding))}: {finding.message} {finding.remedy}{controls}"


def _names(result: Audit) -> Names:
    return Names(map(_of, result.keys))


def _of(one: Key | Finding) -> UserKey:
    return UserKey(one.account, one.user)


def summary(result: Audit) -> str:
    """Return one line about the whole."""
    found = ", ".join(f"{count} {severity}" for severity, count in result.summary.items() if count) or "no finding"
    made = f"; credential report of {timestamps.utc(result.report_generated)}" if result.report_generated else ""
    count = people_of(result)
    people = f"{count} user{'' if count == 1 else 's'}"
    keys = f"{len(result.keys)} key{'' if len(result.keys) == 1 else 's'}"
    accounts = {user.account for user in result.users}
    where = f"{len(accounts)} accounts" if len(accounts) > 1 else f"account {next(iter(accounts), result.account)}"
    return f"{found}: {people} with {keys} in {where}{made}."


def _table(result: Audit, width: int) -> list[Line] | None:
    named = _names(result)
    columns = (
        layout.Column("user", layout.narrowest_of(named(_of(key)) for key in result.keys)),
        layout.Column("key"),
        layout.Column("role", 1, words=True),
        layout.Column("age"),
        layout.Column("last use", 1, words=True),
        layout.Column("window", 1, words=True),
    )
    return layout.table(columns, [_row(result, key, named) for key in result.keys], width) if result.keys else []


def _row(result: Audit, key: Key, named: Names) -> list[Cell]:
    role = terminal.role_name(key.role) + ("" if key.status == "Active" else " (Inactive)")
    window = layout.cell(_window(result, key), _WINDOWS[key.window])
    texts = (named(_of(key)), key.key_id or terminal.NOTHING, role, _age(result, key), _use_ago(result, key))
    return [*map(layout.cell, texts), window]


def _blocks(result: Audit, width: int) -> list[Line]:
    found: list[Line] = []
    named = _names(result)
    for key in result.keys:
        labelled = [
            ("key", layout.cell(key.key_id or terminal.NOTHING)),
            ("status", layout.cell(key.status)),
            ("age", layout.cell(_age(result, key))),
            ("last use", layout.cell(_use_ago(result, key))),
            ("window", layout.cell(_window(result, key), _WINDOWS[key.window])),
        ]
        found += layout.block([(f"{named(_of(key))}: ", "bold"), (terminal.role_name(key.role), "")], labelled, width)
    return found


def _age(result: Audit, key: Key) -> str:
    if key.created is None:
        return "unknown"
    return terminal.age(int((result.generated - key.created).total_seconds()))


def _use(key: Key) -> str:
    if key.last_used is None:
        return "no use known"
    return f"used {timestamps.utc(key.last_used.at)} for {key.last_used.service or 'an unknown service'}"


def _use_ago(result: Audit, key: Key) -> str:
    if key.last_used is None:
        return "none known"
    ago = terminal.age(int((result.generated - key.last_used.at).total_seconds()))
    return f"{ago} ago, {key.last_used.service or 'unknown'}"


def _window(result: Audit, key: Key) -> str:
    if key.breaks_at is None or key.window == "unknown":
        return terminal.NOTHING if key.status == "Inactive" else "unknown"
    left = int((key.breaks_at - result.generated).total_seconds())
    return f"broken {terminal.age(-left)} ago" if key.window == "broken" else f"{terminal.age(left)} left"


def _sentences(findings: Sequence[Finding]) -> list[list[str]]:
    """Return what a terminal shows of each finding, of what many users have in common only the first time."""
    subjects = [finding.user for finding in findings]
    messages = repeats.references(subjects, [f"{finding.id} {finding.message}" for finding in findings])
    remedies = repeats.references(subjects, [f"{finding.id} {finding.remedy}" for finding in findings])
    shown = []
    for finding, message, remedy in zip(findings, messages, remedies, strict=True):
        texts = [repeats.sentence(message) or finding.message, repeats.sentence(remedy) or finding.remedy]
        if finding.controls:
            texts.append(f"Controls: {', '.join(finding.controls)}.")
        shown.append(list(dict.fromkeys(texts)))
    return shown
