"""What the tests of jobs share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.roles import make_role

if TYPE_CHECKING:
    from support.rig import Rig

CI_VARIABLES = ("GITHUB_ACTIONS", "GITLAB_CI", "CIRCLECI", "BUILDKITE", "BITBUCKET_BUILD_NUMBER", "TF_BUILD")


@pytest.fixture(autouse=True)
def _no_ci_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the CI system that runs the tests out of them."""
    for name in (*CI_VARIABLES, "TFC_RUN_ID", "TFC_WORKLOAD_IDENTITY_TOKEN", "TRAVIS", "JENKINS_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def role(rig: Rig) -> str:
    """Make the user ci with CURRENT in the store, and a role that trusts it; return the role's ARN."""
    rig.settled()
    return make_role(rig.aws, "deploy", MaxSessionDuration=43200)
