"""An audit as metrics of Prometheus, in its text format, for a textfile collector or a push gateway.

No label has a whole key id: of an id that is known, the last four characters distinguish a user's keys.
Source: "Exposition formats" (Prometheus).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from twokey.reports.audit import Audit, Key

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Sample(NamedTuple):
    """A value with its labels."""

    labels: Mapping[str, str]
    value: float


def render(result: Audit) -> str:
    """Return the metrics as text; all are gauges."""
    return "".join(
        f"# HELP {name} {meaning}\n# TYPE {name} gauge\n" + "".join(f"{name}{_line(sample)}\n" for sample in samples)
        for name, meaning, samples in _metrics(result)
    )


def _metrics(result: Audit) -> Iterator[tuple[str, str, Iterable[Sample]]]:
    base, named = {"account": result.account}, [*_named(result.keys)]
    yield "twokey_audit_timestamp_seconds", "When the audit was made.", [Sample(base, _seconds(result.generated))]
    if result.report_generated:
        made = _seconds(result.report_generated)
        yield "twokey_audit_report_timestamp_seconds", "When IAM made the credential report.", [Sample(base, made)]
    yield "twokey_audit_complete", "Whether everything could be read (1), or not (0).", [Sample(base, result.complete)]
    counts = Counter((one.account, one.id, one.severity) for one in result.findings)
    yield (
        "twokey_findings",
        "The number of findings of each rule.",
        [Sample({"account": a, "id": i, "severity": s}, n) for (a, i, s), n in sorted(counts.items())],
    )
    severities = [Sample({**base, "severity": severity}, count) for severity, count in result.summary.items()]
    yield "twokey_findings_by_severity", "The number of findings of each severity.", severities
    windows = Counter((key.account, key.role, key.status, key.window) for key in result.keys)
    yield (
        "twokey_keys",
        "The number of keys of each role, status and state of the window.",
        [Sample({"account": a, "role": r, "status": s, "window": w}, n) for (a, r, s, w), n in sorted(windows.items())],
    )
    for name, meaning, moments in (
        (
            "created",
            "When a key was created or, without its ID, last changed.",
            {k: key.created for k, key in _by(named)},
        ),
        ("last_used", "When a key was last used, where IAM knows a use.", {k: _used(key) for k, key in _by(named)}),
        ("breaks", "When an Active key reaches its limit.", {k: key.breaks_at for k, key in _by(named)}),
    ):
        known = [Sample(dict(k), _seconds(at)) for k, at in moments.items() if at]
        yield f"twokey_key_{name}_timestamp_seconds", meaning, known
    due = [Sample({"account": u.account, "user": u.user}, _seconds(u.next_due)) for u in result.users if u.next_due]
    yield "twokey_rotation_due_timestamp_seconds", "When the next rotation of a user becomes due.", due


def _by(named: Iterable[tuple[dict[str, str], Key]]) -> Iterator[tuple[tuple[tuple[str, str], ...], Key]]:
    return ((tuple(labels.items()), key) for labels, key in named)


def _named(keys: Iterable[Key]) -> Iterator[tuple[dict[str, str], Key]]:
    """Return each key with labels that no other key has."""
    seen: Counter[tuple[str, str, str]] = Counter()
    for key in keys:
        short = f"...{key.key_id[-4:]}" if key.key_id else ""
        seen[key.account, key.user, short] += 1
        number = seen[key.account, key.user, short]
        name = f"{short}{'' if number == 1 else f' {number}'}" if short else str(number)
        labels = {"account": key.account, "user": key.user, "path": key.path, "key": name, "role": key.role}
        yield {**labels, "status": key.status}, key


def _used(key: Key) -> datetime | None:
    return key.last_used.at if key.last_used else None


def _seconds(moment: datetime) -> float:
    return moment.timestamp()


def _line(sample: Sample) -> str:
    labels = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in sample.labels.items())
    return f"{{{labels}}} {sample.value:.0f}"
