"""An alert as text, and as a JSON document. Pure. IDs and messages as every output shows them; never a secret."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from twokey.core import timestamps
from twokey.core.reasons import Outcome, Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.alerts.decision import Alert

VERSION = 1
MOST_LINES, MOST_ENTRIES = 20, 100
"""Users that a text names, and entries of a document: SNS and EventBridge accept at most 256 KB."""
LONGEST_MESSAGE = 1000
LABELS = {
    "window_breaks": "window will be broken",
    "window_broken": "window is broken",
    "run": "the run failed",
    "leaked_key": "leaked key",
}


class AlertEntry(msgspec.Struct):
    """One alert; ``kind`` is a user's outcome, its window, a leaked key, or (without a user) the whole run."""

    kind: Literal["outcome", "window_breaks", "window_broken", "run", "leaked_key"]
    problem: bool
    message: str
    account: str | None
    user: str | None
    path: str | None
    outcome: Outcome | None
    reason: Reason | None
    current: str | None
    last: str | None
    removed: list[str]
    key_id: str | None = None


class AlertDocument(msgspec.Struct):
    """What webhooks and EventBridge get.

    ``summary`` counts the alerts of each outcome and, of the others, by ``kind``. ``left_out`` counts the alerts that
    the document has no room for.
    """

    version: int
    command: str
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    subject: str
    summary: dict[str, int]
    alerts: list[AlertEntry]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """What one receiver gets about one run."""

    subject: str
    text: str
    document: AlertDocument

    @property
    def json(self) -> bytes:
        """The document."""
        return msgspec.json.encode(self.document)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the document."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "An alert of twokey",
        **msgspec.json.schema(AlertDocument),
    }


def message(command: str, found: Sequence[Alert], now: datetime) -> Message:
    """Return the message about some alerts, of which there is at least one."""
    counts: dict[str, int] = {}
    for alert in found:
        kind = _kind(alert)
        counts[kind] = counts.get(kind, 0) + 1
    words = ", ".join(f"{count} {LABELS.get(kind, kind)}" for kind, count in counts.items())
    subject = f"twokey {command}: {words}"
    lines = [_line(alert) for alert in found[:MOST_LINES]]
    if len(found) > MOST_LINES:
        lines.append(f"And {len(found) - MOST_LINES} more.")
    document = AlertDocument(
        VERSION, command, now, subject, counts, [*map(_entry, found[:MOST_ENTRIES])], max(0, len(found) - MOST_ENTRIES)
    )
    return Message(subject, "\n".join((f"{subject} ({timestamps.utc(now)})", *lines)), document)


def _kind(alert: Alert) -> str:
    if alert.kind != "outcome" or alert.result is None:
        return alert.kind
    return alert.result.outcome.value


def _line(alert: Alert) -> str:
    result = alert.result
    if alert.leak:
        whose = f"{alert.leak.account}/{alert.leak.user}: " if alert.leak.user else f"{alert.leak.account}: "
        return f"{whose}{LABELS[alert.kind]}. {_cut(alert.message)}"
    if result is None:
        return _cut(alert.message)
    why = f" ({result.reason})" if alert.kind == "outcome" else ""
    keys = (("CURRENT", result.current), ("LAST", result.last), ("removed", ", ".join(result.removed)))
    facts = ", ".join(f"{label} {fact}" for label, fact in keys if fact)
    named = str(result.user.key)
    kind = _kind(alert)
    return f"{named}: {LABELS.get(kind, kind)}{why}. {_cut(alert.message)}{f' [{facts}]' if facts else ''}"


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_MESSAGE else f"{line[: LONGEST_MESSAGE - 1]}…"


def _entry(alert: Alert) -> AlertEntry:
    result, leak = alert.result, alert.leak
    return AlertEntry(
        kind=alert.kind,
        problem=alert.problem,
        message=_cut(alert.message),
        account=result.user.account if result else leak.account if leak else None,
        user=(result.user.name or None) if result else (leak.user or None) if leak else None,
        path=result.user.path if result else None,
        outcome=result.outcome if result else None,
        reason=result.reason if result else None,
        current=(result.current or None) if result else None,
        last=(result.last or None) if result else None,
        removed=list(result.removed) if result else [],
        key_id=(leak.key_id or None) if leak else None,
    )
