"""`twokey lint` on 1,000 users and 1,000 roles, against Cloud Custodian for the checks that both have.

Custodian runs six policies (``POLICIES``), with its cache of resources, so that it lists users and roles once. twokey
makes all of its checks. Both must find the same users and roles, or nothing is measured.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.children import Cost, MeasurementFailed, alternate, cpus, measure, medians, memories, script, walls
from benchmarks.cloud import PATH, Cloud
from benchmarks.environments import Environment
from benchmarks.figures import Figure, at_most, ratio_of_medians

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

USERS = 1000
EACH = 10
"""How many users or roles have each fault."""
CUSTODIAN = Environment("custodian")
ACCOUNT = "arn:aws:iam::123456789012"
TIERS = ("production", "test")
POLICIES: dict[str, tuple[str, Any, set[str]]] = {
    "inline": ("iam-user", "has-inline-policy", {"TK101"}),
    "attached": ("iam-user", {"type": "policy", "key": "PolicyName", "value": "AdministratorAccess"}, {"TK104"}),
    "group": ("iam-user", {"type": "group", "key": "GroupName", "value": "developers"}, {"TK103"}),
    "password": ("iam-user", {"type": "credential", "key": "password_enabled", "value": True}, {"TK301"}),
    "trust": ("iam-role", "cross-account", {"TK501"}),
    "everything": ("iam-policy", "has-allow-all", set()),
}
"""Custodian's policies: the kind of resource, its filter, and the findings of twokey that say the same.

The last one looks into policies that are attached to nothing, which twokey does not report on: there is none.
"""
CONFIG = f"""\
version: 1
tiers:
  production: {{path: {PATH}production/, roles: ["{ACCOUNT}:role/production-*"], reaches: [test]}}
  test: {{path: {PATH}test/, roles: ["{ACCOUNT}:role/test-*"]}}
machine_users: [{{path: {PATH}, store: "secretsmanager:{{user}}"}}]
"""


def run(runs: int) -> list[Figure]:
    """Measure both on one account. The credential report is made before, so that no program waits for it."""
    name = f"{USERS:,} users and {USERS:,} roles"
    try:
        custodian = CUSTODIAN.script("custodian")
    except MeasurementFailed as error:
        return [Figure(name, None, f"Cloud Custodian, which could not be installed: {error}", at_most(0.2))]
    with Cloud() as cloud, tempfile.TemporaryDirectory() as folder:
        _fill(cloud.client("iam"))
        Path(folder, "twokey.yaml").write_text(CONFIG)
        Path(folder, "policies.json").write_text(json.dumps({"policies": list(_policies())}))
        programs = (partial(_lint, cloud, Path(folder)), partial(_custodian, cloud, Path(folder), custodian))
        alternate(1, programs[0])
        ours, theirs = alternate(runs, *programs)
    _same(ours[0].output, theirs[0].output)
    return _figures(name, ours, theirs)


def _figures(name: str, ours: Sequence[Cost], theirs: Sequence[Cost]) -> list[Figure]:
    against = f"Cloud Custodian ({medians(theirs)}): {medians(ours)}"
    requests = f"Cloud Custodian: {theirs[0].requests:,} requests"
    memory = f"Cloud Custodian ({max(memories(theirs)) / 1e6:.0f} MB): {max(memories(ours)) / 1e6:.0f} MB"
    return [
        Figure(f"lint of {name}, wall", ratio_of_medians(walls(ours), walls(theirs)), against, at_most(0.2)),
        Figure("the same, CPU", ratio_of_medians(cpus(ours), cpus(theirs)), against, at_most(0.2)),
        Figure("the same, memory", ratio_of_medians(memories(ours), memories(theirs)), memory, at_most(1)),
        Figure("the same, requests", ours[0].requests, requests, at_most(_pages() + 2)),
    ]


def _pages() -> int:
    """Return the pages of 1,000 entities that the account has; the credential report takes two requests more."""
    return 3


def _lint(cloud: Cloud, folder: Path) -> Cost:
    return _counted(cloud, [script("twokey"), "lint", "--json"], folder)


def _custodian(cloud: Cloud, folder: Path, program: str) -> Cost:
    with tempfile.TemporaryDirectory(dir=folder) as own:
        # A new cache, in which all policies of this run find the users and roles that the first of them listed.
        words = ["--cache", f"{own}/cache", "--output-dir", own, "--region", cloud.aws_variables["AWS_REGION"]]
        cost = _counted(cloud, [program, "run", *words, "policies.json"], folder)
        found = {name: json.loads(Path(own, name, "resources.json").read_text()) for name in POLICIES}
    return replace(cost, output=json.dumps(found))


def _counted(cloud: Cloud, command: Sequence[str], folder: Path) -> Cost:
    cloud.clear_requests()
    # Custodian writes into its home.
    cost = measure(command, {**cloud.environment, "HOME": str(folder)}, cwd=folder)
    return replace(cost, requests=len(cloud.requests()))


def _policies() -> Iterator[dict[str, Any]]:
    below = {"type": "value", "key": "Path", "op": "glob", "value": f"{PATH}*"}
    for name, (resource, one, _) in POLICIES.items():
        filters = [below, one] if resource == "iam-user" else [one]
        yield {"name": name, "resource": f"aws.{resource}", "filters": filters}


def _same(ours: str, theirs: str) -> None:
    """Check that both found the same; raises ``MeasurementFailed``."""
    findings = json.loads(ours)["findings"]
    for name, resources in json.loads(theirs).items():
        ids = POLICIES[name][2]
        mine = {one["resource"] for one in findings if one["id"] in ids}
        if mine != {one["Arn"] for one in resources} or (ids and len(mine) != EACH):
            raise MeasurementFailed(
                f"{name}: twokey found {len(mine)}, Custodian {len(resources)}, and {EACH} are there."
            )


def _document(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _fill(iam: Any) -> None:
    """Make users that assume roles of their tier, and some with a fault."""
    guard = {
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}, "Bool": {"aws:ViaAWSService": "false"}},
    }
    for tier in TIERS:
        allowed = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": f"{ACCOUNT}:role/{tier}-*"}
        iam.create_policy(PolicyName=tier, PolicyDocument=_document(allowed, guard))
    iam.create_group(GroupName="developers")
    read = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    iam.put_group_policy(GroupName="developers", PolicyName="read", PolicyDocument=_document(read))
    for number in range(USERS):
        tier = TIERS[number % len(TIERS)]
        user = f"machine-{number:04d}"
        iam.create_user(UserName=user, Path=f"{PATH}{tier}/")
        iam.attach_user_policy(UserName=user, PolicyArn=f"{ACCOUNT}:policy/{tier}")
        trusted = "*" if number < EACH else f"{ACCOUNT}:root"
        statement = {"Effect": "Allow", "Principal": {"AWS": trusted}, "Action": "sts:AssumeRole"}
        iam.create_role(RoleName=f"{tier}-{number:04d}", AssumeRolePolicyDocument=_document(statement))
        match number // EACH:
            case 1:
                iam.put_user_policy(UserName=user, PolicyName="read", PolicyDocument=_document(read))
            case 2:
                iam.attach_user_policy(UserName=user, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
            case 3:
                iam.add_user_to_group(GroupName="developers", UserName=user)
            case 4:
                iam.create_login_profile(UserName=user, Password="A-password-of-a-human-1")
