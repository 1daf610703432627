"""The findings of an audit in the AWS Security Finding Format, as ``BatchImportFindings`` takes them, 100 at a time.

Source: "AWS Security Finding Format (ASFF)" and "BatchImportFindings" (AWS Security Hub).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from twokey.core import timestamps
from twokey.reports import controls
from twokey.reports.partitions import partition_of_arn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.reports.audit import Audit, Finding

VERSION = "2018-10-08"
TYPE = "Software and Configuration Checks/Industry and Regulatory Standards/CIS AWS Foundations Benchmark"
OTHER_TYPE = "Software and Configuration Checks/AWS Security Best Practices"
LONGEST_TITLE, LONGEST_DESCRIPTION, LONGEST_REMEDY = 256, 1024, 512


def render(result: Audit, titles: Mapping[str, str], region: str) -> str:
    """Return the findings as one JSON array. ``region``: that of the Security Hub which imports them."""
    return json.dumps([_finding(one, titles[one.id], result, region) for one in result.findings], indent=2) + "\n"


def _finding(finding: Finding, title: str, result: Audit, region: str) -> dict[str, Any]:
    partition, made = partition_of_arn(finding.resource), timestamps.utc(result.generated)
    where = {"Partition": partition, "Region": region}
    is_user = ":user/" in finding.resource
    resources: list[dict[str, Any]] = [
        {"Type": "AwsIamUser", "Id": finding.resource, **where}
        if is_user
        else {"Type": "AwsAccount", "Id": f"AWS::::Account:{finding.account}", **where}
    ]
    if finding.key_id:
        resources.append({"Type": "AwsIamAccessKey", "Id": f"AWS::IAM::AccessKey:{finding.key_id}", **where})
    return {
        "SchemaVersion": VERSION,
        "Id": f"twokey/{finding.id}/{finding.identity}",
        "ProductArn": f"arn:{partition}:securityhub:{region}:{finding.account}:product/{finding.account}/default",
        "ProductName": "twokey",
        "CompanyName": "twokey",
        "GeneratorId": f"twokey/{finding.id}",
        "AwsAccountId": finding.account,
        "Region": region,
        "Types": [TYPE if any(one.startswith("CIS-") for one in finding.controls) else OTHER_TYPE],
        "CreatedAt": made,
        "UpdatedAt": made,
        "Severity": {"Label": finding.severity.upper(), "Original": finding.severity},
        "Title": _shortened(f"{title}.", LONGEST_TITLE),
        "Description": _shortened(finding.message, LONGEST_DESCRIPTION),
        "Remediation": {"Recommendation": {"Text": _shortened(finding.remedy, LONGEST_REMEDY)}},
        "Resources": resources,
        "Compliance": {"Status": "FAILED", "RelatedRequirements": [*_requirements(finding)]},
        "RecordState": "ACTIVE",
        "Workflow": {"Status": "NEW"},
    }


def _requirements(finding: Finding) -> list[str]:
    return [
        f"{controls.standards([one])[0]} {one.partition('-' if one.startswith('CIS') else ':')[2]}"
        for one in finding.controls
    ]


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
