"""The page about Terraform does what it says, with Terraform itself on the emulator, where both are installed.

No package brings Terraform or its AWS provider. A machine that has them needs the provider in a filesystem mirror (a
folder as ``terraform providers mirror`` makes it), because a test downloads nothing.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from docs import pages
from docs.terraform import Terraform, needs_terraform
from support import forked
from support.commands import twokey
from twokey.emulator import Emulator, KeyPair

if TYPE_CHECKING:
    from pathlib import Path

PAGE = pages.DOCS / "how-to" / "terraform.md"
OTHER_POLICY = pages.DOCS / "how-to" / "github-actions-schedule.md"
FILES = {block.split()[1]: block for block in pages.blocks(PAGE, "hcl")}
STORE = ("--path", "/machine-users/", "--store", "secretsmanager:machine-users/{user}")


class PageTerraform(Terraform):
    """Terraform with files of the page."""

    def files(self, *names: str) -> None:
        """Have these files of the page in the folder, and no others."""
        for old in self.folder.glob("*.tf"):
            old.unlink()
        for name in names:
            (self.folder / name).write_text(FILES[name], encoding="utf-8")


def block(part: str) -> str:
    """Return the shell block that has this part."""
    (found,) = (text for text in pages.blocks(PAGE, "sh") if part in text)
    return found


def test_the_files_are_there() -> None:
    """Each block names its file, and its braces match."""
    assert list(FILES) == ["main.tf", "twokey.tf", "keys.tf", "removed.tf", "ignore.tf", "as_ci.tf"]
    assert len(FILES) == len(pages.blocks(PAGE, "hcl"))
    for name, text in FILES.items():
        assert text.startswith(f"# {name}\n")
        plain = re.sub(r'"[^"\n]*"', "", text)
        assert plain.count("{") == plain.count("}"), name


def test_what_is_removed_is_what_was_made() -> None:
    """The addresses are the same in the blocks, in the command for older versions, and in the check."""
    made = re.findall(r'^resource "(\w+)" "(\w+)"', FILES["keys.tf"], re.MULTILINE)
    assert re.findall(r"from = (\w+)\.(\w+)", FILES["removed.tf"]) == made
    assert block("state rm").split()[3:] == [f"{kind}.{name}" for kind, name in made]
    assert all(kind in block("state list") for kind, _ in made)


def test_the_policy_is_the_same_everywhere() -> None:
    """It allows what the other page's policy allows, but for the creation of secrets, which Terraform does."""
    listed = re.findall(r'"((?:iam|secretsmanager):\w+)"', FILES["twokey.tf"])
    (policy,) = pages.blocks(OTHER_POLICY, "json")
    allowed = [action for statement in json.loads(policy)["Statement"] for action in statement["Action"]]
    assert sorted([*listed, "secretsmanager:CreateSecret"]) == sorted(allowed)


def test_the_policy_is_what_twokey_prints_and_reads_users_by_name(tmp_path: Path) -> None:
    """``policy rotator`` leaves out ``iam:GetUser`` for users that are selected by a path."""
    (configuration,) = pages.blocks(PAGE, "yaml")
    (tmp_path / "twokey.yaml").write_text(configuration, encoding="utf-8")
    place = ("--account", "123456789012", "--region", "eu-central-1")
    principal = ("--principal", "arn:aws:iam::123456789012:role/twokey")
    ran = twokey("policy", "rotator", "--quiet", "--config", str(tmp_path / "twokey.yaml"), *place, *principal)
    printed = {action for one in json.loads(ran.out)["Statement"] for action in _listed(one["Action"])}
    (policy,) = pages.blocks(OTHER_POLICY, "json")
    assert printed | {"iam:GetUser"} == {action for one in json.loads(policy)["Statement"] for action in one["Action"]}


def _listed(actions: str | list[str]) -> list[str]:
    return [actions] if isinstance(actions, str) else actions


@needs_terraform
@pytest.mark.first
def test_keys_leave_the_state_and_go_on_working(tmp_path: Path) -> None:
    """The page from top to bottom: keys by Terraform, then without, adopted, rotated; no change is left to apply."""
    with Emulator() as aws, PageTerraform(tmp_path, aws) as terraform:
        terraform.files("main.tf", "twokey.tf", "keys.tf")
        terraform.init()
        terraform.run("fmt", "-check")
        terraform.run("apply", "-auto-approve", "-input=false")
        before = pair(aws, "ci"), pair(aws, "deploy")
        assert all(aws.authenticates(one) for one in before)
        terraform.shell(block("state rm").replace("state rm", "state rm -dry-run"))
        found = in_file(aws, tmp_path, "terraform.tfstate")
        assert sorted(one["user"] for one in found) == ["ci", "ci", "deploy", "deploy"]
        commands = [one["remedy"].partition("; or: terraform state rm ")[2].partition(" Then ")[0] for one in found]
        assert "Would remove" in terraform.shell(f"terraform state rm -dry-run {' '.join(commands)}")

        terraform.files("main.tf", "twokey.tf")
        assert "4 to destroy" in terraform.run("plan", "-input=false"), "what the page warns of"

        terraform.files("main.tf", "twokey.tf", "removed.tf")
        printed = terraform.shell(f"set -e\n{block('forget.tfplan')}".replace("rm forget.tfplan", ""))
        assert printed.count("will no longer be managed by Terraform, but will not be destroyed") == 4
        assert "0 to destroy" in printed
        assert "not done" not in terraform.shell(f"{block('state list')}\ntrue")
        assert "SecretAccessKey" not in (tmp_path / "terraform.tfstate").read_text(encoding="utf-8")
        terraform.shell("terraform show -json forget.tfplan > plan.json")
        for name, expected in (("terraform.tfstate", 0), ("forget.tfplan", 4), ("plan.json", 4)):
            assert len(in_file(aws, tmp_path, name)) == expected, name
        assert (pair(aws, "ci"), pair(aws, "deploy")) == before
        assert all(aws.authenticates(one) for one in before)

        terraform.files("main.tf", "twokey.tf")
        (configuration,) = pages.blocks(PAGE, "yaml")
        # What the readers of a key are promised is kept, so they are promised seconds here.
        brief = configuration.replace("version: 1\n", "version: 1\nwindow: 4s\n")
        (tmp_path / "twokey.yaml").write_text(brief, encoding="utf-8")
        printed = terraform.shell(f"set -e\n{block('twokey adopt')}")
        assert "2 taken over" in printed
        assert "No changes." in printed
        terraform.shell(block("--force"))
        assert all(aws.authenticates(one) for one in before), "they are LAST now"
        time.sleep(4)
        terraform.shell("twokey rotate")
        (tmp_path / "twokey.yaml").write_text(configuration, encoding="utf-8")
        assert not any(aws.authenticates(one) for one in before)
        assert aws.authenticates(pair(aws, "ci"))
        terraform.run("plan", "-input=false", "-detailed-exitcode")

        terraform.run("apply", "-auto-approve", "-input=false", '-var=machine_users=["ci", "deploy", "fresh"]')
        assert "fresh: rotated (no_key)" in terraform.shell("twokey rotate")
        assert aws.authenticates(pair(aws, "fresh"))
        suffices(aws, tmp_path)


def in_file(aws: Emulator, folder: Path, name: str) -> list[dict[str, str]]:
    """Return what audit finds about keys in a file that Terraform wrote; it shows no secret of the account."""
    with pytest.MonkeyPatch.context() as environment:
        for variable, value in aws.environment().items():
            environment.setenv(variable, value)
        ran = twokey("audit", "--json", "--state", str(folder / name))
    secrets = [pair(aws, user).secret_access_key for user in ("ci", "deploy")]
    assert not [secret for secret in secrets if secret in ran.out + ran.err]
    return [one for one in ran.document["findings"] if one["id"] == "TK731"]


@needs_terraform
def test_the_other_files_are_valid(tmp_path: Path) -> None:
    """Terraform and its provider know all that stands there."""
    with Emulator() as aws, PageTerraform(tmp_path, aws) as terraform:
        terraform.files("main.tf", "as_ci.tf", "ignore.tf")
        terraform.init()
        terraform.run("fmt", "-check")
        terraform.run("validate")


def suffices(aws: Emulator, folder: Path) -> None:
    """Rotate and look with the role's policy alone."""
    policy = aws.client("iam").get_role_policy(RoleName="twokey", PolicyName="twokey")["PolicyDocument"]
    text = json.dumps(policy).replace("role/twokey", "user/rotator")
    key = aws.make_user("rotator", path="/", keys=1)[0]
    aws.client("iam").put_user_policy(UserName="rotator", PolicyName="twokey", PolicyDocument=text)
    aws.clear_requests()
    for command in (("rotate", "--force", "--ignore-last-use"), ("status",), ("rotate", "ci")):
        subprocess.run(
            [forked.programs() / "twokey", *command, *STORE],
            cwd=folder,
            env={**os.environ, **aws.environment(key)},
            check=True,
            timeout=300,
        )
    assert not [request for request in aws.requests if "AccessDenied" in (request.error_code or "")]


def pair(aws: Emulator, user: str) -> KeyPair:
    """Read a user's secret as a job does."""
    value = json.loads(aws.client("secretsmanager").get_secret_value(SecretId=f"machine-users/{user}")["SecretString"])
    return KeyPair(value["AccessKeyId"], value["SecretAccessKey"])
