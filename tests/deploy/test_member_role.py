"""The role of a member account, by CloudFormation: it grants what twokey needs, and reaches no other user."""

from __future__ import annotations

import json
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest

from deploy.templates import Template
from docs import pages
from support.commands import twokey
from twokey.config.load import load
from twokey.destinations.kind import AwsScope
from twokey.emulator import Emulator
from twokey.permissions import guardrails, rotator
from twokey.permissions.evaluate import Decision, Layers, evaluate

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "cloudformation" / "member-role.yaml"
LINT = ROOT / ".venv-deploy" / "bin" / "cfn-lint"
ACCOUNT, REGION = "123456789012", "eu-central-1"
ROTATOR = "arn:aws:iam::210987654321:role/twokey"
GIVEN = {"RotatorArn": ROTATOR, "ExternalId": "a-long-random-text"}
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222"
CONFIGURATION = """version: 1
machine_users:
  - path: /machine-users/
    soak: 1d
    store: %s
"""
STORES = {"secretsmanager": "secretsmanager:machine-users/{user}", "ssm": "ssm:/machine-users/{user}"}


def template(partition: str = "aws", **parameters: str) -> Template:
    """The template, for an account."""
    return Template(FILE, ACCOUNT, REGION, partition, **{**GIVEN, **parameters})


def policy(role: dict[str, Any]) -> dict[str, Any]:
    """The policy in the role."""
    (found,) = role["Policies"]
    document: dict[str, Any] = found["PolicyDocument"]
    return document


def statements(document: dict[str, Any]) -> set[str]:
    """What a policy says, whatever the order and the names of its statements."""
    found = set()
    for one in document["Statement"]:
        listed = {
            key: sorted([value] if isinstance(value, str) else value)
            for key, value in one.items()
            if key in {"Action", "Resource"}
        }
        found.add(json.dumps({"Effect": one["Effect"], "Condition": one.get("Condition"), **listed}, sort_keys=True))
    return found


def printed(folder: Path, store: str, partition: str = "aws", keys: tuple[str, ...] = ()) -> dict[str, Any]:
    """What ``twokey policy rotator`` prints for such users."""
    file = folder / "twokey.yaml"
    file.write_text(CONFIGURATION % STORES[store], encoding="utf-8")
    principal = f"arn:{partition}:iam::{ACCOUNT}:role/TwokeyMember"
    scope = AwsScope(partition, REGION, ACCOUNT)
    grant = rotator.Grant(scope, rotator.DEFAULT, keys=keys, principal=principal)
    return rotator.document(load(file).selections, grant).value()


class TestWhatItGrants:
    @pytest.mark.parametrize("partition", ["aws", "aws-cn"])
    @pytest.mark.parametrize("store", STORES)
    def test_it_is_what_the_command_prints(self, store: str, partition: str, tmp_path: Path) -> None:
        role = template(partition, Store=store).properties("Role")
        assert statements(policy(role)) == statements(printed(tmp_path, store, partition))

    @pytest.mark.parametrize("store", STORES)
    def test_a_key_of_kms_is_added(self, store: str, tmp_path: Path) -> None:
        role = template(Store=store, StoreKeyArn=KEY).properties("Role")
        assert statements(policy(role)) == statements(printed(tmp_path, store, keys=(KEY,)))

    def test_with_central_stores_it_reaches_no_store(self, tmp_path: Path) -> None:
        role = template(Store="central", StoreKeyArn=KEY).properties("Role")
        of_iam = {one for one in statements(printed(tmp_path, "ssm")) if '"iam:' in one}
        assert statements(policy(role)) == of_iam

    def test_it_trusts_one_role_with_the_external_id(self) -> None:
        trust = template().properties("Role")["AssumeRolePolicyDocument"]
        assert trust == guardrails.trust_of_users([ROTATOR], external_id=GIVEN["ExternalId"]).value()

    @pytest.mark.parametrize("path", ["/", "//", "/*/", "/a?/", "machine-users/", "/machine-users", "/a/*", "/a//"])
    def test_a_path_that_would_select_other_users_is_refused(self, path: str) -> None:
        assert not template().accepts("UserPath", path)

    @pytest.mark.parametrize("path", ["/machine-users/", "/a/b/"])
    def test_a_path_is_taken(self, path: str) -> None:
        assert template(UserPath=path)

    @pytest.mark.parametrize("arn", ["*", "arn:aws:iam::*:role/x", "arn:aws:iam::123456789012:root", f"{ROTATOR}*"])
    def test_a_rotator_that_is_more_than_one_role_is_refused(self, arn: str) -> None:
        assert not template().accepts("RotatorArn", arn)


INSIDE = [f"arn:aws:iam::{ACCOUNT}:user/machine-users/{name}" for name in ("ci", "deep/er/ci")]
OUTSIDE = [
    *(f"arn:aws:iam::{ACCOUNT}:user/{name}" for name in ("ci", "machine-users", "machine-usersx/ci", "other/ci")),
    *(f"arn:aws:iam::{ACCOUNT}:user/{name}" for name in ("other/machine-users/ci", "Machine-Users/ci")),
    "arn:aws:iam::999999999999:user/machine-users/ci",
    f"arn:aws:iam::{ACCOUNT}:role/machine-users/ci",
]
EVERYTHING = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})


def decision(layers: Layers, action: str, resource: str) -> Decision:
    """What IAM decides."""
    return evaluate(layers, action, [resource], {}).decision


@cache
def boundary() -> str:
    """The boundary's document."""
    return json.dumps(template().properties("Boundary")["PolicyDocument"])


def of_iam() -> Iterator[str]:
    """Every action of IAM that botocore knows."""
    model = botocore.session.get_session().get_service_model("iam")
    return (f"iam:{name}" for name in model.operation_names)


class TestTheBoundary:
    def test_with_it_each_action_of_the_policy_works_on_these_users_only(self) -> None:
        own = policy(template().properties("Role"))
        layers = Layers((json.dumps(own),), boundary=(boundary(),))
        actions = [
            name for one in own["Statement"] if one["Sid"] in {"ReadKeys", "RotateKeys"} for name in one["Action"]
        ]
        assert len(actions) == 5
        for action in actions:
            assert {decision(layers, action, user) for user in INSIDE} == {Decision.ALLOWED}, action
            assert Decision.ALLOWED not in {decision(layers, action, user) for user in OUTSIDE}, action

    def test_no_policy_that_is_attached_later_lets_it_touch_another_user(self) -> None:
        """Not even AdministratorAccess: each is denied explicitly, so that no resource's own policy helps either."""
        layers = Layers((EVERYTHING,), boundary=(boundary(),))
        for action in of_iam():
            if action != "iam:ListUsers":
                found = {decision(layers, action, user) for user in OUTSIDE}
                assert found == {Decision.EXPLICIT_DENY}, action
            if action not in boundary():
                assert {decision(layers, action, user) for user in INSIDE} == {Decision.EXPLICIT_DENY}, action

    @pytest.mark.parametrize(
        ("action", "resource"),
        [
            ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:other/ci-aaaaaa"),
            (
                "secretsmanager:DeleteSecret",
                f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:machine-users/ci-aaaaaa",
            ),
            ("ssm:GetParameter", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/other/ci"),
            ("iam:SimulatePrincipalPolicy", f"arn:aws:iam::{ACCOUNT}:role/other"),
            ("kms:Decrypt", KEY),
            ("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/other"),
            ("s3:GetObject", "arn:aws:s3:::bucket/key"),
        ],
    )
    def test_nothing_else_is_reached(self, action: str, resource: str) -> None:
        assert decision(Layers((EVERYTHING,), boundary=(boundary(),)), action, resource) is Decision.EXPLICIT_DENY

    def test_it_allows_what_each_form_of_the_policy_grants(self) -> None:
        allowed, denied = template().properties("Boundary")["PolicyDocument"]["Statement"][:2]
        assert allowed["Action"] == denied["NotAction"]
        for store in ("secretsmanager", "ssm"):
            granted = policy(template(Store=store, StoreKeyArn=KEY).properties("Role"))["Statement"]
            names = [
                name
                for one in granted
                for name in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
            ]
            assert set(names) <= set(allowed["Action"])


@pytest.mark.skipif(not LINT.exists(), reason="cfn-lint is not installed (make deploy-tools)")
def test_cfn_lint_finds_nothing() -> None:
    done = subprocess.run([LINT, FILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_role_rotates_its_users_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the strict emulator, which evaluates policy, boundary and trust as IAM does."""
    with Emulator() as aws:
        caller = aws.make_user("rotator", path="/", keys=1)[0]
        arn = f"arn:aws:iam::{aws.account_id}:user/rotator"
        filled = Template(FILE, aws.account_id, aws.region, **{**GIVEN, "RotatorArn": ROTATOR})
        role, limit = filled.properties("Role"), filled.properties("Boundary")
        iam = aws.client("iam")
        made = iam.create_policy(PolicyName="Boundary", PolicyDocument=json.dumps(limit["PolicyDocument"]))["Policy"]
        trust = json.dumps(role["AssumeRolePolicyDocument"]).replace(ROTATOR, arn)
        iam.create_role(RoleName="TwokeyMember", AssumeRolePolicyDocument=trust, PermissionsBoundary=made["Arn"])
        iam.put_role_policy(RoleName="TwokeyMember", PolicyName="twokey", PolicyDocument=json.dumps(policy(role)))
        assuming = json.dumps(
            {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:*", "Resource": "*"}}
        )
        iam.put_user_policy(UserName="rotator", PolicyName="assume", PolicyDocument=assuming)
        for user, path in (("ci", "/machine-users/"), ("admin", "/people/")):
            aws.make_user(user, path=path, keys=1)

        member = {"RoleArn": f"arn:aws:iam::{aws.account_id}:role/TwokeyMember", "RoleSessionName": "twokey"}
        sts = aws.client("sts", caller)
        with pytest.raises(sts.exceptions.ClientError, match="AccessDenied"):
            sts.assume_role(**member)
        session = sts.assume_role(**member, ExternalId=GIVEN["ExternalId"])["Credentials"]
        for name, value in aws.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", session["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", session["SecretAccessKey"])
        monkeypatch.setenv("AWS_SESSION_TOKEN", session["SessionToken"])
        monkeypatch.chdir(tmp_path)

        aws.clear_requests()
        ran = twokey("rotate", "--path", "/machine-users/", "--store", STORES["secretsmanager"], "--json")
        assert (ran.code, ran.outcomes) == (0, {"ci": "rotated"})
        assert not [one for one in aws.requests if "AccessDenied" in (one.error_code or "")]
        before = aws.keys("admin")
        ran = twokey("rotate", "--path", "/people/", "--store", STORES["secretsmanager"], "--json")
        assert ran.code != 0
        assert aws.keys("admin") == before


def test_the_page_names_each_parameter() -> None:
    page = ROOT / "docs" / "how-to" / "deploy.md"
    rows = pages.tables(page)["A role in each member account"]
    declared = template().document["Parameters"]
    assert [row[0].strip("`") for row in rows] == list(declared)
    assert [row[2].strip("`") for row in rows] == [one.get("Default", "") for one in declared.values()]
    (block,) = (text for text in pages.blocks(page, "sh") if "create-stack-set" in text)
    given = dict(re.findall(r"ParameterKey=(\w+),ParameterValue=(\S+)", block))
    assert Template(FILE, ACCOUNT, REGION, **given), "CloudFormation takes them"
