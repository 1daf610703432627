"""The JSON documents that ``--json`` prints, and their published schemas."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from twokey.core import timestamps
from twokey.core.reasons import Ending, Outcome, Reason, Revocation
from twokey.permissions.findings import SEVERITIES
from twokey.planning.destination_states import State
from twokey.reports.audit import Audit
from twokey.reports.rehearsal import Rehearsal
from twokey.reports.trace import Trace
from twokey.reports.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from twokey.permissions.findings import Finding as LintFinding
    from twokey.planning.destination_states import DestinationState
    from twokey.rotation.preview import Preview
    from twokey.rotation.results import Result

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Role = Literal["current", "last", "orphaned", "unmanaged", "unknown", "removed"]
Finding = Literal[
    "window_broken",
    "job_fails",
    "unreadable",
    "late",
    "out_of_date",
    "interrupted",
    "refused",
    "contested",
    "window_breaks",
]
"""What is wrong with a user: see ``reports.check``."""
AuditRule = Literal["chain", "head", "order", "lease", "I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8"]
OUTCOMES = tuple(outcome.value for outcome in Outcome)


class DestinationEntry(msgspec.Struct, omit_defaults=True):
    """How one destination ended: ``delivered``, ``held`` (had CURRENT already) or ``failed``, and why."""

    destination: str
    outcome: Literal["delivered", "held", "failed"]
    message: str | None = None


class DestinationStateEntry(msgspec.Struct, omit_defaults=True):
    """What one destination holds: CURRENT, another key, nothing; or why that is unknown."""

    destination: str
    outcome: State
    message: str | None = None


class OutcomeEntry(msgspec.Struct):
    """How a run ended, or would end, for one machine user."""

    account: str
    user: str
    path: str
    outcome: Outcome
    reason: Reason
    message: str
    current: str | None
    last: str | None
    removed: list[str]
    next_due: Moment | None


class ResultEntry(OutcomeEntry):
    """How the run ended for one machine user; ``warnings``: what the operator should know besides."""

    destinations: list[DestinationEntry]
    warnings: list[str]


class ResultsDocument(msgspec.Struct):
    """What ``twokey rotate --json`` and ``twokey deliver --json`` print."""

    results: list[ResultEntry]
    summary: dict[str, int]


class ContainedEntry(msgspec.Struct):
    """A leaked key that is Inactive: since when by AWS's clock, and the id of the request that made it so."""

    key: str
    at: Moment
    request_id: str | None


class SessionEntry(msgspec.Struct, omit_defaults=True):
    """What became of a role's sessions that were made with a leaked key; ``policy``: what is to be applied there."""

    role: str
    outcome: Literal["ended", "kept", "denied"]
    policy: str | None = None
    message: str | None = None


class RevokeEntry(msgspec.Struct):
    """How a revocation ended for one machine user: as for a rotation, and since when the leaked keys are Inactive."""

    account: str
    user: str
    path: str
    outcome: Revocation
    reason: Reason
    message: str
    current: str | None
    last: str | None
    removed: list[str]
    next_due: Moment | None
    contained_at: Moment | None
    contained: list[ContainedEntry]
    destinations: list[DestinationEntry]
    sessions: list[SessionEntry]
    warnings: list[str]


class RevokeDocument(msgspec.Struct):
    """What ``twokey revoke --json`` prints."""

    results: list[RevokeEntry]
    summary: dict[str, int]


class RevokePlanEntry(msgspec.Struct):
    """What a revocation would do for one machine user: the keys made Inactive first, then the actions, in order.

    ``sessions``: what ending the sessions does, in sentences.
    """

    account: str
    user: str
    path: str
    keys: list[str]
    actions: list[str]
    message: str
    sessions: list[str] = []


class RevokePlanDocument(msgspec.Struct):
    """What ``twokey revoke --plan --json`` prints."""

    results: list[RevokePlanEntry]


class LiftEntry(msgspec.Struct):
    """What became of the policies that ended sessions, on a user or role (``principal``, an ARN).

    ``until``: when the last session that they deny is over.
    """

    account: str
    principal: str
    outcome: Literal["lifted", "due", "refused", "failed"]
    until: Moment
    policies: list[str]
    message: str


class LiftDocument(msgspec.Struct):
    """What ``twokey revoke --lift --json`` prints."""

    results: list[LiftEntry]
    summary: dict[str, int]


class PlanEntry(OutcomeEntry):
    """What would be done for one machine user; ``outcome`` is what the run would end as."""

    destinations: list[DestinationStateEntry]
    warnings: list[str]
    actions: list[str]


class PlanDocument(msgspec.Struct):
    """What ``twokey plan --json`` prints."""

    results: list[PlanEntry]
    summary: dict[str, int]


class KeyEntry(msgspec.Struct):
    """An access key of a machine user."""

    id: str
    role: Role
    active: bool
    created: Moment
    age_seconds: int
    last_used: Moment | None
    last_used_service: str | None
    last_used_region: str | None
    held_by: list[str]


class StatusEntry(msgspec.Struct):
    """One machine user: its keys and their holders, what is due, and problems."""

    account: str
    user: str
    path: str
    store: str
    keys: list[KeyEntry]
    destinations: list[DestinationStateEntry]
    next_due: Moment | None
    next: str
    problems: list[str]
    findings: list[Finding]
    readable: bool = True


class StatusDocument(msgspec.Struct):
    """What ``twokey status --json`` prints."""

    users: list[StatusEntry]


class HoldingEntry(msgspec.Struct):
    """Which key one destination holds: an id, or none because it is empty, does not show it or could not be read."""

    destination: str
    holds: Literal["key", "empty", "cannot_tell", "unreachable"]
    key: str | None
    message: str | None


class AdoptEntry(msgspec.Struct):
    """How a takeover ended, or would end, for one machine user."""

    account: str
    user: str
    path: str
    store: str
    outcome: Ending
    reason: Reason
    message: str
    current: str | None
    last: str | None
    keys: list[KeyEntry]
    destinations: list[HoldingEntry]
    actions: list[str]
    unknown: list[str]


class AdoptDocument(msgspec.Struct):
    """What ``twokey adopt --json`` prints. ``performed``: with ``--yes``; otherwise nothing was changed."""

    performed: bool
    results: list[AdoptEntry]
    summary: dict[str, int]


class FindingEntry(msgspec.Struct):
    """A problem with one line of an audit log."""

    line: int
    rule: AuditRule
    message: str


class AuditLogDocument(msgspec.Struct):
    """What ``twokey audit-log verify --json`` prints."""

    file: str
    good: bool
    lines: int
    runs: int
    effects: int
    interrupted: list[int]
    elsewhere: list[int]
    torn: int
    first: Moment | None
    last: Moment | None
    head: str
    findings: list[FindingEntry]


class LintEntry(msgspec.Struct):
    """One finding: its rule, whom and what it is about, what is wrong, and what to do. ``user`` is empty for a role."""

    id: str
    severity: Literal["low", "medium", "high", "critical"]
    account: str
    user: str
    resource: str
    message: str
    remedy: str


class LintDocument(msgspec.Struct):
    """What ``twokey lint --json`` prints; ``summary`` counts the findings of each severity."""

    findings: list[LintEntry]
    summary: dict[str, int]


class WatchDocument(Watch, frozen=True):
    """What ``twokey watch --json`` prints; ``revocations``: how each one ended that ``on_leak: revoke`` started."""

    revocations: list[RevokeEntry] = msgspec.field(default_factory=list)


DOCUMENTS: dict[str, type] = {
    "rotate": ResultsDocument,
    "deliver": ResultsDocument,
    "forget": ResultsDocument,
    "move-store": ResultsDocument,
    "revoke": RevokeDocument,
    "revoke --plan": RevokePlanDocument,
    "revoke --lift": LiftDocument,
    "plan": PlanDocument,
    "status": StatusDocument,
    "adopt": AdoptDocument,
    "audit-log verify": AuditLogDocument,
    "lint": LintDocument,
    "audit": Audit,
    "trace": Trace,
    "watch": WatchDocument,
    "rehearse": Rehearsal,
}


_BREAK = "\n"


def encode(document: object) -> str:
    """Return a document as indented JSON text."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def encode_results(entries: Iterable[OutcomeEntry]) -> Iterator[str]:
    """Yield the text of a document of these results and their summary, entry by entry, as ``encode`` returns it.

    The document of a whole fleet and its text would take more memory than the results themselves.
    """
    counts, before = dict.fromkeys(OUTCOMES, 0), '{\n  "results": ['
    for entry in entries:
        counts[entry.outcome] += 1
        yield f"{before}\n    {encode(entry).replace(_BREAK, _BREAK + '    ')}"
        before = ","
    end = "\n  ]" if before == "," else f"{before}]"
    yield f'{end},\n  "summary": {encode(counts).replace(_BREAK, _BREAK + "  ")}\n}}'


def schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of the document that the command ``name`` prints."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"twokey {name} --json",
        **msgspec.json.schema(DOCUMENTS[name]),
    }


def results_document(results: Iterable[Result]) -> ResultsDocument:
    """Return the document of a rotation."""
    entries = [result_entry(result) for result in results]
    return ResultsDocument(entries, summary(entry.outcome for entry in entries))


def watch_document(result: Watch, revocations: Sequence[RevokeEntry]) -> WatchDocument:
    """Return the document of what was found, and of what was done about it."""
    return WatchDocument(**msgspec.structs.asdict(result), revocations=list(revocations))


def plan_document(previews: Iterable[Preview]) -> PlanDocument:
    """Return the document of a plan: the expected results, the actions, and the state of each destination now."""
    entries = [
        PlanEntry(
            **_outcome(one.result),
            destinations=state_entries(one.destinations),
            warnings=list(one.result.warnings),
            actions=[str(action) for action in one.plan.actions] if one.plan else [],
        )
        for one in previews
    ]
    return PlanDocument(entries, summary(entry.outcome for entry in entries))


def lint_document(findings: Sequence[LintFinding]) -> LintDocument:
    """Return the document of the findings."""
    entries = [
        LintEntry(
            id=one.id,
            severity=one.level,
            account=one.account,
            user=one.user,
            resource=one.resource,
            message=one.message,
            remedy=one.remedy,
        )
        for one in findings
    ]
    counts: dict[str, int] = {
        severity: sum(entry.severity == severity for entry in entries) for severity in reversed(SEVERITIES)
    }
    return LintDocument(entries, counts)


def summary(outcomes: Iterable[str]) -> dict[str, int]:
    """Count the outcomes; an outcome that did not occur counts 0."""
    counts = dict.fromkeys(OUTCOMES, 0)
    for outcome in outcomes:
        counts[outcome] += 1
    return counts


def whole_seconds(moment: datetime | None) -> datetime | None:
    """Return a moment without its fraction, as all documents show it."""
    return timestamps.whole_second(moment) if moment else None


def state_entries(states: Iterable[DestinationState]) -> list[DestinationStateEntry]:
    """Return the entries of what destinations hold."""
    return [DestinationStateEntry(one.destination, one.state, one.message or None) for one in states]


def result_entry(result: Result) -> ResultEntry:
    """Return the entry of one user in the document of a rotation."""
    return ResultEntry(**_outcome(result), destinations=destination_entries(result), warnings=list(result.warnings))


def destination_entries(result: Result) -> list[DestinationEntry]:
    """Return what became of each destination."""
    return [DestinationEntry(one.destination, one.outcome, one.message or None) for one in result.destinations]


def _outcome(result: Result) -> dict[str, Any]:
    return {
        "account": result.user.account,
        "user": result.user.name,
        "path": result.user.path,
        "outcome": result.outcome,
        "reason": result.reason,
        "message": result.message,
        "current": result.current or None,
        "last": result.last or None,
        "removed": list(result.removed),
        "next_due": whole_seconds(result.next_due),
    }
