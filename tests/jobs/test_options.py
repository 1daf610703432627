"""The options of a session are checked before anything is called, and a session is named after the CI job."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twokey.core.errors import UsageError
from twokey.jobs import session_options
from twokey.jobs.session_name import cleaned, default_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_REPOSITORY": "acme/site",
    "GITHUB_RUN_ID": "7000",
    "GITHUB_RUN_ATTEMPT": "2",
}
JOBS = [
    (GITHUB, "github-acme-site-7000-2"),
    (
        {"GITLAB_CI": "true", "CI_PROJECT_PATH": "acme/a b", "CI_PIPELINE_ID": "1", "CI_JOB_ID": "2"},
        "gitlab-acme-a-b-1-2",
    ),
    ({"CIRCLECI": "true", "CIRCLE_PROJECT_REPONAME": "site", "CIRCLE_BUILD_NUM": "5"}, "circleci-site-5"),
    ({"BUILDKITE": "true", "BUILDKITE_PIPELINE_SLUG": "site", "BUILDKITE_BUILD_NUMBER": "6"}, "buildkite-site-6"),
    ({"BITBUCKET_BUILD_NUMBER": "7", "BITBUCKET_REPO_FULL_NAME": "acme/site"}, "bitbucket-acme-site-7"),
    ({"TF_BUILD": "True", "BUILD_DEFINITIONNAME": "Déploy (prod)", "BUILD_BUILDID": "8"}, "azure-D-ploy-prod-8"),
    ({"TFC_RUN_ID": "run-x", "TFC_WORKSPACE_NAME": "prod"}, "terraform-prod-run-x"),
    ({"TRAVIS": "true", "TRAVIS_REPO_SLUG": "acme/site", "TRAVIS_JOB_NUMBER": "4.1"}, "travis-acme-site-4.1"),
    ({"JENKINS_URL": "http://j/", "JOB_NAME": "folder/site", "BUILD_NUMBER": "9"}, "jenkins-folder-site-9"),
    ({}, "twokey-ci"),
]


class TestTheNameOfASession:
    @pytest.mark.parametrize(("variables", "name"), JOBS, ids=lambda one: one if isinstance(one, str) else "")
    def test_is_that_of_the_ci_job(self, variables: dict[str, str], name: str) -> None:
        assert default_name(lambda variable: variables.get(variable, ""), "ci") == name

    def test_keeps_the_numbers_of_the_job_where_it_is_cut(self) -> None:
        name = default_name(lambda one: {**GITHUB, "GITHUB_REPOSITORY": "a" * 100}.get(one, ""))
        assert len(name) == 64
        assert name.endswith("a-7000-2")

    @given(st.text(), st.lists(st.text(), max_size=3))
    def test_is_always_one_that_sts_accepts(self, name: str, numbers: list[str]) -> None:
        assert re.fullmatch(r"[\w+=,.@-]{2,64}", cleaned(f"twokey-{name}", numbers), re.ASCII)


class TestOptions:
    @pytest.mark.parametrize(
        ("check", "text", "says"),
        [
            (session_options.session_name, "x", "2 to 64"),
            (session_options.session_name, "a b", "'a b'"),
            (session_options.external_id, "a b", "2 to 1224"),
            (session_options.source_identity, "aws:ci", "AWS reserves"),
            (session_options.duration, "5m", "15m to 12h"),
            (session_options.duration, "13h", "15m to 12h"),
            (session_options.role, "arn:aws:iam::1:role/x", "ACCOUNT:role/NAME"),
            (session_options.role, "arn:aws:sts::123456789012:assumed-role/deploy/x", "role/deploy"),
            (session_options.role, "de ploy", "'de ploy'"),
        ],
    )
    def test_that_sts_would_reject_are_refused(self, check: Callable[[str], object], text: str, says: str) -> None:
        with pytest.raises(UsageError, match=re.escape(says)) as caught:
            check(text)
        assert says in str(caught.value)

    def test_tags_are_keys_with_values(self) -> None:
        assert session_options.tags(("team=web", "empty=", "a=b=c")) == (("team", "web"), ("empty", ""), ("a", "b=c"))

    @pytest.mark.parametrize("tags", [("team",), ("=web",), ("team=a", "Team=b"), ("a=\x00",), ("k" * 129 + "=",)])
    def test_what_is_no_tag_is_refused(self, tags: tuple[str, ...]) -> None:
        with pytest.raises(UsageError, match="--tag"):
            session_options.tags(tags)

    def test_more_tags_than_a_session_has_are_refused(self) -> None:
        with pytest.raises(UsageError, match="at most 50"):
            session_options.tags(tuple(f"k{number}=v" for number in range(51)))

    def test_durations_are_those_of_aws(self) -> None:
        assert session_options.duration("12h") == timedelta(hours=12)

    def test_a_session_policy_is_sent_without_its_white_space(self, tmp_path: Path) -> None:
        file = tmp_path / "policy.json"
        file.write_text(json.dumps({"Version": "2012-10-17", "Statement": []}, indent=8))
        assert session_options.session_policy(str(file)) == '{"Version":"2012-10-17","Statement":[]}'

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            ("{", "not JSON"),
            ("[]", "Statement"),
            (json.dumps({"Statement": ["x" * 2048]}), "2048"),
            (None, r"^--session-policy: .* cannot be read: No such file or directory\. Check the path\.$"),
        ],
    )
    def test_what_cannot_be_a_session_policy_is_refused(self, tmp_path: Path, content: str | None, says: str) -> None:
        file = tmp_path / "policy.json"
        if content is not None:
            file.write_text(content)
        with pytest.raises(UsageError, match=says):
            session_options.session_policy(str(file))
