"""What a function keeps of one run for the next: its results, as the JSON of ``rotate``, and its alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from twokey.alerts.decision import PROBLEMS, Alert, AlertKind
from twokey.core.model import MachineUser
from twokey.core.reasons import Outcome, Reason
from twokey.reports.documents import ResultEntry, results_document
from twokey.rotation.results import Result
from twokey.serverless import events

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class AlertRecord(msgspec.Struct):
    """One alert about the result at a position."""

    result: int
    kind: AlertKind
    message: str
    subject: str
    problem: bool


class Results(msgspec.Struct):
    """The results of a chunk, or of the listing, with what there is to tell about them.

    ``warnings``: what the operator should know about the configuration, from the listing.
    """

    results: list[ResultEntry]
    alerts: list[AlertRecord] = []
    warnings: list[str] = []


def collected(results: Sequence[Result], alerts: Iterable[Alert]) -> Results:
    """Return results with their alerts, as they are kept."""
    positions = {id(one): index for index, one in enumerate(results)}
    records = [
        AlertRecord(positions[id(one.result)], one.kind, one.message, one.subject, one.problem)
        for one in alerts
        if one.result is not None
    ]
    return Results(results_document(results).results, records)


def joined(first: Results, second: Results) -> Results:
    """Return the results of both."""
    moved = [msgspec.structs.replace(one, result=one.result + len(first.results)) for one in second.alerts]
    return Results([*first.results, *second.results], [*first.alerts, *moved])


def alerts_of(found: Results) -> list[Alert]:
    """Return the alerts as they were decided."""
    return [
        Alert(one.kind, one.message, one.subject, one.problem, _result(found.results[one.result]))
        for one in found.alerts
    ]


def is_problem(entry: ResultEntry) -> bool:
    """Say whether a user did not end well."""
    return entry.outcome in PROBLEMS


def without_result(account: str, user: str, message: str, reason: Reason) -> Result:
    """Return the failed result of a user whose rotation has none of its own."""
    return Result(MachineUser(user, "", "", account, ""), Outcome.FAILED, reason, message)


def read(text: bytes, name: str) -> Results:
    """Read what another function has kept."""
    found: Results = events.parse(text, name, Results)
    return found


def _result(entry: ResultEntry) -> Result:
    user = MachineUser(entry.user, entry.path, "", entry.account, "")
    return Result(
        user,
        entry.outcome,
        entry.reason,
        entry.message,
        entry.current or "",
        entry.last or "",
        tuple(entry.removed),
        entry.next_due,
    )
