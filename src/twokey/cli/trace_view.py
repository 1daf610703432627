"""What ``twokey trace`` shows: whose the key is, two conclusions, what may be left behind, and every use."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec

from twokey.cli import layout, terminal
from twokey.core import timestamps
from twokey.reports.trace import grouped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from twokey.cli.layout import Cell, Line
    from twokey.reports.trace import Group, MadeSession, Trace, Use

MOST = 200
"""How many kinds of use a terminal shows, and how many sessions a log."""
MOST_SESSIONS = 20
AGENT = 48
"""How many characters of a program's name a table shows."""
MAY = "May it be deleted?"
DONE = "What was done with it?"


def show(result: Trace) -> None:
    """Print the result: paragraphs and a table at a terminal, lines otherwise."""
    if not terminal.is_interactive(sys.stdout):
        for line in lines(result):
            terminal.say(line)
        return
    width = terminal.width()
    terminal.paragraph(_summary(result))
    for line in _reaches(result):
        terminal.paragraph(line, "", "  ")
    for question, conclusion in ((MAY, result.conclusions.delete), (DONE, result.conclusions.uses)):
        terminal.headline(question)
        terminal.paragraph(conclusion, "  ")
    _show_left(result, width)
    if result.sessions:
        terminal.headline("Sessions made from it")
    for session in result.sessions[:MOST_SESSIONS]:
        terminal.paragraph(_session(session), "  ", "  ")
    if len(result.sessions) > MOST_SESSIONS:
        terminal.paragraph(f"{len(result.sessions) - MOST_SESSIONS} earlier sessions: --json has them all.", "  ")
    _show_uses(result, width)


def _show_left(result: Trace, width: int) -> None:
    left = [use for use in result.uses if use.mark]
    if left:
        terminal.headline("What may be left behind")
    for use in left:
        terminal.draw(layout.block([(f"{use.mark}  ", "red"), (_event(use), "bold")], [], width))
        terminal.paragraph(f"{timestamps.utc(use.time)} in {use.region} {_who(use, _session_of(use))}", "  ", "  ")


def _show_uses(result: Trace, width: int) -> None:
    groups = grouped(result)
    if groups:
        terminal.headline("Uses")
        terminal.draw(_table(groups[:MOST], width) or _blocks(groups[:MOST], width))
    if len(groups) > MOST:
        terminal.paragraph(f"{len(groups) - MOST} more kinds of use: --json has every event.")


def lines(result: Trace) -> Iterator[str]:
    """Return the result as lines for a log."""
    yield _summary(result)
    yield from _reaches(result)
    yield f"{MAY} {result.conclusions.delete}"
    yield f"{DONE} {result.conclusions.uses}"
    for use in result.uses:
        if use.mark:
            description = f"{use.mark}: {_event(use)} at {timestamps.utc(use.time)} in {use.region} "
            yield f"{description}{_who(use, _session_of(use))}"
    for session in result.sessions[:MOST]:
        yield f"session: {_session(session)}"
    if len(result.sessions) > MOST:
        yield f"{len(result.sessions) - MOST} earlier sessions: --json has them all."
    for group in grouped(result):
        use = group.latest
        error = f", {use.error}" if use.error else ""
        what = f"{timestamps.utc(use.time)} {use.service}:{use.event}{_times(group)} in {use.region}"
        yield f"{what} {_who(use, group.by)}{error}"


def _summary(result: Trace) -> str:
    whose = f"{terminal.role_name(result.role)} key" if result.role not in ("current", "last") else result.role.upper()
    user = f" of {result.user}" if result.user else " of an unknown user"
    account = f" in account {result.account}" if result.account else " in an unknown account"
    status = f", {result.status}" if result.status else ""
    created = f", created {timestamps.utc(result.created)}" if result.created else ""
    held = f", held by {', '.join(result.held_by)}" if result.held_by else ""
    return f"{result.key_id}: {whose}{user}{account}{status}{created}{held}."


def _reaches(result: Trace) -> Iterator[str]:
    if result.administrator:
        yield "It can do everything in the account."
    if result.reaches:
        yield f"It can assume, directly or through other roles: {', '.join(result.reaches)}."


def _event(use: Use) -> str:
    return f"{use.service}:{use.event}{f' {use.target}' if use.target else ''}"


def _who(use: Use, by: str) -> str:
    by = f" by {by}" if by else ""
    return f"from {use.source_ip or 'an unknown address'}{by} with {use.user_agent or 'an unknown program'}"


def _session_of(use: Use) -> str:
    return f"session {use.session}" if use.session else ""


def _times(group: Group) -> str:
    return f", {group.count} times since {timestamps.utc(group.first)}," if group.count > 1 else ""


def _session(session: MadeSession) -> str:
    what = f"of {session.role}" if session.role else "of the user itself"
    until = f", until {timestamps.utc(session.expires)}" if session.expires else ""
    unread = "" if session.followed else ", its events were not looked up"
    made = f"made {timestamps.utc(session.issued)} by {session.made_from}"
    return f"{session.key_id} {what}, {made}{until}{unread}"


def _table(groups: Sequence[Group], width: int) -> list[Line] | None:
    columns = (
        layout.Column("last"),
        layout.Column("times"),
        layout.Column("event"),
        layout.Column("region"),
        layout.Column("from", 9),
        layout.Column("with", 12),
    )
    return layout.table(columns, [_row(group) for group in groups], width)


def _row(group: Group) -> list[Cell]:
    use = group.latest
    style = "red" if use.mark else "yellow" if use.error else ""
    event = f"{use.service}:{use.event}{f' ({use.error})' if use.error else ''}"
    texts = (use.region, use.source_ip or terminal.NOTHING, _agent(group))
    return [
        layout.cell(timestamps.utc(use.time)),
        layout.cell(str(group.count)),
        layout.cell(event, style),
        *map(layout.cell, texts),
    ]


def _agent(group: Group) -> str:
    """Return the beginning of a program's name, after the sessions that used it."""
    text = _shortened(group.latest.user_agent)
    return f"{group.by}, {text}" if group.by else text or terminal.NOTHING


def _shortened(agent: str) -> str:
    return agent if len(agent) <= AGENT else f"{agent[: AGENT - 3]}..."


def _blocks(groups: Sequence[Group], width: int) -> list[Line]:
    """Return each use as its name and one sentence, where a table would have to break the names."""
    found: list[Line] = []
    for group in groups:
        use = group.latest
        error = f" ({use.error})" if use.error else ""
        style = "red" if use.mark else "yellow" if use.error else "bold"
        found += layout.block([(f"{use.service}:{use.event}{error}", style)], [], width)
        who = _who(msgspec.structs.replace(use, user_agent=_shortened(use.user_agent)), group.by)
        when = f"{timestamps.utc(use.time)}{_times(group)} in {use.region} {who}"
        found += layout.indented(layout.cell(when), width)
    return found
