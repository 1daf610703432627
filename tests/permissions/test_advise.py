"""``twokey advise``: the steps, the trust policy, and a change of each system's pipeline that can be applied."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from support.commands import twokey
from twokey.permissions import pipelines

if TYPE_CHECKING:
    from support.rig import Rig

ROLE = "arn:aws:iam::123456789012:role/deploy"
TRUST = """{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Action": "sts:AssumeRole",
   "Principal": {"AWS": "arn:aws:iam::123456789012:user/machine-users/ci"}}
]}"""
CONFIG = """
version: 1
connections: {github: {token: {env: GITHUB_TOKEN}}}
machine_users:
  - users: [ci]
    store: secretsmanager:ci
    deliver: ["github:acme/site"]
"""
FILES = {
    ".github/workflows/deploy.yml": """# Deploys the site.
on: {push: {branches: [main]}}
jobs:
  deploy:
    runs-on: ubuntu-latest
    env:
      AWS_ACCESS_KEY_ID: ${{ secrets.AWS_ACCESS_KEY_ID }}
      AWS_SECRET_ACCESS_KEY: ${{ secrets.AWS_SECRET_ACCESS_KEY }}
    steps:
      - uses: actions/checkout@v4
      - run: make deploy  # the site
""",
    ".github/workflows/action.yml": """permissions:
  contents: read
jobs:
  deploy:
    runs-on: ubuntu-latest
    steps:
      - name: Log in
        uses: aws-actions/configure-aws-credentials@v4
        with:
          aws-access-key-id: ${{ secrets.AWS_ACCESS_KEY_ID }}
          aws-secret-access-key: ${{ secrets.AWS_SECRET_ACCESS_KEY }}
          aws-region: eu-central-1
      - run: make deploy
""",
    ".gitlab-ci.yml": """stages: [build]
variables:
  AWS_ACCESS_KEY_ID: $CI_KEY_ID
  AWS_SECRET_ACCESS_KEY: $CI_KEY_SECRET
  DEBUG: "1"
deploy:
  stage: build
  script:
    - make deploy
""",
    ".circleci/config.yml": """version: 2.1
jobs:
  deploy:
    docker: [{image: cimg/base:current}]
    environment:
      AWS_ACCESS_KEY_ID: x
    steps:
      - checkout
      - run: make deploy
""",
    ".buildkite/pipeline.yml": """steps:
  - label: Deploy
    command: make deploy
    env:
      AWS_ACCESS_KEY_ID: x

  - command: make test
    plugins:
      - docker#v5: {}
""",
    "bitbucket-pipelines.yml": """pipelines:
  default:
    - step:
        name: Deploy
        script:
          - make deploy
""",
}
SIGNS = {
    ".github/workflows/deploy.yml": "id-token: write",
    ".github/workflows/action.yml": "id-token: write",
    ".gitlab-ci.yml": "AWS_ID_TOKEN",
    ".circleci/config.yml": "CIRCLE_OIDC_TOKEN_V2",
    ".buildkite/pipeline.yml": "aws-assume-role-with-web-identity",
    "bitbucket-pipelines.yml": "oidc: true",
}


@pytest.fixture(autouse=True)
def _user(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user that may assume one role, and the pipelines in a folder."""
    monkeypatch.chdir(tmp_path)
    rig.aws.make_user("ci", keys=1)
    rig.aws.client("iam").create_role(RoleName="deploy", AssumeRolePolicyDocument=TRUST)
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def block(text: str, heading: str) -> str:
    """The lines of the block below a step."""
    after = text.partition(heading)[2].split("\n\n")[1]
    return "\n".join(line.removeprefix("    ") for line in after.splitlines())


@pytest.mark.parametrize("name", FILES)
def test_the_diff_applies_and_the_pipeline_holds_the_role_and_no_key(name: str, tmp_path: Path) -> None:
    ran = twokey("advise", "ci", "--pipeline", name)
    assert ran.code == 0, ran
    start = ran.out.index("--- a/")
    diff = ran.out[start : ran.out.index("\n4. ")].rstrip("\n") + "\n"
    subprocess.run(["git", "apply", "-"], input=diff, text=True, cwd=tmp_path, check=True, capture_output=True)
    after = Path(name).read_text()
    yaml.safe_load(after)
    assert ROLE in after
    assert SIGNS[name] in after
    assert "secrets.AWS" not in after
    assert "AWS_ACCESS_KEY_ID:" not in after
    kept = [line for line in FILES[name].splitlines() if "make deploy" in line or line.startswith("#")]
    assert [line for line in kept if line not in after] == []
    again = twokey("advise", "ci", "--pipeline", name)
    assert f"{name} needs no change." in again.out


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_name_is_known_by_what_is_in_it(name: str) -> None:
    system = pipelines.of_file(f"/site/{name}")
    assert system is not None
    assert pipelines.of_text(FILES[name]) is system


def test_the_system_and_the_project_come_from_the_configuration() -> None:
    Path("twokey.yaml").write_text(CONFIG)
    ran = twokey("advise", "ci")
    assert ran.code == 0
    statement = json.loads(block(ran.out, "2. Let the role trust the jobs"))["Statement"][0]
    issuer = "token.actions.githubusercontent.com"
    assert statement["Condition"]["StringEquals"] == {
        f"{issuer}:aud": "sts.amazonaws.com",
        f"{issuer}:sub": "repo:acme/site:ref:refs/heads/main",
    }
    assert "github:acme/site" in ran.out
    assert "twokey status ci" in ran.out


def test_the_steps_come_in_the_order_in_which_nothing_breaks() -> None:
    out = twokey("advise", "ci", "--pipeline", ".gitlab-ci.yml").out
    words = [
        "open-id-connect-provider",
        "trust",
        "--- a/",
        "get-caller-identity",
        "unused",
        "Inactive",
        "delete the keys",
    ]
    positions = [out.index(word) for word in words]
    assert positions == sorted(positions)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("ci",), "The CI system of the user's jobs is not known"),
        (("cj", "--pipeline", ".gitlab-ci.yml"), "There is no IAM user cj"),
        (("ci", "--pipeline", "missing.yml"), "missing.yml cannot be read: No such file or directory."),
        (
            ("ci", "--pipeline", "other.yml"),
            "--pipeline: other.yml: expected the pipeline file of one of these CI systems: GitHub Actions",
        ),
    ],
)
def test_what_is_not_known_is_said(arguments: tuple[str, ...], expected: str) -> None:
    Path("other.yml").write_text("a: b\n")
    ran = twokey("advise", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert expected in ran.err


@pytest.mark.parametrize(
    "line", ["AWS_SECRET_ACCESS_KEY: wJalr", 'AWS_SESSION_TOKEN: "wJalr"', "- AWS_SECRET_ACCESS_KEY=wJalr"]
)
def test_a_secret_in_the_file_itself_is_not_printed(line: str) -> None:
    Path(".gitlab-ci.yml").write_text(f"deploy:\n  variables:\n    {line}\n  script: [make]\n")
    ran = twokey("advise", "ci", "--pipeline", ".gitlab-ci.yml")
    assert (ran.code, ran.out) == (2, "")
    assert "line 3 of .gitlab-ci.yml has a secret itself" in ran.err
    assert "wJalr" not in ran.err
