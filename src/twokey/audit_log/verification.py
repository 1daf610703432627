"""``verify``: checks that an audit log is complete, and that what it records follows the protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from twokey.audit_log.chain import Finding, links
from twokey.audit_log.replay import Replay

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from pathlib import Path

MOST = 100
"""The maximum number of findings; a rewritten file has one for each line."""


@dataclass(slots=True)
class Report:
    """The contents of a log, and its findings. ``head`` is the hash of its last line: record it elsewhere."""

    lines: int = 0
    runs: int = 0
    effects: int = 0
    interrupted: tuple[int, ...] = ()
    elsewhere: tuple[int, ...] = ()
    torn: int = 0
    first: datetime | None = None
    last: datetime | None = None
    head: str = ""
    findings: tuple[Finding, ...] = ()

    @property
    def good(self) -> bool:
        """Whether there are no findings."""
        return not self.findings


def verify(path: Path, heads: Collection[str] = ()) -> Report:
    """Check a log against its chain, the protocol, and hashes of lines that were recorded elsewhere.

    The replay ends at the first line that does not fit the chain: what follows is no evidence. Raises ``UsageError``
    if the file cannot be read.
    """
    report, replay = Report(), Replay()
    findings: list[Finding] = []
    missing, intact = set(heads), True
    for link in links(path):
        report.lines += 1
        if isinstance(link, Finding):
            findings.append(link)
            intact = False
            continue
        missing.discard(link.hash)
        report.head, report.last = link.hash, link.record.at
        report.first = report.first or link.record.at
        if link.finding:
            findings.append(link.finding)
            intact = False
        if intact:
            findings += replay.play(link.line, link.record)
    findings += [_missing_head(report.lines, head) for head in sorted(missing)]
    if not report.lines:
        findings.append(Finding(0, "chain", "The file is empty: expected the line `opened`."))
    report.runs, report.effects, report.torn = len(replay.runs), replay.effects, replay.torn
    report.elsewhere = tuple(replay.elsewhere)
    report.interrupted, report.findings = tuple(replay.interrupted), tuple(findings[:MOST])
    return report


def _missing_head(lines: int, head: str) -> Finding:
    return Finding(
        lines,
        "head",
        f"No line has the expected hash {head}: lines after line {lines} were cut off, or the log was rewritten.",
    )
