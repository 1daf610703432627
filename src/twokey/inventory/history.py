"""What an audit log says of users, added to what their journals say: rotations, refusals and failures, with the reason.

The chain of the log is not verified here: ``twokey audit-log verify`` does that. A line that is no record is skipped.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from twokey.audit_log.records import Ended
from twokey.core import timestamps
from twokey.core.reasons import Outcome
from twokey.reports.audit import Event

if TYPE_CHECKING:
    from pathlib import Path

    from twokey.reports.audit import Audit, EventKind, User

MOST = 100
"""The latest events of a user that are kept: one that is refused is refused again in every run."""
SAME = timedelta(minutes=5)
"""A run ends within this time after the commit that the journal records."""
_KINDS: dict[Outcome, EventKind] = {
    Outcome.ROTATED: "rotated",
    Outcome.REFUSED: "refused",
    Outcome.FAILED: "failed",
}
_MARK = b'"what":"ended"'
_decoder = msgspec.json.Decoder(Ended)


def with_history(result: Audit, log: Path) -> Audit:
    """Return the result with the events of a log; with a warning, if the log cannot be read."""
    try:
        found = _events(log)
    except FileNotFoundError:
        return result
    except OSError as error:
        warning = f"The audit log {log} cannot be read ({error.strerror}): refusals and failures are not shown."
        return msgspec.structs.replace(result, warnings=[*result.warnings, warning])
    users = [_with(user, found.get((user.account, user.user), [])) for user in result.users]
    return msgspec.structs.replace(result, users=users)


def _events(log: Path) -> dict[tuple[str, str], list[Event]]:
    found: dict[tuple[str, str], list[Event]] = {}
    with log.open("rb") as file:
        for line in file:
            if _MARK not in line:
                continue
            try:
                ended = _decoder.decode(_record(line))
            except (msgspec.DecodeError, ValueError):
                continue
            kind = _KINDS.get(ended.outcome)
            if kind:
                at = timestamps.whole_second(ended.at)
                event = Event(at, kind, ended.current or None, None if kind == "rotated" else ended.reason.value)
                found.setdefault((ended.account, ended.user), []).append(event)
    return found


def _record(line: bytes) -> bytes:
    """Return a line without its hash, which is no member of a record."""
    begin, mark, _ = line.rstrip(b"\n").rpartition(b',"hash":"')
    return begin + b"}" if mark else line


def _with(user: User, events: list[Event]) -> User:
    if not (user.managed and events):
        return user
    known = [one for one in user.events if one.kind == "rotated"]
    added = [one for one in events[-MOST:] if not any(_same(one, other) for other in known)]
    merged = sorted([*user.events, *added], key=lambda event: (event.at, event.kind))
    return msgspec.structs.replace(user, events=merged)


def _same(one: Event, other: Event) -> bool:
    return (one.kind, one.key_id) == (other.kind, other.key_id) and abs(one.at - other.at) <= SAME
