"""The documents are valid for a linter and for Terraform, which know nothing of twokey."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from docs.terraform import Terraform, needs_terraform
from support.commands import twokey

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig

ROTATOR = (
    "rotator",
    *("ci", "--store", "secretsmanager:ci/{user}?kms=alias/keys&tag.team=infra&replica=eu-west-1"),
    *("--to", "ssm:/ci/{user}", "--lock", "dynamodb:twokey-locks/{user}", "--soak", "1d"),
    *("--account", "123456789012", "--region", "eu-central-1"),
    *("--principal", "arn:aws:iam::123456789012:role/twokey"),
    *("--kms-key", "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"),
)
BELOW_A_PATH = (
    "rotator",
    *("--path", "/ci/", "--store", "ssm:/ci/{user}", "--lock", "s3:twokey-locks/{user}"),
    *("--account", "123456789012", "--region", "eu-central-1"),
)
MACHINE_USER = ("machine-user", "--role", "arn:aws:iam::123456789012:role/deploy")
TRUST = ("role-trust", "--principal", "arn:aws:iam::123456789012:user/ci/ci", "--external-id", "acme-1")
JOBS = ("role-trust", "--oidc", "gitlab.com", "--aud", "https://gitlab.com", "--account", "123456789012")
SUBJECT = ("--sub", "project_path:acme/site:ref_type:branch:ref:main")
GUARD = ("source-ip", "--allow", "203.0.113.0/24", "--vpc", "vpc-0a1b2c3d")
POLICIES = {"rotator": ROTATOR, "path": BELOW_A_PATH, "machine user": MACHINE_USER, "guard": GUARD}
INTENDED = {
    # A key of KMS is named by its alias in this condition ("AWS KMS condition keys"), which the linter's list lacks.
    "rotator": {"UNKNOWN_CONDITION_FOR_ACTION"},
    # The guards deny everything, on purpose.
    "guard": {"RESOURCE_STAR"},
    "machine user": {"RESOURCE_STAR"},
    "path": {"RESOURCE_STAR"},
}


pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # files that it leaves open


def findings(document: str) -> Any:
    """What the linter says; it reads its large list of actions when it is imported."""
    import parliament  # type: ignore[import-untyped]

    return parliament.analyze_policy_string(document).findings


def printed(*arguments: str) -> str:
    ran = twokey("policy", *arguments, "-q")
    assert (ran.code, ran.err) == (0, "")
    return ran.out


@pytest.mark.parametrize("name", POLICIES)
def test_a_linter_of_others_finds_nothing_in_the_policies(name: str) -> None:
    assert [one for one in findings(printed(*POLICIES[name])) if one.issue not in INTENDED.get(name, set())] == []


@pytest.mark.parametrize(
    ("partition", "region", "services"),
    [
        ("aws-us-gov", "us-gov-west-1", ["secretsmanager.*.amazonaws.com"]),
        ("aws-cn", "cn-north-1", ["secretsmanager.*.amazonaws.com.cn"]),
        ("aws-eusc", "eusc-de-east-1", ["secretsmanager.*.amazonaws.com", "secretsmanager.*.amazonaws.eu"]),
    ],
)
def test_the_service_that_uses_a_kms_key_is_named_as_in_the_partition(
    partition: str, region: str, services: list[str]
) -> None:
    places = ("--path", "/ci/", "--store", "secretsmanager:ci/{user}", "--account", "123456789012", "--region", region)
    text = printed("rotator", *places, "--kms-key", f"arn:{partition}:kms:{region}:123456789012:key/1234abcd")
    conditions = [one["Condition"] for one in json.loads(text)["Statement"] if "kms:Decrypt" in one["Action"]]
    found = [one["StringLike"]["kms:ViaService"] for one in conditions]
    assert found == [services if len(services) > 1 else services[0]]
    assert "arn:aws:" not in text


@pytest.mark.parametrize("arguments", [TRUST, (*JOBS, *SUBJECT)])
def test_and_nothing_in_the_trust_policies(arguments: tuple[str, ...]) -> None:
    # It knows few providers, and takes a trust policy for that of another resource.
    known = {"MALFORMED", "RESOURCE_MISMATCH", "UNKNOWN_FEDERATION_SOURCE"}
    assert [one for one in findings(printed(*arguments)) if one.issue not in known] == []


class TestEveryStatement:
    @pytest.mark.parametrize("arguments", [*POLICIES.values(), TRUST, (*JOBS, *SUBJECT)])
    def test_says_why_on_stderr_and_in_terraform_as_a_comment(self, arguments: tuple[str, ...]) -> None:
        ran = twokey("policy", *arguments)
        reasons = dict(re.findall(r"^  (\w+): (.+)$", ran.err, re.MULTILINE))
        statements = json.loads(ran.out)["Statement"]
        assert list(reasons) == [one["Sid"] for one in statements]
        hcl = printed(*arguments, "--format", "terraform")
        assert re.findall(r"^  # (.+)$", hcl, re.MULTILINE) == list(reasons.values())


@pytest.mark.first
@needs_terraform
def test_terraform_makes_the_same_documents_of_it(rig: Rig, tmp_path: Path) -> None:
    every = {**POLICIES, "trust": TRUST, "jobs": (*JOBS, *SUBJECT)}
    del every["path"]  # of the same name as the other
    parts = [printed(*arguments, "--format", "terraform") for arguments in every.values()]
    hcl = "\n".join(parts).replace('"role_trust" {', '"jobs" {', 1)
    outputs = "".join(
        f'\noutput "{label}" {{\n  value = data.aws_iam_policy_document.{label}.json\n}}\n'
        for label in re.findall(r'^data "aws_iam_policy_document" "(\w+)"', hcl, re.MULTILINE)
    )
    tmp_path.joinpath("main.tf").write_text(hcl + outputs, encoding="utf-8")
    with Terraform(tmp_path, rig.aws) as terraform:
        terraform.run("fmt", "-check", "-diff")
        terraform.init()
        terraform.run("apply", "-auto-approve", "-input=false")
        made: dict[str, Any] = json.loads(terraform.run("output", "-json"))
    documents = [_plain(json.loads(one["value"])) for one in made.values()]
    expected = [_plain(json.loads(printed(*arguments))) for arguments in every.values()]
    assert sorted(documents, key=str) == sorted(expected, key=str)
    policies = rig.aws.client("iam").list_policies(Scope="Local")["Policies"]
    assert sorted(one["PolicyName"] for one in policies) == ["machine-user", "source-ip", "twokey"]


def _plain(document: Any) -> Any:
    """A document with its lists sorted, and single values as lists: Terraform sorts, and AWS knows no order."""
    if isinstance(document, dict):
        return {key: _plain(value) for key, value in document.items()}
    values = document if isinstance(document, list) else [document]
    return sorted((_plain(one) if isinstance(one, dict) else one for one in values), key=str)
