"""The default name of a role's session: which job of which CI system it is, so that CloudTrail shows it.

The variables are those of each system's page on predefined variables: "Variables reference" (GitHub), "Predefined
CI/CD variables reference" (GitLab), "Project values and variables" (CircleCI), "Environment variables" (Buildkite),
"Variables and secrets" (Bitbucket), "Use predefined variables" (Azure Pipelines), "Environment variables" (HCP
Terraform), "Using environment variables" (Jenkins), "Environment variables" (Travis CI).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 64
_UNFIT = re.compile(r"[^\w+=,.@-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class System:
    """A CI system: the variable that shows that it runs the job, those that name the project, and those that number it.

    Of the names, the first that is set counts.
    """

    name: str
    mark: str
    projects: tuple[str, ...]
    numbers: tuple[str, ...]


SYSTEMS = (
    System("github", "GITHUB_ACTIONS", ("GITHUB_REPOSITORY",), ("GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT")),
    System("gitlab", "GITLAB_CI", ("CI_PROJECT_PATH",), ("CI_PIPELINE_ID", "CI_JOB_ID")),
    System("circleci", "CIRCLECI", ("CIRCLE_PROJECT_REPONAME",), ("CIRCLE_BUILD_NUM",)),
    System("buildkite", "BUILDKITE", ("BUILDKITE_PIPELINE_SLUG",), ("BUILDKITE_BUILD_NUMBER",)),
    System("bitbucket", "BITBUCKET_BUILD_NUMBER", ("BITBUCKET_REPO_FULL_NAME",), ("BITBUCKET_BUILD_NUMBER",)),
    System("azure", "TF_BUILD", ("BUILD_DEFINITIONNAME", "SYSTEM_TEAMPROJECT"), ("BUILD_BUILDID",)),
    System("terraform", "TFC_RUN_ID", ("TFC_WORKSPACE_NAME",), ("TFC_RUN_ID",)),
    System("travis", "TRAVIS", ("TRAVIS_REPO_SLUG",), ("TRAVIS_JOB_NUMBER",)),
    System("jenkins", "JENKINS_URL", ("JOB_NAME",), ("BUILD_NUMBER",)),
)


def default_name(variable: Callable[[str], str], user: str = "") -> str:
    """Return the name of a session, after the CI job, or else after the machine user."""
    for system in SYSTEMS:
        if variable(system.mark):
            project = next(filter(None, map(variable, system.projects)), "")
            return cleaned(
                f"{system.name}-{project}", [number for name in system.numbers if (number := variable(name))]
            )
    return cleaned(f"twokey-{user}" if user else "twokey", [])


def cleaned(name: str, numbers: list[str]) -> str:
    """Return a name of the characters and the length that STS accepts; what is too long is cut before the numbers."""
    end = "".join(f"-{_fit(number)}" for number in numbers)[-(LONGEST - 8) :]
    return _fit(name)[: LONGEST - len(end)].rstrip("-") + end


def _fit(text: str) -> str:
    return _UNFIT.sub("-", text).strip("-")
