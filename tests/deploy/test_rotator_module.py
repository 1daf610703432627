"""The Terraform module for the rotator: Terraform applies it to moto's server, and destroys it again."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from docs import pages
from docs.terraform import Terraform, needs_terraform
from twokey.aws.isolated import make_client

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPLOY = Path(__file__).parents[2] / "deploy"
MODULE = DEPLOY / "terraform" / "rotator"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Sid": "ListUsers", "Effect": "Allow", "Action": "iam:ListUsers", "Resource": "*"}],
}
MEMBER = "arn:aws:iam::*:role/TwokeyMember"
KEY = {"key_id": "AKIAIOSFODNN7EXAMPLE", "secret": "secret"}
REGION = "eu-central-1"


class Moto:
    """moto's server, in the place of an emulator."""

    def __init__(self, url: str) -> None:
        self.url = url

    def environment(self) -> dict[str, str]:
        """What makes the SDKs and Terraform use it."""
        own = {"AWS_ENDPOINT_URL": self.url, "AWS_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true"}
        return {**own, "AWS_ACCESS_KEY_ID": KEY["key_id"], "AWS_SECRET_ACCESS_KEY": KEY["secret"]}

    def client(self, service: str) -> Any:
        """A client of it."""
        return make_client(service, endpoint_url=self.url, region=REGION, **KEY)


@contextmanager
def moto() -> Iterator[Moto]:
    """Run it in a process of its own: its state is global."""
    command = [sys.executable, str(Path(__file__).with_name("moto_server.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        try:
            while not (line := process.stdout.readline()).strip().isdigit():
                assert line, "moto's server did not start"
            yield Moto(f"http://127.0.0.1:{line.strip()}")
        finally:
            process.kill()


def configure(folder: Path) -> None:
    """Write a configuration that calls the module, as in a checkout."""
    shutil.copytree(DEPLOY, folder / "deploy")
    (folder / "package.zip").write_bytes(b"PK\5\6" + bytes(18))
    module = {
        "source": "./deploy/terraform/rotator",
        "package": str(folder / "package.zip"),
        "configuration": "version: 1\n",
        "policy": json.dumps(POLICY),
        "member_roles": [MEMBER],
        "retention_in_days": None,  # the provider waits almost a minute for the rule that expires results
    }
    provider = {"aws": {"s3_use_path_style": True, "max_retries": 1}}
    (folder / "main.tf.json").write_text(json.dumps({"provider": provider, "module": {"rotator": module}}))


def granted(aws: Moto, role: str) -> dict[str, Any]:
    """The statements of a role's policies, by their names."""
    iam = aws.client("iam")
    found: dict[str, Any] = {}
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        found |= {one["Sid"]: one for one in document["Statement"]}
    return found


@needs_terraform
@pytest.mark.first
def test_it_is_applied_once_and_destroyed_without_a_trace(tmp_path: Path) -> None:
    configure(tmp_path)
    with moto() as aws:
        emulator: Any = aws
        with Terraform(tmp_path, emulator) as terraform:
            terraform.init()
            terraform.run("apply", "-auto-approve", "-input=false")
            function = aws.client("lambda").get_function(FunctionName="twokey")["Configuration"]
            assert (function["Handler"], function["Timeout"]) == ("twokey.serverless.handler.handle", 900)
            bucket = aws.client("s3").list_buckets()["Buckets"][0]["Name"]
            assert function["Environment"]["Variables"] == {"TWOKEY_CONFIG": f"s3://{bucket}/twokey.yaml"}
            assert aws.client("s3").get_object(Bucket=bucket, Key="twokey.yaml")["Body"].read() == b"version: 1\n"

            machine = aws.client("stepfunctions").list_state_machines()["stateMachines"][0]["stateMachineArn"]
            definition = aws.client("stepfunctions").describe_state_machine(stateMachineArn=machine)["definition"]
            assert function["FunctionArn"] in definition
            assert json.loads(definition)["StartAt"] == "List"
            schedule = aws.client("scheduler").get_schedule(Name="twokey")
            assert schedule["FlexibleTimeWindow"]["Mode"] == "FLEXIBLE"
            assert schedule["Target"]["Arn"] == machine
            assert schedule["Target"]["DeadLetterConfig"]["Arn"].endswith(":twokey-not-started")
            check_permissions(aws, function["FunctionArn"], machine, bucket)

            terraform.run("plan", "-input=false", "-detailed-exitcode")
            terraform.run("destroy", "-auto-approve", "-input=false")
        assert aws.client("lambda").list_functions()["Functions"] == []
        assert aws.client("s3").list_buckets()["Buckets"] == []
        assert aws.client("stepfunctions").list_state_machines()["stateMachines"] == []
        assert aws.client("iam").list_roles()["Roles"] == []
        assert aws.client("scheduler").list_schedules()["Schedules"] == []


def check_permissions(aws: Moto, function: str, machine: str, bucket: str) -> None:
    """Each role may do what its service needs, on what the module made; only the policy itself names every resource."""
    roles = {name: granted(aws, f"twokey-{name}") for name in ("function", "machine", "schedule")}
    assert roles["function"].pop("ListUsers") == POLICY["Statement"][0], "what twokey policy printed, unchanged"
    assert roles["function"]["MemberAccounts"]["Resource"] == [MEMBER]
    assert roles["machine"]["CallTheFunction"]["Resource"] == [function, f"{function}:*"]
    assert roles["machine"]["StartTheExecutionsOfTheMap"]["Resource"] == machine
    assert roles["schedule"]["StartARun"]["Resource"] == machine
    for statements in roles.values():
        for one in statements.values():
            resources = one["Resource"] if isinstance(one["Resource"], list) else [one["Resource"]]
            assert "*" not in resources, one
            if "s3:PutObject" in one["Action"]:
                assert resources == [f"arn:aws:s3:::{bucket}/executions/*"], "never the configuration"


def test_the_page_names_each_variable_and_its_default() -> None:
    declared = (MODULE / "variables.tf").read_text(encoding="utf-8")
    names = re.findall(r'^variable "(\w+)"', declared, re.MULTILINE)
    rows = pages.tables(pages.DOCS / "how-to" / "deploy.md")["The rotator by Terraform"]
    assert [row[0].strip("`") for row in rows] == names
    for name, _, default in rows:
        block = declared.partition(f"variable {name.replace('`', chr(34))}")[2].partition("\n}\n")[0]
        found = re.search(r"^  default +=  ?(.+)$", block, re.MULTILINE)
        assert default.strip("`") == (found[1].strip('"') if found else "")
