"""The Terraform module for machine users, applied by Terraform itself to the emulator.

What a second apply would change, what the state holds, and what is left after a destroy are asked of Terraform and of
the emulator. Where Terraform is not installed, this skips and says so: see ``docs/terraform.py``.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from docs import pages
from docs.terraform import Terraform, needs_terraform
from support.commands import twokey
from support.roles import make_role
from twokey.emulator import Emulator, KeyPair
from twokey.permissions import guardrails

MODULE = Path(__file__).parents[2] / "deploy" / "terraform" / "machine-users"
NETWORK = "203.0.113.0/24"
ROLES = "arn:aws:iam::123456789012:role"
TIERS = {"production": [f"{ROLES}/deploy", f"{ROLES}/publish"], "test": [f"{ROLES}/test-*"]}


def configuration(**changed: Any) -> str:
    """A configuration, in JSON, that calls the module."""
    given = {
        "source": str(MODULE),
        "users": {"ci": "production", "site": "test"},
        "tiers": TIERS,
        "networks": [NETWORK],
        "recovery_window_in_days": 0,
    }
    outputs = {"twokey_yaml": {"value": "${module.users.twokey_yaml}"}}
    return json.dumps({"module": {"users": {**given, **changed}}, "output": outputs})


def policies(aws: Emulator) -> dict[str, Any]:
    """The policies of the account, by their names, each Resource as a list."""
    iam = aws.client("iam")
    found = {}
    for one in iam.list_policies(Scope="Local")["Policies"]:
        version = iam.get_policy_version(PolicyArn=one["Arn"], VersionId=one["DefaultVersionId"])
        found[one["PolicyName"]] = version["PolicyVersion"]["Document"]
    return found


def as_lists(document: Any) -> Any:
    """A document without the short form of a list with one value."""
    text = json.dumps(document)
    for value in (f"{ROLES}/test-*", NETWORK):
        text = text.replace(f'["{value}"]', f'"{value}"')
    return json.loads(text)


def assumes(aws: Emulator, key: KeyPair, role: str, address: str) -> bool:
    """Whether a job with this key may assume a role, from this address."""
    sts = aws.client("sts", key)
    sts.meta.events.register(
        "before-sign.sts", lambda request, **_: request.headers.add_header("x-emulator-source-ip", address)
    )
    try:
        sts.assume_role(RoleArn=f"{ROLES}/{role}", RoleSessionName="job")
    except ClientError as error:
        if error.response["Error"]["Code"] == "AccessDenied":
            return False
        raise
    return True


def users(aws: Emulator) -> list[str]:
    """The machine users of the account."""
    found = aws.client("iam").list_users(PathPrefix="/machine-users/")["Users"]
    return [one["UserName"] for one in found]


def stored(aws: Emulator, user: str) -> KeyPair:
    """The key that a job reads."""
    value = json.loads(aws.client("secretsmanager").get_secret_value(SecretId=f"machine-users/{user}")["SecretString"])
    return KeyPair(value["AccessKeyId"], value["SecretAccessKey"])


@needs_terraform
@pytest.mark.first
def test_users_are_made_rotated_and_destroyed_and_no_state_has_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Emulator() as aws, Terraform(tmp_path, aws) as terraform:
        (tmp_path / "main.tf.json").write_text(configuration(), encoding="utf-8")
        terraform.init()
        terraform.run("apply", "-auto-approve", "-input=false")
        assert as_lists(policies(aws)) == as_lists(
            {
                **{f"machine-user-{name}": guardrails.machine_user(roles).value() for name, roles in TIERS.items()},
                "machine-user-networks": guardrails.source_ip([NETWORK]).value(),
            }
        )

        for name, value in aws.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        outputs = json.loads((tmp_path / "terraform.tfstate").read_text(encoding="utf-8"))["outputs"]
        (tmp_path / "twokey.yaml").write_text(outputs["twokey_yaml"]["value"], encoding="utf-8")
        ran = twokey("rotate", "--json")
        assert (ran.code, ran.outcomes) == (0, {"ci": "rotated", "site": "rotated"})
        make_role(aws, "deploy", f"arn:aws:iam::{aws.account_id}:root")
        key = stored(aws, "ci")
        assert assumes(aws, key, "deploy", "203.0.113.7")
        assert not assumes(aws, key, "deploy", "198.51.100.7"), "from elsewhere"
        assert not assumes(aws, stored(aws, "site"), "deploy", "203.0.113.7"), "of another tier"

        terraform.run("plan", "-input=false", "-detailed-exitcode")
        state = (tmp_path / "terraform.tfstate").read_text(encoding="utf-8")
        for user in ("ci", "site"):
            assert stored(aws, user).secret_access_key not in state
            assert stored(aws, user).access_key_id not in state

        assert "DeleteConflict" in terraform.run("destroy", "-auto-approve", "-input=false", code=1)
        assert aws.authenticates(key), "a user that still has keys is not destroyed"
        for user in ("ci", "site"):
            for key_id, *_ in aws.keys(user):
                aws.client("iam").delete_access_key(UserName=user, AccessKeyId=key_id)
        terraform.run("destroy", "-auto-approve", "-input=false")
        assert users(aws) == []
        assert policies(aws) == {}
        assert aws.client("secretsmanager").list_secrets()["SecretList"] == []


@needs_terraform
def test_what_would_select_or_allow_too_much_is_refused(tmp_path: Path) -> None:
    refused: dict[str, dict[str, Any]] = {
        "the root path": {"path": "/"},
        "every role": {"tiers": {**TIERS, "test": [f"{ROLES}/*"]}},
        "any address": {"networks": ["0.0.0.0/0"]},
        "private": {"networks": ["10.1.0.0/16"]},
    }
    expected = ("not the root", "not all roles", "not all addresses", "public addresses")
    with Emulator() as aws, Terraform(tmp_path, aws) as terraform:
        module = {
            f"m{index}": json.loads(configuration(**changed))["module"]["users"]
            for index, changed in enumerate(refused.values())
        }
        (tmp_path / "main.tf.json").write_text(json.dumps({"module": module}), encoding="utf-8")
        terraform.init()
        printed = " ".join(terraform.run("plan", "-input=false", code=1).replace("│", "").split())
        for message in expected:
            assert message in printed, message
        assert users(aws) == []


def test_the_page_names_each_variable_and_its_default() -> None:
    declared = (MODULE / "variables.tf").read_text(encoding="utf-8")
    names = re.findall(r'^variable "(\w+)"', declared, re.MULTILINE)
    rows = pages.tables(pages.DOCS / "how-to" / "deploy.md")["Machine users by Terraform"]
    assert [row[0].strip("`") for row in rows] == names
    for name, _, default in rows:
        block = declared.partition(f"variable {name.replace('`', chr(34))}")[2].partition("\n}\n")[0]
        found = re.search(r"^  default +=  ?(.+)$", block, re.MULTILINE)
        assert default.strip("`") == (found[1].strip('"') if found else "")
