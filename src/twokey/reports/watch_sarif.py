"""The findings of ``twokey watch`` as SARIF 2.1.0 (OASIS), for code scanning services; see ``twokey.reports.sarif``."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from twokey import __version__
from twokey.reports.sarif import LEVELS, SCORES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.reports.watch import Finding, Watch


def render(result: Watch, titles: Mapping[str, str], file: str) -> str:
    """Return the log. ``titles`` are those of the rules; ``file``: the configuration, for a finding about no file."""
    used = sorted({one.id for one in result.findings})
    rules = [_rule(name, titles[name], result) for name in used]
    results = [_result(one, used.index(one.id), file) for one in result.findings]
    driver = {"name": "twokey watch", "version": __version__, "rules": rules}
    return json.dumps({"version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}, indent=2)


def _rule(name: str, title: str, result: Watch) -> dict[str, Any]:
    severity = next(one.severity for one in result.findings if one.id == name)
    return {
        "id": name,
        "shortDescription": {"text": f"{title}."},
        "defaultConfiguration": {"level": LEVELS[severity]},
        "properties": {"security-severity": SCORES[severity], "tags": ["security"]},
    }


def _result(finding: Finding, index: int, file: str) -> dict[str, Any]:
    name = f"{finding.resource}/{finding.key_id}" if finding.key_id else finding.resource
    logical = [{"fullyQualifiedName": name, "kind": "resource"}]
    positions = [(one.path, one.line) for one in finding.locations] or [(file, 1)]
    identity = f"{finding.id}\n{finding.account}\n{finding.user}\n{finding.key_id or finding.message}"
    return {
        "ruleId": finding.id,
        "ruleIndex": index,
        "level": LEVELS[finding.severity],
        "message": {"text": f"{finding.message} {finding.remedy}"},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": quote(path)}, "region": {"startLine": line}},
                "logicalLocations": logical,
            }
            for path, line in positions
        ],
        "partialFingerprints": {"finding/v1": hashlib.sha256(identity.encode()).hexdigest()},
        "properties": {"account": finding.account, "user": finding.user, "severity": finding.severity},
    }
