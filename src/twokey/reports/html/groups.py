"""The findings by rule, the most severe first, each rule with what its findings have in common. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twokey.core.sentences import of_any
from twokey.permissions.findings import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twokey.reports.audit import Audit, Finding

MOST = 50
"""Findings of a rule that are shown with their message. The table of users names the rules of every user."""
AT_ONCE = 6
"""Findings of a part that are not folded: a drawing further down must not be screens away."""
MOST_PARTS = 4
OPEN = 3
"""Rules that are unfolded at first."""


@dataclass(frozen=True, slots=True)
class Part:
    """Findings of a rule with the same remedy. ``remedy`` is empty where each finding has its own."""

    remedy: str
    findings: tuple[Finding, ...]

    @property
    def first(self) -> tuple[Finding, ...]:
        """The findings that are shown at once."""
        return self.findings[:AT_ONCE] if len(self.findings) > AT_ONCE + 1 else self.findings

    @property
    def rest(self) -> tuple[Finding, ...]:
        """The findings that are folded."""
        return self.findings[len(self.first) :]


@dataclass(frozen=True, slots=True)
class Group:
    """The findings of one rule; ``further`` are counted only."""

    id: str
    severity: str
    title: str
    count: int
    controls: tuple[str, ...]
    parts: tuple[Part, ...]
    further: int
    unfolded: bool


def groups(findings: Sequence[Finding], titles: Mapping[str, str]) -> tuple[Group, ...]:
    """Return the findings by rule and severity."""
    by_rule: defaultdict[tuple[str, str], list[Finding]] = defaultdict(list)
    for one in findings:
        by_rule[one.severity, one.id].append(one)
    ordered = sorted(by_rule.items(), key=lambda item: (-SEVERITIES.index(item[1][0].severity), item[0][1]))
    return tuple(_group(found, titles, at) for at, (_, found) in enumerate(ordered))


def _group(found: Sequence[Finding], titles: Mapping[str, str], at: int) -> Group:
    first = found[0]
    return Group(
        first.id,
        first.severity,
        _title(found, titles),
        len(found),
        tuple(sorted({control for one in found for control in one.controls})),
        tuple(_parts(found[:MOST])),
        len(found[MOST:]),
        at < OPEN,
    )


def _parts(found: Sequence[Finding]) -> list[Part]:
    """Return the findings by remedy: remedies that differ only in the user and the key are the same."""
    if len({one.remedy for one in found}) == 1:
        return [Part(found[0].remedy, tuple(found))]
    by_remedy: defaultdict[str, list[Finding]] = defaultdict(list)
    for one in found:
        by_remedy[_general(one)].append(one)
    if len(by_remedy) > MOST_PARTS:
        return [Part("", tuple(found))]
    return [Part(remedy, tuple(theirs)) for remedy, theirs in by_remedy.items()]


def _general(finding: Finding) -> str:
    """Return what to do for any user."""
    of_any_key = of_any(finding.remedy, finding.key_id or "", "KEY_ID")
    return of_any(of_any_key, finding.user, "USER")


def _title(found: Sequence[Finding], titles: Mapping[str, str]) -> str:
    """Return what a rule is about. A result of a later version can have rules that this one has no title of."""
    messages = {one.message for one in found}
    return titles.get(found[0].id) or (messages.pop() if len(messages) == 1 else f"Findings of {found[0].id}")


def controls(findings: Sequence[Finding]) -> tuple[tuple[str, int], ...]:
    """Return the controls of other catalogues that have findings, with how many."""
    counts = Counter(control for one in findings for control in one.controls)
    return tuple(sorted(counts.items()))


def without_findings(audit: Audit, titles: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the rules that were checked and have no finding, each with its title."""
    found = {one.id for one in audit.findings}
    return [(rule, titles.get(rule, rule)) for rule in audit.checked if rule not in found]
