"""Findings as SARIF 2.1.0, which code scanning services read (OASIS, "Static Analysis Results Interchange Format").

A finding is about a resource and not about a line of a file: its location is logical, and a fingerprint identifies it
from run to run.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from twokey import __version__
from twokey.permissions.findings import RULES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.permissions.findings import Finding

LEVELS = {"low": "note", "medium": "warning", "high": "error", "critical": "error"}
SCORES = {"low": "3.0", "medium": "5.0", "high": "8.0", "critical": "9.5"}
"""For ``security-severity``, by which GitHub sorts ("SARIF support for code scanning", GitHub Docs)."""


def sarif(findings: Sequence[Finding], file: str) -> str:
    """Return the findings as a SARIF log. ``file``: the configuration that a service shows them at."""
    used = sorted({one.id for one in findings})
    rules = [_rule(one) for one in used]
    results = [_result(one, used.index(one.id), file) for one in findings]
    driver = {"name": "twokey lint", "version": __version__, "rules": rules}
    log = {"version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
    return json.dumps(log, indent=2)


def _rule(name: str) -> dict[str, Any]:
    meaning = RULES[name]
    return {
        "id": name,
        "shortDescription": {"text": f"{meaning.title}."},
        "defaultConfiguration": {"level": LEVELS[meaning.severity]},
        "properties": {"security-severity": SCORES[meaning.severity], "tags": ["security"]},
    }


def _result(finding: Finding, index: int, file: str) -> dict[str, Any]:
    identity = f"{finding.id}\n{finding.account}\n{finding.user}\n{finding.resource}"
    return {
        "ruleId": finding.id,
        "ruleIndex": index,
        "level": LEVELS[finding.level],
        "message": {"text": f"{finding.message} {finding.remedy}"},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": quote(file)}, "region": {"startLine": 1}},
                "logicalLocations": [{"fullyQualifiedName": finding.resource, "kind": "resource"}],
            }
        ],
        "partialFingerprints": {"finding/v1": hashlib.sha256(identity.encode()).hexdigest()},
        "properties": {"account": finding.account, "user": finding.user, "severity": finding.level},
    }
