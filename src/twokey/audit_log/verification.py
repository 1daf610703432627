"""``verify``: is this audit log whole, and did what it tells keep to the protocol?"""

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
"""Findings that are kept; a file that was rewritten has as many as it has lines."""


@dataclass(slots=True)
class Report:
    """What a log holds, and what is wrong with it. ``head`` is the hash of its last line: note it elsewhere."""

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
        """Whether nothing is wrong."""
        return not self.findings


def verify(path: Path, heads: Collection[str] = ()) -> Report:
    """Hold a log against its chain, the protocol, and hashes of lines that were noted elsewhere.

    The replay ends at the first line that is not in its place: what follows is no evidence. Raises ``UsageError``
    where the file cannot be read.
    """
    report, replay = Report(), Replay()
    findings: list[Finding] = []
    missing, whole = set(heads), True
    for link in links(path):
        report.lines += 1
        if isinstance(link, Finding):
            findings.append(link)
            whole = False
            continue
        missing.discard(link.hash)
        report.head, report.last = link.hash, link.record.at
        report.first = report.first or link.record.at
        if link.finding:
            findings.append(link.finding)
            whole = False
        if whole:
            findings += replay.play(link.line, link.record)
    findings += [_cut(report.lines, head) for head in sorted(missing)]
    if not report.lines:
        findings.append(Finding(0, "chain", "The file is empty: every audit log has a first line."))
    report.runs, report.effects, report.torn = len(replay.runs), replay.effects, replay.torn
    report.elsewhere = tuple(replay.elsewhere)
    report.interrupted, report.findings = tuple(replay.interrupted), tuple(findings[:MOST])
    return report


def _cut(lines: int, head: str) -> Finding:
    return Finding(
        lines,
        "head",
        f"No line has the noted hash {head}: lines were cut off behind line {lines}, or the log was written anew.",
    )
