"""The findings of an audit as SARIF 2.1.0 (OASIS), for code scanning services; see ``twokey.reports.sarif``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from twokey import __version__
from twokey.reports.sarif import LEVELS, SCORES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twokey.reports.audit import Audit, Finding

PAGE = "docs/reference/audit.md"


def render(result: Audit, titles: Mapping[str, str], file: str) -> str:
    """Return the log. ``titles`` are those of the rules; ``file``: the configuration that a service shows them at."""
    used = sorted({one.id for one in result.findings})
    rules = [_rule(name, titles[name], [one for one in result.findings if one.id == name]) for name in used]
    results = [_result(one, used.index(one.id), file) for one in result.findings]
    driver = {"name": "twokey audit", "version": __version__, "rules": rules}
    return json.dumps({"version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}, indent=2) + "\n"


def _rule(name: str, title: str, findings: Sequence[Finding]) -> dict[str, Any]:
    severity = findings[0].severity
    controls = dict.fromkeys(control for one in findings for control in one.controls)
    return {
        "id": name,
        "shortDescription": {"text": f"{title}."},
        "defaultConfiguration": {"level": LEVELS[severity]},
        "properties": {"security-severity": SCORES[severity], "tags": ["security", *controls]},
    }


def _result(finding: Finding, index: int, file: str) -> dict[str, Any]:
    name = f"{finding.resource}/{finding.key_id}" if finding.key_id else finding.resource
    return {
        "ruleId": finding.id,
        "ruleIndex": index,
        "level": LEVELS[finding.severity],
        "message": {"text": f"{finding.message} {finding.remedy}"},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": file}, "region": {"startLine": 1}},
                "logicalLocations": [{"fullyQualifiedName": name, "kind": "resource"}],
            }
        ],
        "partialFingerprints": {"finding/v1": finding.identity},
        "properties": {
            "account": finding.account,
            "user": finding.user,
            "severity": finding.severity,
            "controls": finding.controls,
        },
    }
