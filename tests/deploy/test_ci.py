"""The files for CI systems: each is valid by the schema that its system publishes, and its scripts do what they should.

The scripts run here, with the token of a job of GitHub: that twokey finds the tokens of the others is tested in
``tests/jobs``. No CI system runs here.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml

from docs import pages
from support import forked
from support.ci_systems import TokenService
from support.issuers import Issuer, web_role
from support.roles import policy
from twokey.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
CI = ROOT / "deploy" / "ci"
TOOLS = ROOT / ".venv-deploy" / "bin"
ACTION, WORKFLOW = CI / "github" / "action.yml", CI / "github" / "twokey.yml"
COMPONENT, ORB = CI / "gitlab" / "templates" / "twokey.yml", CI / "circleci" / "orb.yml"
needs_tools = pytest.mark.skipif(not TOOLS.is_dir(), reason="check-jsonschema is not installed (make deploy-tools)")


class Strings(yaml.SafeLoader):
    """YAML 1.2, in which the key ``on`` is text."""


Strings.yaml_implicit_resolvers = {
    letter: [one for one in resolvers if one[0] != "tag:yaml.org,2002:bool" or letter in "tf"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def document(file: Path) -> Any:
    """The one document of a file, or the second one of a component, whose first declares its inputs."""
    return list(yaml.safe_load_all(file.read_text(encoding="utf-8")))[-1]


def examples() -> Iterator[tuple[str, str, str]]:
    """Each file and each example: its name, its schema, its text."""
    yield "action.yml", "github-actions", ACTION.read_text(encoding="utf-8")
    yield "workflow.yml", "github-workflows", WORKFLOW.read_text(encoding="utf-8")
    # The schema does not look at a job that is hidden by a dot.
    shown = COMPONENT.read_text(encoding="utf-8").replace("\n.twokey-exec:", "\ntwokey-exec:")
    for index, part in enumerate(shown.split("\n---\n")):
        yield f"component-{index}.yml", "gitlab-ci", part
    yield "orb.yml", "circle-ci", ORB.read_text(encoding="utf-8")
    for block in pages.blocks(pages.DOCS / "how-to" / "github-actions-schedule.md", "yaml"):
        if ".github/workflows" in block.splitlines()[0]:
            yield "caller.yml", "github-workflows", block
    for block in pages.blocks(pages.DOCS / "how-to" / "schedule.md", "yaml"):
        if ".gitlab-ci.yml" in block.splitlines()[0]:
            yield "gitlab.yml", "gitlab-ci", block
        if ".circleci/" in block.splitlines()[0]:
            yield "circleci.yml", "circle-ci", block


@needs_tools
@pytest.mark.parametrize(("schema", "text"), [pytest.param(schema, text, id=name) for name, schema, text in examples()])
def test_each_is_valid(schema: str, text: str) -> None:
    (file,) = TOOLS.parent.glob(f"lib/*/site-packages/check_jsonschema/builtin_schemas/vendor/{schema}.json")
    # Control characters, in an expression of ECMAScript.
    described = json.loads(file.read_text(encoding="utf-8").replace(r"\\p{Cc}", r"\\x00-\\x1f"))
    content = json.loads(json.dumps(yaml.load(text, Strings)))
    jsonschema.validators.validator_for(described)(described).validate(content)


@needs_tools
def test_zizmor_finds_nothing() -> None:
    command: list[str | Path] = [TOOLS / "zizmor", "--offline", "--no-progress", "--quiet", ACTION, WORKFLOW]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_examples_give_what_is_declared() -> None:
    calls = {name: text for name, _, text in examples()}
    given = yaml.safe_load(calls["caller.yml"])["jobs"]["rotate"]["with"]
    declared = document(WORKFLOW)[True]["workflow_call"]["inputs"]
    assert given.keys() <= declared.keys()
    assert {name for name, one in declared.items() if one.get("required")} <= given.keys()
    passed = document(WORKFLOW)["jobs"]["twokey"]["steps"][-1]["with"]
    assert passed.keys() == declared.keys()
    assert passed.keys() <= document(ACTION)["inputs"].keys()

    inputs = next(yaml.safe_load_all(COMPONENT.read_text(encoding="utf-8")))["spec"]["inputs"]
    given = yaml.safe_load(calls["gitlab.yml"])["include"][0]["inputs"]
    assert given.keys() <= inputs.keys()
    assert {name for name, one in inputs.items() if "default" not in one} <= given.keys()
    used = set(re.findall(r"\$\[\[ inputs\.(\w+) \]\]", COMPONENT.read_text(encoding="utf-8")))
    assert used == inputs.keys()

    parameters = document(ORB)["jobs"]["rotate"]["parameters"]
    ((_, given),) = yaml.safe_load(calls["circleci.yml"])["workflows"]["rotate"]["jobs"][0].items()
    assert given.keys() <= parameters.keys()
    assert {name for name, one in parameters.items() if "default" not in one} <= given.keys()


def test_the_rotation_runs_alone_and_only_on_a_schedule_with_few_permissions() -> None:
    job = document(WORKFLOW)["jobs"]["twokey"]
    assert document(WORKFLOW)["permissions"] == {}
    assert job["permissions"] == {"contents": "read", "id-token": "write"}
    assert job["concurrency"]["group"].startswith("${{ inputs.command == 'rotate' && 'twokey' || ")
    assert job["concurrency"]["cancel-in-progress"] is False
    job = document(COMPONENT)["twokey-rotate"]
    assert job["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "schedule"'}]
    assert job["resource_group"]
    assert job["interruptible"] is False
    assert job["retry"] == {"max": 1, "exit_codes": [1]}


def scripts() -> dict[str, str]:
    """The scripts that run twokey."""
    orb = document(ORB)["commands"]["exec"]["steps"][0]["run"]["command"]
    return {
        "github": document(ACTION)["runs"]["steps"][1]["run"],
        "gitlab rotate": document(COMPONENT)["twokey-rotate"]["script"][0],
        "gitlab exec": document(COMPONENT)[".twokey-exec"]["script"][0],
        "circleci": orb,
    }


def test_no_script_has_a_value_pasted_into_it() -> None:
    """Values come as variables: a branch name or an input cannot become a command."""
    for name, text in scripts().items():
        assert not re.search(r"\$\{\{|<<|\$\[\[", text), name
        assert "access_key" not in text.lower()


ROTATE = {"TWOKEY_COMMAND": "rotate", "TWOKEY_RUN": "twokey rotate --config twokey.yaml"}
SCRIPT = {"TWOKEY_COMMAND": "exec", "TWOKEY_RUN": "echo ran; twokey status; exit 7"}


@pytest.mark.parametrize(
    ("script", "chosen", "code"),
    [("github", ROTATE, 0), ("gitlab rotate", ROTATE, 0), ("gitlab exec", SCRIPT, 7), ("circleci", ROTATE, 0)],
)
def test_a_job_without_a_key_rotates_or_runs_a_script(
    script: str, chosen: dict[str, str], code: int, tmp_path: Path
) -> None:
    class Grants(TokenService):
        def _grant(self, audience: str) -> str:
            return issuer.token(aud=audience)

    with Emulator() as aws, Issuer() as issuer, Grants() as grants:
        role = web_role(aws, issuer.provide(aws))
        everything = policy({"Effect": "Allow", "Action": "*", "Resource": "*"})
        aws.client("iam").put_role_policy(RoleName="deploy", PolicyName="all", PolicyDocument=everything)
        aws.make_user("ci", keys=1)
        (tmp_path / "twokey.yaml").write_text(
            "version: 1\nmachine_users:\n  - path: /machine-users/\n    store: secretsmanager:machine-users/{user}\n"
        )
        (tmp_path / "twokey").mkdir()
        (tmp_path / "twokey" / "bin").symlink_to(forked.programs())
        own = {name: value for name, value in aws.environment().items() if "ACCESS_KEY" not in name}
        environment = {**own, **grants.github_job(), **chosen, "HOME": str(tmp_path), "RUNNER_TEMP": str(tmp_path)}
        environment |= {"TWOKEY_ROLE": role, "TWOKEY_CONFIG": "twokey.yaml", "GITHUB_REPOSITORY": "acme/site"}
        environment |= {"PATH": f"{forked.programs()}{os.pathsep}{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            ["bash", "-e", "-c", scripts()[script]],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert len(aws.keys("ci")) == (2 if chosen is ROTATE else 1)
        assert ("ran" in done.stdout.split()) == (chosen is SCRIPT)


def test_an_unknown_command_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-e", "-c", scripts()["github"]],
        env={"PATH": os.environ["PATH"], "RUNNER_TEMP": str(tmp_path), "TWOKEY_COMMAND": "revoke"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "expected rotate or exec, got revoke" in done.stderr
