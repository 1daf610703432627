"""The change of a pipeline's file, in every way that such a file is written: each job has the role, and no key."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from twokey.permissions import pipelines

ROLE = "arn:aws:iam::123456789012:role/deploy"


class Strict(yaml.SafeLoader):
    """Refuses a key that a mapping has twice, as CI systems do."""


def _mapping(loader: Strict, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    assert len(keys) == len(set(keys)), f"twice: {keys}"
    return dict(yaml.SafeLoader.construct_mapping(loader, node, deep=True))


Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def changed(file: str, text: str) -> Any:
    """The file after the change, which needs no further one."""
    system = pipelines.of_file(file)
    assert system is not None
    after = pipelines.changed(system, text, ROLE, "eu-central-1")
    assert pipelines.changed(system, after, ROLE, "eu-central-1") == after
    assert "secrets." not in after
    return yaml.load(after, Strict)


class TestGitHub:
    FILE = ".github/workflows/deploy.yml"
    JOB = "jobs:\n  a:\n    runs-on: x\n    steps:\n      - run: make\n"

    @pytest.mark.parametrize(
        ("limits", "permissions"),
        [
            ("", {"contents": "read", "id-token": "write"}),
            ("permissions: read-all\n", {"contents": "read", "id-token": "write"}),
            ("permissions: {contents: read, packages: write}\n", {"contents": "read", "packages": "write"}),
            ("permissions: {}\n", {}),
            ("permissions:\n  packages: read # images\n", {"packages": "read"}),
            ("permissions: write-all\n", "write-all"),
        ],
    )
    def test_jobs_may_ask_for_a_token(self, limits: str, permissions: Any) -> None:
        after = changed(self.FILE, limits + self.JOB)
        assert after["permissions"] == (
            permissions if isinstance(permissions, str) else {**permissions, "id-token": "write"}
        )

    def test_a_job_with_permissions_of_its_own_has_this_one_too(self) -> None:
        own = self.JOB.replace("    runs-on: x\n", "    runs-on: x\n    permissions: {contents: read}\n")
        after = changed(self.FILE, own + "  b:\n    runs-on: x\n    steps: [{run: make}]\n")
        assert after["jobs"]["a"]["permissions"] == {"contents": "read", "id-token": "write"}
        assert after["permissions"]["id-token"] == "write"

    def test_each_job_gets_the_role_also_beside_one_that_logs_in(self) -> None:
        logs_in = (
            "  b:\n    steps:\n      - uses: aws-actions/configure-aws-credentials@v4\n        with:\n"
            "          aws-access-key-id: ${{ secrets.A }}\n          aws-region: eu-west-1\n"
        )
        after = changed(self.FILE, self.JOB + logs_in + "  c:\n    steps: [{run: make}]\n")
        inputs = [job["steps"][0]["with"] for job in after["jobs"].values()]
        assert [one["role-to-assume"] for one in inputs] == [ROLE] * 3
        assert [one["aws-region"] for one in inputs] == ["eu-central-1", "eu-west-1", "eu-central-1"]

    def test_a_script_stays_as_it_is(self) -> None:
        script = "steps:\n- not a step\nAWS_ACCESS_KEY_ID=x make\npermissions:\n"
        text = self.JOB.replace("run: make", "run: |\n" + "".join(f"          {one}\n" for one in script.splitlines()))
        after = changed(self.FILE, text)
        assert after["jobs"]["a"]["steps"][1]["run"].rstrip() == script.rstrip()

    def test_keys_in_braces_are_removed(self) -> None:
        env = 'env: {AWS_ACCESS_KEY_ID: "${{ secrets.A }}", STAGE: "a, b", AWS_SECRET_ACCESS_KEY: "${{ secrets.B }}"}\n'
        after = changed(self.FILE, env + self.JOB.replace("make\n", "make\n        env: {AWS_ACCESS_KEY_ID: x}\n"))
        assert after["env"] == {"STAGE": "a, b"}
        assert "env" not in after["jobs"]["a"]["steps"][1]


class TestGitLab:
    FILE = ".gitlab-ci.yml"

    @pytest.mark.parametrize("script", ["\n    - make", " make", " [make]", "\n    # first\n    - make"])
    def test_the_token_is_written_before_the_jobs_own_commands(self, script: str) -> None:
        after = changed(self.FILE, f"default:\n  before_script: [echo]\na:\n  script:{script}\n")
        assert after["a"]["extends"] == ".aws-role"
        assert [one.split()[0] for one in after["a"]["script"]] == ["unset", "(umask", "make"]
        assert after["default"]["before_script"] == ["echo"]
        assert "before_script" not in after[".aws-role"]

    def test_commands_before_the_script_have_the_token_too(self) -> None:
        after = changed(self.FILE, "a:\n  before_script:\n    - aws s3 ls\n  script:\n    - make\n")
        assert [one.split()[0] for one in after["a"]["before_script"]] == ["unset", "(umask", "aws"]
        assert after["a"]["script"] == ["make"]

    @pytest.mark.parametrize("extends", [" .base", " [.base]", "\n    - .base"])
    def test_a_job_that_extends_another_extends_the_template_too(self, extends: str) -> None:
        after = changed(self.FILE, f"a:\n  extends:{extends}\n  script: [make]\n")
        assert after["a"]["extends"] == [".base", ".aws-role"]


class TestCircleCi:
    FILE = ".circleci/config.yml"

    def test_the_steps_of_jobs_begin_with_the_token_and_commands_stay(self) -> None:
        text = (
            "commands:\n  c:\n    steps:\n      - run: x\n"
            "jobs:\n  a:\n    steps: [checkout, {run: make}]\n  b:\n    steps:\n    - checkout\n"
            "workflows:\n  w:\n    jobs: [a]\n"
        )
        after = changed(self.FILE, text)
        assert after["commands"]["c"]["steps"] == [{"run": "x"}]
        assert [len(job["steps"]) for job in after["jobs"].values()] == [3, 2]
        assert all("CIRCLE_OIDC_TOKEN_V2" in job["steps"][0]["run"]["command"] for job in after["jobs"].values())


class TestBuildkite:
    FILE = ".buildkite/pipeline.yml"

    def test_each_step_with_a_command_gets_the_plugin(self) -> None:
        text = (
            "steps:\n  - key: a\n    command: make\n  - wait\n  - block: ok?\n"
            "  - command: |\n      - command: x\n    plugins:\n      - docker#v5: ~\n"
            "  - group: g\n    steps:\n      - commands:\n          - make\n"
        )
        a, wait, blocked, docker, group = changed(self.FILE, text)["steps"]
        names = [[next(iter(one)) for one in step["plugins"]] for step in (a, docker, group["steps"][0])]
        assert names == [
            ["aws-assume-role-with-web-identity#v1.2.0"],
            ["aws-assume-role-with-web-identity#v1.2.0", "docker#v5"],
            ["aws-assume-role-with-web-identity#v1.2.0"],
        ]
        assert (wait, blocked) == ("wait", {"block": "ok?"})


class TestBitbucket:
    FILE = "bitbucket-pipelines.yml"

    def test_each_step_has_a_token_and_writes_it_first(self) -> None:
        text = (
            "definitions:\n  steps:\n    - step: &deploy\n        script: [make]\n"
            "pipelines:\n  default:\n    - parallel:\n        - step:\n            script:\n              - make\n"
        )
        after = changed(self.FILE, text)
        steps = [after["definitions"]["steps"][0], after["pipelines"]["default"][0]["parallel"][0]]
        for one in steps:
            assert one["step"]["oidc"] is True
            assert [line.split()[0] for line in one["step"]["script"]] == ["unset", "export", "(umask", "make"]
