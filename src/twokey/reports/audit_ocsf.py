"""The findings of an audit as events of the Open Cybersecurity Schema Framework 1.5.0: Compliance Finding, cloud.

Source: "Compliance Finding [2003] Class" (OCSF Schema).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from twokey import __version__
from twokey.reports import controls
from twokey.reports.partitions import partition_of_arn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.reports.audit import Audit, Finding

SCHEMA = "1.5.0"
CATEGORY, CLASS, CREATE = 2, 2003, 1
NEW, FAIL = 1, 3
_SEVERITIES = {"low": (2, "Low"), "medium": (3, "Medium"), "high": (4, "High"), "critical": (5, "Critical")}


def render(result: Audit, titles: Mapping[str, str]) -> str:
    """Return the events as one JSON array. ``titles`` are those of the rules."""
    return json.dumps([_event(one, titles[one.id], result) for one in result.findings], indent=2) + "\n"


def _event(finding: Finding, title: str, result: Audit) -> dict[str, Any]:
    number, name = _SEVERITIES[finding.severity]
    time = int(result.generated.timestamp() * 1000)
    kind = "AwsIamUser" if ":user/" in finding.resource else "AwsAccount"
    user = {"type": kind, "uid": finding.resource, "name": finding.user or finding.account}
    key = {"type": "AwsIamAccessKey", "uid": finding.key_id, "name": finding.key_id}
    return {
        "category_uid": CATEGORY,
        "category_name": "Findings",
        "class_uid": CLASS,
        "class_name": "Compliance Finding",
        "activity_id": CREATE,
        "activity_name": "Create",
        "type_uid": CLASS * 100 + CREATE,
        "type_name": "Compliance Finding: Create",
        "time": time,
        "severity_id": number,
        "severity": name,
        "status_id": NEW,
        "status": "New",
        "message": finding.message,
        "metadata": {
            "version": SCHEMA,
            "profiles": ["cloud"],
            "event_code": finding.id,
            "product": {"name": "twokey", "vendor_name": "twokey", "version": __version__},
        },
        "cloud": {
            "provider": "AWS",
            "account": {"uid": finding.account, "type": "AWS Account", "type_id": 10},
            "cloud_partition": partition_of_arn(finding.resource),
        },
        "finding_info": {
            "uid": finding.identity,
            "title": f"{title}.",
            "desc": finding.message,
            "types": [finding.id],
            "created_time": time,
        },
        "compliance": {
            "standards": controls.standards(finding.controls) or ["twokey"],
            "requirements": finding.controls or [finding.id],
            "control": finding.id,
            "status_id": FAIL,
            "status": "Fail",
        },
        "remediation": {"desc": finding.remedy},
        "resources": [user, key] if finding.key_id else [user],
    }
