"""The Terraform module for the rotator: Terraform applies it to moto's server, and destroys it again."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from deploy.packages import package
from docs import pages
from docs.terraform import Terraform, needs_terraform
from support.commands import twokey
from support.fleets import HOME, ONE, ROLE, Fleet
from support.roles import policy
from twokey.aws.isolated import make_client
from twokey.emulator import KeyPair

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.rig import Rig
    from twokey.emulator import Emulator

DEPLOY = Path(__file__).parents[2] / "deploy"
MODULE = DEPLOY / "terraform" / "rotator"
MEMBER = f"arn:aws:iam::*:role/{ROLE}"
ACCOUNTS = f"{{list: [{{id: '{HOME}'}}, {{id: '{ONE}', role: 'arn:aws:iam::{ONE}:role/{ROLE}'}}]}}"
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
def moto(variables: Path) -> Iterator[Moto]:
    """Run it in a process of its own: its state is global. The file has the variables of the function by then."""
    command = [sys.executable, str(Path(__file__).with_name("moto_server.py")), str(variables)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True
    ) as process:
        assert process.stdout
        try:
            while not (line := process.stdout.readline()).strip().isdigit():
                assert line, "moto's server did not start"
            yield Moto(f"http://127.0.0.1:{line.strip()}")
        finally:
            process.kill()


def a_fleet(aws: Emulator, folder: Path) -> Fleet:
    """Make two users for whom a rotation is due: one in twokey's own account, one in another; and twokey.yaml."""
    fleet = Fleet(aws, folder)
    fleet.account(ONE, "one", "ci")
    fleet.user(HOME, "ci")
    fleet.configure(ACCOUNTS)
    return fleet


def configure(folder: Path, policy: str) -> None:
    """Write a configuration that calls the module, as in a checkout."""
    shutil.copytree(DEPLOY, folder / "deploy")
    content, runtime = package()
    (folder / "package.zip").write_bytes(content)
    module = {
        "source": "./deploy/terraform/rotator",
        "package": str(folder / "package.zip"),
        "runtime": runtime,
        "configuration": (folder / "twokey.yaml").read_text(encoding="utf-8"),
        "policy": policy,
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
def test_it_is_applied_once_rotates_and_is_destroyed_without_a_trace(rig: Rig, tmp_path: Path) -> None:
    pytest.importorskip("antlr4", reason="moto's Step Functions need antlr4-python3-runtime")
    fleet = a_fleet(rig.aws, tmp_path)
    printed = twokey("policy", "rotator", "--config", str(tmp_path / "twokey.yaml"), "--account", HOME).out
    configure(tmp_path, printed)
    with moto(tmp_path / "variables.json") as aws:
        emulator: Any = aws
        with Terraform(tmp_path, emulator) as terraform:
            terraform.init()
            terraform.run("apply", "-auto-approve", "-input=false")
            check_function(aws, (tmp_path / "twokey.yaml").read_bytes())
            check_permissions(aws, json.loads(printed))
            check_a_scheduled_run(aws, fleet, tmp_path / "variables.json")
            terraform.run("plan", "-input=false", "-detailed-exitcode")
            terraform.run("destroy", "-auto-approve", "-input=false")
        assert aws.client("lambda").list_functions()["Functions"] == []
        assert aws.client("s3").list_buckets()["Buckets"] == []
        assert aws.client("stepfunctions").list_state_machines()["stateMachines"] == []
        assert aws.client("iam").list_roles()["Roles"] == []
        assert aws.client("scheduler").list_schedules()["Schedules"] == []


def check_function(aws: Moto, configuration: bytes) -> None:
    """The function has time, and reads its configuration from the module's bucket; the schedule starts the machine."""
    function = aws.client("lambda").get_function(FunctionName="twokey")["Configuration"]
    assert (function["Handler"], function["Timeout"]) == ("twokey.serverless.handler.handle", 900)
    assert function["Environment"]["Variables"] == {"TWOKEY_CONFIG": f"s3://{bucket_of(aws)}/twokey.yaml"}
    held = aws.client("s3").get_object(Bucket=bucket_of(aws), Key="twokey.yaml")["Body"].read()
    assert held == configuration
    definition = aws.client("stepfunctions").describe_state_machine(stateMachineArn=machine_of(aws))["definition"]
    assert function["FunctionArn"] in definition
    schedule = aws.client("scheduler").get_schedule(Name="twokey")
    assert schedule["FlexibleTimeWindow"]["Mode"] == "FLEXIBLE"
    assert schedule["Target"]["Arn"] == machine_of(aws)
    assert schedule["Target"]["DeadLetterConfig"]["Arn"].endswith(":twokey-not-started")


def bucket_of(aws: Moto) -> str:
    """The name of the only bucket."""
    return str(aws.client("s3").list_buckets()["Buckets"][0]["Name"])


def machine_of(aws: Moto) -> str:
    """The ARN of the only state machine."""
    return str(aws.client("stepfunctions").list_state_machines()["stateMachines"][0]["stateMachineArn"])


def check_permissions(aws: Moto, printed: Any) -> None:
    """Each role may do what its service needs, on what the module made; only the policy itself names every resource."""
    function = aws.client("lambda").get_function(FunctionName="twokey")["Configuration"]["FunctionArn"]
    machine, bucket = machine_of(aws), bucket_of(aws)
    roles = {name: granted(aws, f"twokey-{name}") for name in ("function", "machine", "schedule")}
    rotate = {one["Sid"]: one for one in printed["Statement"]}
    assert {name: roles["function"].pop(name) for name in rotate} == rotate, "what twokey policy printed, unchanged"
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


def check_a_scheduled_run(aws: Moto, fleet: Fleet, variables: Path) -> None:
    """What the schedule starts rotates both users: the package that was deployed, with the role that was deployed.

    The function's process sees the emulator in the place of AWS, and moto's S3, which has the module's bucket.
    """
    session = role_on(fleet.aws, aws)
    own = {**fleet.aws.environment(session), "AWS_ENDPOINT_URL_S3": aws.url}
    variables.write_text(json.dumps(own), encoding="utf-8")
    target = aws.client("scheduler").get_schedule(Name="twokey")["Target"]
    states = aws.client("stepfunctions")
    name = str(uuid4())  # Step Functions makes one where there is none; moto does not
    start = {"stateMachineArn": target["Arn"], "name": name, "input": target["Input"]}
    started = states.start_execution(**start)["executionArn"]
    while (ended := states.describe_execution(executionArn=started))["status"] == "RUNNING":
        time.sleep(0.1)
    results = results_of(aws, name)
    assert {(one["account"], one["outcome"]) for one in results} == {(HOME, "rotated"), (ONE, "rotated")}, results
    assert ended["status"] == "SUCCEEDED", ended
    for account in (HOME, ONE):
        assert fleet.held(account) == fleet.ids(account)[-1], "the store holds the key that was created"


def results_of(aws: Moto, execution: str) -> Any:
    """The results in the document that an execution has written."""
    key = f"executions/{execution}/result.json"
    return json.loads(aws.client("s3").get_object(Bucket=bucket_of(aws), Key=key)["Body"].read())["results"]


def role_on(emulator: Emulator, aws: Moto) -> KeyPair:
    """Make the function's role on the emulator, with the policies that were deployed; return a session of it.

    No service of the emulator assumes roles for functions, so the administrator does.
    """
    iam = emulator.client("iam")
    name = aws.client("lambda").get_function(FunctionName="twokey")["Configuration"]["Role"].rpartition("/")[2]
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{HOME}:root"}, "Action": "sts:AssumeRole"}
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=policy(*granted(aws, name).values()))
    found = emulator.client("sts").assume_role(RoleArn=arn, RoleSessionName="twokey")["Credentials"]
    return KeyPair(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])


def test_the_page_names_each_variable_and_its_default() -> None:
    declared = (MODULE / "variables.tf").read_text(encoding="utf-8")
    names = re.findall(r'^variable "(\w+)"', declared, re.MULTILINE)
    rows = pages.tables(pages.DOCS / "how-to" / "deploy.md")["The rotator by Terraform"]
    assert [row[0].strip("`") for row in rows] == names
    for name, _, default in rows:
        block = declared.partition(f"variable {name.replace('`', chr(34))}")[2].partition("\n}\n")[0]
        found = re.search(r"^  default +=  ?(.+)$", block, re.MULTILINE)
        assert default.strip("`") == (found[1].strip('"') if found else "")
